//! The keys of the configuration, in the file and in the environment.

use super::config_error;
use crate::environment::Environment;
use crate::error::{CliError, Result};
use action_proto::input::{shown_file, shown_name};
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The keys, in the order of messages.
const KEYS: [&str; 7] = [
    "base_url",
    "jwt_token",
    "jwt_token_path",
    "jwt_token_command",
    "verify_ssl",
    "ca_path",
    "timeout",
];

/// The values by key, each with the directory where it is relative to, if it is a path.
#[derive(Default)]
pub(super) struct ClientSettings(BTreeMap<&'static str, (String, PathBuf)>);

impl ClientSettings {
    /// A value as a text.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|(text, _)| text.as_str())
    }

    /// A value as a path. One of the file is relative to its directory.
    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        self.0.get(key).map(|(text, folder)| folder.join(text))
    }

    /// Reads the file.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let cannot_read =
            |error| config_error(format!("cannot read {}", shown_file(file))).caused_by(error);
        let text = fs::read_to_string(file).map_err(cannot_read)?;
        let wrong = |error: String| config_error(format!("{}: {error}", shown_file(file)));
        let folder = file.parent().unwrap_or(Path::new(""));
        let settings = Self::parse(&text, folder, wrong)?;
        let given: Vec<_> = settings.0.keys().filter(|key| is_of_token(key)).collect();
        if let [one, other, ..] = given[..] {
            return Err(wrong(format!("{one} and {other} are both given")));
        }
        Ok(settings)
    }

    /// Parses the file. Messages quote only keys: the token may stand anywhere by mistake.
    fn parse(text: &str, folder: &Path, wrong: impl Fn(String) -> CliError) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let tree: Value = serde_yaml::from_str(text).map_err(|error| {
            let line = error.location().map_or(1, |place| place.line());
            wrong(format!(
                "line {line}: it is no YAML of the form `key: value`, or has a key twice"
            ))
        })?;
        let entries = match tree {
            Value::Null => return Ok(Self::default()),
            Value::Mapping(entries) => entries,
            other => {
                let kind = value_kind(&other);
                return Err(wrong(format!(
                    "expected lines `key: value`, such as `jwt_token: TOKEN`, found {kind}"
                )));
            }
        };
        let keys = || KEYS.map(|key| format!("`{key}`")).join(", ");
        let mut settings = Self::default();
        for (key, value) in entries {
            let Value::String(key) = key else {
                let kind = value_kind(&key);
                return Err(wrong(format!(
                    "a key is {kind}, expected one of {}",
                    keys()
                )));
            };
            let Some(key) = KEYS.into_iter().find(|it| *it == key) else {
                let key = shown_name(&key);
                return Err(wrong(format!(
                    "unknown field `{key}`, expected one of {}",
                    keys()
                )));
            };
            let text = match (key, value) {
                (_, Value::Null) => continue,
                ("verify_ssl", Value::Bool(verify)) => verify.to_string(),
                (key, Value::String(text)) if key != "verify_ssl" => text,
                (key, other) => {
                    let is_bool = key == "verify_ssl";
                    let expected = if is_bool { "true or false" } else { "a text" };
                    let kind = value_kind(&other);
                    return Err(wrong(format!("{key}: expected {expected}, found {kind}")));
                }
            };
            settings.0.insert(key, (text, folder.to_owned()));
        }
        Ok(settings)
    }

    /// Overrides each key by `ACTION_CLIENT_<KEY>`. A token there replaces every form of the file's.
    pub(super) fn override_from(&mut self, environment: &Environment) -> Result<()> {
        let value = |key: &'static str| {
            let text = environment.get(&format!("ACTION_CLIENT_{}", key.to_uppercase()))?;
            Some((key, (text.to_owned(), PathBuf::new())))
        };
        let given: Vec<_> = KEYS.into_iter().filter_map(value).collect();
        if given.iter().any(|(key, _)| is_of_token(key)) {
            self.0.retain(|key, _| !is_of_token(key));
        }
        self.0.extend(given);
        if self
            .text("verify_ssl")
            .is_some_and(|text| !["true", "false"].contains(&text))
        {
            let message = "ACTION_CLIENT_VERIFY_SSL is neither `true` nor `false`";
            return Err(config_error(message));
        }
        Ok(())
    }
}

fn is_of_token(key: &str) -> bool {
    key.starts_with("jwt_token")
}

fn value_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a map",
        Value::Tagged(_) => "a value with a tag",
    }
}
