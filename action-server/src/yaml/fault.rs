//! A fault in a file: where it is and what is wrong, as one line for people.

use std::{error::Error, fmt, path::PathBuf};

use crate::shown;
use crate::transient::is_caused_by_transient;

/// Whether a fault leaves something out or is only worth a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a look; everything works.
    Warning,
    /// The thing it names is left out.
    Error,
}

/// A fault in a file. Displays as `file:line: reason`, a warning as `file:line: warning: reason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file or directory.
    pub file: PathBuf,
    /// The line, from 1; 0 when the fault is of the file as a whole (shown as 1).
    pub line: usize,
    /// What is wrong, and the remedy where there is one.
    pub reason: String,
    /// The reason for callers, where that for the admin has paths or a remedy.
    pub brief: Option<String>,
    /// How grave it is.
    pub severity: Severity,
    /// True when it may pass without an edit: descriptors or memory are short, or the disk fails.
    pub is_transient: bool,
}

impl Fault {
    /// A fault that leaves out what it names.
    pub fn error(file: impl Into<PathBuf>, line: usize, reason: impl Into<String>) -> Fault {
        Fault {
            file: file.into(),
            line,
            reason: reason.into(),
            brief: None,
            severity: Severity::Error,
            is_transient: false,
        }
    }

    /// A fault that is only worth a look.
    pub fn warning(file: impl Into<PathBuf>, line: usize, reason: impl Into<String>) -> Fault {
        Fault {
            severity: Severity::Warning,
            ..Fault::error(file, line, reason)
        }
    }

    /// The same fault, transient if its cause is.
    pub fn caused_by(self, cause: &(dyn Error + 'static)) -> Fault {
        Fault {
            is_transient: is_caused_by_transient(cause),
            ..self
        }
    }

    /// The same fault with another reason for callers.
    pub fn with_brief(self, brief: impl Into<String>) -> Fault {
        Fault {
            brief: Some(brief.into()),
            ..self
        }
    }

    /// The reason for callers.
    pub fn brief(&self) -> &str {
        self.brief.as_deref().unwrap_or(&self.reason)
    }

    /// True for a fault that leaves something out.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_error() { "" } else { "warning: " };
        write!(
            f,
            "{}:{}: {kind}{}",
            shown::file(&self.file),
            self.line.max(1),
            self.reason
        )
    }
}
