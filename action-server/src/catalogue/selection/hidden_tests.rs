//! Selections of callers who may see some nodes only.

use std::{collections::BTreeSet, path::Path};

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::catalogue::read_nodes;

const NAMES: [&str; 6] = ["c1", "c2", "c3", "h1", "h2", "v1"];
const TERMS: [&str; 23] = [
    "c1",
    "c3",
    "h1",
    "v1",
    "x1",
    "c[1-3]",
    "[ch]*",
    "c[1-2],h1",
    "*1",
    "h*",
    "x*",
    "@*",
    "@g0",
    "@g1",
    "@g*",
    "@last",
    "@bad",
    "@rank",
    "rank=r0",
    "rank=r*",
    "rank=r2",
    "site=s1",
    "site=s*",
];

fn build(text: &str) -> Nodes {
    let (file, _) = read_nodes(Path::new("f"), text).unwrap();
    Nodes::build(file, None, BTreeSet::from(["site".to_owned()])).0
}

/// What a caller learns about a selection.
fn told(nodes: VisibleNodes<'_>, set: &str, exclude: &str) -> Result<Vec<String>, String> {
    let selected = nodes.select(set, exclude, 4);
    let names = |nodes: Vec<Arc<Node>>| nodes.iter().map(|node| node.name.clone()).collect();
    selected.map(names).map_err(|error| error.to_string())
}

fn set() -> impl Strategy<Value = String> {
    let terms = vec(
        (select(&[",", "!", "&", "^"][..]), select(&TERMS[..])),
        1..4,
    );
    terms.prop_map(|terms| {
        let joined: String = terms
            .iter()
            .map(|(operator, term)| format!("{operator}{term}"))
            .collect();
        joined[1..].to_owned()
    })
}

proptest! {
    /// Hidden nodes, and groups of nothing else, have no part in a selection: it is as in a
    /// nodes file without them.
    #[test]
    fn hidden_nodes_might_as_well_not_be_there(
        mask in vec(any::<bool>(), NAMES.len()),
        ranks in vec(0..3, NAMES.len()),
        groups in vec(vec(any::<bool>(), NAMES.len()), 2),
        set in set(),
        exclude in prop_oneof![Just(String::new()), set()],
    ) {
        let node = |at: usize| format!("{}: {{ranks: r{}, site: s{}}}\n", NAMES[at], ranks[at], ranks[at]);
        let members = |group: &[bool], mask: &[bool]| {
            let in_both = |at: &usize| group[*at] && mask[*at];
            let names = (0..NAMES.len()).filter(in_both).map(|at| NAMES[at]);
            names.collect::<Vec<_>>().join(",")
        };
        let file = |groups: &[(String, String)], mask: &[bool]| {
            let groups = groups.iter().map(|(name, set)| format!("  {name}: '{set}',\n"));
            let nodes = (0..NAMES.len()).filter(|at| mask[*at]).map(node);
            format!("__groups__: {{\n{}}}\n{}", groups.collect::<String>(), nodes.collect::<String>())
        };
        let named = |mask: &[bool]| {
            let groups = groups.iter().enumerate();
            groups.map(|(at, group)| (format!("g{at}"), members(group, mask))).collect::<Vec<_>>()
        };
        let everything = vec![true; NAMES.len()];
        let mut all = named(&everything);
        // Broken ones, which say more than a limited caller may know.
        all.push(("bad".into(), "@nosuch,c1".into()));
        all.push(("rank".into(), "rank=nosuch,@bad".into()));
        let all = build(&file(&all, &everything));
        let mut seen = named(&mask);
        seen.retain(|(_, members)| !members.is_empty());
        let without = build(&file(&seen, &mask));
        let limited = told(all.visible(Some(&mask)), &set, &exclude);
        prop_assert_eq!(&limited, &told(without.visible(None), &set, &exclude));
    }
}
