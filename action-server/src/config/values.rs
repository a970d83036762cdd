//! How single settings are written.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, time::Duration};

use action_proto::input::shown_name;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::{
    catalogue::bad_script_variable,
    keys::{KeyForm, KeyReader, parse_time, scalar_forms},
    shown,
    yaml::Yaml,
};

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

scalar_forms! {
    /// A level, or directives of `tracing_subscriber::EnvFilter`.
    LogLevel: String = "text", true, "error, warn, info, debug, trace or off, nor TARGET=LEVEL",
        |text| log_filter(text).map(|_| text.to_owned());
    /// How the log is written.
    LogFormatName: LogFormat = "`text`, `json`, `journald`", false, "text, json or journald",
        |text| match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            "journald" => Some(LogFormat::Journald),
            _ => None,
        };
    /// An IP address with a port.
    ListenAddress: SocketAddr = "address", true, "an address with a port, such as 127.0.0.1:6304",
        |text| text.parse().ok();
    /// A number of things, at least one and no more than one server can have.
    CountLimit: usize = "number", false, "a number from 1 to 1000000",
        |text| text.parse().ok().filter(|count| (1..=1_000_000).contains(count));
    /// The permissions that new files do not get: umask(2).
    FileMask: u32 = "octal", true, "an octal number such as 0022",
        |text| u32::from_str_radix(text, 8).ok().filter(|mask| *mask <= 0o777);
    /// A time; zero is no limit.
    TimeLimit: Option<Duration> = "time", false, "a time such as 90s or 1h",
        |text| parse_time(text).map(|time| (!time.is_zero()).then_some(time));
    /// A secret in the file itself.
    SecretText: HiddenText = "text", true, "a text", |text| Some(HiddenText(text.to_owned()));
}

/// A text that its debug form does not have.
#[derive(Clone, PartialEq, Eq)]
pub struct HiddenText(pub(super) String);

impl fmt::Debug for HiddenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HiddenText(..)")
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
        let path = reader.base.join(reader.text(value, "a path")?);
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
        let Yaml::List(items) = value else {
            reader.fault(format!("expected a list, found {}", value.kind()));
            return None;
        };
        let mut names = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match item {
                Yaml::Scalar(name) => names.push(name.clone()),
                // It would pass for an empty text.
                Yaml::Null => reader.fault(format!(
                    "nothing stands at [{index}]; remove this entry of the list"
                )),
                other => reader.fault(format!(
                    "expected a text at [{index}], found {}",
                    other.kind()
                )),
            }
        }
        (names.len() == items.len()).then_some(names)
    }
}

/// Variables for all scripts.
#[derive(Debug)]
pub struct ScriptVariables;

impl KeyForm for ScriptVariables {
    type Value = BTreeMap<String, String>;
    const NAME: &'static str = "map";

    fn read(value: &Yaml, reader: &mut KeyReader<'_>) -> Option<BTreeMap<String, String>> {
        let mut variables = BTreeMap::new();
        for (key, value) in reader.map(value)? {
            let text = reader.within(key, |reader| match value {
                Yaml::Null => Some(""),
                value => reader.text(value, "a text"),
            });
            let Some(text) = text else {
                continue;
            };
            // The admin may set what a node may not.
            let is_admins = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"].contains(&key.as_str())
                || key.starts_with("LC_");
            let name = if is_admins { "admin" } else { key };
            if let Some(reason) = bad_script_variable(name, text) {
                reader.fault_of(key, 0, reason);
            } else if variables.insert(key.clone(), text.to_owned()).is_some() {
                let reason = format!("script_environment.{} is given twice", shown_name(key));
                reader.fault_of(key, 1, reason);
            }
        }
        Some(variables)
    }
}
