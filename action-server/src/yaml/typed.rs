//! YAML to a type of ours. The messages name the place and what is expected, and never the value: a
//! secret may stand anywhere by mistake. So the error type drops it, whatever a library passes.

use std::{collections::HashSet, error, fmt};

use action_proto::input::{shown_name, shown_value};
use serde::{
    Deserialize,
    de::{
        self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
        Visitor, value::StrDeserializer,
    },
    forward_to_deserialize_any,
};

use super::{Step, Yaml, line_of, parse};

/// Reads one YAML document. Scalars are texts, numbers and booleans as the type wants them.
///
/// # Errors
/// What is wrong and the line it is on, from 1.
pub fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, (usize, String)> {
    let text = super::without_mark(text);
    let tree = parse(text).map_err(|(line, reason)| (line.max(1), reason))?;
    T::deserialize(TreeValue(&tree)).map_err(|error| {
        let line = line_of(text, &error.steps());
        (line.max(1), error.to_string())
    })
}

#[derive(Debug, Clone)]
enum ErrorPlace {
    Key(String),
    /// The second entry with this key.
    Second(String),
    Item(usize),
}

/// Why a value is not of the type.
#[derive(Debug)]
struct TypeError {
    /// Where, the innermost step first.
    places: Vec<ErrorPlace>,
    /// True where the last step is a key that is wrong itself.
    is_key: bool,
    reason: String,
}

impl TypeError {
    fn within(mut self, place: ErrorPlace) -> TypeError {
        self.places.push(place);
        self
    }

    fn at_key(mut self, place: ErrorPlace) -> TypeError {
        self.is_key = true;
        self.within(place)
    }

    fn steps(&self) -> Vec<Step<'_>> {
        let steps = self.places.iter().rev().map(|place| match place {
            ErrorPlace::Key(key) => Step::Key(key),
            ErrorPlace::Second(key) => Step::Nth(key, 1),
            ErrorPlace::Item(index) => Step::Item(*index),
        });
        steps.collect()
    }
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.places.iter().skip(usize::from(self.is_key)).rev();
        let mut is_first = true;
        for place in shown {
            match place {
                ErrorPlace::Key(key) | ErrorPlace::Second(key) if is_first => {
                    f.write_str(&shown_name(key))?;
                }
                ErrorPlace::Key(key) | ErrorPlace::Second(key) => {
                    write!(f, ".{}", shown_name(key))?;
                }
                ErrorPlace::Item(index) => write!(f, "[{index}]")?,
            }
            is_first = false;
        }
        let colon = if is_first { "" } else { ": " };
        write!(f, "{colon}{}", self.reason)
    }
}

impl error::Error for TypeError {}

impl de::Error for TypeError {
    fn custom<T: fmt::Display>(reason: T) -> TypeError {
        TypeError {
            places: Vec::new(),
            is_key: false,
            reason: reason.to_string(),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> TypeError {
        TypeError::custom(format!("expected {expected}, found {}", kind_of(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> TypeError {
        TypeError::invalid_type(found, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> TypeError {
        let (variant, known) = (shown_value(variant), quoted_list(expected));
        TypeError::custom(format!(
            "unknown variant {variant}, expected one of {known}"
        ))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> TypeError {
        let (field, known) = (shown_name(field), quoted_list(expected));
        TypeError::custom(format!("unknown field `{field}`, expected one of {known}"))
    }
}

fn quoted_list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn kind_of(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "a list",
        Unexpected::Map | Unexpected::StructVariant => "a map",
        _ => "a text",
    }
}

/// A value of the tree, to be read as whatever is wanted.
struct TreeValue<'a>(&'a Yaml);

impl<'a> TreeValue<'a> {
    fn is_not(&self, expected: &dyn de::Expected) -> TypeError {
        let reason = format!("expected {expected}, found {}", self.0.kind());
        de::Error::custom(reason)
    }

    fn parsed<T>(&self, read: impl Fn(&str) -> Option<T>, expected: &str) -> Result<T, TypeError> {
        let text = match self.0 {
            Yaml::Scalar(text) => read(text),
            _ => None,
        };
        text.ok_or_else(|| self.is_not(&expected))
    }
}

macro_rules! integers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
            match self.parsed(|text| text.parse::<i64>().ok(), "a number")? {
                number if number < 0 => visitor.visit_i64(number),
                number => visitor.visit_u64(number.unsigned_abs()),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for TreeValue<'_> {
    type Error = TypeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        match self.0 {
            Yaml::Null => visitor.visit_unit(),
            Yaml::Scalar(text) => visitor.visit_str(text),
            Yaml::List(items) => visitor.visit_seq(ListItems(items.iter().enumerate())),
            Yaml::Map(entries) => visitor.visit_map(MapEntries::new(entries)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        let read = |text: &str| text.to_ascii_lowercase().parse().ok();
        visitor.visit_bool(self.parsed(read, "true or false")?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        match self.0 {
            Yaml::Null => visitor.visit_str(""),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        match self.0 {
            Yaml::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypeError> {
        let Yaml::Scalar(text) = self.0 else {
            return Err(self.is_not(&visitor));
        };
        let word: StrDeserializer<'_, TypeError> = text.as_str().into_deserializer();
        visitor.visit_enum(word)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TypeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypeError> {
        match self.0 {
            Yaml::Map(_) => self.deserialize_any(visitor),
            _ => Err(self.is_not(&"a map")),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple tuple_struct map
        identifier ignored_any
    }
}

struct ListItems<'a>(std::iter::Enumerate<std::slice::Iter<'a, Yaml>>);

impl<'de> SeqAccess<'de> for ListItems<'_> {
    type Error = TypeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, TypeError> {
        let Some((index, item)) = self.0.next() else {
            return Ok(None);
        };
        let read = match item {
            // It would pass for an empty text, which may mean something.
            Yaml::Null => Err(de::Error::custom(
                "nothing stands here; remove this entry of the list, or write '' for an empty text",
            )),
            _ => seed.deserialize(TreeValue(item)),
        };
        read.map(Some)
            .map_err(|error| error.within(ErrorPlace::Item(index)))
    }
}

/// The entries of a map.
struct MapEntries<'a> {
    left: std::slice::Iter<'a, (String, Yaml)>,
    /// The one whose value is next.
    current: Option<&'a (String, Yaml)>,
    seen: HashSet<&'a str>,
}

impl<'a> MapEntries<'a> {
    fn new(entries: &'a [(String, Yaml)]) -> MapEntries<'a> {
        MapEntries {
            left: entries.iter(),
            current: None,
            seen: HashSet::new(),
        }
    }
}

impl<'de> MapAccess<'de> for MapEntries<'_> {
    type Error = TypeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, TypeError> {
        self.current = self.left.next();
        let Some((key, _)) = self.current else {
            return Ok(None);
        };
        // A map of the standard library would keep the last one only.
        if !self.seen.insert(key) {
            let error: TypeError = de::Error::custom(format!("{} is given twice", shown_name(key)));
            return Err(error.at_key(ErrorPlace::Second(key.clone())));
        }
        let word: StrDeserializer<'_, TypeError> = key.as_str().into_deserializer();
        seed.deserialize(word)
            .map(Some)
            .map_err(|error: TypeError| error.at_key(ErrorPlace::Key(key.clone())))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, TypeError> {
        let Some((key, value)) = self.current else {
            return Err(de::Error::custom("a value without a key"));
        };
        seed.deserialize(TreeValue(value))
            .map_err(|error| error.within(ErrorPlace::Key(key.clone())))
    }
}

#[cfg(test)]
mod tests;
