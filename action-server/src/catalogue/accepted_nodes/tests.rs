//! What is kept of nodes is read back as it was, whatever is in it.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::catalogue::read_nodes;

fn build(text: &str) -> Nodes {
    let (file, _) = read_nodes(Path::new("nodes.yaml"), text).unwrap();
    Nodes::build(file, None, BTreeSet::new()).0
}

fn read_back(nodes: &Nodes) -> Nodes {
    let text = String::from_utf8(write_accepted(nodes).unwrap()).unwrap();
    let (file, faults) = read_accepted(Path::new("nodes.json"), &text).unwrap();
    assert_eq!(faults, [], "{text}");
    Nodes::build(file, None, BTreeSet::new()).0
}

#[test]
fn definitions_groups_and_secrets_are_kept_as_texts() {
    let text = "__groups__: {all: '@*', none: [], cut: 'n[1', lost: '@cut'}
n2: {ranks: [aws, '010'], at: 010, is: yes, no: null, more: [1, {x: y}], bmc_password: hidden}
n1: {__secret__: {key: \"a'b\\\"c\\\\\"}, PATH: /evil}
n3:
";
    let nodes = build(text);
    let kept = String::from_utf8(write_accepted(&nodes).unwrap()).unwrap();
    let start = r#"{"__groups__":{"all":"@*","none":""},"__broken__":{"groups":{"cut":"cannot read the node set \"n[1\": [ without ]","lost":"it names @cut, which is broken"},"nodes":["n1"]},"n2":{"ranks":["aws","010"],"at":"010","is":"yes","no":"","more":"[\"1\",{\"x\":\"y\"}]","__secret__":{"bmc_password":"hidden"}},"n1":{"#;
    assert!(kept.starts_with(start), "{kept}");
    let back = read_back(&nodes);
    assert_eq!(back.broken_names().collect::<Vec<_>>(), ["n1"]);
    let names: Vec<_> = back.list().iter().map(|node| &node.name).collect();
    assert_eq!(names, ["n2", "n1", "n3"]);
    assert_eq!(
        back.get("n2").unwrap().secrets().collect::<Vec<_>>(),
        ["hidden"]
    );
    for set in ["@cut", "@lost"] {
        let error = back.select(set, "", 10).unwrap_err().to_string();
        assert_eq!(error, nodes.select(set, "", 10).unwrap_err().to_string());
    }
}

#[test]
fn a_damaged_file_is_none() {
    let whole = String::from_utf8(write_accepted(&build("n1: {a: b}\nn2: {}\n")).unwrap()).unwrap();
    for length in 1..whole.len() - 2 {
        let cut = read_accepted(Path::new("f"), &whole[..length]);
        assert!(cut.is_err(), "{:?}", &whole[..length]);
    }
    for text in [
        "",
        "[]",
        "n1",
        "\0",
        "n1: {}",
        "{\"n1\":1}",
        "{\"__broken__\":[]}",
        "{\"__broken__\":{\"groups\":\"x\"}}",
    ] {
        assert!(read_accepted(Path::new("f"), text).is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_value_is_read_back(values in proptest::collection::vec(any::<String>(), 1..4)) {
        let mut text = String::new();
        for (at, value) in values.iter().enumerate() {
            let escaped: String = value
                .chars()
                .map(|c| format!("\\U{:08x}", u32::from(c)))
                .collect();
            text += &format!("n{at}: {{value: \"{escaped}\", __secret__: {{key: \"{escaped}\"}}}}\n");
        }
        let nodes = build(&text);
        let back = read_back(&nodes);
        for node in nodes.list() {
            prop_assert_eq!(back.get(&node.name), Some(node));
        }
    }
}
