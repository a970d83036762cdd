//! Owns the meaning of a command's words: which of them is the node, which are the script's
//! arguments, and what is missing. Pure; nothing has been asked of the server yet.

use crate::cli::syntax::Syntax;
use crate::cli::values::{empty, is_empty_set};
use crate::error::{CliError, Result};
use action_proto::v1::Command;

/// The words after a command's name, as the command line has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    /// In order, without options of ours.
    pub(crate) positional: Vec<String>,
    /// The value of `-g`.
    pub(crate) group: Option<String>,
    /// Whether `-g` stood behind the first word.
    pub(crate) group_follows: bool,
    /// Whether `--` stood on the command line: nothing after it is ours.
    pub(crate) has_separator: bool,
}

impl Words {
    /// The first word where `-g` stands behind it: it may be meant for the node. `nodes_follow_word`
    /// says so of the long form, which has left its place.
    pub(crate) fn before_group(&self, nodes_follow_word: bool) -> Option<&str> {
        let is_behind = match self.group {
            Some(_) => nodes_follow_word || self.group_follows,
            None => self.positional.len() > 2 && self.has_trailing_group(),
        };
        self.positional
            .first()
            .filter(|_| is_behind)
            .map(String::as_str)
    }

    /// `-g NODES` may also be last, behind the script's arguments. With `--` before, it is the
    /// script's.
    fn has_trailing_group(&self) -> bool {
        let is_ours = self.group.is_none() && !self.has_separator;
        is_ours && matches!(self.positional.as_slice(), [.., flag, _] if flag == "-g")
    }
}

/// What to run a command on, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// A node set; empty for a command that takes no nodes.
    pub(crate) nodes: String,
    /// The script's arguments.
    pub(crate) arguments: Vec<String>,
    /// Whether each line of output shows its node.
    pub(crate) prefixed: bool,
}

/// Reads the words of `command`, which the user calls as `called`.
pub(crate) fn resolve(command: &Command, called: &str, mut words: Words) -> Result<Target> {
    take_trailing_group(&mut words);
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
    let Words {
        positional, group, ..
    } = words;
    let set = match group.is_some() {
        true => "the node set of -g",
        false => "the node set",
    };
    let (nodes, arguments, prefixed) = match group {
        Some(_) if !command.has_context => {
            return Err(usage(format!(
                "`{}` takes no nodes, so -g is not for it",
                command.name
            )));
        }
        Some(set) => (set, positional, true),
        None if !command.has_context => (String::new(), positional, false),
        None => {
            let mut positional = positional.into_iter();
            let Some(node) = positional.next() else {
                return Err(usage(format!("`{}` needs a node", command.name)));
            };
            (node, positional.collect(), false)
        }
    };
    if command.has_context && is_empty_set(&nodes) {
        return Err(with_usage(empty(set)));
    }
    if let Some(missing) = syntax.missing(arguments.len()) {
        return Err(usage(format!(
            "`{}` needs the argument {missing}",
            command.name
        )));
    }
    Ok(Target {
        nodes,
        arguments,
        prefixed,
    })
}

fn take_trailing_group(words: &mut Words) {
    if words.has_trailing_group() {
        words.group = words.positional.pop();
        words.positional.pop();
    }
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

    fn words(positional: &[&str], group: Option<&str>) -> Words {
        Words {
            positional: positional.iter().map(ToString::to_string).collect(),
            group: group.map(str::to_owned),
            group_follows: false,
            has_separator: false,
        }
    }

    fn resolved(syntax: &str, has_context: bool, words: Words) -> (String, Vec<String>, bool) {
        let target = resolve(&command(syntax, has_context), "change", words).unwrap();
        (target.nodes, target.arguments, target.prefixed)
    }

    fn refusal(syntax: &str, has_context: bool, words: Words) -> String {
        resolve(&command(syntax, has_context), "x change", words)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_first_word_is_the_node_unless_a_set_is_given() {
        let expected = |nodes: &str, arguments: &[&str], prefixed| {
            (
                nodes.to_owned(),
                arguments.iter().map(ToString::to_string).collect(),
                prefixed,
            )
        };
        let both = words(&["n1", "small"], None);
        assert_eq!(
            resolved("NAME TYPE", true, both),
            expected("n1", &["small"], false)
        );
        let set = words(&["small"], Some("n[1-2]"));
        assert_eq!(
            resolved("NAME TYPE", true, set),
            expected("n[1-2]", &["small"], true)
        );
        let last = words(&["small", "x", "-g", "n1"], None);
        assert_eq!(
            resolved("NAME TYPE", true, last),
            expected("n1", &["small", "x"], true)
        );
        let script_s = Words {
            has_separator: true,
            ..words(&["n1", "-g", "x"], None)
        };
        assert_eq!(
            resolved("", true, script_s),
            expected("n1", &["-g", "x"], false)
        );
        let none = words(&["small"], None);
        assert_eq!(
            resolved("TYPE", false, none),
            expected("", &["small"], false)
        );
    }

    #[test]
    fn a_word_before_the_set_may_be_meant_for_the_node() {
        let script_s = Words {
            has_separator: true,
            ..words(&["n1", "-g", "x"], None)
        };
        let behind = Words {
            group_follows: true,
            ..words(&["n1"], Some("n2"))
        };
        for (words, follows, expected) in [
            (words(&["n1", "a", "-g", "n2"], None), false, Some("n1")),
            (words(&["n1", "-g", "n2"], None), false, Some("n1")),
            (words(&["n1", "a"], Some("n2")), true, Some("n1")),
            (words(&["n1", "a"], Some("n2")), false, None),
            (behind, false, Some("n1")),
            (words(&["n1", "a", "-g", "n3"], Some("n2")), false, None),
            (words(&["n1", "-g", "n2", "a"], None), false, None),
            (words(&["n1", "a"], None), false, None),
            (words(&[], Some("n2")), true, None),
            (script_s, false, None),
        ] {
            assert_eq!(words.before_group(follows), expected, "{words:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named_before_anything_runs() {
        assert_eq!(
            refusal("NAME", true, words(&[], None)),
            "`change` needs a node"
        );
        let text = "`change` needs the argument TYPE";
        assert_eq!(refusal("NAME TYPE", true, words(&["n1"], None)), text);
        assert_eq!(refusal("NAME TYPE", true, words(&[], Some("n1"))), text);
        assert_eq!(refusal("TYPE", false, words(&[], None)), text);
        assert!(refusal("", false, words(&[], Some("n1"))).contains("takes no nodes"));
        for blank in ["", " ", ",", " , "] {
            let text = refusal("", true, words(&[], Some(blank)));
            assert_eq!(text, "the node set of -g is empty");
            let text = refusal("", true, words(&[blank], None));
            assert_eq!(text, "the node set is empty");
        }
        let error = resolve(&command("NAME TYPE", true), "x change", words(&[], None));
        let error = error.unwrap_err();
        assert_eq!(
            error.hints(),
            [
                "usage: x change NAME TYPE",
                "for several nodes: x change -g NODES TYPE"
            ]
        );
    }
}
