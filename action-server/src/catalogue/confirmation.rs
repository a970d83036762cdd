//! The question that is asked before a run. It always states the scope: the nodes with their number, and
//! the arguments. Where the admin's text does not name them, they stand on lines of their own before it.

use std::fmt::Write as _;

use action_proto::input::shown_name;
use thiserror::Error;

/// The most of a node set that is shown, in bytes: the question also goes into a response header.
const NODES_LIMIT: usize = 2 * 1024;
/// The most of all arguments that is shown, in bytes as quoted.
const ARGUMENTS_LIMIT: usize = 1024;
/// The most of one argument that is shown, in bytes as given.
const ARGUMENT_LIMIT: usize = 256;

/// A question as `metadata.yaml` has it: `Power off %{nodes}, confirm to proceed [y/n]?`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    text: String,
    parts: Vec<QuestionPart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum QuestionPart {
    Text(String),
    Nodes,
    Count,
    Arguments,
}

/// Why a text is no question.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfirmationError {
    /// It says nothing.
    #[error("the confirmation is empty: write a question, or leave the key out to ask none")]
    Empty,
    /// It has a placeholder that means nothing.
    #[error(
        "unknown placeholder {0} in the confirmation: write %{{nodes}}, %{{count}} or %{{arguments}}"
    )]
    UnknownPlaceholder(String),
    /// It has a placeholder without an end.
    #[error("a placeholder in the confirmation has no closing brace: write it as in %{{nodes}}")]
    Unclosed,
}

impl Confirmation {
    /// Reads a question with its placeholders.
    ///
    /// # Errors
    /// See [`ConfirmationError`].
    pub fn parse(text: &str) -> Result<Confirmation, ConfirmationError> {
        if text.trim().is_empty() {
            return Err(ConfirmationError::Empty);
        }
        let mut parts = Vec::new();
        let mut rest = text.trim_end();
        while let Some((before, behind)) = rest.split_once("%{") {
            let (name, behind) = behind.split_once('}').ok_or(ConfirmationError::Unclosed)?;
            parts.push(QuestionPart::Text(before.to_owned()));
            parts.push(match name {
                "nodes" => QuestionPart::Nodes,
                "count" => QuestionPart::Count,
                "arguments" => QuestionPart::Arguments,
                _ => {
                    let shown = format!("%{{{}}}", shown_name(name));
                    return Err(ConfirmationError::UnknownPlaceholder(shown));
                }
            });
            rest = behind;
        }
        parts.push(QuestionPart::Text(rest.to_owned()));
        Ok(Confirmation {
            text: text.to_owned(),
            parts,
        })
    }

    /// The text as it was written.
    pub fn as_written(&self) -> &str {
        &self.text
    }

    /// Whether it names nodes or their number.
    pub fn names_nodes(&self) -> bool {
        self.has_part(&QuestionPart::Nodes) || self.has_part(&QuestionPart::Count)
    }

    /// The question for a run: on a folded node set with its number of nodes, if the command takes nodes.
    pub fn question(&self, nodes: Option<(&str, usize)>, arguments: &[String]) -> String {
        let mut question = String::new();
        if let Some((set, count)) = nodes
            && !self.has_part(&QuestionPart::Nodes)
        {
            _ = writeln!(question, "nodes: {} {}", cut_set(set), in_words(count));
        }
        let arguments = quoted_arguments(arguments);
        if !arguments.is_empty() && !self.has_part(&QuestionPart::Arguments) {
            _ = writeln!(question, "arguments: {arguments}");
        }
        let (set, count) = nodes.unwrap_or_default();
        for part in &self.parts {
            match part {
                QuestionPart::Text(text) => question.push_str(text),
                QuestionPart::Nodes if self.has_part(&QuestionPart::Count) => {
                    question.push_str(&cut_set(set));
                }
                QuestionPart::Nodes => _ = write!(question, "{} {}", cut_set(set), in_words(count)),
                QuestionPart::Count => _ = write!(question, "{count}"),
                QuestionPart::Arguments if arguments.is_empty() => question.push_str("(none)"),
                QuestionPart::Arguments => question.push_str(&arguments),
            }
        }
        question
    }

    fn has_part(&self, part: &QuestionPart) -> bool {
        self.parts.contains(part)
    }
}

fn in_words(count: usize) -> String {
    match count {
        1 => "(1 node)".to_owned(),
        count => format!("({count} nodes)"),
    }
}

/// A node set, cut behind one of its parts where it is long.
fn cut_set(set: &str) -> String {
    if set.len() <= NODES_LIMIT {
        return set.to_owned();
    }
    let mut depth = 0_usize;
    let mut end = 0;
    for (at, byte) in set.bytes().enumerate().take(NODES_LIMIT) {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => end = at + 1,
            _ => {}
        }
    }
    format!("{}..", &set[..end])
}

/// Arguments as a shell reads them. What is left out is counted in parentheses, which no argument has
/// outside of quotes.
fn quoted_arguments(arguments: &[String]) -> String {
    let mut text = String::new();
    for (at, argument) in arguments.iter().enumerate() {
        let mut word = quote_word(cut_argument(argument));
        match argument.len() - cut_argument(argument).len() {
            0 => {}
            1 => word.push_str("(1 more byte)"),
            more => _ = write!(word, "({more} more bytes)"),
        }
        let between = if at == 0 { "" } else { " " };
        if text.len() + word.len() > ARGUMENTS_LIMIT {
            match arguments.len() - at {
                1 => _ = write!(text, "{between}(1 more argument)"),
                more => _ = write!(text, "{between}({more} more arguments)"),
            }
            break;
        }
        text.push_str(between);
        text.push_str(&word);
    }
    text
}

fn cut_argument(argument: &str) -> &str {
    let mut end = argument.len().min(ARGUMENT_LIMIT);
    while !argument.is_char_boundary(end) {
        end -= 1;
    }
    &argument[..end]
}

/// A word as a shell reads it: bare, in `'..'`, or in `$'..'` where characters in it are not seen or would
/// change how the line looks.
fn quote_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-+./:,@%=".contains(c);
    if !word.is_empty() && !word.starts_with('=') && word.chars().all(is_plain) {
        return word.to_owned();
    }
    if !word.chars().any(is_unseen) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut quoted = String::from("$'");
    for c in word.chars() {
        _ = match c {
            '\n' => write!(quoted, r"\n"),
            '\t' => write!(quoted, r"\t"),
            '\r' => write!(quoted, r"\r"),
            '\'' | '\\' => write!(quoted, r"\{c}"),
            c if !is_unseen(c) => write!(quoted, "{c}"),
            c if c.is_ascii() => write!(quoted, r"\x{:02x}", u32::from(c)),
            c if u32::from(c) <= 0xffff => write!(quoted, r"\u{:04x}", u32::from(c)),
            c => write!(quoted, r"\U{:08x}", u32::from(c)),
        };
    }
    quoted.push('\'');
    quoted
}

/// Whether a character is not printed, or changes how others are: controls, line and paragraph
/// separators, and what the Unicode standard calls format characters.
fn is_unseen(c: char) -> bool {
    // Rust's debug form escapes these, and no visible character but quotes and the backslash.
    c != '\'' && c != '"' && c != '\\' && c.escape_debug().len() > 1
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn question(text: &str, nodes: Option<(&str, usize)>, arguments: &[&str]) -> String {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        Confirmation::parse(text)
            .unwrap()
            .question(nodes, &arguments)
    }

    #[test]
    fn the_scope_is_always_stated() {
        let many = Some(("cnode[001-276]", 276));
        let one = Some(("n1", 1));
        for (text, nodes, arguments, expected) in [
            (
                "Off %{nodes}?",
                many,
                &[][..],
                "Off cnode[001-276] (276 nodes)?",
            ),
            ("Off %{nodes}?", one, &[], "Off n1 (1 node)?"),
            (
                "Off %{count}: %{nodes}?",
                many,
                &[],
                "Off 276: cnode[001-276]?",
            ),
            (
                "Off %{count}?",
                many,
                &[],
                "nodes: cnode[001-276] (276 nodes)\nOff 276?",
            ),
            (
                "Off %{count} with %{arguments}?",
                one,
                &["(none)"],
                "nodes: n1 (1 node)\nOff 1 with '(none)'?",
            ),
            (
                "Off %{nodes}, %{arguments}?",
                one,
                &[],
                "Off n1 (1 node), (none)?",
            ),
            ("Sure?\n", one, &[], "nodes: n1 (1 node)\nSure?"),
            (
                "Sure?",
                one,
                &["small", "a b"],
                "nodes: n1 (1 node)\narguments: small 'a b'\nSure?",
            ),
            (
                "To %{arguments} on %{nodes}?",
                one,
                &["x", ""],
                "To x '' on n1 (1 node)?",
            ),
            ("To [%{arguments}]?", None, &[], "To [(none)]?"),
            ("Sure?", None, &["x"], "arguments: x\nSure?"),
            ("Sure?", None, &[], "Sure?"),
            // What is put in is not read again, and is counted only once.
            (
                "%{nodes} %{nodes} %{arguments}",
                one,
                &["%{count}"],
                "n1 (1 node) n1 (1 node) '%{count}'",
            ),
        ] {
            assert_eq!(question(text, nodes, arguments), expected, "{text}");
        }
    }

    #[test]
    fn other_placeholders_are_refused() {
        let error = |text: &str| Confirmation::parse(text).unwrap_err().to_string();
        for unknown in [
            "%{node}",
            "%{NODES}",
            "%{ nodes}",
            "%{}",
            "%{arg\n}",
            "%{%{nodes}",
        ] {
            let text = error(&format!("Off {unknown}, %{{nodes}}?"));
            assert!(text.starts_with("unknown placeholder %{"), "{text}");
            assert!(text.ends_with("write %{nodes}, %{count} or %{arguments}"));
            assert!(!text.contains('\n'));
        }
        assert!(error("Off %{nodes?").contains("closing brace"));
        assert!(error(" \n").contains("is empty"));
        for literal in ["100% of %{nodes}", "{nodes} %{nodes}", "%nodes", "% {x}"] {
            assert_eq!(Confirmation::parse(literal).unwrap().as_written(), literal);
        }
    }

    #[test]
    fn arguments_cannot_look_like_something_else() {
        for (word, expected) in [
            ("a-b.c/d", "a-b.c/d"),
            ("", "''"),
            ("=ls", "'=ls'"),
            ("it's", r"'it'\''s'"),
            ("$(id) `id` \"x\" \\", "'$(id) `id` \"x\" \\'"),
            ("~ # * ;", "'~ # * ;'"),
            ("\u{e9}", "'\u{e9}'"),
            ("a\nnodes: n1 (1 node)", r"$'a\nnodes: n1 (1 node)'"),
            ("\x1b[2K\r\t\x07'\\", r"$'\x1b[2K\r\t\x07\'\\'"),
            // Bidirectional text, a space without width, a line separator, C1, a tag.
            (
                "\u{202e}a\u{200b}\u{2028}\u{85}\u{e0041}",
                r"$'\u202ea\u200b\u2028\u0085\U000e0041'",
            ),
        ] {
            assert_eq!(quote_word(word), expected);
        }
    }

    #[test]
    fn what_is_long_is_cut_and_counted() {
        let long = "x".repeat(64 * 1024);
        let arguments = vec![long.as_str(); 4];
        let shown = question("Sure?", None, &arguments);
        assert!(shown.contains("xxx(65280 more bytes) xxx"), "{shown}");
        assert!(shown.ends_with("(1 more argument)\nSure?"), "{shown}");
        let letter = "\u{e9}".repeat(129);
        assert!(question("Sure?", None, &[&letter]).contains("'(2 more bytes)"));
        let many: Vec<String> = (0..5000).map(|n| format!("n{n}-{}", n * n)).collect();
        let set = many.join(",");
        let shown = question("Off %{nodes}?", Some((&set, 5000)), &[]);
        assert!(shown.ends_with(",.. (5000 nodes)?"), "{shown}");
        let folded = format!("a[{}]", vec!["1"; 5000].join(","));
        let shown = question("Off %{nodes}?", Some((&folded, 5000)), &[]);
        assert_eq!(shown, "Off .. (5000 nodes)?");
    }

    proptest! {
        #[test]
        fn a_question_is_bounded_and_adds_no_line(
            arguments in vec(any::<String>(), 0..64),
            set in "[a-z0-9,\\[\\]-]{0,9000}",
        ) {
            let given = Confirmation::parse("Off %{nodes}?").unwrap();
            let shown = given.question(Some((&set, 7)), &arguments);
            let lines = if arguments.is_empty() { 1 } else { 2 };
            prop_assert_eq!(shown.lines().count(), lines);
            prop_assert!(shown.len() < 4 * 1024, "{}", shown.len());
            prop_assert!(!shown.replace('\n', "").chars().any(is_unseen));
        }
    }
}
