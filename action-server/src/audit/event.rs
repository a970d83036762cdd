//! What a line of the audit log may say. `docs/audit-log.md` has the table for admins.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::file_digest;

/// Node sets and arguments are cut to so many bytes, and of what was refused all texts of the caller:
/// to fill the disk must not be cheap.
const CUT: usize = 1024;
/// The most faults of a line; the rest is in the server's log.
const FAULTS: usize = 20;

/// Who did it, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Who {
    /// The token's `sub`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The token's `jti`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The id of the key that the token is signed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Where the call came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// One thing that happened. Fields that do not apply are left out of the line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// What happened, as `run_accepted`.
    #[serde(rename = "event")]
    pub name: String,
    /// The run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Who did it.
    #[serde(flatten)]
    pub who: Who,
    /// The method that was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The nodes, as a folded set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<String>,
    /// The length of the whole set in bytes, where it is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes_length: Option<u64>,
    /// The SHA-256 of the whole set, where it is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes_sha256: Option<String>,
    /// The script's arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Vec<String>>,
    /// The length of all arguments in bytes, where they are cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments_length: Option<u64>,
    /// The SHA-256 of all arguments, each with a NUL behind it, where they are cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments_sha256: Option<String>,
    /// Each script with the SHA-256 of its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scripts: Option<BTreeMap<String, String>>,
    /// The digest of the plan that the run is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// How many jobs ended with which outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<BTreeMap<String, u32>>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was read again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faults: Option<Vec<String>>,
    /// How often it happened beside the times that have a line of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeated: Option<u64>,
    /// How many lines could not be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
    /// The server's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl Event {
    /// An event of which nothing is said yet.
    pub fn new(name: &str) -> Event {
        Event {
            name: name.to_owned(),
            ..Event::default()
        }
    }

    /// An event of a run.
    pub fn of_run(name: &str, run_id: &impl ToString) -> Event {
        Event {
            run_id: Some(run_id.to_string()),
            ..Event::new(name)
        }
    }

    /// Tokens were revoked.
    pub fn revoked(what: String) -> Event {
        Event {
            what: Some(what),
            ..Event::new("revoked")
        }
    }

    /// Files were read again, with the faults that they have now.
    pub fn reloaded(what: &str, mut faults: Vec<String>) -> Event {
        faults.truncate(FAULTS);
        Event {
            what: Some(what.to_owned()),
            outcome: Some(if faults.is_empty() { "ok" } else { "failed" }.into()),
            faults: Some(faults).filter(|faults| !faults.is_empty()),
            ..Event::new("reloaded")
        }
    }

    /// The same of what was refused: all other texts that the caller chose freely are cut too.
    pub fn cut(mut self) -> Event {
        let texts = [&mut self.method, &mut self.command, &mut self.reason];
        for text in texts.into_iter().flatten() {
            cut(text, CUT);
        }
        self
    }

    /// The same with arguments and nodes cut. The record has all of them.
    pub(super) fn bounded(mut self) -> Event {
        if let Some(nodes) = &mut self.nodes {
            let whole = Whole::of([nodes.as_str()], "");
            if cut(nodes, CUT).1 {
                self.nodes_length = Some(whole.length);
                self.nodes_sha256 = Some(whole.sha256);
            }
        }
        if let Some(arguments) = &mut self.arguments {
            let whole = Whole::of(arguments.iter().map(String::as_str), "\0");
            if cut_all(arguments, CUT) {
                self.arguments_length = Some(whole.length);
                self.arguments_sha256 = Some(whole.sha256);
            }
        }
        self
    }
}

/// What identifies texts that are cut.
struct Whole {
    length: u64,
    sha256: String,
}

impl Whole {
    /// The digest is that of the texts with `end` behind each; the length does not count it.
    fn of<'a>(texts: impl IntoIterator<Item = &'a str>, end: &str) -> Whole {
        let mut length = 0;
        let mut text = Vec::new();
        for part in texts {
            length += part.len();
            text.extend_from_slice(part.as_bytes());
            text.extend_from_slice(end.as_bytes());
        }
        Whole {
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
        let (taken, this_is_cut) = cut(text, left);
        is_cut |= this_is_cut || !is_shown;
        left = left.saturating_sub(taken + 1);
        is_shown
    });
    is_cut
}

/// Cuts a text so that it takes no more than `most` bytes in a line, escapes included. Returns how many
/// it takes, and whether it was cut.
fn cut(text: &mut String, most: usize) -> (usize, bool) {
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
