//! Owns the meaning of a command's words: the node, the script's arguments, and what is missing. Pure.

use crate::arguments::syntax::Syntax;
use crate::arguments::values::{empty_value, is_empty_set};
use crate::error::{CliError, Result};
use action_proto::v1::Command;

/// A server's command on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommandCall {
    /// The name as it was written.
    pub(crate) name: String,
    /// Whether `run` stands before it.
    pub(crate) after_run: bool,
    /// Whether `-g` stands behind the first word, which may be meant for the node.
    pub(crate) set_follows_word: bool,
    /// Whether the second word is a `--` that ends the options of a command with a node.
    pub(crate) separator_follows_node: bool,
}

/// What to run a command on, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunTarget {
    /// A node set; empty for a command that takes no nodes.
    pub(crate) nodes: String,
    /// The script's arguments.
    pub(crate) arguments: Vec<String>,
    /// Whether each line of output shows its node.
    pub(crate) prefixed: bool,
}

/// Reads the words behind `command`, which the user calls as `called`, and the node set of `-g`.
///
/// # Errors
/// A node or an argument is missing, the node set is empty, or the command takes no nodes.
pub(crate) fn resolve(
    command: &Command,
    called: &str,
    mut words: Vec<String>,
    set: Option<String>,
) -> Result<RunTarget> {
    let syntax = Syntax::parse(&command.syntax, command.has_context);
    let with_usage = |error: CliError| {
        let error = error.hint(format!("usage: {called} {}", syntax.with_node()).trim_end());
        if command.has_context {
            error.hint(format!("for several nodes: {called} {}", syntax.with_set()))
        } else {
            error
        }
    };
    let usage = |message: String| with_usage(CliError::usage(message));
    let name = &command.name;
    let prefixed = set.is_some();
    let nodes = match set {
        Some(_) if !command.has_context => {
            return Err(usage(format!(
                "`{name}` takes no nodes, so -g is not for it"
            )));
        }
        Some(set) => set,
        None if !command.has_context => String::new(),
        None if words.is_empty() => return Err(usage(format!("`{name}` needs a node"))),
        None => words.remove(0),
    };
    if command.has_context && is_empty_set(&nodes) {
        let option = if prefixed { " of -g" } else { "" };
        return Err(with_usage(empty_value(&format!("the node set{option}"))));
    }
    if let Some(missing) = syntax.missing_argument(words.len()) {
        return Err(usage(format!("`{name}` needs the argument {missing}")));
    }
    Ok(RunTarget {
        nodes,
        arguments: words,
        prefixed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(syntax: &str, has_context: bool) -> Command {
        Command {
            name: "change".into(),
            syntax: syntax.into(),
            has_context,
            ..Command::default()
        }
    }

    fn read(
        syntax: &str,
        has_context: bool,
        words: &[&str],
        set: Option<&str>,
    ) -> Result<RunTarget> {
        let words = words.iter().map(ToString::to_string).collect();
        let command = command(syntax, has_context);
        resolve(&command, "x change", words, set.map(str::to_owned))
    }

    #[test]
    fn the_first_word_is_the_node_unless_a_set_is_given() {
        for (syntax, has_context, words, set, nodes, arguments) in [
            (
                "NAME TYPE",
                true,
                &["n1", "small"][..],
                None,
                "n1",
                &["small"][..],
            ),
            (
                "NAME TYPE",
                true,
                &["small"],
                Some("n[1-2]"),
                "n[1-2]",
                &["small"],
            ),
            ("TYPE", false, &["small"], None, "", &["small"]),
        ] {
            let target = read(syntax, has_context, words, set).unwrap();
            assert_eq!(
                (target.nodes.as_str(), &target.arguments[..]),
                (
                    nodes,
                    &arguments
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()[..]
                )
            );
            assert_eq!(target.prefixed, set.is_some());
        }
    }

    #[test]
    fn missing_words_are_named_before_anything_runs() {
        let refusal = |syntax: &str, has_context, words: &[&str], set| {
            read(syntax, has_context, words, set)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(refusal("NAME", true, &[], None), "`change` needs a node");
        let text = "`change` needs the argument TYPE";
        assert_eq!(refusal("NAME TYPE", true, &["n1"], None), text);
        assert_eq!(refusal("NAME TYPE", true, &[], Some("n1")), text);
        assert_eq!(refusal("TYPE", false, &[], None), text);
        assert!(refusal("", false, &[], Some("n1")).contains("takes no nodes"));
        for blank in ["", " ", ",", " , "] {
            let text = refusal("", true, &[], Some(blank));
            assert_eq!(text, "the node set of -g is empty");
            assert_eq!(refusal("", true, &[blank], None), "the node set is empty");
        }
        let error = read("NAME TYPE", true, &[], None).unwrap_err();
        assert_eq!(
            error.hints(),
            [
                "usage: x change NAME TYPE",
                "for several nodes: x change -g NODES TYPE"
            ]
        );
    }
}
