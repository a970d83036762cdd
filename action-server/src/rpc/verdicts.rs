//! Access checks of many runs for one caller, done once for all runs that are alike to the rules.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::Arc,
};

use super::access::{CallerAccess, RunAction};
use crate::record::{NodeList, RunSummary};

/// The checks so far.
pub(super) struct RunVerdicts<'a> {
    access: &'a CallerAccess,
    known: HashMap<AlikeRuns, bool>,
    judged_nodes: usize,
}

/// What a check depends on. Command and nodes are equal if they are the same allocation: each list is in
/// memory once.
struct AlikeRuns {
    action: RunAction,
    is_own: bool,
    command: Arc<str>,
    nodes: Arc<NodeList>,
}

impl AlikeRuns {
    fn identity(&self) -> (RunAction, bool, *const u8, *const NodeList) {
        let (command, nodes) = (self.command.as_ptr(), Arc::as_ptr(&self.nodes));
        (self.action, self.is_own, command, nodes)
    }
}

impl PartialEq for AlikeRuns {
    fn eq(&self, other: &AlikeRuns) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for AlikeRuns {}

impl Hash for AlikeRuns {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl<'a> RunVerdicts<'a> {
    /// None yet, for one caller.
    pub(super) fn new(access: &'a CallerAccess) -> RunVerdicts<'a> {
        RunVerdicts {
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

    /// How many nodes were checked: the cost so far.
    pub(super) fn judged_nodes(&self) -> usize {
        self.judged_nodes
    }
}
