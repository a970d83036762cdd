//! What the rules say of many runs to one caller, asked once for all runs that are alike to them.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::Arc,
};

use super::access::{Access, RunAction};
use crate::record::{NodeList, RunSummary};

/// The answers so far.
pub(super) struct Verdicts<'a> {
    access: &'a Access,
    known: HashMap<AlikeRuns, bool>,
    judged_nodes: usize,
}

/// What the answer depends on, of a run. Command and nodes are the same where they are the same
/// allocation: each list is in memory once.
struct AlikeRuns {
    action: RunAction,
    is_own: bool,
    command: Arc<str>,
    nodes: Arc<NodeList>,
}

impl AlikeRuns {
    fn key(&self) -> (RunAction, bool, *const u8, *const NodeList) {
        let (command, nodes) = (self.command.as_ptr(), Arc::as_ptr(&self.nodes));
        (self.action, self.is_own, command, nodes)
    }
}

impl PartialEq for AlikeRuns {
    fn eq(&self, other: &AlikeRuns) -> bool {
        self.key() == other.key()
    }
}

impl Eq for AlikeRuns {}

impl Hash for AlikeRuns {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl<'a> Verdicts<'a> {
    /// None yet, for one caller.
    pub(super) fn new(access: &'a Access) -> Verdicts<'a> {
        Verdicts {
            access,
            known: HashMap::new(),
            judged_nodes: 0,
        }
    }

    /// True for a run that the caller may do this with.
    pub(super) fn may(&mut self, action: RunAction, run: &RunSummary) -> bool {
        let alike = AlikeRuns {
            action,
            is_own: self.access.is_own(&run.subject),
            command: Arc::clone(&run.command),
            nodes: Arc::clone(&run.nodes),
        };
        match self.known.entry(alike) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(vacant) => {
                let alike = vacant.key();
                let nodes = alike.nodes.names();
                let (action, is_own) = (alike.action, alike.is_own);
                let verdict = self.access.may(action, is_own, &alike.command, nodes);
                self.judged_nodes += 1 + alike.nodes.len();
                *vacant.insert(verdict)
            }
        }
    }

    /// How many nodes the rules were asked of: what the answers cost.
    pub(super) fn judged_nodes(&self) -> usize {
        self.judged_nodes
    }
}
