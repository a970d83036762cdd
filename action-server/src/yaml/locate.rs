//! Finds the line of a key in YAML text, for the message about it.
//!
//! The deserializer has a place only in an error. So the text is read once more along the
//! path, with an error on purpose at its end; this costs nothing until something is wrong.

use std::{cell::Cell, fmt};

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

/// The error on purpose.
const HERE: &str = "\u{1}here";

/// How often the whole text is read for one line before an estimate must do.
const BUDGET: u32 = 20;

/// The line of the last step of `path`, from 1; 0 when the path leads nowhere.
pub fn line_of(text: &str, path: &[Step<'_>]) -> usize {
    let Err(error) = (PathWalk { path }).deserialize(serde_yaml::Deserializer::from_str(text))
    else {
        return 0;
    };
    // Any other error is of a text that cannot be read so far.
    let here = error
        .location()
        .filter(|_| error.to_string().contains(HERE));
    here.map_or(0, |place| place.line())
}

/// The lines of many keys of a text whose top is a map: each is looked for in its own entry only,
/// so that many faults in a large file cost no more than reading it some times over.
#[derive(Debug)]
pub struct Lines<'a> {
    text: &'a str,
    /// Where each line begins that may begin an entry of the top map.
    tops: Vec<(usize, usize)>,
    budget: Cell<u32>,
}

impl<'a> Lines<'a> {
    /// Gets ready to look for lines.
    pub fn new(text: &'a str) -> Lines<'a> {
        let mut tops = Vec::new();
        let mut start = 0;
        for (at, line) in text.split_inclusive('\n').enumerate() {
            if line.starts_with(|c: char| !c.is_whitespace() && !"#-]}".contains(c)) {
                tops.push((start, at + 1));
            }
            start += line.len();
        }
        Lines {
            text,
            tops,
            budget: Cell::new(BUDGET),
        }
    }

    /// As [`line_of`]; an estimate, the line of the entry, when too many were asked for that are
    /// hard to find.
    pub fn line_of(&self, path: &[Step<'_>]) -> usize {
        let (key, nth, rest) = match path {
            [Step::Key(key), rest @ ..] => (*key, 0, rest),
            [Step::Nth(key, nth), rest @ ..] => (*key, *nth, rest),
            _ => return self.in_whole(path, 0),
        };
        let named = |(_, (start, _)): &(usize, &(usize, usize))| {
            let line = &self.text[*start..];
            let line = line.trim_start_matches(['"', '\'']);
            let after = line
                .strip_prefix(key)
                .map(|after| after.trim_start_matches(['"', '\'']));
            after.is_some_and(|after| after.trim_start_matches(' ').starts_with(':'))
        };
        let Some((at, &(start, line))) = self.tops.iter().enumerate().filter(named).nth(nth) else {
            return self.in_whole(path, 0);
        };
        if rest.is_empty() {
            return line;
        }
        let end = self.tops.get(at + 1).map_or(self.text.len(), |next| next.0);
        let path_inside: Vec<_> = [Step::Key(key)]
            .into_iter()
            .chain(rest.iter().copied())
            .collect();
        match line_of(&self.text[start..end], &path_inside) {
            0 => self.in_whole(path, line),
            found => line + found - 1,
        }
    }

    fn in_whole(&self, path: &[Step<'_>], estimate: usize) -> usize {
        match self.budget.get() {
            0 => estimate,
            left => {
                self.budget.set(left - 1);
                match line_of(self.text, path) {
                    0 => estimate,
                    found => found,
                }
            }
        }
    }
}

/// The lines of keys in a list of maps that is an entry of the top map: each is looked for in its own
/// item only.
#[derive(Debug)]
pub struct ListLines<'a> {
    text: &'a str,
    key: &'a str,
    /// Where each item begins, and its line; empty where the list is not in block style.
    items: Vec<(usize, usize)>,
    end: usize,
    budget: Cell<u32>,
}

impl<'a> ListLines<'a> {
    /// Gets ready to look for lines in the list under `key`.
    pub fn new(text: &'a str, key: &'a str) -> ListLines<'a> {
        let mut items = Vec::new();
        let (mut start, mut end, mut indentation) = (0, text.len(), None);
        let mut is_inside = false;
        for (at, line) in text.split_inclusive('\n').enumerate() {
            let content = line.trim_start_matches(' ');
            let depth = line.len() - content.len();
            let is_item = content.starts_with("- ") || content.trim_end() == "-";
            let is_blank = content.trim().is_empty() || content.starts_with('#');
            if is_inside && is_item && depth == *indentation.get_or_insert(depth) {
                items.push((start, at + 1));
            } else if is_inside && depth == 0 && !is_blank && !is_item {
                end = start;
                break;
            } else if !is_inside {
                let after = line.strip_prefix(key);
                is_inside = after.is_some_and(|after| after.starts_with(':'));
            }
            start += line.len();
        }
        ListLines {
            text,
            key,
            items,
            end,
            budget: Cell::new(BUDGET),
        }
    }

    /// The line of a key of the item at `index`; that of the item, or 0, where it cannot be found.
    pub fn line_of(&self, index: usize, key: &str) -> usize {
        let Some(&(start, line)) = self.items.get(index) else {
            return self.in_whole(index, key);
        };
        let end = self.items.get(index + 1).map_or(self.end, |next| next.0);
        let item = &self.text[start..end];
        match line_of(item, &[Step::Item(0), Step::Key(key)]) {
            0 => line,
            found => line + found - 1,
        }
    }

    fn in_whole(&self, index: usize, key: &str) -> usize {
        let Some(left) = self.budget.get().checked_sub(1) else {
            return 0;
        };
        self.budget.set(left);
        let path = [Step::Key(self.key), Step::Item(index), Step::Key(key)];
        line_of(self.text, &path)
    }
}

/// Goes down the path; fails at its end.
struct PathWalk<'a> {
    path: &'a [Step<'a>],
}

impl<'de> DeserializeSeed<'de> for PathWalk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PathWalk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the next step of the path")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let (key, nth) = match self.path.first() {
            Some(Step::Key(key)) => (*key, 0),
            Some(Step::Nth(key, nth)) => (*key, *nth),
            Some(Step::Item(_)) | None => return Err(A::Error::custom(HERE)),
        };
        let rest = &self.path[1..];
        let mut left = nth;
        loop {
            let stop = rest.is_empty() && left == 0;
            match entries.next_key_seed(WantedKey { key, stop })? {
                None => return Ok(()),
                Some(true) if left == 0 => {
                    entries.next_value_seed(PathWalk { path: rest })?;
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
            return Err(A::Error::custom(HERE));
        };
        for _ in 0..*index {
            if items.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        items.next_element_seed(PathWalk {
            path: &self.path[1..],
        })?;
        Ok(())
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(E::custom(HERE))
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Err(E::custom(HERE))
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Err(E::custom(HERE))
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Err(E::custom(HERE))
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Err(E::custom(HERE))
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Err(E::custom(HERE))
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
            Err(E::custom(HERE))
        } else {
            Ok(found)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_in_lists() {
        let block = "roles: {a: [b]}\nrules:\n# first\n- name: a\n  nodes: |\n    - x\n  list:\n  - y\n\n- {name: b, list: [1]}\n-\n  name: c\nother:\n- name: d\n";
        let indented = "rules:\n  - name: a\n    list:\n    - y\n  - name: b\n";
        let flow = "rules: [{name: a},\n  {name: b, list: []}]\n";
        for text in [block, indented, flow, "", "rules: []\n", "rules"] {
            let lines = ListLines::new(text, "rules");
            for (index, key) in [
                (0, "name"),
                (0, "list"),
                (1, "name"),
                (1, "list"),
                (2, "name"),
            ] {
                let found = line_of(
                    text,
                    &[Step::Key("rules"), Step::Item(index), Step::Key(key)],
                );
                // A key that is not there has the line of its item.
                if found > 0 {
                    assert_eq!(lines.line_of(index, key), found, "{text:?} {index} {key}");
                }
            }
        }
        let lines = ListLines::new(block, "rules");
        assert_eq!(
            (lines.line_of(2, "list"), lines.line_of(9, "name")),
            (11, 0)
        );
    }

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
        let lines = Lines::new(text);
        for path in [
            &[Step::Key("node01")][..],
            &[Step::Key("node01"), Step::Key("PATH")],
            &[Step::Nth("node01", 1)],
            &[Step::Key("list"), Step::Item(1), Step::Key("y")],
            &[Step::Key("nobody")],
        ] {
            assert_eq!(lines.line_of(path), line_of(text, path), "{path:?}");
        }
        // An alias leads out of the entry: the whole text tells, and later the entry's own line.
        let text = "a: &a {x: 1}\n'b':\n  <<: *a\n  y: 2\n";
        let lines = Lines::new(text);
        let found: Vec<usize> = (0..=BUDGET)
            .map(|_| lines.line_of(&[Step::Key("b"), Step::Key("y")]))
            .collect();
        assert_eq!((found[0], found[BUDGET as usize]), (4, 2));
    }
}
