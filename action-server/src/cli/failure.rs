//! What went wrong in a verb, as a message and an exit code.

use std::{error::Error, io};

use super::{CONFIG, USAGE};
use crate::{
    auth::OpenError, cert::CertError, config::ConfigError, init::InitError, log::LogError,
    process::InheritedError, transient::is_caused_by_transient, yaml::Fault,
};

/// What went wrong, with the exit code that says so.
pub(super) struct VerbFailure {
    pub(super) code: u8,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl VerbFailure {
    pub(super) fn new(code: u8, message: impl Into<String>) -> VerbFailure {
        VerbFailure {
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// A bad configuration, unless it could not be read for a transient reason: a service manager
    /// does not try again after the one, and does after the other.
    pub(super) fn of_config(error: &(dyn Error + 'static)) -> VerbFailure {
        VerbFailure::of_cause(error.to_string(), is_caused_by_transient(error))
    }

    /// With this hint, unless it has one.
    pub(super) fn or_hint(self, hint: Option<String>) -> VerbFailure {
        VerbFailure {
            hint: self.hint.or(hint),
            ..self
        }
    }

    fn of_cause(message: String, is_transient: bool) -> VerbFailure {
        let failure = VerbFailure::new(if is_transient { 1 } else { CONFIG }, message);
        failure.or_hint(is_transient.then(|| "this may pass by itself: try again".into()))
    }
}

impl From<ConfigError> for VerbFailure {
    fn from(error: ConfigError) -> VerbFailure {
        let failure = VerbFailure::of_config(&error).or_hint(error.hint().map(str::to_owned));
        match error {
            ConfigError::Invalid(lines) => VerbFailure {
                message: lines.join("\nerror: "),
                ..failure
            },
            _ => failure,
        }
    }
}

impl From<Fault> for VerbFailure {
    fn from(fault: Fault) -> VerbFailure {
        VerbFailure::of_cause(fault.to_string(), fault.is_transient)
    }
}

impl From<OpenError> for VerbFailure {
    fn from(error: OpenError) -> VerbFailure {
        VerbFailure::of_config(&error).or_hint(error.hint())
    }
}

/// Errors that have one exit code.
macro_rules! failures {
    ($($error:ty: $code:expr;)*) => {
        $(impl From<$error> for VerbFailure {
            fn from(error: $error) -> VerbFailure {
                VerbFailure::new($code, error.to_string())
            }
        })*
    };
}

failures! {
    LogError: CONFIG;
    InheritedError: CONFIG;
    CertError: 1;
    io::Error: 1;
}

impl From<InitError> for VerbFailure {
    fn from(error: InitError) -> VerbFailure {
        let code = if error.is_usage() { USAGE } else { 1 };
        VerbFailure::new(code, error.to_string())
    }
}
