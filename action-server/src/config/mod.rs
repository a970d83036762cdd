//! The server's settings: from YAML and the environment to values that were checked.
//!
//! A setting that is unknown or malformed is an error with its place, and all of them are found at
//! once: a server that runs scripts as root must not guess what its admin meant.

mod definition;
mod values;
mod written;

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    ops::Deref,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use action_proto::input::{shown_name, shown_value};
use thiserror::Error;

pub use definition::SettingKeys;
use values::HiddenText;
pub use values::LogFormat;
pub(crate) use values::{ADDRESSES, log_filter};
use written::WrittenSettings;

use crate::{
    auth::{self, LONGEST_DAYS, SecretError, TokenSecret},
    keys::{KeyForm, KeyReader},
    net, shown,
    trust::{Trust, TrustError},
};

/// Where the settings are looked for when neither `--config` nor `$ACTION_SERVER_CONFIG` is given.
pub const DEFAULT_PATH: &str = "/etc/action/server.yaml";

/// How long a caller has for its handshake, and then until its first call is let pass.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The longest that a token may be good.
const LONGEST: Duration = Duration::from_secs(LONGEST_DAYS * 24 * 3600);

/// The settings of a server, complete and checked: the keys as they are written, and what follows from
/// several of them.
#[derive(Debug, Clone)]
pub struct Settings {
    keys: SettingKeys,
    /// The server's certificate and key; plain text where there are none.
    pub tls: Option<net::TlsFiles>,
    /// Where the keys of tokens, the revocations and the policy are.
    pub auth: auth::AuthSources,
    /// The audit log.
    pub audit_path: PathBuf,
    /// Whether files that others can write are refused.
    pub trust: Trust,
}

impl Deref for Settings {
    type Target = SettingKeys;

    fn deref(&self) -> &SettingKeys {
        &self.keys
    }
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
    /// Settings in the file or in variables are wrong: a line for each.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
    /// The secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Others can write the secret.
    #[error(transparent)]
    Untrusted(#[from] TrustError),
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
    /// Everything that is wrong, with file and line or the variable's name.
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
        let unreadable = |source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let text = fs::read_to_string(path).map_err(unreadable)?;
        // Relative paths are relative to the file, wherever the server is started.
        let absolute = std::path::absolute(path).map_err(unreadable)?;
        let mut reader = KeyReader::new(absolute.parent().unwrap_or(Path::new("/")), true);
        let mut written = WrittenSettings::parse(path, &text)?;
        if written.has("jwt_secret") {
            let mode = fs::metadata(path).map_err(unreadable)?.mode();
            refuse_open(path, mode, &mut reader);
        }
        written.override_with(environment);
        let keys = SettingKeys::read(&written.entries, &mut reader);
        let checked = keys.map(|keys| check(keys, &mut reader));
        let mut lines = written.lines(&reader.faults);
        match checked {
            Some((settings, secret_fault)) if lines.is_empty() => {
                let trusted = settings.trust.check(path);
                trusted.map_err(|reason| ConfigError::Invalid(vec![reason.to_string()]))?;
                Ok((settings, secret_fault))
            }
            checked => {
                let secret_fault = checked.and_then(|(_, secret_fault)| secret_fault);
                lines.extend(secret_fault.map(|fault| fault.to_string()));
                Err(ConfigError::Invalid(lines))
            }
        }
    }

    /// Refuses plain text on an address that others can reach, unless that is wanted.
    ///
    /// # Errors
    /// It is such an address.
    pub fn allow_listening(&self, address: SocketAddr) -> Result<(), ConfigError> {
        let fault = plain_text_fault(address, self.insecure_listen || self.tls.is_some());
        let line = |reason| ConfigError::Invalid(vec![format!("listen: {reason}")]);
        fault.map_or(Ok(()), |reason| Err(line(reason)))
    }

    /// Bounds on connections.
    pub fn connection_limits(&self) -> net::ConnectionLimits {
        net::ConnectionLimits {
            connections: self.limits.connections,
            connections_per_address: self.limits.connections_per_address,
            handshake: HANDSHAKE,
        }
    }
}

/// Checks what depends on several settings. Returns apart why the secret cannot be used, which is left
/// out then.
fn check(mut keys: SettingKeys, reader: &mut KeyReader<'_>) -> (Settings, Option<ConfigError>) {
    check_addresses(&keys, reader);
    let trust = if keys.allow_unsafe_permissions {
        Trust::Lax
    } else {
        Trust::Strict
    };
    let (secret, secret_fault) = match read_secret(&mut keys, trust, reader) {
        Ok(secret) => (secret, None),
        Err(fault) => (None, Some(fault)),
    };
    let state = &keys.state_directory;
    let settings = Settings {
        tls: keys.tls.as_ref().map(|tls| net::TlsFiles {
            certificate: tls.certificate.clone(),
            private_key: tls.private_key.clone(),
            client_ca: tls.client_ca.clone(),
            listen: keys.listen,
        }),
        auth: auth::AuthSources {
            key_directory: keys.jwt_key_directory.clone(),
            revocations: keys
                .revocation_path
                .clone()
                .unwrap_or_else(|| state.join("revoked.jsonl")),
            policy: keys.policy_path.clone(),
            secret,
            terms: auth::TokenRules {
                issuer: keys.jwt_issuer.clone(),
                audience: keys.jwt_audience.clone(),
                lifetime: keys.jwt_lifetime.min(LONGEST),
            },
            trust,
        },
        audit_path: keys
            .audit_path
            .clone()
            .unwrap_or_else(|| state.join("audit.jsonl")),
        trust,
        keys,
    };
    (settings, secret_fault)
}

/// Refuses settings with a secret in them that others can read, as a secret's own file is.
fn refuse_open(path: &Path, mode: u32, reader: &mut KeyReader<'_>) {
    if mode & 0o077 != 0 {
        let path = shown::file(path);
        reader.fault(format!(
            "jwt_secret is in it, and others can read or write it; run: chmod 600 {path} (or keep the secret in a file of its own, which jwt_secret_path names)"
        ));
    }
}

fn check_addresses(keys: &SettingKeys, reader: &mut KeyReader<'_>) {
    let is_encrypted = keys.insecure_listen || keys.tls.is_some();
    if !reader.is_faulty(&["listen", "tls", "insecure_listen"])
        && let Some(reason) = plain_text_fault(keys.listen, is_encrypted)
    {
        reader.fault_of("listen", 0, reason);
    }
    if let Some(listen) = keys.metrics_listen
        && !listen.ip().is_loopback()
        && !keys.insecure_metrics_listen
        && !reader.is_faulty(&["metrics_listen", "insecure_metrics_listen"])
    {
        reader.fault_of("metrics_listen", 0, format!(
            "{listen} is not a loopback address, and any user who can reach it would read the metrics; \
             listen on 127.0.0.1 behind a web server with a login, or set insecure_metrics_listen: true"
        ));
    }
    if let Some(traces) = &keys.traces
        && !reader.is_faulty(&["traces"])
        && let Some(reason) = collector_fault(&traces.endpoint, traces.insecure)
    {
        reader.within("traces", |reader| reader.fault_of("endpoint", 0, reason));
    }
}

/// What is wrong with plain text on an address that others can reach, unless it is wanted (spec section 6).
fn plain_text_fault(listen: SocketAddr, is_allowed: bool) -> Option<String> {
    (!listen.ip().is_loopback() && !is_allowed).then(|| {
        format!(
            "{listen} is not a loopback address, and tokens would cross the network in plain text; \
             set tls (`action-server cert` makes a certificate), listen on 127.0.0.1 behind a web server \
             with TLS, or set insecure_listen: true"
        )
    })
}

/// What is wrong with the address of a collector. Traces have the subjects, commands and nodes of all
/// runs.
fn collector_fault(text: &str, is_allowed: bool) -> Option<String> {
    let endpoint = text.parse::<http::Uri>().ok();
    let host = endpoint
        .as_ref()
        .filter(|endpoint| endpoint.scheme_str() == Some("http"))
        .and_then(|endpoint| endpoint.host());
    let Some(host) = host else {
        let text = shown_value(text);
        return Some(format!(
            "{text} is not an address such as http://127.0.0.1:4317"
        ));
    };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_near = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    (!is_near && !is_allowed).then(|| {
        format!(
            "{} is not this machine, and traces would cross the network in plain text; \
             name a collector on 127.0.0.1, or set insecure: true beside it",
            shown_name(host)
        )
    })
}

/// The secret of the settings, if they have one.
///
/// # Errors
/// It cannot be used.
fn read_secret(
    keys: &mut SettingKeys,
    trust: Trust,
    reader: &mut KeyReader<'_>,
) -> Result<Option<TokenSecret>, ConfigError> {
    match (keys.jwt_secret.take(), &keys.jwt_secret_path) {
        (Some(HiddenText(text)), None) => {
            Ok(Some(TokenSecret::new(text.into_bytes(), "jwt_secret")?))
        }
        (None, Some(path)) => {
            let secret = TokenSecret::read(path)?;
            trust.check(path)?;
            Ok(Some(secret))
        }
        (Some(_), Some(_)) => {
            let reason = "both jwt_secret and jwt_secret_path are set; keep one";
            reader.fault_of("jwt_secret", 0, reason);
            Ok(None)
        }
        (None, None) => {
            let keys_of_tokens = ["jwt_secret", "jwt_secret_path", "jwt_key_directory"];
            if keys.jwt_key_directory.is_none() && !reader.is_faulty(&keys_of_tokens) {
                reader.fault("jwt_secret_path is not set; `action-server init` makes one");
            }
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests;
