//! Owns the question before a run: asked on a terminal only, and never answered for the user.

use crate::error::{CliError, ErrorKind, Result};
use crate::render::output::{OutputWriter, StdStream};
use std::io::{self, IsTerminal};

/// How often a question is asked before silence counts as no.
const TRIES: usize = 3;

/// Refuses when there is no terminal to ask on.
pub(crate) fn require_terminal(command: &str) -> Result<()> {
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        return Ok(());
    }
    let message = format!("`{command}` asks before it runs, and there is no terminal to ask on");
    Err(CliError::usage(message).hint("give --confirm before the node to answer yes"))
}

/// Asks on the terminal: whether the answer is yes.
pub(crate) fn ask_user(question: &str, output: &mut OutputWriter) -> Result<bool> {
    let question = output.safe(StdStream::Stderr, question.trim()).into_owned();
    for _ in 0..TRIES {
        output.write(StdStream::Stderr, format!("{question} ").as_bytes())?;
        output.flush()?;
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line).map_err(|error| {
            CliError::new(ErrorKind::Declined, "cannot read the answer").caused_by(error)
        })?;
        if read == 0 {
            output.line(StdStream::Stderr, "")?;
            return Ok(false);
        }
        output.line_was_ended();
        if let Some(answer) = answer_of(&line) {
            return Ok(answer);
        }
        output.line(StdStream::Stderr, "answer y or n")?;
    }
    Ok(false)
}

/// What a line means; None for one that is neither yes nor no. An empty one is no.
fn answer_of(line: &str) -> Option<bool> {
    match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "n" | "no" | "" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for yes in ["y\n", "Y\n", "yes\n", " Yes \n"] {
            assert_eq!(answer_of(yes), Some(true), "{yes}");
        }
        for no in ["n\n", "No\n", "\n", ""] {
            assert_eq!(answer_of(no), Some(false), "{no}");
        }
        for neither in ["yep\n", "1\n", "j\n"] {
            assert_eq!(answer_of(neither), None, "{neither}");
        }
    }
}
