//! What went wrong in a verb, as a message and an exit code.

use std::{error::Error, io};

use super::CONFIG;
use crate::{
    auth::OpenError, config::ConfigError, log::LogError, process::InheritedError,
    transient::is_caused_by_transient, yaml::Fault,
};

/// What went wrong, with the exit code that says so.
pub(super) struct Failure {
    pub(super) code: u8,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Failure {
    pub(super) fn new(code: u8, message: impl Into<String>) -> Failure {
        Failure {
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// A bad configuration, unless it could not be read for a transient reason: a service manager
    /// does not try again after the one, and does after the other.
    pub(super) fn of_config(error: &(dyn Error + 'static)) -> Failure {
        match is_caused_by_transient(error) {
            true => Failure::of_shortage(error.to_string()),
            false => Failure::new(CONFIG, error.to_string()),
        }
    }

    pub(super) fn of_fault(fault: &Fault) -> Failure {
        match fault.is_transient {
            true => Failure::of_shortage(fault.to_string()),
            false => Failure::new(CONFIG, fault.to_string()),
        }
    }

    /// With this hint, unless it has one.
    pub(super) fn or_hint(self, hint: Option<String>) -> Failure {
        Failure {
            hint: self.hint.or(hint),
            ..self
        }
    }

    fn of_shortage(message: String) -> Failure {
        Failure {
            hint: Some("this may pass by itself: try again".into()),
            ..Failure::new(1, message)
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::of_config(&error).or_hint(error.hint().map(str::to_owned))
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Failure {
        Failure::of_config(&error).or_hint(error.hint())
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Failure {
        Failure::new(CONFIG, error.to_string())
    }
}

impl From<InheritedError> for Failure {
    fn from(error: InheritedError) -> Failure {
        Failure::new(CONFIG, error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::new(1, error.to_string())
    }
}
