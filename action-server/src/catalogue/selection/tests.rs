//! Tests of node sets: the grammar, what is not there, and what would cost too much.

use std::{collections::BTreeSet, path::Path};

use proptest::prelude::*;

use super::{brackets::longest, *};
use crate::catalogue::names::NAME_LIMIT;

fn nodes() -> Nodes {
    let mut text = String::from("__groups__: {gpu: 'g[1-2]', mix: '@gpu,n01'}\n");
    for at in 1..=10 {
        text += &format!(
            "n{at:02}: {{ranks: [{}], site: s{}}}\n",
            if at < 5 { "aws" } else { "metal" },
            at % 2
        );
    }
    text += "g1: {}\ng2: {}\n1-3: {}\n";
    let (file, faults) = super::super::read_nodes(Path::new("f"), &text).unwrap();
    assert_eq!(faults, []);
    Nodes::build(file, None, BTreeSet::from(["site".to_owned()]), 100).0
}

fn names(set: &str) -> Result<String, String> {
    let nodes = nodes();
    let places = select(&nodes, set, 1000).map_err(|error| error.to_string())?;
    let names: Vec<_> = places
        .iter()
        .map(|&at| nodes.list()[at].name.as_str())
        .collect();
    Ok(action_proto::fold(names))
}

#[test]
fn the_grammar() {
    for (set, expected) in [
        ("n01", "n01"),
        ("n02,n01", "n[01-02]"),
        ("n01 n03", "n[01,03]"),
        ("n[01-03,10]", "n[01-03,10]"),
        ("n[02-10/4]", "n[02,06,10]"),
        ("n[01-05]!n[02-03]", "n[01,04-05]"),
        ("n[01-05]&n[04-09]", "n[04-05]"),
        ("n[01-02]^n[02-03]", "n[01,03]"),
        ("n[01-02] , n03 ! n01", "n[02-03]"),
        ("@gpu", "g[1-2]"),
        ("@mix!g1", "g2,n01"),
        ("@g*", "g[1-2]"),
        ("n0?", "n[01-09]"),
        ("*1", "g1,n01"),
        ("rank=aws", "n[01-04]"),
        ("rank=aws&n[03-07]", "n[03-04]"),
        ("site=s1", "n[01,03,05,07,09]"),
        ("1-3", "1-3"),
    ] {
        assert_eq!(names(set).as_deref(), Ok(expected), "{set}");
    }
    assert_eq!(select(&nodes(), "@*", 100).unwrap().len(), 13);
}

#[test]
fn what_is_not_there_is_named() {
    for (set, expected) in [
        ("", "the node set is empty; name a node, or @* for all"),
        (" ", "the node set is empty; name a node, or @* for all"),
        ("n99", "no such node: n99"),
        ("n[01-12],x", "no such node: n[11-12],x"),
        ("@nogroup", "no such group: @nogroup"),
        ("z*", "no such node: z*"),
        ("rank=azure", "no such node with: rank=azure"),
        (
            "ip=1",
            "cannot select by ip: the server's visible_metadata does not list it",
        ),
        ("n01!n01", "the node set \"n01!n01\" selects no node"),
    ] {
        assert_eq!(names(set), Err(expected.to_owned()), "{set}");
    }
}

#[test]
fn bombs_and_broken_texts_are_refused_before_they_cost() {
    for set in [
        "n[1-9999999999]",
        "n[1-100000]r[1-100000]",
        "n[1-99999999999999999999999]",
        &"n[1-900],".repeat(20),
        "n[1",
        "n]1[",
        "n[]",
        "n[5-1]",
        "n[1-2/0]",
        "n[a]",
        ",n01",
        "n01,",
        "n01,,n02",
        "!n01",
        "n[[1]]",
        "n[1-2",
        "n[1-2]]",
        &"n,".repeat(10_000),
        &format!("n[{}1-2]", "0".repeat(15_000)),
        &format!("n[{}1-900]", "0".repeat(15_000)),
        &format!("{}[1-900]", "n".repeat(15_000)),
        "@*,".repeat(65).trim_end_matches(','),
        "n*,".repeat(65).trim_end_matches(','),
        "rank=aws,".repeat(65).trim_end_matches(','),
    ] {
        assert!(names(set).is_err(), "{set}");
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_nothing_unknown_is_selected(set in "[n0-9\\[\\],!&^@*?=/ a-]{0,24}") {
        let nodes = nodes();
        if let Ok(places) = select(&nodes, &set, 1000) {
            prop_assert!(!places.is_empty());
            prop_assert!(places.iter().all(|&at| at < nodes.list().len()));
        }
    }

    /// Whatever the text: no more names than were counted, none longer than a name, so that
    /// what is allocated is bounded before it is.
    #[test]
    fn no_more_is_expanded_than_was_counted(
        term in "n?(\\[[0-9]{1,3}(-[0-9]{1,6})?(/[0-9]{1,2})?(,0{0,70}[0-9]{1,3})?\\]x?){1,3}",
        limit in 1_usize..2000,
    ) {
        if let Ok(names) = expand(&term, limit) {
            prop_assert!(names.len() <= count(&term).unwrap_or(0), "{}", names.len());
            prop_assert!(names.len() <= limit);
            prop_assert!(names.iter().all(|name| name.len() <= longest(&term)));
            prop_assert!(longest(&term) <= NAME_LIMIT);
        }
    }

    #[test]
    fn the_count_is_the_number_of_names(a in 0u32..50, len in 0u32..50, step in 1u32..5, b in 0u32..9) {
        let term = format!("n[{a}-{}/{step},{}]x[0-{b}]", a + len, a + len + 7);
        let names = expand(&term, 100_000).unwrap();
        prop_assert_eq!(count(&term), Some(names.len()));
    }
}
