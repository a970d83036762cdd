//! The nodes and groups in use as a text, for a server that is started again. It is a nodes file
//! in JSON: every scalar is a text, and what is broken now is listed under [`BROKEN`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};

use super::{
    Nodes,
    node::Node,
    nodes::NodeGroup,
    nodes_file::{GroupEntry, NodesFile, read_entries},
};
use crate::yaml::{Fault, Yaml};

/// The key of the nodes and groups whose current definition is broken.
const BROKEN: &str = "__broken__";

/// Writes nodes and groups as they are in use, with the last good definition of what is broken.
pub fn write_accepted(nodes: &Nodes) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut text);
    let mut map = serializer.serialize_map(None)?;
    let definition = |group: &NodeGroup| group.definition.clone();
    let groups = nodes.groups.iter();
    let groups = groups.filter_map(|(name, group)| Some((name, definition(group)?)));
    map.serialize_entry("__groups__", &groups.collect::<BTreeMap<_, _>>())?;
    map.serialize_entry(BROKEN, &BrokenEntries::of(nodes))?;
    for node in nodes.list() {
        map.serialize_entry(&node.name, &NodeDefinition(node))?;
    }
    map.end()?;
    text.push(b'\n');
    Ok(text)
}

/// Reads what [`write_accepted`] wrote.
///
/// # Errors
/// The text is damaged. What is wrong with a single entry is a fault, and the entry is left out. There are
/// no warnings.
pub fn read_accepted(path: &Path, text: &str) -> Result<(NodesFile, Vec<Fault>), Fault> {
    let damaged = |line, reason| Fault::error(path, line, reason);
    let entries = match serde_json::from_str(text) {
        Ok(JsonTree(Yaml::Map(entries))) => entries,
        Ok(JsonTree(other)) => {
            return Err(damaged(
                1,
                format!("expected a map, found {}", other.kind()),
            ));
        }
        Err(error) => return Err(damaged(error.line(), "it is not JSON".to_owned())),
    };
    let (broken, entries): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|(name, _)| name == BROKEN);
    let (mut file, mut faults) = read_entries(path, text, entries);
    // The nodes file has given the warnings.
    faults.retain(Fault::is_error);
    let broken = broken.into_iter().next().map(|(_, value)| value);
    let broken = BrokenEntries::read(broken)
        .ok_or_else(|| damaged(1, format!("{BROKEN} is not a map of nodes and groups")))?;
    for entry in &mut file.entries {
        entry.faulty |= broken.nodes.contains(&entry.name);
    }
    for (name, reason) in broken.groups {
        let known = file.groups.iter_mut().find(|group| group.name == name);
        match known {
            Some(group) => {
                let last_good = std::mem::replace(&mut group.definition, Err(reason));
                group.last_good = last_good.ok();
            }
            None => file.groups.push(GroupEntry::new(&name, Err(reason))),
        }
    }
    Ok((file, faults))
}

/// The nodes and groups whose current definition is broken, groups with the reason.
#[derive(Debug, Default, Serialize)]
struct BrokenEntries {
    groups: BTreeMap<String, String>,
    nodes: BTreeSet<String>,
}

impl BrokenEntries {
    fn of(nodes: &Nodes) -> BrokenEntries {
        let groups = nodes.groups.iter();
        let broken = groups.filter_map(|(name, group)| {
            let reason = group.broken()?;
            Some((name.clone(), reason.to_owned()))
        });
        BrokenEntries {
            groups: broken.collect(),
            nodes: nodes.broken_names().map(str::to_owned).collect(),
        }
    }

    fn read(value: Option<Yaml>) -> Option<BrokenEntries> {
        let mut broken = BrokenEntries::default();
        let Some(value) = value else {
            return Some(broken);
        };
        let Yaml::Map(entries) = value else {
            return None;
        };
        for (key, value) in entries {
            match (key.as_str(), value) {
                ("groups", Yaml::Map(groups)) => {
                    let texts = groups.into_iter().map(|(name, why)| (name, why.to_text()));
                    broken.groups.extend(texts);
                }
                ("nodes", Yaml::List(names)) => {
                    broken.nodes.extend(names.iter().map(Yaml::to_text));
                }
                _ => return None,
            }
        }
        Some(broken)
    }
}

/// A node's definition, with every secret under `__secret__`.
struct NodeDefinition<'a>(&'a Node);

impl Serialize for NodeDefinition<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let NodeDefinition(node) = self;
        let (secret, shown): (Vec<_>, Vec<_>) = node
            .metadata
            .iter()
            .partition(|(key, _)| node.secret_keys.contains(key));
        let mut map = serializer.serialize_map(None)?;
        if !node.ranks.is_empty() {
            map.serialize_entry("ranks", &node.ranks)?;
        }
        for (key, value) in shown {
            map.serialize_entry(key, value)?;
        }
        if !secret.is_empty() {
            map.serialize_entry("__secret__", &OrderedEntries(&secret))?;
        }
        map.end()
    }
}

/// A map in the order that is given.
struct OrderedEntries<'a>(&'a [&'a (String, String)]);

impl Serialize for OrderedEntries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// JSON as the tree that the reader of nodes files takes. It is read as JSON, not as YAML: that is
/// faster by far, and takes any text.
struct JsonTree(Yaml);

impl<'de> Deserialize<'de> for JsonTree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<JsonTree, D::Error> {
        deserializer.deserialize_any(JsonVisitor).map(JsonTree)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list or a map")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(text.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Yaml, A::Error> {
        let mut list = Vec::new();
        while let Some(JsonTree(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Yaml::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Yaml, A::Error> {
        let mut map = Vec::new();
        while let Some((key, JsonTree(value))) = entries.next_entry()? {
            map.push((key, value));
        }
        Ok(Yaml::Map(map))
    }
}

#[cfg(test)]
mod tests;
