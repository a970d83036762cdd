//! Groups of single files, good and broken.

use std::{collections::BTreeSet, path::Path};

use super::*;
use crate::catalogue::{NodesFile, read_nodes};

fn read(text: &str) -> NodesFile {
    read_nodes(Path::new("nodes.yaml"), text).unwrap().0
}

pub(super) fn build(text: &str, before: Option<&Nodes>) -> (Nodes, Vec<String>) {
    let (nodes, faults) = Nodes::build(read(text), before, BTreeSet::new());
    let line = |fault: GroupFault| {
        let kind = if fault.is_error { "error" } else { "warning" };
        format!("{kind}: {}", fault.reason)
    };
    (nodes, faults.into_iter().map(line).collect())
}

fn selected(nodes: &Nodes, set: &str) -> Result<String, String> {
    let selected = nodes.select(set, "", 100);
    let selected = selected.map_err(|error| error.to_string())?;
    Ok(action_proto::fold(
        selected.iter().map(|node| node.name.as_str()),
    ))
}

fn names(nodes: &Nodes, which: &[bool]) -> String {
    let all = nodes.list().iter().zip(which);
    action_proto::fold(
        all.filter(|(_, is)| **is)
            .map(|(node, _)| node.name.as_str()),
    )
}

/// What an allow rule grants, and what a deny rule denies.
fn covered(nodes: &Nodes, set: &str) -> Result<(String, String), String> {
    let coverage = nodes.cover(set).map_err(|error| error.to_string())?;
    Ok((
        names(nodes, &coverage.sure),
        names(nodes, &coverage.possible),
    ))
}

const CLUSTER: &str = "a1: {}\na2: {}\nhead1: {ranks: head}\nhead2: {ranks: head}\n";

#[test]
fn undefined_nodes_are_left_out_with_one_warning() {
    let text = format!(
        "__groups__: {{all: '@compute,x9,x[7-8]', compute: ['a[1-9]', 'b*', 'rank=gpu'], few: a1}}\n{CLUSTER}"
    );
    let (nodes, faults) = build(&text, None);
    assert_eq!(
        faults,
        [
            "warning: group compute: nodes that are not defined are left out: a[3-9],b*,rank=gpu",
            "warning: group all: nodes that are not defined are left out: x[7-9]"
        ]
    );
    assert_eq!(selected(&nodes, "@compute").as_deref(), Ok("a[1-2]"));
    assert_eq!(selected(&nodes, "@all").as_deref(), Ok("a[1-2]"));
    assert_eq!(covered(&nodes, "@all!a2").unwrap().0, "a1");
}

#[test]
fn an_empty_group_is_a_group() {
    for definition in ["[]", "''", "x1", "a1!a1", "'x*'", "rank=none"] {
        let text = format!("__groups__: {{none: {definition}, some: '@none,a1'}}\n{CLUSTER}");
        let (nodes, faults) = build(&text, None);
        assert!(
            faults.iter().all(|it| it.starts_with("warning")),
            "{faults:?}"
        );
        let error = selected(&nodes, "@none").unwrap_err();
        assert_eq!(
            error, "the node set \"@none\" selects no node",
            "{definition}"
        );
        assert_eq!(selected(&nodes, "@some").as_deref(), Ok("a1"));
        assert_eq!(selected(&nodes, "@n*,a1").as_deref(), Ok("a1"));
        let covered = covered(&nodes, "@none").unwrap();
        assert_eq!(covered, (String::new(), String::new()), "{definition}");
    }
}

#[test]
fn a_broken_group_is_unknown_to_rules_and_keeps_its_last_good_definition_for_runs() {
    let before = format!("__groups__: {{head: 'head[1-2]', top: '@head', old: a1}}\n{CLUSTER}");
    let (before, faults) = build(&before, None);
    assert_eq!(faults, [""; 0]);
    for (definition, reason) in [
        (
            "'head[1-3'",
            "cannot read the node set \"head[1-3\": [ without ]",
        ),
        ("'@nosuch'", "no such group: @nosuch"),
        (
            "'@head'",
            "it names @head, whose definition leads in a circle",
        ),
        (
            "'@top'",
            "it names @top, whose definition leads in a circle",
        ),
        (
            "'ip=1'",
            "cannot select by ip: the server's visible_metadata does not list it",
        ),
        (
            "{a: b}",
            "expected a node set, found a map; an empty group is []",
        ),
        (
            "",
            "expected a node set, found nothing; an empty group is []",
        ),
    ] {
        let text = format!(
            "__groups__: {{top: '@head', head: {definition}, new: '@head'}}\n{CLUSTER}head3: {{}}\n"
        );
        let (nodes, faults) = build(&text, Some(&before));
        assert_eq!(faults.len(), 3, "{faults:?}");
        let expected = format!(
            "error: group head is broken: {reason}; -g @head selects its last good definition, and rules and tokens that name it allow nothing or deny everything"
        );
        assert!(faults.contains(&expected), "{expected}\n{faults:?}");
        assert_eq!(selected(&nodes, "@head").as_deref(), Ok("head[1-2]"));
        assert_eq!(selected(&nodes, "@top").as_deref(), Ok("head[1-2]"));
        let error = selected(&nodes, "a1,@new").unwrap_err();
        assert!(
            error.starts_with("the group @new is broken: it names @head, "),
            "{error}"
        );
        assert_eq!(selected(&nodes, "@old").unwrap_err(), "no such group: @old");
        for set in ["@head", "@top", "a1!@head", "@h*", "@new"] {
            assert!(
                covered(&nodes, set).unwrap_err().contains("is broken"),
                "{set}"
            );
        }
        // Nothing else is touched.
        assert_eq!(covered(&nodes, "head[1-2]").unwrap().0, "head[1-2]");
        // The next edit mends it, or does not know it any more.
        let text = format!("__groups__: {{head: head1}}\n{CLUSTER}");
        assert_eq!(
            selected(&build(&text, Some(&nodes)).0, "@head").as_deref(),
            Ok("head1")
        );
        let error = selected(&build(CLUSTER, Some(&nodes)).0, "@head").unwrap_err();
        assert_eq!(error, "no such group: @head");
    }
}

#[test]
fn a_section_of_groups_that_cannot_be_read_breaks_them_all() {
    let before = format!("__groups__: {{head: 'head[1-2]'}}\n{CLUSTER}");
    let (before, _) = build(&before, None);
    for text in [
        format!("__groups__: [head]\n{CLUSTER}"),
        format!("__groups__: {{head: a1}}\n__groups__: {{head: a2}}\n{CLUSTER}"),
        format!("__groups__: {{head: a1, head: a2}}\n{CLUSTER}"),
    ] {
        let (nodes, _) = build(&text, Some(&before));
        assert_eq!(
            selected(&nodes, "@head").as_deref(),
            Ok("head[1-2]"),
            "{text}"
        );
        assert!(covered(&nodes, "@head").unwrap_err().contains("is broken"));
        let (nodes, _) = build(&text, None);
        assert!(selected(&nodes, "@head").is_err() && covered(&nodes, "@head").is_err());
    }
}

#[test]
fn a_node_whose_definition_is_broken_is_in_doubt_where_ranks_count() {
    let text = format!("__groups__: {{heads: rank=head}}\n{CLUSTER}");
    let (before, _) = build(&text, None);
    let edited = text
        .replace("a1: {}", "a1: [x]")
        .replace("head2: {ranks: head}", "head2: {PATH: x}");
    let (nodes, _) = build(&edited, Some(&before));
    assert_eq!(selected(&nodes, "rank=head").as_deref(), Ok("head[1-2]"));
    for (set, sure, possible) in [
        ("rank=head", "head1", "a1,head[1-2]"),
        ("@heads", "head1", "a1,head[1-2]"),
        ("@*!rank=head", "a2", "a[1-2],head2"),
        ("@*!@heads", "a2", "a[1-2],head2"),
        ("@heads,head2", "head[1-2]", "a1,head[1-2]"),
        ("@heads&head*", "head1", "head[1-2]"),
        ("@heads!a1", "head1", "head[1-2]"),
        ("a[1-2]^@heads", "a2,head1", "a[1-2],head[1-2]"),
        ("a1,head2", "a1,head2", "a1,head2"),
    ] {
        let expected = Ok((sure.to_owned(), possible.to_owned()));
        assert_eq!(covered(&nodes, set), expected, "{set}");
    }
}
