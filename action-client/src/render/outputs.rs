//! The outputs of a run's nodes, each distinct one once, within a bound.

use crate::render::tally::Tally;
use action_proto::v1::{
    NodeFinished, NodeOutput, Outcome, OutputStream, RunEvent, run_event::Event,
};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::rc::Rc;

/// The most bytes that are kept at once: of nodes that run, and of distinct outputs.
const LIMIT: usize = 256 << 20;

#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct KeptOutput {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// Bytes that there was no room for. An output that has any equals no other.
    pub(crate) missing: u64,
}

impl KeptOutput {
    fn len(&self) -> usize {
        self.stdout.len() + self.stderr.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0 && self.missing == 0
    }
}

pub(crate) struct OutputGroups {
    limit: usize,
    used: usize,
    /// Of nodes that have not ended.
    open: HashMap<String, KeptOutput>,
    distinct: Vec<Rc<KeptOutput>>,
    places: HashMap<Rc<KeptOutput>, usize>,
    of_nodes: HashMap<String, usize>,
}

/// Nodes that have the same to show.
#[derive(Debug)]
pub(crate) struct OutputGroup<'a> {
    /// In the order of the plan.
    pub(crate) nodes: Vec<&'a str>,
    /// Their outcome.
    pub(crate) label: &'static str,
    /// The reason for it; empty for none.
    pub(crate) reason: String,
    /// The output of each.
    pub(crate) output: Rc<KeptOutput>,
}

impl Default for OutputGroups {
    fn default() -> Self {
        Self::with_limit(LIMIT)
    }
}

impl OutputGroups {
    fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            used: 0,
            open: HashMap::new(),
            distinct: Vec::new(),
            places: HashMap::new(),
            of_nodes: HashMap::new(),
        }
    }

    pub(crate) fn take_event(&mut self, event: &RunEvent) {
        match &event.event {
            Some(Event::NodeOutput(chunk)) => self.keep_chunk(chunk),
            Some(Event::NodeFinished(finished)) => self.close_node(&finished.node),
            _ => {}
        }
    }

    fn keep_chunk(&mut self, chunk: &NodeOutput) {
        if !self.open.contains_key(&chunk.node) {
            self.open.insert(chunk.node.clone(), KeptOutput::default());
        }
        let Some(kept) = self.open.get_mut(&chunk.node) else {
            return;
        };
        let into = match chunk.stream() {
            OutputStream::Stdout => &mut kept.stdout,
            OutputStream::Stderr => &mut kept.stderr,
            OutputStream::Unspecified => return,
        };
        let room = self.limit.saturating_sub(self.used);
        // After a gap nothing more is kept: it would look like one text.
        let take = if kept.missing > 0 {
            0
        } else {
            chunk.data.len().min(room)
        };
        into.extend_from_slice(&chunk.data[..take]);
        self.used += take;
        kept.missing += u64::try_from(chunk.data.len() - take).unwrap_or(u64::MAX);
    }

    fn close_node(&mut self, node: &str) {
        let kept = self.open.remove(node).unwrap_or_default();
        let len = kept.len();
        let place = if kept.missing > 0 {
            self.distinct.push(Rc::new(kept));
            self.distinct.len() - 1
        } else {
            let kept = Rc::new(kept);
            match self.places.entry(kept.clone()) {
                Entry::Occupied(place) => {
                    self.used -= len;
                    *place.get()
                }
                Entry::Vacant(place) => {
                    self.distinct.push(kept);
                    *place.insert(self.distinct.len() - 1)
                }
            }
        };
        self.of_nodes.insert(node.to_owned(), place);
    }

    /// Ends the outputs of all nodes, where the stream ended before they did.
    pub(crate) fn close_all(&mut self, tally: &Tally) {
        for node in tally.nodes() {
            if !self.of_nodes.contains_key(node) {
                self.close_node(node);
            }
        }
    }

    /// Nodes of equal output, outcome and reason: the best outcome first, then by number.
    pub(crate) fn groups<'a>(&self, tally: &'a Tally) -> Vec<OutputGroup<'a>> {
        let index = |node| self.of_nodes.get(node);
        let keyed = tally.nodes().iter();
        let keyed = keyed.filter_map(|node| Some((node, (tally.node_status(node), *index(node)?))));
        let mut groups = group_nodes(keyed);
        // Stable, so that the plan decides between groups of one size.
        groups.sort_by_key(|(((rank, ..), _), nodes)| (*rank, Reverse(nodes.len())));
        let group = |(((_, label, reason), index), nodes): ((_, usize), _)| OutputGroup {
            nodes,
            label,
            reason,
            output: self.distinct[index].clone(),
        };
        groups.into_iter().map(group).collect()
    }

    /// Nodes of equal output, the largest group first, of those that were run.
    pub(crate) fn by_output<'a>(&self, tally: &'a Tally) -> Vec<(Vec<&'a str>, Rc<KeptOutput>)> {
        let was_run =
            |job: &NodeFinished| job.outcome() != Outcome::NotStarted && job.duration.is_some();
        let keyed = tally.nodes().iter().filter_map(|node| {
            let index = *self.of_nodes.get(node)?;
            let has_output = !self.distinct[index].is_empty();
            let is_wanted = has_output || tally.finished(node).is_some_and(was_run);
            is_wanted.then_some((node, index))
        });
        let mut groups = group_nodes(keyed);
        groups.sort_by_key(|(_, nodes)| Reverse(nodes.len()));
        let with_output = |(index, nodes): (usize, _)| (nodes, self.distinct[index].clone());
        groups.into_iter().map(with_output).collect()
    }
}

/// Nodes of equal keys, in the order of the first of each.
fn group_nodes<'a, K: Clone + Eq + Hash>(
    keyed: impl Iterator<Item = (&'a String, K)>,
) -> Vec<(K, Vec<&'a str>)> {
    let mut places = HashMap::new();
    let mut groups: Vec<(K, Vec<&str>)> = Vec::new();
    for (node, key) in keyed {
        let place = *places.entry(key.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push((key, Vec::new()));
        }
        groups[place].1.push(node);
    }
    groups
}

#[cfg(test)]
#[path = "outputs_tests.rs"]
mod tests;
