//! The configuration: where it is found, its keys, and the variables that override them.

use crate::environment::Environment;
use crate::error::{CliError, ErrorKind, Result};
use action_proto::input::{shown_file, shown_name, shown_path, shown_set, shown_value};
use http::Uri;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod settings;
mod token;

use settings::ClientSettings;
pub(crate) use token::{Token, TokenSource, kill_token_program};

/// Where the configuration is when neither the command line nor the environment say.
const SYSTEM_PATH: &str = "/etc/action/client.yaml";
const HOME_PATH: &str = ".config/action/client.yaml";
const PATH_VARIABLE: &str = "ACTION_CLIENT_CONFIG";
/// For connecting and for calls with one answer, when the configuration does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Default)]
pub(crate) struct CaFile {
    pub(crate) path: PathBuf,
    pub(crate) pem: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The file that it is from; None for the environment alone.
    pub(crate) file: Option<PathBuf>,
    /// The server's address with its path prefix, without a slash at the end.
    pub(crate) base_url: Uri,
    /// What this client logs in with.
    pub(crate) token: Token,
    /// Where another one is found when that has expired.
    pub(crate) token_source: TokenSource,
    /// Whether the server's certificate is checked.
    pub(crate) verify_ssl: bool,
    /// The certificates (PEM) that are trusted beside the system's own.
    pub(crate) ca: Option<CaFile>,
    /// The longest for connecting and for calls with one answer; never for streams.
    pub(crate) timeout: Duration,
}

impl Config {
    /// Finds, reads and checks the configuration. `path` is the command line's `--config`.
    pub(crate) fn load(path: Option<&Path>, environment: &Environment) -> Result<Self> {
        let found = find_file(path, environment)?;
        let mut settings = match &found {
            Some(file) => ClientSettings::read(file)?,
            None => ClientSettings::default(),
        };
        let source = match &found {
            Some(file) => shown_file(file),
            None => "the environment".to_owned(),
        };
        settings.override_from(environment)?;
        let Some(base_url) = settings.text("base_url") else {
            return Err(match found {
                Some(_) => config_error(format!(
                    "{source} does not say base_url, the server's address"
                )),
                None => nothing_found(environment),
            });
        };
        let base_url = check_base_url(base_url)?;
        let token_source = TokenSource::of(&settings, &source)?;
        if !is_private(&base_url) {
            return Err(config_error(format!(
                "base_url {} would send the token in plain text",
                shown_url(&base_url)
            ))
            .hint("use https://, or reach the server on this host (an ssh tunnel does that)"));
        }
        let ca = settings.path("ca_path").map(|path| {
            let pem = read_file(&path, "ca_path")?;
            Ok::<_, CliError>(CaFile { path, pem })
        });
        Ok(Self {
            file: found,
            base_url,
            token: token_source.read()?,
            token_source,
            verify_ssl: settings.text("verify_ssl") != Some("false"),
            ca: ca.transpose()?,
            timeout: settings
                .text("timeout")
                .map_or(Ok(DEFAULT_TIMEOUT), check_timeout)?,
        })
    }
}

fn config_error(message: impl Into<String>) -> CliError {
    CliError::new(ErrorKind::Config, message)
}

/// The named file, which must exist, or the first of the usual places.
fn find_file(path: Option<&Path>, environment: &Environment) -> Result<Option<PathBuf>> {
    let named = path.map(|path| (path.to_owned(), "--config"));
    let variable = || {
        environment
            .get(PATH_VARIABLE)
            .map(|path| (path.into(), PATH_VARIABLE))
    };
    if let Some((file, source)) = named.or_else(variable) {
        if !file.exists() {
            let file = path_text(&file);
            return Err(config_error(format!(
                "there is no {file}, which {source} names"
            )));
        }
        return Ok(Some(file));
    }
    Ok(usual_places(environment)
        .into_iter()
        .find(|place| place.exists()))
}

fn usual_places(environment: &Environment) -> Vec<PathBuf> {
    let home = environment.home().map(|home| home.join(HOME_PATH));
    home.into_iter()
        .chain([PathBuf::from(SYSTEM_PATH)])
        .collect()
}

fn nothing_found(environment: &Environment) -> CliError {
    let places: Vec<String> = usual_places(environment).iter().map(shown_file).collect();
    config_error(format!(
        "no configuration found: neither --config nor {PATH_VARIABLE} is given, \
         and there is no {}",
        places.join(" and no ")
    ))
    .hint("a configuration has two lines, `base_url: https://SERVER` and `jwt_token: TOKEN`")
    .hint(
        "the server's admin makes a token with `action-server generate-token`; \
         `action-server init DIR` writes a whole client.yaml for a try-out",
    )
}

pub(crate) fn path_text(path: &Path) -> String {
    shown_path(path, |above| above.symlink_metadata().is_ok())
}

/// An address for a message. A token may stand in place of its host or path.
pub(crate) fn shown_url(url: &Uri) -> String {
    let scheme = url.scheme_str().unwrap_or_default();
    let host = shown_name(url.authority().map_or("", |it| it.as_str()));
    let path = shown_set(url.path().trim_end_matches('/'));
    format!("{scheme}://{host}{path}")
}

fn read_file(path: &Path, key: &str) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| {
        config_error(format!(
            "cannot read {}, which {key} names",
            path_text(path)
        ))
        .caused_by(error)
    })
}

fn check_base_url(text: &str) -> Result<Uri> {
    let wrong = |why: &str| {
        // Before an @ there can be a password.
        let shown = if text.contains('@') {
            shown_value(text)
        } else {
            shown_path(Path::new(text), |_| false)
        };
        config_error(format!("base_url `{shown}` {why}"))
            .hint("it looks like `https://gateway1/action` or `http://127.0.0.1:6304`")
    };
    if text.contains(['?', '#', '@']) {
        return Err(wrong("may only have a host, a port and a path"));
    }
    let uri: Uri = text
        .trim_end_matches('/')
        .parse()
        .map_err(|_| wrong("is not an address"))?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        _ => Err(wrong("does not begin with https:// or http:// and a host")),
    }
}

/// Whether the address is encrypted, or stays on this host.
fn is_private(base_url: &Uri) -> bool {
    if base_url.scheme_str() == Some("https") {
        return true;
    }
    let host = base_url.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn check_timeout(text: &str) -> Result<Duration> {
    let duration = humantime::parse_duration(text).map_err(|_| {
        config_error(format!(
            "timeout `{}` is not a time, as in `30s`",
            shown_name(text)
        ))
    })?;
    if duration.is_zero() {
        return Err(config_error(
            "timeout is 0, so nothing could ever be answered",
        ));
    }
    Ok(duration)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
