//! Reading the nodes file: what it defines, and everything that is wrong with it.

use std::{collections::HashMap, path::Path};

use super::{
    names::{bad_script_variable, is_label, is_node_name},
    node::Node,
};
use crate::yaml::{self, Fault, Step, Yaml};

/// What a nodes file says, before it is joined with what was known.
#[derive(Debug, Default)]
pub struct NodesFile {
    pub(super) entries: Vec<Entry>,
    /// Each group with its node set.
    pub(super) groups: Vec<(String, String)>,
}

/// A node as the file's order has it.
#[derive(Debug)]
pub(super) struct Entry {
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
    let entries = match tree {
        Yaml::Map(entries) => entries,
        Yaml::Null => {
            let fault = Fault::error(
                path,
                1,
                "no nodes are defined: write `node01: {}` for a start",
            );
            return Err(fault);
        }
        other => {
            let reason = format!(
                "expected a map from node name to metadata, found {}",
                other.kind()
            );
            return Err(Fault::error(path, 1, reason));
        }
    };
    let mut reader = Reader {
        path,
        lines: yaml::Lines::new(text),
        faults: Vec::new(),
        errors: 0,
    };
    let mut file = NodesFile::default();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (name, value) in entries {
        let nth = seen
            .entry(name.clone())
            .and_modify(|count| *count += 1)
            .or_insert(0);
        let nth = *nth;
        match name.as_str() {
            "__meta__" => {}
            "__groups__" => file.groups = reader.groups(value),
            _ if nth > 0 => {
                let reason =
                    format!("{name} is defined twice; it is left out until one is taken away");
                reader.fault(&[Step::Nth(&name, nth)], reason);
                if let Some(entry) = file.entries.iter_mut().find(|entry| entry.name == name) {
                    entry.node = None;
                }
            }
            _ => {
                let faults = reader.errors;
                let node = reader.node(&name, value);
                let faulty = reader.errors > faults;
                file.entries.push(Entry { name, node, faulty });
            }
        }
    }
    Ok((file, reader.faults))
}

/// Reads entries and gathers what is wrong with them.
struct Reader<'a> {
    path: &'a Path,
    lines: yaml::Lines<'a>,
    faults: Vec<Fault>,
    errors: usize,
}

impl Reader<'_> {
    fn fault(&mut self, place: &[Step<'_>], reason: String) {
        self.errors += 1;
        self.faults
            .push(Fault::error(self.path, self.lines.line_of(place), reason));
    }

    fn warning(&mut self, place: &[Step<'_>], reason: String) {
        self.faults
            .push(Fault::warning(self.path, self.lines.line_of(place), reason));
    }

    fn groups(&mut self, value: Yaml) -> Vec<(String, String)> {
        let Yaml::Map(entries) = value else {
            let reason = format!(
                "expected a map from group to node set, found {}",
                value.kind()
            );
            self.fault(&[Step::Key("__groups__")], reason);
            return Vec::new();
        };
        let mut groups: Vec<(String, String)> = Vec::new();
        for (name, set) in entries {
            let place = [Step::Key("__groups__"), Step::Key(&name)];
            if !is_label(&name) {
                self.fault(&place, format!("{name:?} cannot be the name of a group"));
            } else if groups.iter().any(|(known, _)| *known == name) {
                self.fault(
                    &place,
                    format!("group {name} is defined twice; the first stands"),
                );
            } else {
                let set = match set {
                    Yaml::Scalar(set) => set,
                    Yaml::List(sets) => {
                        sets.iter().map(Yaml::to_text).collect::<Vec<_>>().join(",")
                    }
                    other => {
                        self.fault(
                            &place,
                            format!("expected a node set, found {}", other.kind()),
                        );
                        continue;
                    }
                };
                groups.push((name, set));
            }
        }
        groups
    }

    fn node(&mut self, name: &str, value: Yaml) -> Option<Node> {
        let place = [Step::Key(name)];
        if !is_node_name(name) {
            let reason = format!(
                "{name:?} cannot be the name of a node: letters, digits, and _ . - after the first, at most 64"
            );
            self.fault(&place, reason);
            return None;
        }
        let entries = match value {
            Yaml::Map(entries) => entries,
            Yaml::Null => Vec::new(),
            other => {
                let reason = format!(
                    "expected the metadata of {name} as a map, found {}",
                    other.kind()
                );
                self.fault(&place, reason);
                return None;
            }
        };
        let mut node = Node {
            name: name.to_owned(),
            ranks: Vec::new(),
            metadata: Vec::new(),
            secret_keys: Vec::new(),
        };
        for (key, value) in entries {
            match key.as_str() {
                // With a rank left out another platform's script would run: the node is left out.
                "ranks" => node.ranks = self.ranks(name, value)?,
                "__secret__" => self.secrets(&mut node, value),
                _ => {
                    let place = [Step::Key(name), Step::Key(&key)];
                    if is_secret_key(&key) {
                        let reason = format!(
                            "{name}: {key} is kept secret by its name; write it under __secret__"
                        );
                        self.warning(&place, reason);
                        node.secret_keys.push(key.clone());
                    }
                    self.metadata(&mut node, &place, &key, &value);
                }
            }
        }
        Some(node)
    }

    fn ranks(&mut self, name: &str, value: Yaml) -> Option<Vec<String>> {
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
                    self.fault(
                        &place,
                        format!("{name}: {:?} cannot be a rank", other.to_text()),
                    );
                    return None;
                }
            }
        }
        Some(ranks)
    }

    fn secrets(&mut self, node: &mut Node, value: Yaml) {
        let name = node.name.clone();
        let Yaml::Map(entries) = value else {
            let place = [Step::Key(&name), Step::Key("__secret__")];
            self.fault(
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
            self.metadata(node, &place, &key, &value);
        }
    }

    fn metadata(&mut self, node: &mut Node, place: &[Step<'_>], key: &str, value: &Yaml) {
        let text = value.to_text();
        if let Some(reason) = bad_script_variable(key, &text) {
            self.fault(place, format!("{}: {reason}", node.name));
        } else if node.metadata.iter().any(|(known, _)| known == key) {
            self.fault(
                place,
                format!("{}: {key} is given twice; the first stands", node.name),
            );
        } else {
            node.metadata.push((key.to_owned(), text));
        }
    }
}

/// True for keys that are kept secret wherever they stand (spec section 7).
fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "secret", "token"]
        .iter()
        .any(|ending| key.ends_with(ending))
}
