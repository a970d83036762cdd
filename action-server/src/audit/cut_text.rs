//! Texts of callers, cut so that filling the disk is not cheap, with what identifies the whole.

use serde::Serialize;

use crate::file_digest;

/// The most bytes of a text in a line.
const CUT: usize = 1024;

/// A node set, cut where it is long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditedNodes {
    nodes: String,
    /// The length of the whole set in bytes, where it is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes_length: Option<u64>,
    /// The SHA-256 of the whole set, where it is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes_sha256: Option<String>,
}

impl AuditedNodes {
    /// A node set as it is written.
    #[must_use]
    pub fn new(mut nodes: String) -> AuditedNodes {
        let whole = WholeText::of_texts([nodes.as_str()], "");
        let whole = cut_to(&mut nodes, CUT).1.then_some(whole);
        AuditedNodes {
            nodes,
            nodes_length: whole.as_ref().map(|whole| whole.length),
            nodes_sha256: whole.map(|whole| whole.sha256),
        }
    }

    /// The nodes of a run; `None` for a command that takes none.
    #[must_use]
    pub fn of_run(nodes: &str) -> Option<AuditedNodes> {
        (!nodes.is_empty()).then(|| AuditedNodes::new(nodes.to_owned()))
    }
}

/// A script's arguments, cut where they are long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AuditedArguments {
    arguments: Vec<String>,
    /// The length of all arguments in bytes, where they are cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments_length: Option<u64>,
    /// The SHA-256 of all arguments, each with a NUL behind it, where they are cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments_sha256: Option<String>,
}

impl AuditedArguments {
    /// The arguments as they are passed.
    #[must_use]
    pub fn new(mut arguments: Vec<String>) -> AuditedArguments {
        let whole = WholeText::of_texts(arguments.iter().map(String::as_str), "\0");
        let whole = cut_all(&mut arguments, CUT).then_some(whole);
        AuditedArguments {
            arguments,
            arguments_length: whole.as_ref().map(|whole| whole.length),
            arguments_sha256: whole.map(|whole| whole.sha256),
        }
    }
}

/// The length and digest of texts that are cut.
struct WholeText {
    length: u64,
    sha256: String,
}

impl WholeText {
    /// The digest is that of the texts with `end` behind each; the length does not count it.
    fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>, end: &str) -> WholeText {
        let mut length = 0;
        let mut text = Vec::new();
        for part in texts {
            length += part.len();
            text.extend_from_slice(part.as_bytes());
            text.extend_from_slice(end.as_bytes());
        }
        WholeText {
            length: length as u64,
            sha256: file_digest::in_hexadecimal(&file_digest::of_text(&text)),
        }
    }
}

/// Cuts texts so that together they take little more than `most` bytes in a line. True where it did.
fn cut_all(texts: &mut Vec<String>, most: usize) -> bool {
    let mut left = most;
    let mut is_cut = false;
    texts.retain_mut(|text| {
        let is_shown = left > 0;
        let (taken, this_is_cut) = cut_to(text, left);
        is_cut |= this_is_cut || !is_shown;
        left = left.saturating_sub(taken + 1);
        is_shown
    });
    is_cut
}

/// Cuts a text so that it takes no more than `most` bytes in a line, escapes included. Returns how many
/// it takes, and whether it was cut.
fn cut_to(text: &mut String, most: usize) -> (usize, bool) {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        // `\u001b`, twice for what needs two of them; a quote or backslash takes two.
        let size = match c {
            ' '..='~' if !"\"\\".contains(c) => 1,
            _ => 6 * c.len_utf16(),
        };
        if taken + size > most {
            text.truncate(at);
            text.push_str("...");
            return (taken, true);
        }
        taken += size;
    }
    (taken, false)
}

/// A caller's text, cut.
pub(super) fn shortened(mut text: String) -> String {
    cut_to(&mut text, CUT);
    text
}
