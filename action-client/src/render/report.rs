//! Owns how a failure is printed: `error:`, `caused by:` and `hint:` lines on stderr, or one
//! JSON object there.

use crate::cli::globals::Format;
use crate::error::{CliError, ErrorKind, Result};
use crate::render::output::{Output, Target};
use crate::render::terminal::visible;
use action_proto::escape_in_json;
use anstyle::{AnsiColor, Style};
use serde_json::json;

/// Prints a failure.
pub(crate) fn failure(error: &CliError, format: Format, output: &mut Output) -> Result<()> {
    if error.kind() == ErrorKind::BrokenPipe {
        return Ok(());
    }
    if format == Format::Json {
        let object = json!({
            "event": "error",
            "message": error.to_string(),
            "caused_by": error.causes(),
            "hints": error.hints(),
        });
        return output.line(Target::Stderr, &escape_in_json(&object.to_string()));
    }
    if let Some(rendered) = error.rendered() {
        return output.styled(Target::Stderr, rendered);
    }
    let red = AnsiColor::Red.on_default().bold();
    let cyan = AnsiColor::Cyan.on_default().bold();
    labelled("error", red, &error.to_string(), output)?;
    for cause in error.causes() {
        labelled("caused by", red, &cause, output)?;
    }
    for hint in error.hints() {
        labelled("hint", cyan, hint, output)?;
    }
    Ok(())
}

/// Prints one line of warning.
pub(crate) fn warning(text: &str, output: &mut Output) -> Result<()> {
    labelled(
        "warning",
        AnsiColor::Yellow.on_default().bold(),
        text,
        output,
    )
}

fn labelled(label: &str, style: Style, text: &str, output: &mut Output) -> Result<()> {
    // Parts of it may come from a server or its certificate, and logs get read on terminals, too.
    let text = visible(text).replace('\n', "\n  ");
    let line = if output.is_coloured(Target::Stderr) {
        format!("{style}{label}:{style:#} {text}")
    } else {
        format!("{label}: {text}")
    };
    output.line(Target::Stderr, &line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(format: Format, is_terminal: bool) -> String {
        let error = CliError::usage("no node")
            .caused_by(std::io::Error::other("a\x07"))
            .hint("name one");
        let (mut output, captured) = Output::memory(is_terminal);
        failure(&error, format, &mut output).unwrap();
        output.flush().unwrap();
        captured.text(Target::Stderr)
    }

    #[test]
    fn failures_are_printed_line_by_line() {
        for is_terminal in [true, false] {
            assert_eq!(
                printed(Format::Human, is_terminal),
                "error: no node\ncaused by: a^G\nhint: name one\n"
            );
        }
        let object: serde_json::Value = serde_json::from_str(&printed(Format::Json, true)).unwrap();
        assert_eq!(object["message"], "no node");
        assert_eq!(object["hints"][0], "name one");
    }
}
