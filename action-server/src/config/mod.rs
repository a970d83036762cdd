//! The server's settings: from YAML and the environment to values that were checked.
//!
//! A setting that is unknown, malformed or not built yet is an error with its place: a server
//! that runs scripts as root must not guess what its admin meant.

mod raw;
mod values;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;

pub use values::LogFormat;

use crate::{
    auth::{self, SecretError},
    net, shown,
    trust::{Trust, Untrusted},
};

/// Where the settings are looked for when neither `--config` nor `$ACTION_SERVER_CONFIG` says.
pub const DEFAULT_PATH: &str = "/etc/action/server.yaml";

/// The settings of a server, complete and checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the server takes calls.
    pub listen: SocketAddr,
    /// Plain text on an address that is not loopback is wanted.
    pub insecure_listen: bool,
    /// Where scrapes are answered, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// The collector of traces, if there is one.
    pub traces: Option<String>,
    /// The server's certificate and key; plain text where there are none.
    pub tls: Option<net::Files>,
    /// Where the keys of tokens, the revocations and the policy are.
    pub auth: auth::Sources,
    /// The nodes file.
    pub nodes_config_path: PathBuf,
    /// The directory of the commands.
    pub command_directory_path: PathBuf,
    /// Which permissions the files that scripts make do not get: umask(2).
    pub umask: u32,
    /// Where scripts run.
    pub working_directory_path: PathBuf,
    /// Variables for all scripts.
    pub script_environment: BTreeMap<String, String>,
    /// Where the server keeps its records.
    pub state_directory: PathBuf,
    /// The audit log.
    pub audit_path: PathBuf,
    /// A level, or directives of `tracing_subscriber::EnvFilter`.
    pub log_level: String,
    /// How the log is written; `None` for as fits where it goes.
    pub log_format: Option<LogFormat>,
    /// The most jobs at once on the whole server.
    pub job_threads: usize,
    /// Metadata keys that callers may see.
    pub visible_metadata: Vec<String>,
    /// How long a stopping server waits for its runs.
    pub drain_timeout: Duration,
    /// The longest that a run may take; `None` for no limit but its jobs' own.
    pub run_timeout: Option<Duration>,
    /// Records older than this are removed.
    pub retention_age: Duration,
    /// The oldest records are removed until all take no more than this, in bytes.
    pub retention_size: u64,
    /// How long a script has after the first signal to end.
    pub kill_grace: Duration,
    /// Whether files that others can write are refused.
    pub trust: Trust,
    /// Bounds on what callers and scripts may use.
    pub limits: Limits,
}

/// Bounds on what callers and scripts may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The most nodes in one selection.
    pub nodes: usize,
    /// The most output of one job that is kept, in bytes.
    pub output_per_job: u64,
    /// The most runs that live at once.
    pub live_runs: usize,
    /// The most runs that live at once of one subject.
    pub runs_per_subject: usize,
    /// The most streams of runs that are open at once for one subject.
    pub streams_per_subject: usize,
    /// Bounds on connections.
    pub connections: net::Limits,
}

/// Why there are no settings.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings {}: {source}", crate::shown::path(path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file or a variable says something that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// The secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Others can write the secret.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
}

impl ConfigError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            ConfigError::Unreadable { .. } => Some(
                "`action-server init DIR` writes settings to start from; --config or ACTION_SERVER_CONFIG names them",
            ),
            _ => None,
        }
    }
}

impl Settings {
    /// Reads the settings: the file, overridden by `ACTION_SERVER_<KEY>` from `environment`.
    ///
    /// # Errors
    /// The first thing that is wrong, with file and line or the variable's name.
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Settings, ConfigError> {
        match Settings::load_without_secret(path, environment)? {
            (_, Some(fault)) => Err(fault),
            (settings, None) => Ok(settings),
        }
    }

    /// The same for what needs no secret: settings without it, and why, where it cannot be used.
    ///
    /// # Errors
    /// Anything else that is wrong.
    pub fn load_without_secret(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Settings, Option<ConfigError>), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let mut raw = raw::parse(path, &text)?;
        if raw.has_secret() {
            refuse_open(path)?;
        }
        raw.override_with(environment)?;
        // Relative paths are relative to the file, wherever the server is started.
        let base = std::path::absolute(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let (settings, secret_fault) = raw.check(path, base.parent().unwrap_or(Path::new("/")))?;
        settings
            .trust
            .check(path)
            .map_err(|reason| ConfigError::Invalid(reason.to_string()))?;
        Ok((settings, secret_fault))
    }
}

impl Settings {
    /// Refuses plain text on an address that others can reach, unless that is wanted.
    ///
    /// # Errors
    /// It is such an address.
    pub fn allow_listening(&self, address: SocketAddr) -> Result<(), ConfigError> {
        raw::refuse_plain_text(address, self.insecure_listen || self.tls.is_some())
    }
}

/// Refuses settings with a secret in them that others can read, as a secret's own file is.
fn refuse_open(path: &Path) -> Result<(), ConfigError> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    if metadata.mode() & 0o077 == 0 {
        return Ok(());
    }
    let path = shown::file(path);
    Err(ConfigError::Invalid(format!(
        "{path}: jwt_secret is in it, and others can read or write it; run: chmod 600 {path} (or keep the secret in a file of its own, which jwt_secret_path names)"
    )))
}
