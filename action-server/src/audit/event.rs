//! What a line of the audit log may say. `docs/operations.md` has the table for admins.

use std::collections::BTreeMap;

use serde::Serialize;

/// Texts that a caller chooses freely are cut to so many bytes where nothing was done for it:
/// what is refused must not fill the disk.
const CUT: usize = 1024;
/// So many faults are told; the rest is for the server's log.
const FAULTS: usize = 20;

/// Who did it, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(default)]
#[cfg_attr(test, derive(serde::Deserialize))]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(default)]
#[cfg_attr(test, derive(serde::Deserialize))]
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
    /// The script's arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Vec<String>>,
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
    /// What was read anew.
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

    /// Tokens were made good no more.
    pub fn revoked(what: String) -> Event {
        Event {
            what: Some(what),
            ..Event::new("revoked")
        }
    }

    /// Files were read anew, and what is wrong with them now.
    pub fn reloaded(what: &str, mut faults: Vec<String>) -> Event {
        faults.truncate(FAULTS);
        Event {
            what: Some(what.to_owned()),
            outcome: Some(if faults.is_empty() { "ok" } else { "failed" }.into()),
            faults: Some(faults).filter(|faults| !faults.is_empty()),
            ..Event::new("reloaded")
        }
    }

    /// The same, with what a caller chose freely cut to a length that does no harm.
    pub fn cut(mut self) -> Event {
        let texts = [
            &mut self.method,
            &mut self.command,
            &mut self.nodes,
            &mut self.reason,
        ];
        texts.into_iter().flatten().for_each(|text| cut(text, CUT));
        if let Some(arguments) = &mut self.arguments {
            let mut left = CUT;
            arguments.retain_mut(|argument| {
                let is_shown = left > 0;
                cut(argument, left);
                left = left.saturating_sub(argument.len() + 1);
                is_shown
            });
        }
        self
    }
}

/// Cuts a text so that it takes no more than `most` bytes in a line, escapes included.
fn cut(text: &mut String, most: usize) {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, c)| {
        // `\u001b`, twice for what needs two of them; a quote or backslash takes two.
        taken += match c {
            ' '..='~' if !"\"\\".contains(*c) => 1,
            _ => 6 * c.len_utf16(),
        };
        taken > most
    });
    if let Some((end, _)) = end {
        text.truncate(end);
        text.push_str("...");
    }
}
