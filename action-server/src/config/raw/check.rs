//! From settings as they are written to those that hold: what is not set is filled in, and what is
//! set is looked at.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use action_proto::input::{shown_name, shown_value};

use super::{Raw, RawTraces, invalid};
use crate::{
    auth::{self, LONGEST_DAYS, Secret},
    catalogue::{DEFAULT_NODE_LIMIT, bad_script_variable},
    config::{
        ConfigError, Limits, Settings,
        values::{Size, Text, Time},
    },
    net, shown,
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

impl Raw {
    /// Fills in what is not set and checks what is. `base` is where relative paths start. Tells apart
    /// why the secret cannot be used, which is left out then.
    pub(in crate::config) fn check(
        self,
        file: &Path,
        base: &Path,
    ) -> Result<(Settings, Option<ConfigError>), ConfigError> {
        // Once here, so that no message later shows a secret that stands where a path should.
        let path = |key: &str, path: PathBuf| {
            let path = base.join(path);
            match shown::is_path(&path) {
                true => Ok(path),
                false => Err(no_path(file, key, &path)),
            }
        };
        let optional =
            |key: &str, value: Option<PathBuf>| value.map(|value| path(key, value)).transpose();
        let required = |key: &str, value: Option<PathBuf>| {
            optional(key, value)?
                .ok_or_else(|| invalid(format!("{}: {key} is not set", shown::file(file))))
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
        let state_directory = optional("state_directory", self.state_directory)?
            .unwrap_or_else(|| PathBuf::from("/var/lib/action"));
        let terms = auth::Terms {
            issuer: self.jwt_issuer.map(|Text(text)| text),
            audience: self.jwt_audience.map(|Text(text)| text),
            lifetime: self
                .jwt_lifetime
                .map_or(LONGEST, |Time(time)| time.min(LONGEST)),
        };
        let path_of_secret = optional("jwt_secret_path", self.jwt_secret_path)?;
        let (secret, secret_fault) = match secret(file, self.jwt_secret, path_of_secret, trust) {
            Ok(secret) => (secret, None),
            Err(fault @ (ConfigError::Secret(_) | ConfigError::Untrusted(_))) => {
                (None, Some(fault))
            }
            Err(error) => return Err(error),
        };
        let auth = auth::Sources {
            key_directory: optional("jwt_key_directory", self.jwt_key_directory)?,
            revocations: optional("revocation_path", self.revocation_path)?
                .unwrap_or_else(|| state_directory.join("revoked.jsonl")),
            policy: optional("policy_path", self.policy_path)?,
            secret,
            terms,
            trust,
        };
        let has_key = auth.secret.is_some() || auth.key_directory.is_some();
        if !has_key && secret_fault.is_none() {
            return Err(invalid(format!(
                "{}: jwt_secret_path is not set; `action-server init` makes one",
                shown::file(file)
            )));
        }
        let job_threads = at_least_one(self.job_threads, 256, "job_threads")?;
        let settings = Settings {
            listen,
            insecure_listen,
            metrics_listen,
            traces: self.traces.map(collector).transpose()?,
            tls: match self.tls {
                Some(tls) => Some(net::Files {
                    certificate: path("tls: certificate", tls.certificate)?,
                    private_key: path("tls: private_key", tls.private_key)?,
                    client_ca: optional("tls: client_ca", tls.client_ca)?,
                    listen,
                }),
                None => None,
            },
            auth,
            nodes_config_path: required("nodes_config_path", self.nodes_config_path)?,
            command_directory_path: required(
                "command_directory_path",
                self.command_directory_path,
            )?,
            working_directory_path: optional(
                "working_directory_path",
                self.working_directory_path,
            )?
            .unwrap_or_else(|| PathBuf::from("/")),
            umask: umask(file, self.umask)?,
            script_environment: script_environment(file, self.script_environment)?,
            audit_path: optional("audit_path", self.audit_path)?
                .unwrap_or_else(|| state_directory.join("audit.jsonl")),
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
                runs_per_subject: at_least_one(
                    self.limits.runs_per_subject,
                    250,
                    "limits.runs_per_subject",
                )?,
                streams_per_subject: at_least_one(
                    self.limits.streams_per_subject,
                    500,
                    "limits.streams_per_subject",
                )?,
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
        };
        Ok((settings, secret_fault))
    }
}

/// Refuses plain text on an address that others can reach, unless it is asked for (spec section 6).
pub(in crate::config) fn refuse_plain_text(
    listen: SocketAddr,
    insecure: bool,
) -> Result<(), ConfigError> {
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
            "traces: endpoint: {} is not an address such as http://127.0.0.1:4317",
            shown_value(&text)
        )));
    };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_near = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if is_near || traces.insecure == Some(true) {
        return Ok(text);
    }
    Err(invalid(format!(
        "traces: endpoint: {} is not this machine, and traces would cross the network in plain text; \
         name a collector on 127.0.0.1, or set insecure: true beside it",
        shown_name(host)
    )))
}

fn no_path(file: &Path, key: &str, path: &Path) -> ConfigError {
    let (file, path) = (shown::file(file), shown::path(path));
    invalid(format!(
        "{file}: {key}: {path}, and is not there; a secret does not belong here, and a file or directory of such a name is made first"
    ))
}

fn address(file: &Path, key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
    text.parse().map_err(|_| {
        invalid(format!(
            "{}: {key}: {} is not an address with a port, such as 127.0.0.1:6304",
            shown::file(file),
            shown_value(text)
        ))
    })
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
            "{}: umask: {} is not an octal number such as 0022",
            shown::file(file),
            shown_value(&text)
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
                shown::file(file)
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
    match (text, path) {
        (Some(Text(text)), None) => Secret::new(text.into_bytes(), "jwt_secret")
            .map(Some)
            .map_err(ConfigError::from),
        (None, Some(path)) => {
            let secret = Secret::read(&path)?;
            trust.check(&path)?;
            Ok(Some(secret))
        }
        (Some(_), Some(_)) => Err(invalid(format!(
            "{}: both jwt_secret and jwt_secret_path are set; keep one",
            shown::file(file)
        ))),
        (None, None) => Ok(None),
    }
}
