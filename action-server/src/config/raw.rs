//! The settings as they are written, and the way from there to checked ones.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{
    ConfigError, Limits, LogFormat, Settings,
    values::{Size, Text, Time},
};
use crate::{
    auth::{self, LONGEST_DAYS, Secret, SecretError},
    catalogue::{DEFAULT_NODE_LIMIT, bad_script_variable},
    net,
    trust::Trust,
};

/// How long a caller has for its handshake, and then until its first call is let pass.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// More of anything than one server can have.
const GREATEST: usize = 1_000_000;
/// The longest that a token may be good.
const LONGEST: Duration = Duration::from_secs(LONGEST_DAYS * 24 * 3600);
/// How long records are kept.
const DEFAULT_AGE: Duration = Duration::from_secs(90 * 24 * 3600);

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
    connections: Option<usize>,
    connections_per_address: Option<usize>,
}

fn invalid(reason: impl Into<String>) -> ConfigError {
    ConfigError::Invalid(reason.into())
}

/// Reads the file's text; an empty one sets nothing.
pub(super) fn parse(path: &Path, text: &str) -> Result<Raw, ConfigError> {
    let raw: Option<Raw> = serde_yaml::from_str(text).map_err(|error| {
        let line = error.location().map_or(1, |place| place.line());
        invalid(format!("{}:{line}: {error}", path.display()))
    })?;
    Ok(raw.unwrap_or_default())
}

impl Raw {
    /// Whether the secret itself stands there.
    pub(super) fn has_secret(&self) -> bool {
        self.jwt_secret.is_some()
    }

    /// Applies `ACTION_SERVER_<KEY>`: texts and paths as they are, the rest as the YAML of that key.
    pub(super) fn override_with(
        &mut self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (variable, text) in environment {
            let Some(key) = variable.strip_prefix("ACTION_SERVER_") else {
                continue;
            };
            let set: fn(&mut Raw, &str) -> Result<(), serde_yaml::Error> = match key {
                "CONFIG" => continue,
                "LISTEN" => |raw, text| plain(&mut raw.listen, Text(text.to_owned())),
                "INSECURE_LISTEN" => |raw, text| scalar(&mut raw.insecure_listen, text),
                "JWT_SECRET" => |raw, text| {
                    raw.jwt_secret_path = None;
                    plain(&mut raw.jwt_secret, Text(text.to_owned()))
                },
                "JWT_SECRET_PATH" => |raw, text| {
                    raw.jwt_secret = None;
                    plain(&mut raw.jwt_secret_path, text.into())
                },
                "NODES_CONFIG_PATH" => |raw, text| plain(&mut raw.nodes_config_path, text.into()),
                "COMMAND_DIRECTORY_PATH" => {
                    |raw, text| plain(&mut raw.command_directory_path, text.into())
                }
                "WORKING_DIRECTORY_PATH" => {
                    |raw, text| plain(&mut raw.working_directory_path, text.into())
                }
                "JWT_KEY_DIRECTORY" => |raw, text| plain(&mut raw.jwt_key_directory, text.into()),
                "JWT_ISSUER" => |raw, text| plain(&mut raw.jwt_issuer, Text(text.to_owned())),
                "JWT_AUDIENCE" => |raw, text| plain(&mut raw.jwt_audience, Text(text.to_owned())),
                "JWT_LIFETIME" => |raw, text| scalar(&mut raw.jwt_lifetime, text),
                "POLICY_PATH" => |raw, text| plain(&mut raw.policy_path, text.into()),
                "REVOCATION_PATH" => |raw, text| plain(&mut raw.revocation_path, text.into()),
                "UMASK" => |raw, text| plain(&mut raw.umask, Text(text.to_owned())),
                "STATE_DIRECTORY" => |raw, text| plain(&mut raw.state_directory, text.into()),
                "AUDIT_PATH" => |raw, text| plain(&mut raw.audit_path, text.into()),
                "LOG_LEVEL" => |raw, text| plain(&mut raw.log_level, text.to_owned()),
                "LOG_FORMAT" => |raw, text| scalar(&mut raw.log_format, text),
                "JOB_THREADS" => |raw, text| scalar(&mut raw.job_threads, text),
                "DRAIN_TIMEOUT" => |raw, text| scalar(&mut raw.drain_timeout, text),
                "RUN_TIMEOUT" => |raw, text| scalar(&mut raw.run_timeout, text),
                "RETENTION" => |raw, text| whole(&mut raw.retention, text),
                "KILL_GRACE" => |raw, text| scalar(&mut raw.kill_grace, text),
                "VISIBLE_METADATA" => |raw, text| whole(&mut raw.visible_metadata, text),
                "SCRIPT_ENVIRONMENT" => |raw, text| whole(&mut raw.script_environment, text),
                "LIMITS" => |raw, text| whole(&mut raw.limits, text),
                "TLS" => |raw, text| scalar(&mut raw.tls, text),
                "METRICS_LISTEN" => {
                    |raw, text| plain(&mut raw.metrics_listen, Text(text.to_owned()))
                }
                "INSECURE_METRICS_LISTEN" => {
                    |raw, text| scalar(&mut raw.insecure_metrics_listen, text)
                }
                "TRACES" => |raw, text| scalar(&mut raw.traces, text),
                "ALLOW_UNSAFE_PERMISSIONS" => {
                    |raw, text| whole(&mut raw.allow_unsafe_permissions, text)
                }
                _ => {
                    return Err(invalid(format!(
                        "{variable} is set, and there is no such setting"
                    )));
                }
            };
            set(self, &text).map_err(|error| invalid(format!("{variable}: {error}")))?;
        }
        Ok(())
    }

    /// Fills in what is not set and checks what is. `base` is where relative paths start.
    pub(super) fn check(self, file: &Path, base: &Path) -> Result<Settings, ConfigError> {
        let path = |path: PathBuf| base.join(path);
        let required = |value: Option<PathBuf>, key: &str| {
            value
                .map(path)
                .ok_or_else(|| invalid(format!("{}: {key} is not set", file.display())))
        };
        let listen = self
            .listen
            .map_or("127.0.0.1:6304".to_owned(), |Text(text)| text);
        let listen = address(file, "listen", &listen)?;
        let insecure_listen = self.insecure_listen.unwrap_or(false);
        refuse_plain_text(listen, insecure_listen || self.tls.is_some())?;
        let metrics_listen = self
            .metrics_listen
            .map(|Text(text)| address(file, "metrics_listen", &text))
            .transpose()?;
        if let Some(listen) = metrics_listen {
            refuse_open_metrics(listen, self.insecure_metrics_listen.unwrap_or(false))?;
        }
        let trust = if self.allow_unsafe_permissions {
            Trust::Lax
        } else {
            Trust::Strict
        };
        let state_directory = self
            .state_directory
            .map_or(PathBuf::from("/var/lib/action"), path);
        let terms = auth::Terms {
            issuer: self.jwt_issuer.map(|Text(text)| text),
            audience: self.jwt_audience.map(|Text(text)| text),
            lifetime: self
                .jwt_lifetime
                .map_or(LONGEST, |Time(time)| time.min(LONGEST)),
        };
        let auth = auth::Sources {
            key_directory: self.jwt_key_directory.map(path),
            revocations: self
                .revocation_path
                .map_or_else(|| state_directory.join("revoked.jsonl"), path),
            policy: self.policy_path.map(path),
            secret: secret(file, self.jwt_secret, self.jwt_secret_path.map(path), trust)?,
            terms,
            trust,
        };
        if auth.secret.is_none() && auth.key_directory.is_none() {
            return Err(invalid(format!(
                "{}: jwt_secret_path is not set; `action-server init` makes one",
                file.display()
            )));
        }
        let job_threads = at_least_one(self.job_threads, 256, "job_threads")?;
        Ok(Settings {
            listen,
            insecure_listen,
            metrics_listen,
            traces: self.traces.map(collector).transpose()?,
            tls: self.tls.map(|tls| net::Files {
                certificate: path(tls.certificate),
                private_key: path(tls.private_key),
                client_ca: tls.client_ca.map(path),
            }),
            auth,
            nodes_config_path: required(self.nodes_config_path, "nodes_config_path")?,
            command_directory_path: required(
                self.command_directory_path,
                "command_directory_path",
            )?,
            working_directory_path: self.working_directory_path.map_or(PathBuf::from("/"), path),
            umask: umask(file, self.umask)?,
            script_environment: script_environment(file, self.script_environment)?,
            audit_path: self
                .audit_path
                .map_or(state_directory.join("audit.jsonl"), path),
            state_directory,
            log_level: self.log_level.unwrap_or_else(|| "info".to_owned()),
            log_format: self.log_format,
            job_threads,
            visible_metadata: self.visible_metadata,
            drain_timeout: self
                .drain_timeout
                .map_or(Duration::from_secs(30), |Time(time)| time),
            run_timeout: self
                .run_timeout
                .map(|Time(time)| time)
                .filter(|time| !time.is_zero()),
            retention_age: self.retention.age.map_or(DEFAULT_AGE, |Time(age)| age),
            retention_size: self.retention.size.map_or(10 << 30, |Size(size)| size),
            kill_grace: self
                .kill_grace
                .map_or(Duration::from_secs(10), |Time(time)| time),
            trust,
            limits: Limits {
                nodes: at_least_one(self.limits.nodes, DEFAULT_NODE_LIMIT, "limits.nodes")?,
                output_per_job: self
                    .limits
                    .output_per_job
                    .map_or(64 << 20, |Size(size)| size),
                live_runs: at_least_one(self.limits.live_runs, 1000, "limits.live_runs")?,
                connections: net::Limits {
                    connections: at_least_one(self.limits.connections, 1024, "limits.connections")?,
                    connections_per_address: at_least_one(
                        self.limits.connections_per_address,
                        256,
                        "limits.connections_per_address",
                    )?,
                    handshake: HANDSHAKE,
                },
            },
        })
    }
}

/// Refuses plain text on an address that others can reach, unless it is asked for (spec section 6).
pub(super) fn refuse_plain_text(listen: SocketAddr, insecure: bool) -> Result<(), ConfigError> {
    if listen.ip().is_loopback() || insecure {
        return Ok(());
    }
    Err(invalid(format!(
        "listen: {listen} is not a loopback address, and tokens would cross the network in plain text; \
         set tls (`action-server cert` makes a certificate), listen on 127.0.0.1 behind a web server \
         with TLS, or set insecure_listen: true"
    )))
}

/// Refuses to tell everybody who can reach the address what the server does, unless it is asked for.
fn refuse_open_metrics(listen: SocketAddr, insecure: bool) -> Result<(), ConfigError> {
    if listen.ip().is_loopback() || insecure {
        return Ok(());
    }
    Err(invalid(format!(
        "metrics_listen: {listen} is not a loopback address, and whoever can reach it would read the metrics; \
         listen on 127.0.0.1 behind a web server that asks who it is, or set insecure_metrics_listen: true"
    )))
}

/// Where a collector is. What it is sent tells who does what on which node, in plain text.
fn collector(traces: RawTraces) -> Result<String, ConfigError> {
    let Text(text) = traces.endpoint;
    let endpoint = text.parse::<http::Uri>().ok();
    let host = endpoint
        .as_ref()
        .filter(|endpoint| endpoint.scheme_str() == Some("http"))
        .and_then(|endpoint| endpoint.host());
    let Some(host) = host else {
        return Err(invalid(format!(
            "traces: endpoint: {text:?} is not an address such as http://127.0.0.1:4317"
        )));
    };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_near = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if is_near || traces.insecure == Some(true) {
        return Ok(text);
    }
    Err(invalid(format!(
        "traces: endpoint: {host} is not this machine, and traces would cross the network in plain text; \
         name a collector on 127.0.0.1, or set insecure: true beside it"
    )))
}

fn address(file: &Path, key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
    text.parse().map_err(|_| {
        invalid(format!(
            "{}: {key}: {text:?} is not an address with a port, such as 127.0.0.1:6304",
            file.display()
        ))
    })
}

/// A text or a path is taken as it is.
fn plain<T>(slot: &mut Option<T>, value: T) -> Result<(), serde_yaml::Error> {
    *slot = Some(value);
    Ok(())
}

fn scalar<'a, T: Deserialize<'a>>(
    slot: &mut Option<T>,
    text: &'a str,
) -> Result<(), serde_yaml::Error> {
    *slot = Some(serde_yaml::from_str(text)?);
    Ok(())
}

fn whole<'a, T: Deserialize<'a>>(slot: &mut T, text: &'a str) -> Result<(), serde_yaml::Error> {
    *slot = serde_yaml::from_str(text)?;
    Ok(())
}

fn at_least_one(value: Option<usize>, default: usize, key: &str) -> Result<usize, ConfigError> {
    match value.unwrap_or(default) {
        0 => Err(invalid(format!("{key}: 0 lets nothing run"))),
        value if value > GREATEST => {
            Err(invalid(format!("{key}: {value} is more than {GREATEST}")))
        }
        value => Ok(value),
    }
}

fn umask(file: &Path, text: Option<Text>) -> Result<u32, ConfigError> {
    let text = text.map_or("0022".to_owned(), |Text(text)| text);
    let mask = u32::from_str_radix(&text, 8)
        .ok()
        .filter(|mask| *mask <= 0o777);
    mask.ok_or_else(|| {
        invalid(format!(
            "{}: umask: {text:?} is not an octal number such as 0022",
            file.display()
        ))
    })
}

fn script_environment(
    file: &Path,
    map: BTreeMap<String, Text>,
) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut environment = BTreeMap::new();
    for (key, Text(value)) in map {
        // The admin may set what a node may not: PATH, LANG and the rest are the admin's own choice.
        let admins = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"].contains(&key.as_str())
            || key.starts_with("LC_");
        let name = if admins { "admin" } else { &key };
        if let Some(reason) = bad_script_variable(name, &value) {
            return Err(invalid(format!(
                "{}: script_environment: {reason}",
                file.display()
            )));
        }
        environment.insert(key, value);
    }
    Ok(environment)
}

fn secret(
    file: &Path,
    text: Option<Text>,
    path: Option<PathBuf>,
    trust: Trust,
) -> Result<Option<Secret>, ConfigError> {
    let refused = |error: SecretError| invalid(error.to_string());
    match (text, path) {
        (Some(Text(text)), None) => Secret::new(text.into_bytes(), "jwt_secret")
            .map(Some)
            .map_err(refused),
        (None, Some(path)) => {
            let secret = Secret::read(&path).map_err(refused)?;
            trust
                .check(&path)
                .map_err(|reason| invalid(reason.to_string()))?;
            Ok(Some(secret))
        }
        (Some(_), Some(_)) => Err(invalid(format!(
            "{}: both jwt_secret and jwt_secret_path are set; keep one",
            file.display()
        ))),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
