//! Errors of the command line, without secrets that stand where a path or a name should be.

use action_proto::input::hidden_word;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// The error with what was typed shown only where it looks like a name or a path.
pub(super) fn without_secrets(mut error: Error) -> Error {
    let typed = match error.kind() {
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
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

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    #[test]
    fn what_was_typed_is_shown_where_it_is_a_word() {
        let secret = "Zk3vQ9xR7LmBt0PnWc2yHsEaUd5fGjKi";
        let message = |words: &[&str]| {
            let days = Arg::new("days")
                .long("days")
                .value_parser(clap::value_parser!(u32));
            let command = Command::new("x")
                .arg(days)
                .subcommand_required(true)
                .subcommand(Command::new("check"));
            let words = ["x"].iter().chain(words).copied();
            let error = command.try_get_matches_from(words).unwrap_err();
            without_secrets(error).to_string()
        };
        for words in [
            &["check", secret][..],
            &[secret],
            &["--days", secret, "check"],
            &["--Zk3vQ9xR7LmBt0PnWc2yHsEaUd5fGjKi", "check"],
            &["check", "-Zk3vQ9xR7LmBt0PnWc2yHsEaUd5fGjKi"],
        ] {
            let text = message(words);
            let mut parts = (0..secret.len() - 8).map(|at| &secret[at..at + 8]);
            assert!(!parts.any(|part| text.contains(part)), "{words:?}: {text}");
        }
        assert!(message(&["chekc"]).contains("chekc"));
        assert!(message(&["check", "\u{2013}days"]).contains("'\u{2013}days'"));
        assert!(message(&["--days", "soon", "check"]).contains("'soon'"));
    }
}
