//! Owns where options of ours may stand: anywhere on the line of a server's command, up to `--`.
//! An option that is left to the script because it stands last would silently do the wrong thing.

use std::ffi::{OsStr, OsString};

use clap::Command;

use crate::cli::entry::Entry;
use crate::cli::{grammar, parse};

/// The command line with our long options right behind the command. Short ones and unknown ones stay
/// where they are: behind the node they may be the script's own.
pub(crate) fn hoisted(entry: &Entry, args: &[OsString]) -> Vec<OsString> {
    let root = grammar::open(grammar::root(entry));
    let lenient = root
        .clone()
        .ignore_errors(true)
        .disable_help_flag(true)
        .try_get_matches_from(args);
    let shown = lenient
        .ok()
        .and_then(|matches| parse::external(&root, &matches));
    let at = shown.and_then(|(shown, _)| args.iter().position(|word| *word == *OsStr::new(&shown)));
    let Some(at) = at else { return args.to_vec() };

    let (before, behind) = args.split_at(at + 1);
    let mut ours = Vec::new();
    let mut rest = Vec::new();
    let mut words = behind.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            rest.push(word.clone());
            rest.extend(words.cloned());
            break;
        }
        match option(&root, word) {
            Some(takes_next) => {
                ours.push(word.clone());
                if takes_next {
                    ours.extend(words.next().cloned());
                }
            }
            None => rest.push(word.clone()),
        }
    }
    before.iter().cloned().chain(ours).chain(rest).collect()
}

/// Whether a word is a long option of ours, and then whether its value is the next word.
fn option(root: &Command, word: &OsStr) -> Option<bool> {
    let word = word.to_str()?.strip_prefix("--")?;
    let (name, has_value) = word
        .split_once('=')
        .map_or((word, false), |(name, _)| (name, true));
    let option = root
        .get_arguments()
        .find(|option| option.get_long() == Some(name))?;
    Some(option.get_action().takes_values() && !has_value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    fn hoisted_text(text: &str) -> String {
        let args: Vec<OsString> = text.split(' ').map(OsString::from).collect();
        let entry = Entry::detect(&args[0], &Environment::default()).unwrap();
        let words = hoisted(&entry, &args);
        words
            .iter()
            .map(|word| word.to_str().unwrap())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn our_options_count_wherever_they_stand() {
        for (line, expected) in [
            (
                "action-client change n1 small --confirm",
                "action-client change --confirm n1 small",
            ),
            (
                "action-client run change n1 small --dry-run",
                "action-client run change --dry-run n1 small",
            ),
            (
                "action-client change n1 small --timeout 5s x",
                "action-client change --timeout 5s n1 small x",
            ),
            (
                "action-client change -g n1 small --timeout=5s",
                "action-client change --timeout=5s -g n1 small",
            ),
            ("power off n1 --confirm", "power off --confirm n1"),
            // What is not ours, or stands behind --, is the script's.
            (
                "action-client change n1 -v --force -- --confirm",
                "action-client change n1 -v --force -- --confirm",
            ),
            // Verbs read their own options.
            ("action-client nodes --long", "action-client nodes --long"),
            (
                "action-client cancel abc --force",
                "action-client cancel abc --force",
            ),
        ] {
            assert_eq!(hoisted_text(line), expected);
        }
    }
}
