//! The nodes and groups in use as a text, for a server that is started again. It is a nodes file
//! in JSON, which is YAML: every scalar is a quoted text, and what is broken now is listed under
//! [`BROKEN`].

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::ser::{CompactFormatter, Formatter};

use super::{
    Nodes,
    groups::Group,
    node::Node,
    nodes_file::{GroupEntry, NodesFile, read_entries},
};
use crate::yaml::{self, Fault, Yaml};

/// The key of the nodes and groups whose current definition is broken.
const BROKEN: &str = "__broken__";

/// Writes nodes and groups as they are in use, with the last good definition of what is broken.
pub fn write_accepted(nodes: &Nodes) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, YamlStrings);
    let mut map = serializer.serialize_map(None)?;
    let definition = |group: &Group| group.definition.clone();
    let groups = nodes.groups.iter();
    let groups = groups.filter_map(|(name, group)| Some((name, definition(group)?)));
    map.serialize_entry("__groups__", &groups.collect::<BTreeMap<_, _>>())?;
    map.serialize_entry(BROKEN, &Broken::of(nodes))?;
    for node in nodes.list() {
        map.serialize_entry(&node.name, &Definition(node))?;
    }
    map.end()?;
    text.push(b'\n');
    Ok(text)
}

/// Reads what [`write_accepted`] wrote.
///
/// # Errors
/// The text is damaged. What is wrong with a single entry is a fault, and the entry is left out.
pub fn read_accepted(path: &Path, text: &str) -> Result<(NodesFile, Vec<Fault>), Fault> {
    let damaged = |line, reason| Fault::error(path, line, reason);
    let entries = match yaml::parse(text) {
        Ok(Yaml::Map(entries)) => entries,
        Ok(other) => {
            return Err(damaged(
                1,
                format!("expected a map, found {}", other.kind()),
            ));
        }
        Err((line, reason)) => return Err(damaged(line, reason)),
    };
    let (broken, entries): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|(name, _)| name == BROKEN);
    let (mut file, faults) = read_entries(path, text, entries);
    let broken = broken.into_iter().next().map(|(_, value)| value);
    let broken = Broken::read(broken)
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
struct Broken {
    groups: BTreeMap<String, String>,
    nodes: BTreeSet<String>,
}

impl Broken {
    fn of(nodes: &Nodes) -> Broken {
        let groups = nodes.groups.iter();
        let broken = groups.filter_map(|(name, group)| {
            let reason = group.broken()?;
            Some((name.clone(), reason.to_owned()))
        });
        Broken {
            groups: broken.collect(),
            nodes: nodes.broken_names().map(str::to_owned).collect(),
        }
    }

    fn read(value: Option<Yaml>) -> Option<Broken> {
        let mut broken = Broken::default();
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
struct Definition<'a>(&'a Node);

impl Serialize for Definition<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Definition(node) = self;
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
            map.serialize_entry("__secret__", &Entries(&secret))?;
        }
        map.end()
    }
}

/// A map in the order that is given.
struct Entries<'a>(&'a [&'a (String, String)]);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// Compact JSON whose texts are texts of YAML as well: characters that YAML takes for line ends, or
/// refuses, are escaped.
struct YamlStrings;

impl Formatter for YamlStrings {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| must_escape(*c)) {
            CompactFormatter.write_string_fragment(writer, &rest[..at])?;
            write!(writer, "\\u{:04x}", u32::from(c))?;
            rest = &rest[at + c.len_utf8()..];
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

/// YAML 1.2, section 5.1: all of these are below U+10000, and four digits are enough.
fn must_escape(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

#[cfg(test)]
mod tests;
