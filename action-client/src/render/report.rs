//! Failures on stderr: `error:`, `caused by:` and `hint:` lines, or one JSON object.

use crate::error::{CliError, ErrorKind, Result};
use crate::render::OutputFormat;
use crate::render::output::{OutputWriter, StdStream};
use crate::render::terminal::visible_text;
use action_proto::escape_in_json;
use anstyle::{AnsiColor, Style};
use serde_json::json;

pub(crate) fn print_failure(
    error: &CliError,
    format: OutputFormat,
    output: &mut OutputWriter,
) -> Result<()> {
    if error.kind() == ErrorKind::BrokenPipe {
        return Ok(());
    }
    if format == OutputFormat::Json {
        let object = json!({
            "event": "error",
            "message": error.to_string(),
            "caused_by": error.causes(),
            "hints": error.hints(),
        });
        return output.line(StdStream::Stderr, &escape_in_json(&object.to_string()));
    }
    if let Some(rendered) = error.clap_text() {
        return output.styled(StdStream::Stderr, rendered);
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

pub(crate) fn print_warning(text: &str, output: &mut OutputWriter) -> Result<()> {
    labelled(
        "warning",
        AnsiColor::Yellow.on_default().bold(),
        text,
        output,
    )
}

fn labelled(label: &str, style: Style, text: &str, output: &mut OutputWriter) -> Result<()> {
    // Parts of it may come from a server or its certificate, and logs get read on terminals, too.
    let text = visible_text(text).replace('\n', "\n  ");
    let line = if output.is_coloured(StdStream::Stderr) {
        format!("{style}{label}:{style:#} {text}")
    } else {
        format!("{label}: {text}")
    };
    output.line(StdStream::Stderr, &line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(format: OutputFormat, is_terminal: bool) -> String {
        let error = CliError::usage("no node")
            .caused_by(std::io::Error::other("a\x07"))
            .hint("name one");
        let (mut output, captured) = OutputWriter::memory(is_terminal);
        print_failure(&error, format, &mut output).unwrap();
        output.flush().unwrap();
        captured.text(StdStream::Stderr)
    }

    #[test]
    fn failures_are_printed_line_by_line() {
        for is_terminal in [true, false] {
            assert_eq!(
                printed(OutputFormat::Human, is_terminal),
                "error: no node\ncaused by: a^G\nhint: name one\n"
            );
        }
        let object: serde_json::Value =
            serde_json::from_str(&printed(OutputFormat::Json, true)).unwrap();
        assert_eq!(object["message"], "no node");
        assert_eq!(object["hints"][0], "name one");
    }
}
