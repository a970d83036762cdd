//! Reading single values, and the faults of a file on the way.

use std::path::Path;

use action_proto::input::{shown_name, shown_set};

use crate::yaml::{self, Fault, Step, Yaml};

pub(super) struct Reader<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    pub(super) faults: Vec<Fault>,
}

impl Reader<'_> {
    pub(super) fn error(&mut self, place: &[Step<'_>], reason: impl Into<String>) {
        self.faults.push(Fault::error(
            self.path,
            yaml::line_of(self.text, place),
            reason,
        ));
    }

    pub(super) fn text(&mut self, place: &[Step<'_>], key: &str, value: &Yaml) -> Option<String> {
        match value {
            Yaml::Scalar(text) => Some(text.clone()),
            Yaml::Null => None,
            other => {
                self.error(
                    place,
                    format!("expected {key} as a text, found {}", other.kind()),
                );
                None
            }
        }
    }

    pub(super) fn parsed<T>(
        &mut self,
        place: &[Step<'_>],
        value: &Yaml,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
        set: impl FnOnce(T),
    ) {
        match value {
            Yaml::Scalar(text) => match parse(text) {
                Some(value) => set(value),
                None => self.error(place, format!("{:?} is not {expected}", shown_set(text))),
            },
            other => self.error(
                place,
                format!("expected {expected}, found {}", other.kind()),
            ),
        }
    }

    pub(super) fn unknown(&mut self, place: &[Step<'_>], key: &str) {
        let line = yaml::line_of(self.text, place);
        self.faults.push(Fault::warning(
            self.path,
            line,
            format!("unknown key {}; it has no effect", shown_name(key)),
        ));
    }

    pub(super) fn no_duplicates(&mut self, entries: &[(String, Yaml)], place: &[Step<'_>]) {
        for (at, (key, _)) in entries.iter().enumerate() {
            if entries[..at].iter().any(|(known, _)| known == key) {
                let mut place = place.to_vec();
                place.push(Step::Nth(key, 1));
                self.error(&place, format!("{key} is given twice"));
            }
        }
    }
}
