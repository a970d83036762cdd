//! Owns where options of ours may stand: anywhere on the line of a server's command, up to `--`.
//! An option that is left to the script because it stands last would silently do the wrong thing.
//!
//! On the way it checks each option's value, in the order that was written: an option that takes a node
//! for its value, or loses it, runs the command on other nodes than those of the line.

use crate::cli::entry::Entry;
use crate::cli::grammar;
use crate::cli::misspelt;
use crate::cli::values::{PLAN_SOURCE, empty, is_empty_set};
use crate::commands::suggest;
use crate::error::{CliError, Result};
use action_proto::is_dash;
use clap::{Arg, Command};
use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The id of `--nodes`.
const NODES: &str = "nodes";

/// A command line with our long options in one place.
pub(crate) struct Reordered {
    /// Its words.
    pub(crate) words: Vec<OsString>,
    /// Whether `--nodes` stood behind a word after the command.
    pub(crate) nodes_follow_word: bool,
}

impl Reordered {
    /// A line whose words stay where they are.
    pub(crate) fn as_written(words: &[OsString]) -> Reordered {
        Reordered {
            words: words.to_vec(),
            nodes_follow_word: false,
        }
    }
}

/// The command line with our long options right behind the command. Short ones and unknown ones stay
/// where they are: behind the node they may be the script's own.
///
/// # Errors
/// An option without a value, with an empty one, or given twice; and an abbreviated or misspelt one that
/// would go to the script.
pub(crate) fn reordered(entry: &Entry, args: &[OsString]) -> Result<Reordered> {
    let root = grammar::root(entry);
    let mut line = Line::new(&root);
    let (mut before, mut ours, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    let mut nodes_follow_word = false;
    let mut words = args.iter();
    before.extend(words.next().cloned());
    while let Some(word) = words.next() {
        if word == "--" {
            rest.push(word.clone());
            rest.extend(words.cloned());
            break;
        }
        let given = line.option(word);
        let place = match &given {
            _ if line.own_words.is_none() => &mut before,
            Some(given) if given.name.starts_with("--") => &mut ours,
            _ => &mut rest,
        };
        place.push(word.clone());
        let Some(given) = given else {
            line.pass(word)?;
            continue;
        };
        let is_set = given.option.get_id() == NODES && given.name.starts_with("--");
        nodes_follow_word |= is_set && line.own_words > Some(0);
        if line.check_value(&given, words.as_slice().first())? {
            place.extend(words.next().cloned());
        }
    }
    before.extend(ours);
    before.extend(rest);
    Ok(Reordered {
        words: before,
        nodes_follow_word,
    })
}

/// What is known behind the words of a command line that were read so far.
struct Line<'a> {
    root: &'a Command,
    verb: Option<&'a Command>,
    /// How many words the server's command has, once it is named.
    own_words: Option<usize>,
    /// The options with a value. Of a global one the last counts.
    seen: Vec<&'a str>,
}

/// An option of ours as it was written.
struct Given<'a> {
    option: &'a Arg,
    name: String,
    /// The part of the word that is the value.
    value: Option<String>,
}

impl<'a> Line<'a> {
    fn new(root: &'a Command) -> Line<'a> {
        Line {
            root,
            verb: None,
            own_words: None,
            seen: Vec::new(),
        }
    }

    /// The options that count here.
    fn options(&self) -> impl Iterator<Item = &'a Arg> + use<'a> {
        let global = self.root.get_arguments().filter(|it| it.is_global_set());
        let own = self.verb.unwrap_or(self.root).get_arguments();
        own.chain(global)
    }

    /// The option that a word is, if it is one of ours.
    fn option(&self, word: &OsStr) -> Option<Given<'a>> {
        let word = word.to_str()?;
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let option = self.options().find(|it| {
                let aliases = it.get_all_aliases().unwrap_or_default();
                it.get_long() == Some(name) || aliases.contains(&name)
            })?;
            let name = format!("--{name}");
            return Some(Given {
                option,
                name,
                value,
            });
        }
        let letters = word.strip_prefix('-')?;
        // Behind the script's first word `-g NODES` is ours where it stands last. Other forms are not.
        if self.own_words > Some(0) && letters.len() > 1 {
            return None;
        }
        for (at, letter) in letters.char_indices() {
            let option = self.options().find(|it| it.get_short() == Some(letter))?;
            if option.get_action().takes_values() {
                let rest = &letters[at + letter.len_utf8()..];
                let value = rest.strip_prefix('=').unwrap_or(rest);
                return Some(Given {
                    option,
                    name: format!("-{letter}"),
                    value: (!rest.is_empty()).then(|| value.to_owned()),
                });
            }
        }
        None
    }

    /// Whether an option's value is the next word. Refuses an option whose value is missing.
    fn check_value(&mut self, given: &Given<'a>, next: Option<&OsString>) -> Result<bool> {
        let Given {
            option,
            name,
            value,
        } = given;
        if !option.get_action().takes_values() {
            return Ok(false);
        }
        let next = next.filter(|word| !word.as_encoded_bytes().starts_with(b"-"));
        let Some(text) = value
            .as_deref()
            .map(OsStr::new)
            .or(next.map(OsString::as_os_str))
        else {
            let error = CliError::usage(format!("`{name}` needs a value"));
            // `-g=-value` would be the script's behind its first word.
            let long = option
                .get_long()
                .map_or_else(|| name.clone(), |long| format!("--{long}"));
            let hint = format!("a value that begins with `-` is written `{long}=-value`");
            return Err(match long.as_str() {
                "--plan" => error.hint(PLAN_SOURCE),
                _ => error.hint(hint),
            });
        };
        let id = option.get_id().as_str();
        let may_be_the_script_s = self.own_words > Some(0) && !name.starts_with("--");
        if !may_be_the_script_s {
            check_text(option, name, text)?;
        }
        if !option.is_global_set() && !may_be_the_script_s {
            if self.seen.contains(&id) {
                let error = CliError::usage(format!("{name} is given twice"));
                return Err(match takes_nodes(option) {
                    true => error.hint("several node sets are one, with commas: `a,b`"),
                    false => error,
                });
            }
            self.seen.push(id);
        }
        Ok(value.is_none())
    }

    /// Goes on behind a word that is no option of ours.
    fn pass(&mut self, word: &OsStr) -> Result<()> {
        let text = word.to_str().unwrap_or_default();
        if text.starts_with(is_dash) {
            self.check_misspelling(text)?;
        }
        if text.starts_with('-') {
            return Ok(());
        }
        let is_run = self.verb.is_some_and(|verb| verb.get_name() == "run");
        match &mut self.own_words {
            Some(count) => *count += 1,
            None if is_run => self.own_words = Some(0),
            None if self.verb.is_none() => match self.root.find_subcommand(text) {
                Some(verb) => self.verb = Some(verb),
                None => self.own_words = Some(0),
            },
            None => {}
        }
        Ok(())
    }

    /// Refuses what the script would get and the user most likely meant for us: `--dry` and `--plans` run.
    fn check_misspelling(&self, word: &str) -> Result<()> {
        if self.own_words.is_none() {
            return Ok(());
        }
        let near = misspelt::meant(word, self.options());
        let near: Vec<&str> = near.iter().map(String::as_str).collect();
        match suggest::hint(&near) {
            Some(hint) => {
                let text = format!("unknown option `{}`", misspelt::name(word));
                let script_s = "words for the script that begin with -- stand behind `--`";
                Err(CliError::usage(text).hint(hint).hint(script_s))
            }
            None => Ok(()),
        }
    }
}

fn takes_nodes(option: &Arg) -> bool {
    let names = option.get_value_names();
    names.is_some_and(|names| names == ["NODES"])
}

/// Refuses a value that is empty, or that is not text where text is wanted.
fn check_text(option: &Arg, name: &str, value: &OsStr) -> Result<()> {
    let is_path = option.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    let Some(text) = value.to_str() else {
        return match is_path {
            true => Ok(()),
            false => Err(CliError::usage(format!("the value of {name} is not UTF-8"))),
        };
    };
    match takes_nodes(option) {
        true if is_empty_set(text) => Err(empty(&format!("the node set of {name}"))),
        false if text.trim().is_empty() => {
            let error = empty(&format!("the value of {name}"));
            Err(match name {
                "--plan" => error.hint(PLAN_SOURCE),
                _ => error,
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "reorder_options_tests.rs"]
mod tests;
