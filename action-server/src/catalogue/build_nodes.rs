//! Joins a nodes file with the nodes known before.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    groups::{self, GroupFault},
    nodes::Nodes,
    nodes_file::{NodeEntry, NodesFile},
};

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
        for NodeEntry { name, node, faulty } in file.entries {
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
        let faults = groups::resolve_groups(&mut nodes, file.groups, file.groups_broken, before);
        (nodes, faults)
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
