//! What callers see of the nodes, worked out once for all with the same rules and token limits.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    auth::{
        Grant,
        policy::{Cover, Decider},
    },
    catalogue::{Catalogue, NodeCoverage},
};

/// How many nodes all remembered sights of one kind have together: a byte or two for each.
const REMEMBERED: usize = 16 << 20;
/// The most sights of one kind, however few the nodes are.
const MOST: usize = 1024;

/// The sights of callers, for one policy and one catalogue.
#[derive(Debug, Default)]
pub(super) struct Sights(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By the token's node set.
    grants: HashMap<String, Arc<Cover>>,
    /// By the caller's rules and the token's limits.
    listed: HashMap<(Vec<usize>, Grant), Arc<[bool]>>,
}

impl Sights {
    /// What the node set of a token covers.
    pub(super) fn grant(&self, grant: &Grant, catalogue: &Catalogue) -> Arc<Cover> {
        let Some(set) = &grant.nodes else {
            return Arc::new(Cover::Everything);
        };
        if let Some(cover) = self.known().grants.get(set) {
            return Arc::clone(cover);
        }
        let covered = catalogue.nodes.cover(set);
        let cover = covered.map_or_else(|error| Cover::Unknown(error.brief()), covering);
        let cover = Arc::new(cover);
        remember(
            &mut self.known().grants,
            catalogue,
            set.clone(),
            Arc::clone(&cover),
        );
        cover
    }

    /// For each node whether the caller may list it.
    pub(super) fn listed(&self, decider: &Decider, catalogue: &Catalogue) -> Arc<[bool]> {
        let (rules, grant) = decider.sight();
        let key = (rules.to_vec(), grant.clone());
        if let Some(listed) = self.known().listed.get(&key) {
            return Arc::clone(listed);
        }
        let listed: Arc<[bool]> = decider.listed_nodes().into();
        remember(
            &mut self.known().listed,
            catalogue,
            key,
            Arc::clone(&listed),
        );
        listed
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds a value; a map that is full begins again.
fn remember<K: Hash + Eq, V>(map: &mut HashMap<K, V>, catalogue: &Catalogue, key: K, value: V) {
    let nodes = catalogue.nodes.list().len().max(1);
    if map.len() >= (REMEMBERED / nodes).clamp(1, MOST) {
        map.clear();
    }
    map.insert(key, value);
}

/// What a node set covers, as the decider takes it.
pub(super) fn covering(coverage: NodeCoverage) -> Cover {
    let NodeCoverage { sure, possible, .. } = coverage;
    Cover::Nodes { sure, possible }
}
