//! The settings as they are written: in the file, and over it in the environment.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    ConfigError, LogFormat,
    values::{Size, Text, Time},
};
use crate::shown;
use crate::yaml;

mod check;
mod environment;

pub(super) use check::refuse_plain_text;

/// The settings file. Everything is optional here; what must be there is checked after the
/// environment had its say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    listen: Option<Text>,
    insecure_listen: Option<bool>,
    jwt_secret: Option<Text>,
    jwt_secret_path: Option<PathBuf>,
    jwt_key_directory: Option<PathBuf>,
    jwt_issuer: Option<Text>,
    jwt_audience: Option<Text>,
    jwt_lifetime: Option<Time>,
    policy_path: Option<PathBuf>,
    revocation_path: Option<PathBuf>,
    nodes_config_path: Option<PathBuf>,
    command_directory_path: Option<PathBuf>,
    working_directory_path: Option<PathBuf>,
    umask: Option<Text>,
    #[serde(default)]
    script_environment: BTreeMap<String, Text>,
    state_directory: Option<PathBuf>,
    audit_path: Option<PathBuf>,
    log_level: Option<String>,
    log_format: Option<LogFormat>,
    job_threads: Option<usize>,
    #[serde(default)]
    visible_metadata: Vec<String>,
    drain_timeout: Option<Time>,
    kill_grace: Option<Time>,
    run_timeout: Option<Time>,
    #[serde(default)]
    retention: RawRetention,
    #[serde(default)]
    limits: RawLimits,
    tls: Option<RawTls>,
    metrics_listen: Option<Text>,
    insecure_metrics_listen: Option<bool>,
    traces: Option<RawTraces>,
    #[serde(default)]
    allow_unsafe_permissions: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    certificate: PathBuf,
    private_key: PathBuf,
    client_ca: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTraces {
    endpoint: Text,
    insecure: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRetention {
    age: Option<Time>,
    size: Option<Size>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    nodes: Option<usize>,
    output_per_job: Option<Size>,
    live_runs: Option<usize>,
    runs_per_subject: Option<usize>,
    streams_per_subject: Option<usize>,
    connections: Option<usize>,
    connections_per_address: Option<usize>,
}

fn invalid(reason: impl Into<String>) -> ConfigError {
    ConfigError::Invalid(reason.into())
}

/// Reads the file's text; an empty one sets nothing.
pub(super) fn parse(path: &Path, text: &str) -> Result<Raw, ConfigError> {
    let raw: Option<Raw> = yaml::read(text)
        .map_err(|(line, reason)| invalid(format!("{}:{line}: {reason}", shown::file(path))))?;
    Ok(raw.unwrap_or_default())
}

impl Raw {
    /// Whether the secret itself stands there.
    pub(super) fn has_secret(&self) -> bool {
        self.jwt_secret.is_some()
    }
}

#[cfg(test)]
mod tests;
