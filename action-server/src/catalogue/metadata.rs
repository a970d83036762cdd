//! The keys of `metadata.yaml` in one definition, and reading them with a command's listing into a
//! [`Command`].

use std::path::Path;

use action_proto::input::shown_name;

use super::{
    Confirmation,
    command::{Command, DEFAULT_RANK, ScriptListing, UnusableRank},
};
use crate::{
    keys::{KeyFault, KeyForm, KeyReader, Optional, PlainText, Switch, keys},
    yaml::{self, Fault, Yaml},
};

mod values;

use values::{
    ConfirmationText, ExitCodes, JobLimit, OneLine, OutputLimit, PositiveTime, SomeLine, StateNames,
};

keys! {
    /// What `metadata.yaml` has of a command.
    #[derive(Default)]
    pub struct CommandMetadata {
        [""]
        /// what `action-client help` has of the command
        help: HelpKeys = Default("{}"), "{summary: Show the state}";
        /// the question to ask before a run. `%{nodes}` becomes the node set, with the number of nodes where
        /// `%{count}` does not have it, and `%{arguments}` the arguments. Scope that the text does not name
        /// stands on lines before it
        confirmation: Optional<ConfirmationText> = Absent("none"), "Power off %{nodes}?";
        /// the longest for one job. Callers may lower it
        timeout: PositiveTime = Default("1h"), "10m";
        /// the most jobs of one run at once. Callers may lower it
        fanout: JobLimit = Default("64"), "8";
        /// the most output of one job that is kept. What is more is read, counted and dropped
        output_limit: Optional<OutputLimit> = Absent("`limits.output_per_job`"), "1MiB";
        /// codes that are an answer and no failure, each with its state
        exit_codes: ExitCodes = Default("{}"), "{123: {state: \"OFF\"}}";
        /// when the script ends by itself, leave alone what outlives it, such as a daemon that it started
        leave_running: Switch = Default("false"), "true";
        /// how to see that a node has come where the command sends it, see
        /// [Waiting for a state](commands.md#waiting-for-a-state)
        verify: Optional<StateCheck> = Absent("none"), "{command: power-status, until: [ON]}";
        /// wait for that also when a caller does not ask for it
        wait: Switch = Default("false"), "true";
    }
}

keys! {
    /// What callers read about a command.
    #[derive(Default)]
    pub struct HelpKeys {
        [""]
        /// one line
        summary: SomeLine = Required("say in one line what the command does"), "Show the state";
        /// for the command's help
        description: Optional<PlainText> = Absent("the summary"), "Shows the state.";
        /// the arguments. The client refuses to run without those that are not in brackets. `NAME`, in the
        /// first place, is the node
        syntax: Optional<OneLine> = Absent("empty"), "\"NAME TYPE [SIZE]\"";
        /// `false`: the command takes no nodes and runs once, with `default`
        has_context: Switch = Default("true"), "false";
    }
}

keys! {
    /// How to check the result of a command: another one that prints a node's state.
    pub struct StateCheck {
        [""]
        /// the command whose script prints the node's state
        command: SomeLine = Required("name the command that prints the node's state"), "power-status";
        /// the states to wait for, one of which is enough
        until: StateNames = Required("name the states to wait for, such as [ON]"), "[ON]";
        /// from the end of one look to the next
        every: PositiveTime = Default("5s"), "2s";
        /// how long the state may take, after the script has ended
        timeout: PositiveTime = Default("5m"), "1m";
    }
}

/// Reads a command from its metadata's text and its directory's listing.
///
/// The faults include those that do not stop the command. `None` when it cannot be run:
/// one of the faults is an error then.
pub fn read_command(
    name: &str,
    text: &str,
    listing: ScriptListing,
) -> (Option<Command>, Vec<Fault>) {
    let path = listing.directory.join("metadata.yaml");
    let (metadata, mut faults) = read_metadata(&path, text);
    let metadata = metadata.filter(|_| !faults.iter().any(Fault::is_error));
    for script in &listing.nameless {
        let reason = "no rank can have this name: letters, digits and _ . - after the first, at most 64; it is not run";
        faults.push(Fault::warning(script, 1, reason));
    }
    for (rank, fault) in &listing.unusable {
        let in_rank = |reason: &str| {
            let (rank, reason) = (shown_name(rank), reason.to_owned());
            UnusableRank { rank, reason }.to_string()
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
    let unusable = listing.unusable.into_iter();
    let unusable = unusable.map(|(rank, fault)| (rank, fault.brief().to_owned()));
    let command = metadata.map(|metadata| Command {
        name: name.to_owned(),
        metadata,
        scripts: listing.scripts,
        unusable: unusable.collect(),
    });
    (command, faults)
}

/// Reads the text of `metadata.yaml`, with all its faults in the order of their lines.
fn read_metadata(path: &Path, text: &str) -> (Option<CommandMetadata>, Vec<Fault>) {
    let tree = match yaml::parse(text) {
        Ok(tree @ Yaml::Map(_)) => tree,
        Ok(other) => {
            let kind = other.kind();
            let reason = format!("expected a map with `help: {{summary: ..}}`, found {kind}");
            return (None, vec![Fault::error(path, 1, reason)]);
        }
        Err((line, reason)) => return (None, vec![Fault::error(path, line, reason)]),
    };
    let mut reader = KeyReader::new(path, false);
    let metadata = CommandMetadata::read(&tree, &mut reader);
    if let Some(metadata) = &metadata {
        check_together(metadata, &mut reader);
    }
    let faults = reader.faults.iter();
    let mut faults: Vec<Fault> = faults.map(|fault| fault_in(path, text, fault)).collect();
    faults.sort_by_key(|fault| fault.line);
    (metadata, faults)
}

fn fault_in(path: &Path, text: &str, fault: &KeyFault) -> Fault {
    let line = fault.line(text);
    match fault.path.last() {
        Some(key) if !fault.known.is_empty() => {
            let reason = format!("unknown key {}; it has no effect", shown_name(key));
            Fault::warning(path, line, reason)
        }
        _ => Fault::error(path, line, fault.message()),
    }
}

/// Checks what depends on several keys.
fn check_together(metadata: &CommandMetadata, reader: &mut KeyReader<'_>) {
    if reader.is_faulty(&["help", "verify", "confirmation", "wait"]) {
        return;
    }
    let takes_nodes = metadata.help.has_context;
    if metadata.verify.is_some() && !takes_nodes {
        let reason = "verify is for commands that take nodes: it checks a node's state";
        reader.fault_of("verify", 0, reason);
    }
    let confirmation = metadata.confirmation.as_ref();
    if !takes_nodes && confirmation.is_some_and(Confirmation::names_nodes) {
        let reason = "the command takes no nodes: leave %{nodes} and %{count} out";
        reader.fault_of("confirmation", 0, reason);
    }
    if metadata.wait && metadata.verify.is_none() {
        let reason = "wait needs verify, which says what to wait for";
        reader.fault_of("wait", 0, reason);
    }
}

#[cfg(test)]
mod tests;
