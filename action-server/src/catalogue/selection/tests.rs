//! Tests of node sets: the grammar, what is not there, and what would cost too much.

use std::{collections::BTreeSet, path::Path};

use proptest::prelude::*;

use super::*;
use crate::pattern::tests::model_matches;

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
    Nodes::build(file, None, BTreeSet::from(["site".to_owned()])).0
}

fn names(set: &str) -> Result<String, String> {
    names_of(&nodes(), set)
}

pub(super) fn names_of(nodes: &Nodes, set: &str) -> Result<String, String> {
    let places =
        select_positions(nodes.visible(None), set, 1000).map_err(|error| error.to_string())?;
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
        ("n[01-02]*", "n[01-02]"),
        ("[1,9]*", "1-3"),
        ("n[0,1]?", "n[01-10]"),
        ("*[03-05,1]", "g1,n[01,03-05]"),
        ("n*!n[01-08]*", "n[09-10]"),
        ("n[ 01 - 02 , 04 ]", "n[01-02,04]"),
    ] {
        assert_eq!(names(set).as_deref(), Ok(expected), "{set}");
    }
    assert_eq!(
        select_positions(nodes().visible(None), "@*", 100)
            .unwrap()
            .len(),
        13
    );
}

/// Each number is a node, a rank, a group and a rack.
fn numbered(numbers: &[&str]) -> Nodes {
    let mut text = String::from("__groups__:\n");
    for number in numbers {
        text += &format!("  g{number}: n{number}\n");
    }
    for number in numbers {
        text += &format!("n{number}: {{ranks: r{number}, rack: {number}}}\n");
    }
    let (file, faults) = super::super::read_nodes(Path::new("f"), &text).unwrap();
    assert_eq!(faults, []);
    Nodes::build(file, None, BTreeSet::from(["rack".to_owned()])).0
}

#[test]
fn brackets_with_wildcards_mean_the_same_everywhere() {
    let nodes = numbered(&["1", "2", "10", "11", "11-ib0", "01"]);
    for (pattern, expected) in [
        ("[10-11]*", Some("10 11 11-ib0")),
        ("[10-11]", Some("10 11")),
        ("[1]*", Some("1 10 11 11-ib0")),
        ("[01-02]*", Some("01")),
        ("*[0-1]", Some("1 10 11 11-ib0 01")),
        ("?[0-1]", Some("10 11 01")),
        ("[2-3]*", Some("2")),
        ("[20-30]*", None),
        ("[3-4]?", None),
    ] {
        for (form, kind) in [
            ("n", "node"),
            ("@g", "group"),
            ("rank=r", "node with"),
            ("rack=", "node with"),
        ] {
            let set = format!("{form}{pattern}");
            let expected = match expected {
                Some(names) => Ok(action_proto::fold(
                    names
                        .split(' ')
                        .map(|name| format!("n{name}"))
                        .collect::<Vec<_>>()
                        .iter()
                        .map(String::as_str),
                )),
                None => Err(format!("no such {kind}: {set}")),
            };
            assert_eq!(names_of(&nodes, &set), expected, "{set}");
        }
    }
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
        ("n99,n99 n[98-99]", "no such node: n[98-99]"),
        ("x*,n99,x*", "no such node: n99,x*"),
        ("n[11-12]*", "no such node: n[11-12]*"),
        ("n[1-2]", "no such node: n[1-2]"),
        ("@b,@g[3-4],@g3", "no such group: @b,@g[3-4]"),
        ("@x[1-2]*,@x[1-2]*", "no such group: @x[1-2]*"),
        ("@all", "no such group: @all; for all nodes, write @*"),
        (
            "rank=a[1-2]*,rank=a[1-2]*",
            "no such node with: rank=a[1-2]*",
        ),
        ("{n01,n02}", "no such node: n02},{n01"),
        ("n0\\*", "no such node: n0\\*"),
        ("n0{1}", "no such node: n0{1}"),
        (
            "n01,m[1-010]",
            "cannot read the node set \"m[1-010]\": 1-010: pad both numbers alike: write 001-010 or 1-10",
        ),
        (
            "n[0-1][1-2]",
            "cannot read the node set \"n[0-1][1-2]\": two brackets form one number; \
             write one list, such as [01-02,11-12]",
        ),
        (
            "n[!0]*",
            "cannot read the node set \"n[!0]*\": \"!0\" is not a number",
        ),
        (
            "n[1=2]",
            "cannot read the node set \"n[1=2]\": \"1=2\" is not a number",
        ),
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

/// A term of brackets and wildcards for names as those of [`node_names`].
fn term() -> impl Strategy<Value = String> {
    let range = (0_u32..13, 0_u32..4, any::<bool>()).prop_map(|(first, more, is_padded)| {
        let last = first + more;
        let width = if is_padded { 2 } else { 1 };
        match more {
            0 => format!("{first:0width$}"),
            _ => format!("{first:0width$}-{last:0width$}"),
        }
    });
    let list = proptest::collection::vec(range, 1..3);
    let bracket = list.prop_map(|ranges| format!("[{}]", ranges.join(",")));
    let rest = prop_oneof![Just(String::new()), "[*?b-]{1,2}[1-2]?"];
    prop_oneof![
        "[ab][0-3]",
        ("[ab*?-]{1,2}", bracket.clone(), rest).prop_map(|(text, list, rest)| text + &list + &rest),
        ("[ab*]", bracket.clone(), "[*?b-]", bracket)
            .prop_map(|(text, list, more, other)| text + &list + &more + &other),
    ]
}

fn node_names() -> impl Strategy<Value = BTreeSet<String>> {
    proptest::collection::btree_set("[ab]0?1?[0-3](b[12]|-1)?", 1..80)
}

/// The texts that the brackets of a term stand for, one bracket after the other.
fn without_brackets(term: &str) -> Vec<String> {
    let Some((before, rest)) = term.split_once('[') else {
        return vec![term.to_owned()];
    };
    let (list, after) = rest.split_once(']').unwrap();
    let numbers = list.split(',').flat_map(|item| {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let range = first.parse::<u32>().unwrap()..=last.parse().unwrap();
        let width = first.len();
        range.map(move |number| format!("{number:0width$}"))
    });
    numbers
        .flat_map(|number| without_brackets(&format!("{before}{number}{after}")))
        .collect()
}

/// What a set selects, by expanding all of it; `None` where something is not there.
fn model(names: &BTreeSet<String>, terms: &[(char, String)]) -> Option<BTreeSet<String>> {
    let mut selected = BTreeSet::new();
    for (operator, term) in terms {
        let mut members = BTreeSet::new();
        for text in without_brackets(term) {
            let is_meant = |name: &&String| model_matches(text.as_bytes(), name.as_bytes());
            let found = names.iter().filter(is_meant);
            let before = members.len();
            members.extend(found.cloned());
            if members.len() == before && !text.contains(['*', '?']) && !members.contains(&text) {
                return None;
            }
        }
        if members.is_empty() {
            return None;
        }
        selected = match operator {
            '!' => &selected - &members,
            '&' => &selected & &members,
            '^' => &selected ^ &members,
            _ => &selected | &members,
        };
    }
    (!selected.is_empty()).then_some(selected)
}

proptest! {
    #[test]
    fn no_text_panics_and_nothing_unknown_is_selected(set in "[n0-9\\[\\],!&^@*?=/ a-]{0,24}") {
        let nodes = nodes();
        if let Ok(places) = select_positions(nodes.visible(None), &set, 1000) {
            prop_assert!(!places.is_empty());
            prop_assert!(places.iter().all(|&at| at < nodes.list().len()));
        }
    }

    /// For random nodes and terms: what is selected is what the model selects.
    #[test]
    fn a_set_selects_what_the_model_selects(
        names in node_names(),
        terms in proptest::collection::vec(("[,!&^]", term()), 1..4),
    ) {
        let file = names.iter().map(|name| format!("{name}: {{rack: {name}}}\n"));
        let (file, _) = super::super::read_nodes(Path::new("f"), &file.collect::<String>()).unwrap();
        let nodes = Nodes::build(file, None, BTreeSet::from(["rack".to_owned()])).0;
        let terms: Vec<(char, String)> = terms
            .into_iter()
            .map(|(operator, term)| (operator.chars().next().unwrap(), term))
            .collect();
        let text = |prefix: &str| {
            let text = terms.iter().map(|(operator, term)| format!("{operator}{prefix}{term}"));
            text.collect::<String>().trim_start_matches([',', '!', '&', '^']).to_owned()
        };
        let mut terms = terms.clone();
        terms[0].0 = ',';
        let expected = model(&names, &terms);
        let chosen = |set: &str| {
            let places = select_positions(nodes.visible(None), set, 1000).ok()?;
            Some(places.iter().map(|&at| nodes.list()[at].name.clone()).collect::<BTreeSet<_>>())
        };
        prop_assert_eq!(chosen(&text("")), expected.clone(), "{}", text(""));
        // An attribute is there where one of its texts is.
        if expected.is_some() {
            prop_assert_eq!(chosen(&text("rack=")), expected, "{}", text("rack="));
        }
    }

    /// What names are folded to is read as these names again.
    #[test]
    fn folded_names_are_read_again(
        names in proptest::collection::btree_set(
            "[a-b]{0,2}[0-9]{1,3}([.-]?[a-b][0-9]{0,3}){0,2}", 1..40,
        )
    ) {
        let folded = action_proto::fold(names.iter().map(String::as_str));
        let terms = terms::parse_terms(&folded).unwrap();
        let read = terms.iter().flat_map(|term| match &term.kind {
            TermKind::Nodes(names) => names.expand(),
            _ => Vec::new(),
        });
        prop_assert_eq!(read.collect::<BTreeSet<_>>(), names, "{}", folded);
    }
}
