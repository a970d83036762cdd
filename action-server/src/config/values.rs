//! How single settings are written.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, time::Duration};

use action_proto::input::shown_name;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::{
    catalogue::bad_script_variable,
    keys::{KeyForm, KeyReader, ScalarForm, TimeSpan},
    shown,
    yaml::Yaml,
};

/// More of anything than one server can have.
const GREATEST: usize = 1_000_000;

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text an event.
    Text,
    /// One JSON object an event.
    Json,
    /// Each event with its fields, to systemd's journal.
    Journald,
}

impl ScalarForm for LogFormat {
    type Value = LogFormat;
    const NAME: &'static str = "`text`, `json`, `journald`";
    const EXPECTED: &'static str = "text, json or journald";

    fn parse(text: &str) -> Option<LogFormat> {
        match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            "journald" => Some(LogFormat::Journald),
            _ => None,
        }
    }
}

/// Target of the lines with the server's addresses. The port of a server that took a free one is
/// only there, so they are logged at every level but `off`.
pub(crate) const ADDRESSES: &str = "addresses";

/// Which lines are logged, by the setting `log_level`; `None` where that cannot be read.
pub(crate) fn log_filter(wanted: &str) -> Option<EnvFilter> {
    let level = |word: &str| word.parse::<LevelFilter>().ok();
    let is_directive = |word: &str| level(word).is_some() || word.contains(['=', ':', '[']);
    let words = wanted.split(',').map(str::trim);
    let words = words.filter(|word| !word.is_empty());
    let directives = words.map(|word| match word {
        // The gravest level of the original.
        _ if word.eq_ignore_ascii_case("fatal") => Some("error"),
        // EnvFilter takes it for a target, and is silent about all others.
        _ if !wanted.contains('[') && !is_directive(word) => None,
        _ => Some(word),
    });
    let mut directives = directives.collect::<Option<Vec<_>>>()?;
    if directives.is_empty() {
        directives.push("error");
    }
    let addresses = format!("{ADDRESSES}=info");
    let is_off = |word: &&str| level(word) == Some(LevelFilter::OFF);
    if !directives.iter().all(is_off) {
        // First, so that a directive of the setting for this target wins.
        directives.insert(0, &addresses);
    }
    EnvFilter::try_new(directives.join(",")).ok()
}

/// A level, or directives of `tracing_subscriber::EnvFilter`.
#[derive(Debug)]
pub struct LogLevel;

impl ScalarForm for LogLevel {
    type Value = String;
    const NAME: &'static str = "text";
    const EXPECTED: &'static str = "error, warn, info, debug, trace or off, nor TARGET=LEVEL";
    const IS_TEXT: bool = true;

    fn parse(text: &str) -> Option<String> {
        log_filter(text).map(|_| text.to_owned())
    }
}

/// An IP address with a port.
#[derive(Debug)]
pub struct ListenAddress;

impl ScalarForm for ListenAddress {
    type Value = SocketAddr;
    const NAME: &'static str = "address";
    const EXPECTED: &'static str = "an address with a port, such as 127.0.0.1:6304";
    const IS_TEXT: bool = true;

    fn parse(text: &str) -> Option<SocketAddr> {
        text.parse().ok()
    }
}

/// A number of things, at least one.
#[derive(Debug)]
pub struct Count;

impl ScalarForm for Count {
    type Value = usize;
    const NAME: &'static str = "number";
    const EXPECTED: &'static str = "a number from 1 to 1000000";

    fn parse(text: &str) -> Option<usize> {
        let count = text.parse().ok();
        count.filter(|count| (1..=GREATEST).contains(count))
    }
}

/// The permissions that new files do not get: umask(2).
#[derive(Debug)]
pub struct Umask;

impl ScalarForm for Umask {
    type Value = u32;
    const NAME: &'static str = "octal";
    const EXPECTED: &'static str = "an octal number such as 0022";
    const IS_TEXT: bool = true;

    fn parse(text: &str) -> Option<u32> {
        let mask = u32::from_str_radix(text, 8).ok();
        mask.filter(|mask| *mask <= 0o777)
    }
}

/// A time; zero is no limit.
#[derive(Debug)]
pub struct TimeLimit;

impl ScalarForm for TimeLimit {
    type Value = Option<Duration>;
    const NAME: &'static str = <TimeSpan as ScalarForm>::NAME;
    const EXPECTED: &'static str = <TimeSpan as ScalarForm>::EXPECTED;

    fn parse(text: &str) -> Option<Option<Duration>> {
        let limit = TimeSpan::parse(text)?;
        Some((!limit.is_zero()).then_some(limit))
    }
}

/// A secret in the file itself. Its debug form does not have it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(pub(super) String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

impl ScalarForm for SecretText {
    type Value = SecretText;
    const NAME: &'static str = "text";
    const EXPECTED: &'static str = "a text";
    const IS_TEXT: bool = true;

    fn parse(text: &str) -> Option<SecretText> {
        Some(SecretText(text.to_owned()))
    }
}

/// A path; a relative one starts at the directory of the settings.
#[derive(Debug)]
pub struct FilePath;

impl KeyForm for FilePath {
    type Value = PathBuf;
    const NAME: &'static str = "path";
    const IS_TEXT: bool = true;

    fn read(value: &Yaml, reader: &mut KeyReader<'_>) -> Option<PathBuf> {
        let Yaml::Scalar(text) = value else {
            reader.fault(format!("expected a path, found {}", value.kind()));
            return None;
        };
        let path = reader.base.join(text);
        // Here, so that no message later shows a secret that stands where a path should.
        if !shown::is_path(&path) {
            let shown = shown::path(&path);
            reader.fault(format!("{shown}, and is not there; a secret does not belong here, and a file or directory of such a name is made first"));
            return None;
        }
        Some(path)
    }
}

/// A list of texts.
#[derive(Debug)]
pub struct NameList;

impl KeyForm for NameList {
    type Value = Vec<String>;
    const NAME: &'static str = "list";

    fn read(value: &Yaml, reader: &mut KeyReader<'_>) -> Option<Vec<String>> {
        let names = match value {
            Yaml::List(items) => items.iter().map(|item| match item {
                Yaml::Scalar(text) => Some(text.clone()),
                _ => None,
            }),
            other => {
                reader.fault(format!("expected a list, found {}", other.kind()));
                return None;
            }
        };
        let names: Option<Vec<String>> = names.collect();
        if names.is_none() {
            reader.fault("expected a list of texts");
        }
        names
    }
}

/// Variables for all scripts.
#[derive(Debug)]
pub struct ScriptVariables;

impl KeyForm for ScriptVariables {
    type Value = BTreeMap<String, String>;
    const NAME: &'static str = "map";

    fn read(value: &Yaml, reader: &mut KeyReader<'_>) -> Option<BTreeMap<String, String>> {
        let Yaml::Map(entries) = value else {
            reader.fault(format!("expected a map, found {}", value.kind()));
            return None;
        };
        let mut variables = BTreeMap::new();
        for (key, value) in entries {
            let text = match value {
                Yaml::Scalar(_) | Yaml::Null => value.to_text(),
                other => {
                    let reason = format!("expected a text, found {}", other.kind());
                    reader.fault_of(key, 0, reason);
                    continue;
                }
            };
            // The admin may set what a node may not.
            let is_admins = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"].contains(&key.as_str())
                || key.starts_with("LC_");
            let name = if is_admins { "admin" } else { key };
            if let Some(reason) = bad_script_variable(name, &text) {
                reader.fault_of(key, 0, reason);
            } else if variables.insert(key.clone(), text).is_some() {
                let reason = format!("script_environment.{} is given twice", shown_name(key));
                reader.fault_of(key, 1, reason);
            }
        }
        Some(variables)
    }
}
