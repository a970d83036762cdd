//! Reading the nodes file: what it defines, and everything that is wrong with it.

use std::{collections::HashMap, path::Path};

use action_proto::input::{secret_fault, shown_name};
use thiserror::Error;

use super::{
    names::{bad_script_variable, is_label, is_node_name, is_secret_key, likely_meant},
    node::Node,
};
use crate::yaml::{self, Fault, Step, Yaml};

/// What a nodes file says, before it is joined with what was known.
#[derive(Debug, Default)]
pub struct NodesFile {
    pub(super) entries: Vec<NodeEntry>,
    pub(super) groups: Vec<GroupEntry>,
    /// Why `__groups__` as a whole cannot be read: every group is broken then.
    pub(super) groups_broken: Option<String>,
}

impl NodesFile {
    /// How many nodes the file has, also those whose definition is broken.
    pub fn node_count(&self) -> usize {
        self.entries.len()
    }

    /// Marks a group's definition as broken.
    fn break_group(&mut self, name: &str, reason: &str) {
        if let Some(group) = self.groups.iter_mut().find(|group| group.name == name) {
            group.definition = Err(reason.to_owned());
        }
    }
}

/// A group as the file's order has it.
#[derive(Debug)]
pub(super) struct GroupEntry {
    pub(super) name: String,
    /// Its node set, or why there is none.
    pub(super) definition: Result<String, String>,
    /// The last good definition, where the file itself has it: see `accepted_nodes`.
    pub(super) last_good: Option<String>,
}

impl GroupEntry {
    pub(super) fn new(name: &str, definition: Result<String, String>) -> GroupEntry {
        GroupEntry {
            name: name.to_owned(),
            definition,
            last_good: None,
        }
    }
}

/// A node as the file's order has it.
#[derive(Debug)]
pub(super) struct NodeEntry {
    pub(super) name: String,
    /// `None` where too little of the definition is good.
    pub(super) node: Option<Node>,
    /// True where a part of the definition is broken: a node that was known stays as it was.
    pub(super) faulty: bool,
}

/// Reads a nodes file's text: what it defines, and everything that is wrong with it.
///
/// A broken node or key is left out and named; only text that is no YAML map breaks it all.
pub fn read_nodes(path: &Path, text: &str) -> Result<(NodesFile, Vec<Fault>), Fault> {
    let tree = yaml::parse(text).map_err(|(line, reason)| Fault::error(path, line, reason))?;
    match tree {
        Yaml::Map(entries) => Ok(read_entries(path, text, entries)),
        Yaml::Null => {
            let reason = "no nodes are defined: write `node01: {}` for a start";
            Err(Fault::error(path, 1, reason))
        }
        other => {
            let reason = format!(
                "expected a map from node name to metadata, found {}",
                other.kind()
            );
            Err(Fault::error(path, 1, reason))
        }
    }
}

/// The same for a text that is a map; `entries` is what it has.
pub(super) fn read_entries(
    path: &Path,
    text: &str,
    entries: Vec<(String, Yaml)>,
) -> (NodesFile, Vec<Fault>) {
    let mut reader = NodesReader {
        path,
        lines: yaml::Lines::new(text),
        faults: Vec::new(),
        errors: 0,
    };
    let mut file = NodesFile::default();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (name, value) in entries {
        let nth = *seen
            .entry(name.clone())
            .and_modify(|count| *count += 1)
            .or_insert(0);
        match name.as_str() {
            "__meta__" => {}
            "__groups__" if nth > 0 => {
                let reason =
                    "__groups__ is defined twice; every group is broken until one is taken away";
                reader.add_fault(&[Step::Nth(&name, nth)], reason.to_owned());
                file.groups_broken = Some(reason.to_owned());
            }
            "__groups__" => reader.read_groups(&mut file, value),
            _ if nth > 0 => {
                let reason = format!(
                    "{} is defined twice; neither definition is used until one is taken away",
                    shown_name(&name)
                );
                reader.add_fault(&[Step::Nth(&name, nth)], reason);
                if let Some(entry) = file.entries.iter_mut().find(|entry| entry.name == name) {
                    entry.node = None;
                    entry.faulty = true;
                }
            }
            _ => {
                let faults = reader.errors;
                let node = reader.read_node(&name, value);
                let faulty = reader.errors > faults;
                file.entries.push(NodeEntry { name, node, faulty });
            }
        }
    }
    (file, reader.faults)
}

/// Reads entries and gathers what is wrong with them.
struct NodesReader<'a> {
    path: &'a Path,
    lines: yaml::Lines<'a>,
    faults: Vec<Fault>,
    errors: usize,
}

impl NodesReader<'_> {
    fn add_fault(&mut self, place: &[Step<'_>], reason: String) {
        self.errors += 1;
        self.faults
            .push(Fault::error(self.path, self.lines.line_of(place), reason));
    }

    fn add_warning(&mut self, place: &[Step<'_>], reason: String) {
        self.faults
            .push(Fault::warning(self.path, self.lines.line_of(place), reason));
    }

    fn read_groups(&mut self, file: &mut NodesFile, value: Yaml) {
        let Yaml::Map(entries) = value else {
            let reason = format!(
                "expected __groups__ as a map from group to node set, found {}; every group is broken until then",
                value.kind()
            );
            self.add_fault(&[Step::Key("__groups__")], reason.clone());
            file.groups_broken = Some(reason);
            return;
        };
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (name, set) in entries {
            let place = [Step::Key("__groups__"), Step::Key(&name)];
            if !is_label(&name) {
                self.add_fault(
                    &place,
                    format!("{:?} cannot be the name of a group", shown_name(&name)),
                );
                continue;
            }
            let nth = *seen
                .entry(name.clone())
                .and_modify(|count| *count += 1)
                .or_insert(0);
            if nth > 0 {
                // Which of the two a rule was written for is not known.
                let again = [Step::Key("__groups__"), Step::Nth(&name, nth)];
                let line = self.lines.line_of(&again);
                file.break_group(&name, &format!("it is defined again in line {line}"));
                continue;
            }
            let definition = match set {
                Yaml::Scalar(set) => Ok(set),
                Yaml::List(sets) => join_sets(&sets).map_err(|error| error.to_string()),
                other => Err(format!(
                    "expected a node set, found {}; an empty group is []",
                    other.kind()
                )),
            };
            file.groups.push(GroupEntry::new(&name, definition));
        }
    }

    fn read_node(&mut self, name: &str, value: Yaml) -> Option<Node> {
        let place = [Step::Key(name)];
        if !is_node_name(name) {
            let reason = format!(
                "{:?} cannot be the name of a node: letters, digits, and _ . - after the first, at most 64",
                shown_name(name)
            );
            self.add_fault(&place, reason);
            return None;
        }
        let entries = match value {
            Yaml::Map(entries) => entries,
            Yaml::Null => Vec::new(),
            other => {
                let reason = format!(
                    "expected the metadata of {} as a map, found {}",
                    shown_name(name),
                    other.kind()
                );
                self.add_fault(&place, reason);
                return None;
            }
        };
        let mut node = Node {
            name: name.to_owned(),
            ranks: Vec::new(),
            metadata: Vec::new(),
            secret_keys: Vec::new(),
        };
        if entries.iter().filter(|(key, _)| key == "ranks").count() > 1 {
            let place = [Step::Key(name), Step::Nth("ranks", 1)];
            self.add_fault(&place, format!("{name}: ranks is given twice"));
            return None;
        }
        for (key, value) in entries {
            match key.as_str() {
                // With a rank left out another platform's script would run: the node is left out.
                "ranks" => node.ranks = self.read_ranks(name, value)?,
                "__secret__" => self.read_secrets(&mut node, value),
                _ => {
                    let place = [Step::Key(name), Step::Key(&key)];
                    if let Some(meant) = likely_meant(&key) {
                        let reason = format!(
                            "{name}: {} is metadata like any other; did you mean {meant}?",
                            shown_name(&key)
                        );
                        self.add_warning(&place, reason);
                    }
                    if is_secret_key(&key) {
                        let reason = format!(
                            "{name}: {key} is kept secret by its name; write it under __secret__"
                        );
                        self.add_warning(&place, reason);
                        node.secret_keys.push(key.clone());
                    }
                    self.read_metadata(&mut node, &place, &key, &value);
                }
            }
        }
        Some(node)
    }

    fn read_ranks(&mut self, name: &str, value: Yaml) -> Option<Vec<String>> {
        let items = match value {
            Yaml::Null => Vec::new(),
            Yaml::List(items) => items,
            other => vec![other],
        };
        let mut ranks = Vec::new();
        for item in items {
            match item {
                Yaml::Scalar(rank) if is_label(&rank) => ranks.push(rank),
                other => {
                    let place = [Step::Key(name), Step::Key("ranks")];
                    self.add_fault(
                        &place,
                        format!(
                            "{name}: {:?} cannot be a rank",
                            shown_name(&other.to_text())
                        ),
                    );
                    return None;
                }
            }
        }
        Some(ranks)
    }

    fn read_secrets(&mut self, node: &mut Node, value: Yaml) {
        let name = node.name.clone();
        let Yaml::Map(entries) = value else {
            let place = [Step::Key(&name), Step::Key("__secret__")];
            self.add_fault(
                &place,
                format!(
                    "{name}: expected __secret__ as a map, found {}",
                    value.kind()
                ),
            );
            return;
        };
        for (key, value) in entries {
            let place = [Step::Key(&name), Step::Key("__secret__"), Step::Key(&key)];
            node.secret_keys.push(key.clone());
            self.read_metadata(node, &place, &key, &value);
        }
    }

    fn read_metadata(&mut self, node: &mut Node, place: &[Step<'_>], key: &str, value: &Yaml) {
        let text = value.to_text();
        if let Some(reason) = bad_script_variable(key, &text) {
            self.add_fault(place, format!("{}: {reason}", node.name));
        } else if node.metadata.iter().any(|(known, _)| known == key) {
            self.add_fault(
                place,
                format!("{}: {key} is given twice; the first stands", node.name),
            );
        } else {
            if node.secret_keys.iter().any(|secret| secret == key)
                && let Some(reason) = unmeant_secret(&text)
            {
                self.add_warning(place, format!("{}: the secret {key} {reason}", node.name));
            }
            node.metadata.push((key.to_owned(), text));
        }
    }
}

/// An entry of a list has no node set; from 1.
#[derive(Debug, Error)]
#[error("entry {0} of its list is empty")]
struct EmptyEntry(usize);

/// The node sets of a list as one. An entry that is empty stands where a file was cut off.
fn join_sets(sets: &[Yaml]) -> Result<String, EmptyEntry> {
    let sets: Vec<String> = sets.iter().map(Yaml::to_text).collect();
    match sets.iter().position(|set| set.trim().is_empty()) {
        Some(at) => Err(EmptyEntry(at + 1)),
        None => Ok(sets.join(",")),
    }
}

/// What of a secret value can hardly be meant. The one newline that YAML's `|` leaves is.
fn unmeant_secret(value: &str) -> Option<String> {
    let fault = match value.strip_suffix('\n') {
        Some(whole) if whole.ends_with('\n') => "ends with more than one newline",
        Some(whole) => secret_fault(whole.as_bytes())?,
        None => secret_fault(value.as_bytes())?,
    };
    let bare = yaml::without_mark(value).trim();
    let unmasked = if bare == value.trim_end_matches(['\r', '\n']) {
        ""
    } else {
        ", and output that has the value without it is not masked"
    };
    Some(format!("{fault}: scripts get it with the value{unmasked}"))
}
