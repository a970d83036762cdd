//! Nodes and groups: the index over them, and how a new file's nodes join those known before.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    SelectionError,
    groups::{self, Group, GroupFault},
    nodes_file::{Entry, NodesFile},
    selection,
};

/// A node: a name, its ranks, and the metadata that its scripts get.
#[derive(Debug, PartialEq, Eq)]
pub struct Node {
    /// The name, unique in the file.
    pub name: String,
    /// The ranks, the preferred one first.
    pub ranks: Vec<String>,
    /// What scripts get as variables, in the file's order. Never shown by itself: see
    /// [`Nodes::visible_metadata`].
    pub metadata: Vec<(String, String)>,
    /// Those of the metadata keys whose values must not be shown anywhere.
    pub secret_keys: Vec<String>,
}

impl Node {
    /// The values that must not be shown anywhere.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let secret = self.metadata.iter().filter(|(key, _)| self.is_secret(key));
        secret.map(|(_, value)| value.as_str())
    }

    fn is_secret(&self, key: &str) -> bool {
        self.secret_keys.iter().any(|secret| secret == key)
    }
}

/// The nodes in the file's order, with the groups.
#[derive(Debug, Default)]
pub struct Nodes {
    pub(super) list: Vec<Arc<Node>>,
    index: HashMap<String, usize>,
    pub(super) groups: BTreeMap<String, Group>,
    /// The nodes whose current definition is broken, by position: what ranks and metadata they
    /// should have is not known.
    pub(super) broken: BTreeSet<usize>,
    visible: BTreeSet<String>,
}

/// What a rule's or token's node set covers, for each node of [`Nodes::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The nodes that the set surely has: what an allow rule or a token may grant.
    pub sure: Vec<bool>,
    /// Those, and the nodes that it may have: what a deny rule must deny. They differ where the set
    /// selects by rank or attribute and the definition of a node is broken.
    pub possible: Vec<bool>,
    /// What the set names and no node has, folded; empty where there is nothing of that sort.
    pub undefined: String,
    /// The parts of the set that are groups without members; empty where there are none.
    pub empty: String,
}

impl Nodes {
    /// Joins what a file says with the nodes known before: a node whose definition is broken
    /// keeps the one it had, and so does a group. `visible` are the metadata keys that callers may see.
    ///
    /// The faults are those of groups.
    pub fn build(
        file: NodesFile,
        before: Option<&Nodes>,
        visible: BTreeSet<String>,
    ) -> (Nodes, Vec<GroupFault>) {
        let mut nodes = Nodes {
            visible,
            ..Nodes::default()
        };
        for Entry { name, node, faulty } in file.entries {
            let known = before.and_then(|before| before.get(&name)).cloned();
            let node = match node {
                Some(node) if !faulty || known.is_none() => Some(Arc::new(node)),
                _ => known,
            };
            if let Some(node) = node {
                let position = nodes.list.len();
                if faulty {
                    nodes.broken.insert(position);
                }
                nodes.index.insert(name, position);
                nodes.list.push(node);
            }
        }
        let faults = groups::resolve(&mut nodes, file.groups, file.groups_broken, before);
        (nodes, faults)
    }

    /// The names of the nodes whose current definition is broken, in the file's order.
    pub fn broken_names(&self) -> impl Iterator<Item = &str> {
        self.names_at(&self.broken)
    }

    /// The names of the nodes at these positions of [`Nodes::list`].
    pub(super) fn names_at<'a>(
        &'a self,
        positions: impl IntoIterator<Item = &'a usize>,
    ) -> impl Iterator<Item = &'a str> {
        let positions = positions.into_iter();
        let nodes = positions.filter_map(|&at| self.list.get(at));
        nodes.map(|node| node.name.as_str())
    }

    /// All nodes, in the file's order.
    pub fn list(&self) -> &[Arc<Node>] {
        &self.list
    }

    /// The node of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Node>> {
        self.index.get(name).and_then(|&at| self.list.get(at))
    }

    /// Where the node of that name stands in [`Nodes::list`].
    pub fn position(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The groups that a node is in, sorted.
    pub fn groups_of(&self, node: &Node) -> Vec<String> {
        let Some(at) = self.position(&node.name) else {
            return Vec::new();
        };
        let member = self
            .groups
            .iter()
            .filter(|(_, group)| group.members.binary_search(&at).is_ok());
        member.map(|(name, _)| name.clone()).collect()
    }

    /// True for a metadata key that callers may see and select by.
    pub(super) fn is_visible(&self, key: &str) -> bool {
        self.visible.contains(key)
    }

    /// Those metadata of a node that callers may see: what the admin lists, and never a secret.
    pub fn visible_metadata<'a>(
        &'a self,
        node: &'a Node,
    ) -> impl Iterator<Item = (&'a String, &'a String)> {
        let visible = node.metadata.iter();
        let visible = visible.filter(|(key, _)| self.is_visible(key) && !node.is_secret(key));
        visible.map(|(key, value)| (key, value))
    }

    /// Selects among all nodes: see [`VisibleNodes::select`](super::VisibleNodes::select).
    ///
    /// # Errors
    /// Either set selects nothing, or nothing is left.
    pub fn select(
        &self,
        set: &str,
        exclude: &str,
        limit: usize,
    ) -> Result<Vec<Arc<Node>>, SelectionError> {
        self.visible(None).select(set, exclude, limit)
    }

    /// What `set` covers, for rules and tokens: any number of nodes. Those that it names and that are
    /// not defined are left out.
    ///
    /// # Errors
    /// An undefined or broken group, or a text that is no node set.
    pub fn cover(&self, set: &str) -> Result<Coverage, SelectionError> {
        selection::cover(self, set)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{catalogue::read_nodes, yaml::Fault};

    fn read(text: &str) -> (Nodes, Vec<String>) {
        let (file, faults) = read_nodes(Path::new("nodes.yaml"), text).unwrap();
        let (nodes, groups) = Nodes::build(file, None, BTreeSet::new());
        assert_eq!(groups, []);
        (nodes, faults.iter().map(Fault::to_string).collect())
    }

    #[test]
    fn the_seeds_example() {
        let text = "node01:\n  ranks: [metal]\n  ip: 192.168.1.1\ncnode01:\n  ranks: aws\n  ec2_id: i-1234567890\n  aws_region: eu-west-2\n";
        let (nodes, faults) = read(text);
        assert_eq!(faults, [""; 0]);
        assert_eq!(nodes.list()[0].ranks, ["metal"]);
        let cnode = nodes.get("cnode01").unwrap();
        assert_eq!(cnode.ranks, ["aws"]);
        assert_eq!(cnode.metadata[1], ("aws_region".into(), "eu-west-2".into()));
    }

    #[test]
    fn faults_name_the_line_and_leave_the_rest_alone() {
        let text = "good: {a: 1}\nbad name: {}\nn1:\n  PATH: /evil\n  ok: 1\ntwice: {}\ntwice: {}\nlist: [1]\n";
        let (nodes, faults) = read(text);
        let names: Vec<_> = nodes.list().iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["good", "n1"]);
        assert_eq!(
            nodes.get("n1").unwrap().metadata,
            [("ok".into(), "1".into())]
        );
        let starts = [
            "nodes.yaml:2: ",
            "nodes.yaml:4: n1: PATH",
            "nodes.yaml:7: twice",
            "nodes.yaml:8: ",
        ];
        assert_eq!(faults.len(), starts.len(), "{faults:?}");
        for (fault, start) in faults.iter().zip(starts) {
            assert!(fault.starts_with(start), "{fault}");
        }
    }

    #[test]
    fn a_broken_node_keeps_what_it_was() {
        let (before, _) = read("n1: {a: 1}\nn2: {a: 2}\n");
        let (file, faults) = read_nodes(Path::new("f"), "n1: [broken]\nn2: {a: 3}\n").unwrap();
        assert_eq!(faults.len(), 1);
        let (now, _) = Nodes::build(file, Some(&before), BTreeSet::new());
        assert_eq!(now.get("n1"), before.get("n1"));
        // A key or a rank that is broken is a broken edit as well.
        let text = "n1: {a: 5, PATH: x}\nn2: {a: 6, ranks: ['aws!']}\nn3: {ranks: ['aws!']}\n";
        let (file, faults) = read_nodes(Path::new("f"), text).unwrap();
        assert_eq!(faults.len(), 3);
        let (later, _) = Nodes::build(file, Some(&now), BTreeSet::new());
        assert_eq!(
            (later.get("n1"), later.get("n2")),
            (now.get("n1"), now.get("n2"))
        );
        assert!(
            later.get("n3").is_none(),
            "no other platform's script runs on it"
        );
        assert_eq!(now.get("n2").unwrap().metadata[0].1, "3");
    }

    #[test]
    fn secrets_reach_scripts_and_nobody_else() {
        let text = "n1:\n  site: s1\n  ipmi_password: hidden1\n  __secret__: {api_key: hidden2}\n";
        let (file, faults) = read_nodes(Path::new("f"), text).unwrap();
        assert!(
            faults[0]
                .to_string()
                .starts_with("f:3: warning: n1: ipmi_password is kept secret")
        );
        let visible = ["site", "ipmi_password", "api_key"]
            .map(str::to_owned)
            .into();
        let (nodes, _) = Nodes::build(file, None, visible);
        let node = nodes.get("n1").unwrap();
        let shown: Vec<_> = nodes
            .visible_metadata(node)
            .map(|(key, _)| key.as_str())
            .collect();
        assert_eq!(shown, ["site"]);
        assert_eq!(node.secrets().collect::<Vec<_>>(), ["hidden1", "hidden2"]);
        assert_eq!(node.metadata.len(), 3);
        assert!(nodes.select("api_key=hidden2", "", 10).is_err());
    }

    #[test]
    fn groups_may_name_groups_in_any_order() {
        let text = "__groups__: {all: '@a,@b', a: 'n[1-2]', b: n3}\nn1: {}\nn2: {}\nn3: {}\n";
        let (nodes, _) = read(text);
        assert_eq!(nodes.select("@all", "", 10).unwrap().len(), 3);
        assert_eq!(nodes.groups_of(nodes.get("n3").unwrap()), ["all", "b"]);
        // A pattern waits for all groups that it means, wherever they stand.
        let text = "__groups__: {r: '@r?', r1: '@r2', r2: '@r3', r3: n3}\nn1: {}\nn2: {}\nn3: {}\n";
        let (nodes, _) = read(text);
        assert_eq!(
            nodes.groups_of(nodes.get("n3").unwrap()),
            ["r", "r1", "r2", "r3"]
        );
    }

    /// The last would win, and with it another platform's script.
    #[test]
    fn a_node_whose_ranks_are_given_twice_is_left_out() {
        let text = "n1:\n  ranks: [aws]\n  a: 1\n  ranks: [metal]\nn2: {ranks: [aws]}\n";
        let (file, faults) = read_nodes(Path::new("f"), text).unwrap();
        let (nodes, _) = Nodes::build(file, None, BTreeSet::new());
        let names: Vec<&str> = nodes.list().iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["n2"]);
        assert_eq!(faults[0].to_string(), "f:4: n1: ranks is given twice");
    }
}
