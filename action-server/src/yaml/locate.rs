//! Finds the line of a key in YAML text, for the message about it.
//!
//! The deserializer tells a place only with an error. So the text is read once more along the
//! path, with an error on purpose at its end; this costs nothing until something is wrong.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One step of a path into a document.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// The first entry with this key.
    Key(&'a str),
    /// The n-th entry with this key, from 0: for duplicates.
    Nth(&'a str, usize),
    /// The n-th item of a list, from 0.
    Item(usize),
}

/// The line of the last step of `path`, from 1; 0 when the path leads nowhere.
pub fn line_of(text: &str, path: &[Step<'_>]) -> usize {
    let Err(error) = (Walk { path }).deserialize(serde_yaml::Deserializer::from_str(text)) else {
        return 0;
    };
    error.location().map_or(0, |place| place.line())
}

/// Goes down the path; fails at its end.
struct Walk<'a> {
    path: &'a [Step<'a>],
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the next step of the path")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let (key, nth) = match self.path.first() {
            Some(Step::Key(key)) => (*key, 0),
            Some(Step::Nth(key, nth)) => (*key, *nth),
            Some(Step::Item(_)) | None => return Err(A::Error::custom("here")),
        };
        let rest = &self.path[1..];
        let mut left = nth;
        loop {
            let stop = rest.is_empty() && left == 0;
            match entries.next_key_seed(WantedKey { key, stop })? {
                None => return Ok(()),
                Some(true) if left == 0 => {
                    entries.next_value_seed(Walk { path: rest })?;
                    return Ok(());
                }
                Some(found) => {
                    left -= usize::from(found);
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some(Step::Item(index)) = self.path.first() else {
            return Err(A::Error::custom("here"));
        };
        for _ in 0..*index {
            if items.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        items.next_element_seed(Walk {
            path: &self.path[1..],
        })?;
        Ok(())
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(E::custom("here"))
    }
}

/// Tells whether a key is the wanted one, or fails on it when the path ends there.
struct WantedKey<'a> {
    key: &'a str,
    stop: bool,
}

impl<'de> DeserializeSeed<'de> for WantedKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for WantedKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        let found = text == self.key;
        if found && self.stop {
            Err(E::custom("here"))
        } else {
            Ok(found)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_keys() {
        let text = "# nodes\nnode01:\n  ranks: [metal]\n\n  PATH: /bin\nnode02: {}\nnode01: {}\nlist:\n- x\n- y: 1\n";
        assert_eq!(line_of(text, &[Step::Key("node01")]), 2);
        assert_eq!(line_of(text, &[Step::Key("node01"), Step::Key("PATH")]), 5);
        assert_eq!(line_of(text, &[Step::Nth("node01", 1)]), 7);
        assert_eq!(
            line_of(text, &[Step::Key("list"), Step::Item(1), Step::Key("y")]),
            10
        );
        assert_eq!(line_of(text, &[Step::Key("nobody")]), 0);
    }
}
