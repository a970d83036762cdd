//! The keys of a file in one definition. [`keys!`](crate::keys::keys) makes of it the type, the reader
//! that collects every fault, and the reference that the docs are made from. Does no I/O.

mod forms;

use std::{collections::HashMap, marker::PhantomData, path::Path};

use action_proto::input::{shown_name, shown_value};

pub use forms::{ByteSize, PlainText, Switch, TimeSpan, parse_size, parse_time};

use crate::yaml::{Step, Yaml, line_of, parse};

/// The most faults of one file that are listed.
const MOST_FAULTS: usize = 100;

/// What is wrong with a key or its value.
#[derive(Debug)]
pub struct KeyFault {
    /// The key, behind the keys of the maps around it; empty for the file as a whole.
    pub path: Vec<String>,
    /// Which of the entries with this key, from 0.
    pub nth: usize,
    /// What is wrong.
    pub reason: String,
    /// For an unknown key those that would be known; else empty.
    pub known: &'static [&'static str],
}

impl KeyFault {
    /// The line of the key in `text`, from 1; 0 when it is not there.
    pub fn line(&self, text: &str) -> usize {
        let Some((last, above)) = self.path.split_last() else {
            return 0;
        };
        let mut steps: Vec<Step<'_>> = above.iter().map(|key| Step::Key(key)).collect();
        steps.push(Step::Nth(last, self.nth));
        // A key that is missing has the line of the map that it should be in.
        match line_of(text, &steps) {
            0 => line_of(text, &steps[..steps.len() - 1]),
            line => line,
        }
    }

    /// What is wrong, with the key: `limits.nodes: ..`.
    pub fn message(&self) -> String {
        let name = dotted(&self.path);
        if name.is_empty() || self.reason.starts_with(&name) {
            return self.reason.clone();
        }
        format!("{name}: {}", self.reason)
    }
}

/// A key as it is named in messages: `limits.nodes`.
fn dotted(path: &[String]) -> String {
    let names: Vec<String> = path.iter().map(|key| shown_name(key)).collect();
    names.join(".")
}

/// Collects faults while the keys of a file are read.
#[derive(Debug)]
pub struct KeyReader<'a> {
    /// Where relative paths start.
    pub base: &'a Path,
    /// True where a key with nothing behind it counts as not set, whatever it takes.
    pub ignores_empty: bool,
    /// What is wrong, in the order of the definition.
    pub faults: Vec<KeyFault>,
    path: Vec<String>,
    /// True while what counts for a key that is not set is read.
    is_fallback: bool,
}

impl<'a> KeyReader<'a> {
    /// A reader of files in the directory `base`.
    pub fn new(base: &'a Path, ignores_empty: bool) -> KeyReader<'a> {
        KeyReader {
            base,
            ignores_empty,
            faults: Vec::new(),
            path: Vec::new(),
            is_fallback: false,
        }
    }

    /// Adds a fault of the key that is being read.
    pub fn fault(&mut self, reason: impl Into<String>) {
        self.fault_at(0, reason, &[]);
    }

    fn fault_at(&mut self, nth: usize, reason: impl Into<String>, known: &'static [&'static str]) {
        // Each is looked up in the text: thousands would take minutes.
        let fault = match self.faults.len() {
            ..MOST_FAULTS => KeyFault {
                path: self.path.clone(),
                nth,
                reason: reason.into(),
                known,
            },
            MOST_FAULTS => KeyFault {
                path: Vec::new(),
                nth: 0,
                reason: "there are more faults; correct these first".to_owned(),
                known: &[],
            },
            _ => return,
        };
        self.faults.push(fault);
    }

    /// Reads something below a key.
    pub fn within<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(key.to_owned());
        let value = read(self);
        self.path.pop();
        value
    }

    /// Adds a fault of a key below the one that is being read; `nth` of several entries with it, from 0.
    pub fn fault_of(&mut self, key: &str, nth: usize, reason: impl Into<String>) {
        self.within(key, |reader| reader.fault_at(nth, reason, &[]));
    }

    /// True when a fault was found in one of these keys of the top map.
    pub fn is_faulty(&self, keys: &[&str]) -> bool {
        let mut tops = self.faults.iter().filter_map(|fault| fault.path.first());
        tops.any(|top| keys.contains(&top.as_str()))
    }

    /// The text of a scalar.
    pub fn text<'y>(&mut self, value: &'y Yaml, expected: &str) -> Option<&'y str> {
        if let Yaml::Scalar(text) = value {
            return Some(text);
        }
        self.fault(format!("expected {expected}, found {}", value.kind()));
        None
    }

    /// A scalar that `parse` reads.
    pub fn scalar<T>(
        &mut self,
        value: &Yaml,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(value, expected)?;
        let read = parse(text);
        if read.is_none() {
            self.fault(format!("{} is not {expected}", shown_value(text)));
        }
        read
    }

    /// The entries of a map.
    pub fn map<'y>(&mut self, value: &'y Yaml) -> Option<&'y [(String, Yaml)]> {
        if let Yaml::Map(entries) = value {
            return Some(entries);
        }
        self.fault(format!("expected a map, found {}", value.kind()));
        None
    }

    /// The entries of a map that has only known keys, each once.
    pub fn entries<'y>(
        &mut self,
        value: &'y Yaml,
        known: &'static [&'static str],
    ) -> Option<&'y [(String, Yaml)]> {
        let entries = self.map(value)?;
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (key, _) in entries {
            let nth = seen.entry(key).or_default();
            self.within(key, |reader| {
                if *nth > 0 {
                    let reason = format!("{} is given twice", dotted(&reader.path));
                    reader.fault_at(*nth, reason, &[]);
                } else if !known.contains(&key.as_str()) {
                    reader.fault_at(0, "", known);
                }
            });
            *nth += 1;
        }
        Some(entries)
    }

    /// The value of a key; what `unset` says where it is not set. A faulty value counts as not set, so
    /// that the faults behind it are found too.
    pub fn field<F: KeyForm>(
        &mut self,
        entries: &[(String, Yaml)],
        key: &str,
        unset: &Unset,
        example: &str,
    ) -> Option<F::Value> {
        let ignores_empty = self.ignores_empty || F::IS_TEXT;
        let set = entries.iter().find(|(known, _)| known == key);
        let set = set.filter(|(_, value)| !(ignores_empty && *value == Yaml::Null));
        let value = match (set, unset) {
            (Some((_, value)), _) => self.within(key, |reader| F::read(value, reader)),
            (None, Unset::Required(remedy)) => {
                let name = self.within(key, |reader| dotted(&reader.path));
                self.fault(format!("{name} is missing: {remedy}"));
                None
            }
            (None, _) => None,
        };
        let fallback = match unset {
            Unset::Default(text) => text,
            Unset::Absent(_) => "",
            Unset::Required(_) => example,
        };
        value.or_else(|| {
            let fallback = parse(fallback).unwrap_or(Yaml::Null);
            let outer = std::mem::replace(&mut self.is_fallback, true);
            let value = self.within(key, |reader| F::read(&fallback, reader));
            self.is_fallback = outer;
            value
        })
    }
}

/// What counts where a key is not set.
#[derive(Debug, Clone, Copy)]
pub enum Unset {
    /// This value.
    Default(&'static str),
    /// Nothing, or what these words of the docs say.
    Absent(&'static str),
    /// That is a fault, with this remedy.
    Required(&'static str),
}

/// How the value of a key is written, and what becomes of it.
pub trait KeyForm {
    /// What it is read to.
    type Value;
    /// Its name in the docs.
    const NAME: &'static str;
    /// True where a variable's text is the value as it is, not YAML.
    const IS_TEXT: bool = false;
    /// The keys below it, each with [`KeyForm::IS_TEXT`] of its form.
    const KEYS: &'static [(&'static str, bool)] = &[];
    /// The same by headings, for the docs.
    #[cfg(test)]
    const SECTIONS: &'static [crate::reference::KeySection] = &[];

    /// Reads a value; `None` after a fault.
    fn read(value: &Yaml, reader: &mut KeyReader<'_>) -> Option<Self::Value>;
}

/// A form that may be absent.
#[derive(Debug)]
pub struct Optional<F>(PhantomData<F>);

impl<F: KeyForm> KeyForm for Optional<F> {
    type Value = Option<F::Value>;
    const NAME: &'static str = F::NAME;
    const IS_TEXT: bool = F::IS_TEXT;
    #[cfg(test)]
    const SECTIONS: &'static [crate::reference::KeySection] = F::SECTIONS;

    fn read(value: &Yaml, reader: &mut KeyReader<'_>) -> Option<Option<F::Value>> {
        if *value == Yaml::Null && (reader.is_fallback || reader.ignores_empty) {
            return Some(None);
        }
        F::read(value, reader).map(Some)
    }
}

/// Defines forms of single scalars: the value, the name in the docs, whether a variable's text is the
/// value as it is ([`KeyForm::IS_TEXT`]), what is expected, for messages, and the parser.
macro_rules! scalar_forms {
    ($(
        $(#[doc = $meaning:literal])+
        $name:ident: $value:ty = $kind:literal, $is_text:literal, $expected:literal, $parse:expr;
    )+) => { $(
        $(#[doc = $meaning])+
        #[derive(Debug)]
        pub struct $name;

        impl $crate::keys::KeyForm for $name {
            type Value = $value;
            const NAME: &'static str = $kind;
            const IS_TEXT: bool = $is_text;

            fn read(
                value: &$crate::yaml::Yaml,
                reader: &mut $crate::keys::KeyReader<'_>,
            ) -> Option<$value> {
                reader.scalar(value, $expected, $parse)
            }
        }
    )+ };
}
pub(crate) use scalar_forms;

/// Defines the keys of a map: each with its meaning, its form, what counts where it is not set
/// ([`Unset`]), and an example.
macro_rules! keys {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident {
            $( [$heading:literal] $(
                $(#[doc = $meaning:literal])+
                $key:ident: $form:ty = $unset:ident($words:literal), $example:literal;
            )+ )+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        $visibility struct $name {
            $($( $(#[doc = $meaning])+ pub $key: <$form as $crate::keys::KeyForm>::Value, )+)+
        }

        impl $crate::keys::KeyForm for $name {
            type Value = $name;
            const NAME: &'static str = "map";
            const KEYS: &'static [(&'static str, bool)] =
                &[$($( (stringify!($key), <$form as $crate::keys::KeyForm>::IS_TEXT), )+)+];
            #[cfg(test)]
            const SECTIONS: &'static [$crate::reference::KeySection] = &[$($crate::reference::KeySection {
                heading: $heading,
                keys: &[$($crate::reference::KeyReference {
                    key: stringify!($key),
                    form: <$form as $crate::keys::KeyForm>::NAME,
                    unset: $crate::keys::Unset::$unset($words),
                    example: $example,
                    meaning: &[$($meaning),+],
                    sections: <$form as $crate::keys::KeyForm>::SECTIONS,
                },)+],
            },)+];

            fn read(
                value: &$crate::yaml::Yaml,
                reader: &mut $crate::keys::KeyReader<'_>,
            ) -> Option<$name> {
                let known = &[$($( stringify!($key), )+)+];
                let entries = reader.entries(value, known)?;
                $($( let $key = reader.field::<$form>(
                    entries,
                    stringify!($key),
                    &$crate::keys::Unset::$unset($words),
                    $example,
                ); )+)+
                Some($name { $($( $key: $key?, )+)+ })
            }
        }
    };
}
pub(crate) use keys;
