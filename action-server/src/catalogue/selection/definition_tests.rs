//! Node sets of definitions, rules and tokens.

use std::{collections::BTreeSet, path::Path};

use super::{tests::names_of, *};
use crate::catalogue::{read_nodes, selection_error::cut_text};

/// What a definition covers, what it names that is not there, and which of its groups are empty.
fn defined(nodes: &Nodes, set: &str) -> Result<(String, String, String), String> {
    let coverage = cover_nodes(nodes, set).map_err(|error| error.to_string())?;
    assert_eq!(coverage.sure, coverage.possible);
    let covered = nodes.list().iter().zip(&coverage.sure);
    let covered = covered
        .filter(|(_, is)| **is)
        .map(|(node, _)| node.name.as_str());
    Ok((
        action_proto::fold(covered),
        coverage.undefined,
        coverage.empty,
    ))
}

#[test]
fn a_definition_may_name_more_nodes_than_a_run() {
    let text = "g1:\n".to_owned() + &(1..=10).map(|at| format!("n{at}:\n")).collect::<String>();
    let (file, _) = read_nodes(Path::new("f"), &text).unwrap();
    let nodes = Nodes::build(file, None, BTreeSet::new()).0;
    let many: String = (0..2000).map(|_| ",n[1-99]").collect();
    for (set, covered, undefined) in [
        ("n[1-20000]", "n[1-10]", "some of n[1-20000]"),
        ("x[1-9999999999]", "", "x[1-9999999999]"),
        (
            "n[1-99999999999999999999999999]!n1",
            "n[2-10]",
            "some of n[1-99999999999999999999999999]",
        ),
        (
            "n[1-20000]&n[9-99]",
            "n[9-10]",
            "n[11-99],some of n[1-20000]",
        ),
        ("g[1-4]x[1-99999],g1", "g1", "g[1-4]x[1-99999]"),
        (
            "n[1-9000],n[1-9000],n[1-9000],n[1-9000],n[1-9000]",
            "n[1-10]",
            "some of n[1-9000]",
        ),
        (&many[1..], "n[1-10]", "some of n[1-99]"),
        ("@*", "g1,n[1-10]", ""),
    ] {
        let expected = (covered.to_owned(), undefined.to_owned(), String::new());
        assert_eq!(
            defined(&nodes, set),
            Ok(expected),
            "{}",
            cut_text(set.to_owned(), 80)
        );
    }
    assert_eq!(
        defined(&nodes, "@g[1-99999]"),
        Err("no such group: @g[1-99999]".to_owned())
    );
    // For a caller a limit is a limit.
    assert!(names_of(&nodes, "n[1-20000]").is_err());
}

#[test]
fn groups_without_members_are_told_of_and_are_no_error() {
    let text = "__groups__: {none: '', nix: n1!n1, some: n1}\nn1:\nn2:\n";
    let (file, _) = read_nodes(Path::new("f"), text).unwrap();
    let nodes = Nodes::build(file, None, BTreeSet::new()).0;
    for (set, covered, empty) in [
        ("@none", "", "@none"),
        ("@n*", "", "@n*"),
        ("@none,@nix,n2", "n2", "@nix,@none"),
        ("@some,@none", "n1", "@none"),
        ("@[1-2]*,n1", "", ""),
        // To take away nothing is right.
        ("n[1-2]!@none", "n[1-2]", ""),
        ("@*", "n[1-2]", ""),
        ("n1!n1", "", ""),
    ] {
        match defined(&nodes, set) {
            Ok(found) => assert_eq!(
                found,
                (covered.into(), String::new(), empty.into()),
                "{set}"
            ),
            Err(error) => assert!(
                error.starts_with("no such group") && covered.is_empty(),
                "{set}: {error}"
            ),
        }
    }
}
