//! `CliError`: what is wrong, why, and hints.

use action_proto::input::hidden_word;
use clap::error::{ContextKind, ContextValue};
use std::error::Error;
use std::fmt;

pub(crate) type Result<T, E = CliError> = std::result::Result<T, E>;

/// The sort of a failure: decides the exit code and whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// The command line is wrong; nothing was asked of the server.
    Usage,
    /// The configuration is missing or wrong.
    Config,
    /// The server could not be reached, or the connection broke.
    Connection,
    /// The server does not accept the token.
    Login,
    /// The server answered, and the answer is no.
    Refused,
    /// The plan is not the one that was shown; nothing was run.
    PlanChanged,
    /// The user answered a confirmation with no.
    Declined,
    /// A run was started, or may have been, and this client cannot follow it.
    Lost,
    /// The reader of our output closed it. Nothing is printed.
    BrokenPipe,
}

/// A failure with its reason and its remedy. Texts are lower-case fragments.
#[derive(Debug)]
pub(crate) struct CliError {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    hints: Vec<String>,
    rendered: Option<clap::builder::StyledStr>,
}

impl CliError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            kind,
            message,
            source: None,
            hints: Vec::new(),
            rendered: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the user can do, in order.
    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The whole text as clap made it, for a failure that clap found.
    pub(crate) fn clap_text(&self) -> Option<&clap::builder::StyledStr> {
        self.rendered.as_ref()
    }

    /// The causes, the nearest first, without those that only repeat what was said.
    pub(crate) fn causes(&self) -> Vec<String> {
        let mut said = self.message.clone();
        let mut causes = Vec::new();
        let mut next = self
            .source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static));
        while let Some(source) = next {
            let text = source.to_string();
            // Layers of a transport repeat their inner error, or only name themselves.
            if !text.is_empty() && text != "transport error" && !said.contains(&text) {
                said.push_str(&text);
                causes.push(text);
            }
            next = source.source();
        }
        causes
    }

    /// The failure and its causes on one line.
    pub(crate) fn one_line(&self) -> String {
        let mut text = self.message.clone();
        for cause in self.causes() {
            text.push_str(": ");
            text.push_str(&cause);
        }
        text.replace('\n', " ")
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CliError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What an option takes. Value parsers return it for other values.
#[derive(Debug)]
pub(crate) struct WrongValue {
    /// What is allowed, as in "a whole number from 1 up".
    pub(crate) allowed: &'static str,
    /// A value that is allowed.
    pub(crate) example: &'static str,
}

impl fmt::Display for WrongValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.allowed)
    }
}

impl Error for WrongValue {}

/// The longest value of an option that is shown. Secrets of tokens are longer.
const LONGEST_SHOWN: usize = 31;

/// The error of an option's value in our words; None for other errors.
fn of_value(error: &clap::Error) -> Option<CliError> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let source = error.source();
    let wrong = source.and_then(|source| source.downcast_ref::<WrongValue>());
    let (allowed, example) = match (wrong, error.get(ContextKind::ValidValue)) {
        (Some(wrong), _) => (wrong.allowed.to_owned(), wrong.example),
        (None, Some(ContextValue::Strings(all))) => {
            let (last, others) = all.split_last()?;
            let near = text(ContextKind::SuggestedValue);
            let example = near.or(all.first().map(String::as_str)).unwrap_or(last);
            (format!("{} or {last}", others.join(", ")), example)
        }
        _ => return None,
    };
    let value = text(ContextKind::InvalidValue).filter(|value| !value.is_empty())?;
    let option = text(ContextKind::InvalidArg)?;
    // As in `--timeout <TIME>`, or `<SHELL>`.
    let (option, before) = match option.split_once(" <") {
        Some((option, _)) => (format!("`{option}`"), format!("{option} ")),
        None => (
            option.trim_matches(['<', '>', '[', ']']).to_owned(),
            String::new(),
        ),
    };
    let is_shown = value.len() <= LONGEST_SHOWN && hidden_word(value).is_none();
    let value = if is_shown {
        format!("`{value}`")
    } else {
        format!("a text of {} characters", value.chars().count())
    };
    let message = format!("wrong value for {option}: {value}; expected {allowed}");
    Some(CliError::usage(message).hint(format!("for example: `{before}{example}`")))
}

/// The error without a typed word that may be a token.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    let typed = match error.kind() {
        clap::error::ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        clap::error::ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        _ => ContextKind::InvalidValue,
    };
    let Some(ContextValue::String(text)) = error.get(typed) else {
        return error;
    };
    if let Some(shown) = hidden_word(text) {
        error.insert(typed, ContextValue::String(shown));
        // They repeat it.
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(Vec::new()));
    }
    error
}

impl From<clap::Error> for CliError {
    fn from(error: clap::Error) -> Self {
        if let Some(error) = of_value(&error) {
            return error;
        }
        let error = without_secrets(error);
        let rendered = error.render();
        let plain = rendered.to_string();
        let mut lines = plain.lines();
        let first = lines.next().unwrap_or_default();
        let mut message = first.strip_prefix("error: ").unwrap_or(first).to_owned();
        if message.ends_with(':') {
            // What it is about stands below, a line each.
            for line in lines.take_while(|line| !line.trim().is_empty()) {
                message = format!("{message} {}", line.trim());
            }
        }
        Self {
            rendered: Some(rendered),
            ..Self::usage(message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_leave_out_repetitions() {
        let io = std::io::Error::other("connection refused");
        let middle = CliError::new(ErrorKind::Connection, "transport error").caused_by(io);
        let error = CliError::new(ErrorKind::Connection, "cannot reach it").caused_by(middle);
        assert_eq!(error.causes(), ["connection refused"]);
        assert_eq!(error.one_line(), "cannot reach it: connection refused");
    }
}
