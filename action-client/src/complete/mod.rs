//! Completion: candidates for the end of a command line, from the cache alone. Pure.

pub(crate) mod scripts;
pub(crate) mod server_cache;
mod sets;

use crate::arguments::program_alias::ProgramAlias;
use crate::arguments::server_commands::{NODE, with_commands};
use clap::{Arg, Command};
use server_cache::ServerCache;

/// The word that makes the client complete the words after it.
pub(crate) const COMPLETE: &str = "__complete";
/// The word that makes the client ask the server for what completion should know.
pub(crate) const REFRESH: &str = "__refresh";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) word: String,
    /// A few words about it; empty for none.
    pub(crate) about: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueKind {
    Set,
    Run,
    Command,
    /// Only what clap says is possible.
    Listed,
}

/// The candidates for the last of these words, which follow the program's name.
pub(crate) fn candidates(
    root: &Command,
    alias: &ProgramAlias,
    cache: &ServerCache,
    words: &[String],
) -> Vec<Candidate> {
    let mut root = with_commands(root.clone(), alias, &cache.commands);
    root.build();
    let Some((current, before)) = words.split_last() else {
        return Vec::new();
    };
    let place = LinePosition::after(&root, before);
    let found = if let Some(arg) = place.value_of {
        value_candidates(arg, current, alias, cache)
    } else if place.is_all_words || !current.starts_with('-') {
        place.word_candidates(current, alias, cache)
    } else if let Some((flag, value)) = current.split_once('=') {
        let arg = find_option(place.command, flag);
        let values = arg.map(|arg| value_candidates(arg, value, alias, cache));
        let whole = |it: Candidate| Candidate {
            word: format!("{flag}={}", it.word),
            ..it
        };
        values.into_iter().flatten().map(whole).collect()
    } else {
        option_candidates(place.command)
    };
    found
        .into_iter()
        .filter(|it| it.word.starts_with(current.as_str()) && is_plain(&it.word))
        .collect()
}

/// Where the words before lead to.
struct LinePosition<'a> {
    command: &'a Command,
    /// The option whose value comes now.
    value_of: Option<&'a Arg>,
    positional: usize,
    /// Whether `-g` was given, so that no node is to come.
    has_set: bool,
    /// Whether `--` stood before.
    is_all_words: bool,
}

impl<'a> LinePosition<'a> {
    fn after(root: &'a Command, words: &[String]) -> Self {
        let mut place = Self {
            command: root,
            value_of: None,
            positional: 0,
            has_set: false,
            is_all_words: false,
        };
        for word in words {
            if place.value_of.take().is_some() {
                continue;
            }
            if place.is_all_words || !word.starts_with('-') || word == "-" {
                place.take_word(word);
            } else if word == "--" {
                place.is_all_words = true;
            } else {
                let (flag, has_value) = match word.split_once('=') {
                    Some((flag, _)) => (flag, true),
                    None => (word.as_str(), false),
                };
                let arg = find_option(place.command, flag);
                place.has_set |= arg.is_some_and(|arg| arg.get_id() == "nodes");
                place.value_of = arg.filter(|arg| !has_value && arg.get_action().takes_values());
            }
        }
        place
    }

    fn take_word(&mut self, word: &str) {
        match self.command.find_subcommand(word) {
            Some(sub) if self.positional == 0 && !self.is_all_words => self.command = sub,
            _ => self.positional += 1,
        }
    }

    fn word_candidates(
        &self,
        current: &str,
        alias: &ProgramAlias,
        cache: &ServerCache,
    ) -> Vec<Candidate> {
        if self.command.has_subcommands() && self.positional == 0 {
            return subcommand_candidates(self.command);
        }
        let Some(arg) = self.command.get_positionals().nth(self.positional) else {
            return Vec::new();
        };
        if arg.get_id() == NODE && self.has_set {
            return Vec::new();
        }
        value_candidates(arg, current, alias, cache)
    }
}

fn find_option<'a>(command: &'a Command, flag: &str) -> Option<&'a Arg> {
    let long = flag.strip_prefix("--");
    let short = flag.strip_prefix('-').filter(|_| long.is_none());
    command.get_arguments().find(|arg| match (long, short) {
        (Some(long), _) => arg
            .get_long_and_visible_aliases()
            .is_some_and(|names| names.contains(&long)),
        (_, Some(short)) => arg.get_short().is_some_and(|it| short.chars().eq([it])),
        _ => false,
    })
}

fn value_kind(arg: &Arg) -> ValueKind {
    match arg.get_id().as_str() {
        "nodes" | "exclude" | NODE => ValueKind::Set,
        "run" => ValueKind::Run,
        "command" => ValueKind::Command,
        _ => ValueKind::Listed,
    }
}

fn value_candidates(
    arg: &Arg,
    current: &str,
    alias: &ProgramAlias,
    cache: &ServerCache,
) -> Vec<Candidate> {
    let bare = |word: String| Candidate {
        word,
        about: String::new(),
    };
    match value_kind(arg) {
        ValueKind::Set => {
            let words = sets::complete_set(current, &cache.nodes, &cache.groups);
            words.into_iter().map(bare).collect()
        }
        ValueKind::Run => cache
            .runs
            .iter()
            .map(|run| Candidate {
                word: run.id.clone(),
                about: run.about.clone(),
            })
            .collect(),
        ValueKind::Command => {
            let listed = |it: &action_proto::v1::Command| {
                Some(Candidate {
                    word: alias.local_name(&it.name)?.to_owned(),
                    about: it.summary.clone(),
                })
            };
            cache.commands.iter().filter_map(listed).collect()
        }
        ValueKind::Listed => {
            let listed = arg.get_possible_values();
            let listed = listed.iter().filter(|it| !it.is_hide_set());
            listed
                .map(|it| Candidate {
                    word: it.get_name().to_owned(),
                    about: it.get_help().map(ToString::to_string).unwrap_or_default(),
                })
                .collect()
        }
    }
}

fn subcommand_candidates(command: &Command) -> Vec<Candidate> {
    let mut found = Vec::new();
    for sub in command.get_subcommands() {
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        for name in std::iter::once(sub.get_name()).chain(sub.get_visible_aliases()) {
            found.push(Candidate {
                word: name.to_owned(),
                about: about.clone(),
            });
        }
    }
    found.sort_by(|a, b| a.word.cmp(&b.word));
    found
}

fn option_candidates(command: &Command) -> Vec<Candidate> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let named = shown.filter_map(|arg| {
        let name = match (arg.get_long(), arg.get_short()) {
            (Some(long), _) => format!("--{long}"),
            (None, Some(short)) => format!("-{short}"),
            (None, None) => return None,
        };
        Some(Candidate {
            word: name,
            about: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        })
    });
    let short = Candidate {
        word: "-g".to_owned(),
        about: String::new(),
    };
    let has_set = command
        .get_arguments()
        .any(|arg| arg.get_short() == Some('g') && !arg.is_hide_set());
    named.chain(has_set.then_some(short)).collect()
}

/// Whether a shell takes the word as it is: names from a server must not become commands.
fn is_plain(word: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.-@*,!&^[]/=:".contains(c);
    word.chars().all(is_plain)
}

/// The candidates for a shell's script: a line each, with a description behind a tab.
pub(crate) fn shell_lines(candidates: &[Candidate], shell: &str) -> String {
    let mut lines = String::new();
    for candidate in candidates {
        lines.push_str(&candidate.word);
        let about = candidate.about.lines().next().unwrap_or_default();
        let about: String = about.chars().filter(|c| !c.is_control()).collect();
        if shell != "bash" && !about.is_empty() {
            lines.push('\t');
            lines.push_str(&about);
        }
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
#[path = "complete_tests.rs"]
mod tests;
