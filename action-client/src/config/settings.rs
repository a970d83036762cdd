//! Owns the keys of the configuration as they are written: in the file, and in the environment over it.

use super::fault;
use crate::environment::Environment;
use crate::error::Result;
use action_proto::input::{shown_file, shown_name};
use serde_yaml::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The file as it is written.
#[derive(Debug, Default)]
pub(super) struct ClientSettings {
    pub(super) base_url: Option<String>,
    pub(super) jwt_token: Option<String>,
    pub(super) jwt_token_path: Option<PathBuf>,
    pub(super) jwt_token_command: Option<String>,
    pub(super) verify_ssl: Option<bool>,
    pub(super) ca_path: Option<PathBuf>,
    pub(super) timeout: Option<String>,
}

/// Reads the file; its relative paths are taken from where it lies.
pub(super) fn read(file: &Path) -> Result<ClientSettings> {
    let text = fs::read_to_string(file)
        .map_err(|error| fault(format!("cannot read {}", shown_file(file))).caused_by(error))?;
    if text.trim().is_empty() {
        return Ok(ClientSettings::default());
    }
    let mut settings =
        parse(&text).map_err(|error| fault(format!("{}: {error}", shown_file(file))))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    for path in [&mut settings.jwt_token_path, &mut settings.ca_path]
        .into_iter()
        .flatten()
    {
        *path = folder.join(&*path);
    }
    let given = [
        ("jwt_token", settings.jwt_token.is_some()),
        ("jwt_token_path", settings.jwt_token_path.is_some()),
        ("jwt_token_command", settings.jwt_token_command.is_some()),
    ];
    let given: Vec<&str> = given.iter().filter(|it| it.1).map(|it| it.0).collect();
    if let [one, other, ..] = given[..] {
        return Err(fault(format!(
            "{}: {one} and {other} are both given",
            shown_file(file)
        )));
    }
    Ok(settings)
}

/// The keys, as a message lists them.
const KEYS: &str = "`base_url`, `jwt_token`, `jwt_token_path`, `jwt_token_command`, `verify_ssl`, `ca_path`, `timeout`";

/// Reads the file's text. No message has any of it but the name of a key: the token may stand
/// anywhere by mistake, and a library would quote it.
fn parse(text: &str) -> Result<ClientSettings, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tree: Value = serde_yaml::from_str(text).map_err(|error| {
        let line = error.location().map_or(1, |place| place.line());
        format!("line {line}: it is no YAML of the form `key: value`, or has a key twice")
    })?;
    let entries = match tree {
        Value::Null => return Ok(ClientSettings::default()),
        Value::Mapping(entries) => entries,
        other => {
            let kind = kind(&other);
            return Err(format!(
                "expected lines `key: value`, such as `jwt_token: TOKEN`, found {kind}"
            ));
        }
    };
    let mut settings = ClientSettings::default();
    for (key, value) in entries {
        let Value::String(key) = key else {
            return Err(format!("a key is {}, expected one of {KEYS}", kind(&key)));
        };
        let text = || match &value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            other => Err(format!("{key}: expected a text, found {}", kind(other))),
        };
        match key.as_str() {
            "base_url" => settings.base_url = text()?,
            "jwt_token" => settings.jwt_token = text()?,
            "jwt_token_path" => settings.jwt_token_path = text()?.map(PathBuf::from),
            "jwt_token_command" => settings.jwt_token_command = text()?,
            "ca_path" => settings.ca_path = text()?.map(PathBuf::from),
            "timeout" => settings.timeout = text()?,
            "verify_ssl" => match &value {
                Value::Null => {}
                Value::Bool(verify) => settings.verify_ssl = Some(*verify),
                other => {
                    let kind = kind(other);
                    return Err(format!("verify_ssl: expected true or false, found {kind}"));
                }
            },
            _ => {
                let key = shown_name(&key);
                return Err(format!("unknown field `{key}`, expected one of {KEYS}"));
            }
        }
    }
    Ok(settings)
}

fn kind(value: &Value) -> &'static str {
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

/// Every key can be overridden as `ACTION_CLIENT_<KEY>`.
pub(super) fn override_from(
    settings: &mut ClientSettings,
    environment: &Environment,
) -> Result<()> {
    let text = |key: &str| {
        environment
            .get(&format!("ACTION_CLIENT_{key}"))
            .map(str::to_owned)
    };
    settings.base_url = text("BASE_URL").or(settings.base_url.take());
    settings.timeout = text("TIMEOUT").or(settings.timeout.take());
    settings.ca_path = text("CA_PATH")
        .map(PathBuf::from)
        .or(settings.ca_path.take());
    // Any form replaces the form that the file has.
    let token = (
        text("JWT_TOKEN"),
        text("JWT_TOKEN_PATH"),
        text("JWT_TOKEN_COMMAND"),
    );
    if token != (None, None, None) {
        settings.jwt_token = token.0;
        settings.jwt_token_path = token.1.map(PathBuf::from);
        settings.jwt_token_command = token.2;
    }
    if let Some(verify) = text("VERIFY_SSL") {
        settings.verify_ssl = Some(match verify.as_str() {
            "true" => true,
            "false" => false,
            _ => {
                return Err(fault(
                    "ACTION_CLIENT_VERIFY_SSL is neither `true` nor `false`",
                ));
            }
        });
    }
    Ok(())
}
