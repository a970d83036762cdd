//! The settings as they are written: in the file, and over it in the environment.

use std::{collections::BTreeMap, path::Path};

use action_proto::input::shown_name;

use super::{ConfigError, definition::SettingKeys};
use crate::{
    keys::{KeyFault, KeyForm},
    shown,
    yaml::{self, Yaml},
};

/// The entries of the file, and in place of some of them those of the environment.
pub(super) struct WrittenSettings<'a> {
    file: &'a Path,
    text: &'a str,
    pub(super) entries: Yaml,
    /// The variable of each key that the environment sets.
    variables: BTreeMap<&'static str, String>,
    /// What is wrong with variables themselves.
    faults: Vec<String>,
}

impl<'a> WrittenSettings<'a> {
    /// Reads the file's text; an empty one sets nothing.
    ///
    /// # Errors
    /// The text is no YAML.
    pub(super) fn parse(file: &'a Path, text: &'a str) -> Result<WrittenSettings<'a>, ConfigError> {
        let text = yaml::without_mark(text);
        let entries = yaml::parse(text).map_err(|(line, reason)| {
            let place = format!("{}:{}", shown::file(file), line.max(1));
            ConfigError::Invalid(vec![format!("{place}: {reason}")])
        })?;
        Ok(WrittenSettings {
            file,
            text,
            entries: match entries {
                Yaml::Null => Yaml::Map(Vec::new()),
                entries => entries,
            },
            variables: BTreeMap::new(),
            faults: Vec::new(),
        })
    }

    /// True where the file has a value for this key. One with nothing behind it is not set.
    pub(super) fn has(&self, key: &str) -> bool {
        match &self.entries {
            Yaml::Map(entries) => entries
                .iter()
                .any(|(known, value)| known == key && *value != Yaml::Null),
            _ => false,
        }
    }

    /// Applies `ACTION_SERVER_<KEY>`: texts and paths as they are, the rest as the YAML of that key.
    pub(super) fn override_with(
        &mut self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) {
        for (variable, text) in environment {
            let Some(name) = variable.strip_prefix("ACTION_SERVER_") else {
                continue;
            };
            let mut keys = SettingKeys::KEYS.iter();
            match keys.find(|(key, _)| key.to_uppercase() == name) {
                Some(&(key, is_text)) => self.set(key, is_text, variable, text),
                None if name == "CONFIG" => {}
                None => self.faults.push(format!(
                    "{} is set, and there is no such setting",
                    shown_name(&variable)
                )),
            }
        }
    }

    fn set(&mut self, key: &'static str, is_text: bool, variable: String, text: String) {
        let value = if is_text {
            Ok(Yaml::Scalar(text))
        } else {
            yaml::parse(&text).map_err(|(_, reason)| reason)
        };
        match (value, &mut self.entries) {
            (Ok(Yaml::Null), _) => self.faults.push(format!("{variable}: it is empty")),
            (Err(reason), _) => self.faults.push(format!("{variable}: {reason}")),
            (Ok(value), Yaml::Map(entries)) => {
                // The secret and its path stand for each other.
                let replaces = |other: &str| {
                    other == key
                        || (key, other) == ("jwt_secret", "jwt_secret_path")
                        || (key, other) == ("jwt_secret_path", "jwt_secret")
                };
                entries.retain(|(other, _)| !replaces(other));
                entries.push((key.to_owned(), value));
                self.variables.insert(key, variable);
            }
            // The file is no map, which is a fault by itself.
            _ => {}
        }
    }

    /// All faults as lines for people: those of the file in its order, then those of the environment.
    pub(super) fn lines(self, faults: &[KeyFault]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut of_variables = self.faults.clone();
        for fault in faults {
            let message = match fault.known {
                [] => fault.message(),
                known => Self::unknown(fault, known),
            };
            let top = fault.path.first().map(String::as_str);
            let line = fault.line(self.text);
            match top.and_then(|top| self.variables.get(top)) {
                Some(variable) if fault.path.len() == 1 => {
                    of_variables.push(format!("{variable}: {}", fault.reason));
                }
                Some(variable) => of_variables.push(format!("{variable}: {message}")),
                None => lines.push((line, message)),
            }
        }
        // What is missing has no line, and is last.
        lines.sort_by_key(|(line, _)| line.wrapping_sub(1));
        let file = shown::file(self.file);
        let lines = lines.into_iter().map(|(line, message)| match line {
            0 => format!("{file}: {message}"),
            line => format!("{file}:{line}: {message}"),
        });
        lines.chain(of_variables).collect()
    }

    fn unknown(fault: &KeyFault, known: &[&str]) -> String {
        let Some((key, above)) = fault.path.split_last() else {
            return String::new();
        };
        let above: String = above.iter().map(|key| format!("{key}: ")).collect();
        let known: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
        let (key, known) = (shown_name(key), known.join(", "));
        format!("{above}unknown field `{key}`, expected one of {known}")
    }
}
