//! The nodes that callers may list, computed once for all callers with the same rules and token limits.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex},
};

use crate::{
    auth::{
        TokenGrant,
        policy::{Authorizer, NodeScope},
    },
    catalogue::{Catalogue, NodeCoverage},
    locks::lock,
};

/// How many nodes all cached entries of one kind have together: a byte or two for each.
const CACHED_NODES: usize = 16 << 20;
/// The most entries of one kind, however few the nodes are.
const ENTRY_LIMIT: usize = 1024;

/// The nodes of callers, for one policy and one catalogue.
#[derive(Debug, Default)]
pub(super) struct NodeSights(Mutex<SightCache>);

#[derive(Debug, Default)]
struct SightCache {
    /// By the token's node set.
    grants: HashMap<String, Arc<NodeScope>>,
    /// By the caller's rules and the token's limits.
    listed: HashMap<(Vec<usize>, TokenGrant), Arc<[bool]>>,
}

impl NodeSights {
    /// The scope of a token's node set.
    pub(super) fn token_scope(&self, grant: &TokenGrant, catalogue: &Catalogue) -> Arc<NodeScope> {
        let Some(set) = &grant.nodes else {
            return Arc::new(NodeScope::Everything);
        };
        if let Some(cover) = lock(&self.0).grants.get(set) {
            return Arc::clone(cover);
        }
        let covered = catalogue.nodes.cover(set);
        let cover = covered.map_or_else(|error| NodeScope::Unknown(error.brief()), to_scope);
        let cover = Arc::new(cover);
        insert_bounded(
            &mut lock(&self.0).grants,
            catalogue,
            set.clone(),
            Arc::clone(&cover),
        );
        cover
    }

    /// For each node whether the caller may list it.
    pub(super) fn listed_nodes_of(
        &self,
        decider: &Authorizer,
        catalogue: &Catalogue,
    ) -> Arc<[bool]> {
        let (rules, grant) = decider.visibility_key();
        let key = (rules.to_vec(), grant.clone());
        if let Some(listed) = lock(&self.0).listed.get(&key) {
            return Arc::clone(listed);
        }
        let listed: Arc<[bool]> = decider.listed_nodes().into();
        insert_bounded(
            &mut lock(&self.0).listed,
            catalogue,
            key,
            Arc::clone(&listed),
        );
        listed
    }
}

/// Adds a value; a full map is cleared first.
fn insert_bounded<K: Hash + Eq, V>(
    map: &mut HashMap<K, V>,
    catalogue: &Catalogue,
    key: K,
    value: V,
) {
    let nodes = catalogue.nodes.list().len().max(1);
    if map.len() >= (CACHED_NODES / nodes).clamp(1, ENTRY_LIMIT) {
        map.clear();
    }
    map.insert(key, value);
}

/// The scope of a node set.
pub(super) fn to_scope(coverage: NodeCoverage) -> NodeScope {
    let NodeCoverage { sure, possible, .. } = coverage;
    NodeScope::Nodes { sure, possible }
}
