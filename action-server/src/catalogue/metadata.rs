//! Reading `metadata.yaml` and a command's listing into a [`Command`], with the place of what is
//! wrong.

use std::{collections::BTreeMap, time::Duration};

use action_proto::input::shown_name;

use super::{
    Confirmation,
    command::{Command, DEFAULT_RANK, Listing, Verify},
};
use crate::yaml::{self, Fault, Step, Yaml};

mod reader;
mod values;

use reader::Reader;
use values::{one_line, parse_bool, parse_count, parse_size, parse_timeout};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);
const DEFAULT_FANOUT: u32 = 64;
const DEFAULT_EVERY: Duration = Duration::from_secs(5);
const DEFAULT_VERIFY_TIMEOUT: Duration = Duration::from_secs(300);

/// Reads a command from its metadata's text and its directory's listing.
///
/// The faults include those that do not stop the command. `None` when it cannot be run:
/// one of the faults is an error then.
pub fn read_command(name: &str, text: &str, listing: Listing) -> (Option<Command>, Vec<Fault>) {
    let path = listing.directory.join("metadata.yaml");
    let mut reader = Reader {
        path: &path,
        text,
        faults: Vec::new(),
    };
    let command = reader.command(name);
    let mut faults = reader.faults;
    let command = command.filter(|_| !faults.iter().any(Fault::is_error));
    for script in &listing.nameless {
        let reason = "no rank can have this name: letters, digits and _ . - after the first, at most 64; it is not run";
        faults.push(Fault::warning(script, 1, reason));
    }
    for (rank, fault) in &listing.unusable {
        let in_rank = |reason: &str| {
            let rank = shown_name(rank);
            format!("the script of rank {rank} is not usable: {reason}")
        };
        faults.push(Fault {
            reason: in_rank(&fault.reason),
            brief: Some(in_rank(fault.brief())),
            ..fault.clone()
        });
    }
    if !listing.scripts.contains_key(DEFAULT_RANK) {
        if !listing.unusable.contains_key(DEFAULT_RANK) {
            let reason = "there is no default.sh: every command needs one";
            faults.push(Fault::error(&listing.directory, 1, reason));
        }
        return (None, faults);
    }
    let command = command.map(|command| Command {
        scripts: listing.scripts,
        unusable: listing
            .unusable
            .into_iter()
            .map(|(rank, fault)| (rank, fault.brief().to_owned()))
            .collect(),
        ..command
    });
    (command, faults)
}

impl Reader<'_> {
    fn command(&mut self, name: &str) -> Option<Command> {
        let entries = match yaml::parse(self.text) {
            Ok(Yaml::Map(entries)) => entries,
            Ok(other) => {
                let reason = format!(
                    "expected a map with `help: {{summary: ..}}`, found {}",
                    other.kind()
                );
                self.error(&[], reason);
                return None;
            }
            Err((line, reason)) => {
                self.faults.push(Fault::error(self.path, line, reason));
                return None;
            }
        };
        let mut command = Command {
            name: name.to_owned(),
            summary: String::new(),
            description: String::new(),
            syntax: String::new(),
            has_context: true,
            confirmation: None,
            timeout: DEFAULT_TIMEOUT,
            fanout: DEFAULT_FANOUT,
            output_limit: None,
            exit_codes: BTreeMap::new(),
            leave_running: false,
            verify: None,
            wait: false,
            scripts: BTreeMap::new(),
            unusable: BTreeMap::new(),
        };
        self.no_duplicates(&entries, &[]);
        for (key, value) in entries {
            self.field(&mut command, &key, &value);
        }
        if command.summary.is_empty() && self.faults.iter().all(|fault| !fault.is_error()) {
            self.error(
                &[Step::Key("help")],
                "help.summary is missing: say in one line what the command does",
            );
        }
        if command.verify.is_some() && !command.has_context {
            let reason = "verify is for commands that take nodes: it checks a node's state";
            self.error(&[Step::Key("verify")], reason);
        }
        let names_nodes = command.confirmation.as_ref().map(Confirmation::names_nodes);
        if names_nodes == Some(true) && !command.has_context {
            let reason = "the command takes no nodes: leave %{nodes} and %{count} out";
            self.error(&[Step::Key("confirmation")], reason);
        }
        if command.wait && command.verify.is_none() {
            let reason = "wait needs verify, which says what to wait for";
            self.error(&[Step::Key("wait")], reason);
        }
        if command.description.is_empty() {
            command.description.clone_from(&command.summary);
        }
        Some(command)
    }

    fn field(&mut self, command: &mut Command, key: &str, value: &Yaml) {
        let place = [Step::Key(key)];
        match key {
            "help" => self.help(command, value),
            "confirmation" => command.confirmation = self.confirmation(&place, value),
            "timeout" => self.parsed(
                &place,
                value,
                "a time such as 90s or 1h",
                parse_timeout,
                |v| command.timeout = v,
            ),
            "fanout" => self.parsed(&place, value, "a number from 1", parse_count, |v| {
                command.fanout = v;
            }),
            "output_limit" => {
                let expected = "a size such as 64MiB, or none";
                self.parsed(&place, value, expected, parse_size, |v| {
                    command.output_limit = Some(v);
                });
            }
            "exit_codes" => self.exit_codes(command, value),
            "verify" => self.verify(command, value),
            "wait" => self.parsed(&place, value, "true or false", parse_bool, |v| {
                command.wait = v;
            }),
            "leave_running" => self.parsed(&place, value, "true or false", parse_bool, |v| {
                command.leave_running = v;
            }),
            _ => self.unknown(&place, key),
        }
    }

    fn confirmation(&mut self, place: &[Step<'_>], value: &Yaml) -> Option<Confirmation> {
        let text = self.text(place, "confirmation", value)?;
        Confirmation::parse(&text)
            .inspect_err(|error| self.error(place, error.to_string()))
            .ok()
    }

    fn help(&mut self, command: &mut Command, value: &Yaml) {
        let Yaml::Map(entries) = value else {
            self.error(
                &[Step::Key("help")],
                format!("expected help as a map, found {}", value.kind()),
            );
            return;
        };
        self.no_duplicates(entries, &[Step::Key("help")]);
        for (key, value) in entries {
            let place = [Step::Key("help"), Step::Key(key)];
            match key.as_str() {
                "summary" => {
                    command.summary = one_line(&self.text(&place, key, value).unwrap_or_default());
                }
                "description" => {
                    let text = self.text(&place, key, value).unwrap_or_default();
                    text.trim_end().clone_into(&mut command.description);
                }
                "syntax" => {
                    command.syntax = one_line(&self.text(&place, key, value).unwrap_or_default());
                }
                "has_context" => {
                    self.parsed(&place, value, "true or false", parse_bool, |v| {
                        command.has_context = v;
                    });
                }
                _ => self.unknown(&place, key),
            }
        }
    }

    fn exit_codes(&mut self, command: &mut Command, value: &Yaml) {
        let Yaml::Map(entries) = value else {
            let reason = format!(
                "expected exit_codes as a map from code to `{{state: NAME}}`, found {}",
                value.kind()
            );
            self.error(&[Step::Key("exit_codes")], reason);
            return;
        };
        for (at, (code, answer)) in entries.iter().enumerate() {
            let same = entries[..at].iter().filter(|(known, _)| known == code);
            let place = [Step::Key("exit_codes"), Step::Nth(code, same.count())];
            let state = match answer {
                Yaml::Map(fields) => match fields.as_slice() {
                    [(key, Yaml::Scalar(state))] if key == "state" => Some(state),
                    _ => None,
                },
                _ => None,
            };
            match (code.parse::<i32>(), state) {
                // By its number: 7 and 07 are one code.
                (Ok(code @ 1..=255), Some(state)) => {
                    if command.exit_codes.insert(code, state.clone()).is_some() {
                        self.error(&place, format!("the exit code {code} is given twice"));
                    }
                }
                _ => self.error(&place, "expected a code from 1 to 255 with `{state: NAME}`"),
            }
        }
    }

    fn verify(&mut self, command: &mut Command, value: &Yaml) {
        let Yaml::Map(entries) = value else {
            let reason = "expected verify as a map, such as {command: power-status, until: [ON]}";
            self.error(&[Step::Key("verify")], reason);
            return;
        };
        self.no_duplicates(entries, &[Step::Key("verify")]);
        let mut verify = Verify {
            command: String::new(),
            until: Vec::new(),
            every: DEFAULT_EVERY,
            timeout: DEFAULT_VERIFY_TIMEOUT,
        };
        for (key, value) in entries {
            let place = [Step::Key("verify"), Step::Key(key)];
            let time = "a time such as 90s or 1h";
            match key.as_str() {
                "command" => verify.command = self.text(&place, key, value).unwrap_or_default(),
                "until" => verify.until = self.states(&place, value),
                "every" => self.parsed(&place, value, time, parse_timeout, |v| verify.every = v),
                "timeout" => {
                    self.parsed(&place, value, time, parse_timeout, |v| verify.timeout = v);
                }
                _ => self.unknown(&place, key),
            }
        }
        if verify.command.is_empty() || verify.until.is_empty() {
            let reason = "verify needs a command, and the states to wait for as `until: [ON]`";
            self.error(&[Step::Key("verify")], reason);
        }
        command.verify = Some(verify);
    }

    fn states(&mut self, place: &[Step<'_>], value: &Yaml) -> Vec<String> {
        let states = match value {
            Yaml::List(items) => items.iter(),
            other => std::slice::from_ref(other).iter(),
        };
        let mut texts = Vec::new();
        for state in states {
            match state {
                // A state is what the command prints: one word.
                Yaml::Scalar(text) if text.split_whitespace().count() == 1 => {
                    texts.push(text.clone());
                }
                _ => self.error(place, "expected states, each one word, such as [ON]"),
            }
        }
        texts
    }
}

#[cfg(test)]
mod tests;
