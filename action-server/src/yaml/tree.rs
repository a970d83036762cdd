//! Reads YAML into a tree without giving scalars a type.
//!
//! The deserializer offers either the shape of a value or the text of a scalar, not both. So
//! the text is read twice: first for the shape alone, then for the text, led by the shape.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A YAML value. Maps keep their order and their duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Yaml {
    /// `null`, `~` or nothing.
    Null,
    /// A scalar as it was written, without its quotes.
    Scalar(String),
    /// A sequence.
    List(Vec<Yaml>),
    /// A mapping with scalar keys.
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    /// What this is, for messages: "a list".
    pub fn kind(&self) -> &'static str {
        match self {
            Yaml::Null => "nothing",
            Yaml::Scalar(_) => "a text",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a map",
        }
    }

    /// The text that a script sees: scalars as written, null as nothing, the rest as compact JSON.
    pub fn to_text(&self) -> String {
        match self {
            Yaml::Null => String::new(),
            Yaml::Scalar(text) => text.clone(),
            Yaml::List(_) | Yaml::Map(_) => self.to_json().to_string(),
        }
    }

    fn to_json(&self) -> serde_json::Value {
        match self {
            Yaml::Null => serde_json::Value::Null,
            Yaml::Scalar(text) => text.clone().into(),
            Yaml::List(items) => items.iter().map(Yaml::to_json).collect(),
            Yaml::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.clone(), value.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

/// Reads one YAML document; an empty one is [`Yaml::Null`].
///
/// # Errors
/// What is wrong and the line it is on, from 1 (0 when there is no place).
pub fn parse(text: &str) -> Result<Yaml, (usize, String)> {
    let shape = ValueShape::deserialize(serde_yaml::Deserializer::from_str(text));
    let shape = match shape {
        Ok(shape) => shape,
        Err(_) if is_blank(text) => return Ok(Yaml::Null),
        Err(error) => return Err(placed_error(&error)),
    };
    let tree = ShapedText(&shape)
        .deserialize(serde_yaml::Deserializer::from_str(text))
        .map_err(|error| placed_error(&error))?;
    Ok(apply_merges(tree))
}

/// The text without the byte order mark that some editors write first.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    })
}

fn placed_error(error: &serde_yaml::Error) -> (usize, String) {
    let line = error.location().map_or(0, |place| place.line());
    let mut text = error.to_string();
    // What a node set may begin with is none that a bare value of YAML may.
    if ["cannot start any token", "unknown anchor", "alias"]
        .iter()
        .any(|part| text.contains(part))
    {
        text += "; a value that begins with @ or * must be in quotes";
    }
    (line, text)
}

/// Applies the merge keys (`<<`): own keys win over merged ones.
fn apply_merges(tree: Yaml) -> Yaml {
    match tree {
        Yaml::Null | Yaml::Scalar(_) => tree,
        Yaml::List(items) => Yaml::List(items.into_iter().map(apply_merges).collect()),
        Yaml::Map(entries) => {
            let mut own = Vec::new();
            let mut inherited = Vec::new();
            for (key, value) in entries {
                match (key.as_str(), apply_merges(value)) {
                    ("<<", Yaml::Map(more)) => inherited.extend(more),
                    ("<<", Yaml::List(maps)) => {
                        for map in maps {
                            if let Yaml::Map(more) = map {
                                inherited.extend(more);
                            }
                        }
                    }
                    (_, value) => own.push((key, value)),
                }
            }
            for (key, value) in inherited {
                if !own.iter().any(|(known, _)| *known == key) {
                    own.push((key, value));
                }
            }
            Yaml::Map(own)
        }
    }
}

/// The shape of a value, without the text of its scalars.
enum ValueShape {
    Null,
    Scalar,
    List(Vec<ValueShape>),
    Map(Vec<ValueShape>),
}

impl<'de> Deserialize<'de> for ValueShape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ValueShape, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = ValueShape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list or a map")
    }
    fn visit_unit<E: Error>(self) -> Result<ValueShape, E> {
        Ok(ValueShape::Null)
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<ValueShape, E> {
        Ok(ValueShape::Scalar)
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<ValueShape, E> {
        Ok(ValueShape::Scalar)
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<ValueShape, E> {
        Ok(ValueShape::Scalar)
    }
    fn visit_i128<E: Error>(self, _: i128) -> Result<ValueShape, E> {
        Ok(ValueShape::Scalar)
    }
    fn visit_u128<E: Error>(self, _: u128) -> Result<ValueShape, E> {
        Ok(ValueShape::Scalar)
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<ValueShape, E> {
        Ok(ValueShape::Scalar)
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<ValueShape, E> {
        Ok(ValueShape::Scalar)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<ValueShape, A::Error> {
        let mut shapes = Vec::new();
        while let Some(shape) = items.next_element()? {
            shapes.push(shape);
        }
        Ok(ValueShape::List(shapes))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<ValueShape, A::Error> {
        let mut shapes = Vec::new();
        while let Some((_, shape)) = entries.next_entry::<MapKey, ValueShape>()? {
            shapes.push(shape);
        }
        Ok(ValueShape::Map(shapes))
    }
}

/// A mapping's key, as it was written.
struct MapKey(String);

impl<'de> Deserialize<'de> for MapKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MapKey, D::Error> {
        deserializer
            .deserialize_str(TextVisitor(&ValueShape::Scalar))
            .map(|yaml| match yaml {
                Yaml::Scalar(text) => MapKey(text),
                _ => MapKey(String::new()),
            })
    }
}

/// Reads a value whose shape is known.
struct ShapedText<'a>(&'a ValueShape);

impl<'de> DeserializeSeed<'de> for ShapedText<'_> {
    type Value = Yaml;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Yaml, D::Error> {
        match self.0 {
            ValueShape::Null => deserializer.deserialize_any(TextVisitor(self.0)),
            ValueShape::Scalar => deserializer.deserialize_str(TextVisitor(self.0)),
            ValueShape::List(_) => deserializer.deserialize_seq(TextVisitor(self.0)),
            ValueShape::Map(_) => deserializer.deserialize_map(TextVisitor(self.0)),
        }
    }
}

struct TextVisitor<'a>(&'a ValueShape);

impl<'de> Visitor<'de> for TextVisitor<'_> {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }
    fn visit_unit<E: Error>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(text.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Yaml, A::Error> {
        let ValueShape::List(shapes) = self.0 else {
            return Err(A::Error::custom("the list changed while it was read"));
        };
        let mut list = Vec::with_capacity(shapes.len());
        for shape in shapes {
            list.extend(items.next_element_seed(ShapedText(shape))?);
        }
        // The end of the sequence must be read too.
        while items.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(Yaml::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Yaml, A::Error> {
        let ValueShape::Map(shapes) = self.0 else {
            return Err(A::Error::custom("the map changed while it was read"));
        };
        let mut map = Vec::with_capacity(shapes.len());
        let mut shapes = shapes.iter();
        while let Some(MapKey(key)) = entries.next_key()? {
            let shape = shapes.next().unwrap_or(&ValueShape::Null);
            map.push((key, entries.next_value_seed(ShapedText(shape))?));
        }
        Ok(Yaml::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str) -> Yaml {
        Yaml::Scalar(text.to_owned())
    }

    #[test]
    fn scalars_stay_as_written() {
        for text in [
            "010",
            "1.10",
            "yes",
            "no",
            "0x1f",
            "2020-01-01",
            "1e3",
            "true",
            "1_000",
            "12345678901234567890123",
        ] {
            let tree = parse(&format!("key: {text}")).unwrap();
            assert_eq!(
                tree,
                Yaml::Map(vec![("key".into(), scalar(text))]),
                "{text}"
            );
        }
        let quoted = parse("a: 'null'\nb: \"x\\ny\"\nc: |\n  one\n  two\n").unwrap();
        let Yaml::Map(entries) = quoted else {
            panic!("not a map")
        };
        assert_eq!(entries[0].1, scalar("null"));
        assert_eq!(entries[1].1, scalar("x\ny"));
        assert_eq!(entries[2].1, scalar("one\ntwo\n"));
    }

    #[test]
    fn null_is_nothing_and_nested_values_become_json() {
        let tree = parse("a: null\nb: ~\nc:\nd: [1, 010, {x: yes}]\n").unwrap();
        let Yaml::Map(entries) = tree else {
            panic!("not a map")
        };
        let texts: Vec<String> = entries.iter().map(|(_, value)| value.to_text()).collect();
        assert_eq!(texts, ["", "", "", r#"["1","010",{"x":"yes"}]"#]);
    }

    #[test]
    fn duplicates_are_kept_and_merge_keys_applied() {
        let tree = parse("base: &b {x: 1, y: 2}\nn: {<<: *b, y: 3}\nn: 5\n").unwrap();
        let Yaml::Map(entries) = tree else {
            panic!("not a map")
        };
        assert_eq!(entries.len(), 3);
        assert_eq!(
            entries[1].1,
            Yaml::Map(vec![("y".into(), scalar("3")), ("x".into(), scalar("1"))])
        );
    }

    #[test]
    fn nothing_and_nonsense() {
        assert_eq!(parse(""), Ok(Yaml::Null));
        assert_eq!(parse("# only a note\n"), Ok(Yaml::Null));
        let (line, reason) = parse("a: 1\nb: [1\nc: 2\n").unwrap_err();
        assert!(line >= 2, "{line} {reason}");
        assert!(parse("a: !secret x").is_err());
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
        assert!(parse(bomb).is_err());
        assert!(parse(&"[".repeat(10_000)).is_err());
    }
}
