//! The keys of a file in one definition. [`keys!`](crate::keys::keys) makes of it the type, the reader
//! that collects every fault, and the reference that the docs are made from. Does no I/O.

mod forms;

use std::{collections::HashSet, marker::PhantomData, path::Path};

use action_proto::input::{shown_name, shown_value};

pub use forms::{ByteSize, PlainText, Switch, TimeSpan};

use crate::yaml::{Step, Yaml, line_of, parse};

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
}

impl<'a> KeyReader<'a> {
    /// A reader of files in the directory `base`.
    pub fn new(base: &'a Path, ignores_empty: bool) -> KeyReader<'a> {
        KeyReader {
            base,
            ignores_empty,
            faults: Vec::new(),
            path: Vec::new(),
        }
    }

    /// Adds a fault of the key that is being read.
    pub fn fault(&mut self, reason: impl Into<String>) {
        self.fault_at(0, reason, &[]);
    }

    fn fault_at(&mut self, nth: usize, reason: impl Into<String>, known: &'static [&'static str]) {
        self.faults.push(KeyFault {
            path: self.path.clone(),
            nth,
            reason: reason.into(),
            known,
        });
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

    /// The entries of a map that has only known keys, each once.
    pub fn entries<'y>(
        &mut self,
        value: &'y Yaml,
        known: &'static [&'static str],
    ) -> Option<&'y [(String, Yaml)]> {
        let Yaml::Map(entries) = value else {
            self.fault(format!("expected a map, found {}", value.kind()));
            return None;
        };
        let mut seen = HashSet::new();
        for (key, _) in entries {
            if !known.contains(&key.as_str()) {
                self.within(key, |reader| reader.fault_at(0, "", known));
            } else if !seen.insert(key) {
                self.within(key, |reader| {
                    let reason = format!("{} is given twice", dotted(&reader.path));
                    reader.fault_at(1, reason, &[]);
                });
            }
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
            self.within(key, |reader| F::read(&fallback, reader))
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
    const SECTIONS: &'static [KeySection] = &[];

    /// Reads a value; `None` after a fault.
    fn read(value: &Yaml, reader: &mut KeyReader<'_>) -> Option<Self::Value>;
}

/// A form of one scalar.
pub trait ScalarForm {
    /// What it is read to.
    type Value;
    /// Its name in the docs.
    const NAME: &'static str;
    /// What it is, for messages: "a time such as 90s or 1h".
    const EXPECTED: &'static str;
    /// See [`KeyForm::IS_TEXT`].
    const IS_TEXT: bool = false;

    /// Reads the text; `None` where it is not as expected.
    fn parse(text: &str) -> Option<Self::Value>;
}

impl<F: ScalarForm> KeyForm for F {
    type Value = F::Value;
    const NAME: &'static str = F::NAME;
    const IS_TEXT: bool = F::IS_TEXT;

    fn read(value: &Yaml, reader: &mut KeyReader<'_>) -> Option<F::Value> {
        let Yaml::Scalar(text) = value else {
            reader.fault(format!("expected {}, found {}", F::EXPECTED, value.kind()));
            return None;
        };
        let read = F::parse(text);
        if read.is_none() {
            reader.fault(format!("{} is not {}", shown_value(text), F::EXPECTED));
        }
        read
    }
}

/// A form that may be absent.
#[derive(Debug)]
pub struct Optional<F>(PhantomData<F>);

impl<F: KeyForm> KeyForm for Optional<F> {
    type Value = Option<F::Value>;
    const NAME: &'static str = F::NAME;
    const IS_TEXT: bool = F::IS_TEXT;
    #[cfg(test)]
    const SECTIONS: &'static [KeySection] = F::SECTIONS;

    fn read(value: &Yaml, reader: &mut KeyReader<'_>) -> Option<Option<F::Value>> {
        if *value == Yaml::Null {
            return Some(None);
        }
        F::read(value, reader).map(Some)
    }
}

/// Keys below a heading, for the docs.
#[cfg(test)]
#[derive(Debug)]
pub struct KeySection {
    /// The heading.
    pub heading: &'static str,
    /// The keys below it.
    pub keys: &'static [KeyReference],
}

/// A key, for the docs.
#[cfg(test)]
#[derive(Debug)]
pub struct KeyReference {
    /// Its name.
    pub key: &'static str,
    /// The name of its form.
    pub form: &'static str,
    /// What counts where it is not set.
    pub unset: Unset,
    /// A value that is not the default, as YAML.
    pub example: &'static str,
    /// What it means, line by line.
    pub meaning: &'static [&'static str],
    /// The keys below it.
    pub sections: &'static [KeySection],
}

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
            const SECTIONS: &'static [$crate::keys::KeySection] = &[$($crate::keys::KeySection {
                heading: $heading,
                keys: &[$($crate::keys::KeyReference {
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
