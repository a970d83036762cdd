//! Bad input: nodes files. At the start, a file that cannot be read as a whole stops the server
//! with a clear error; what is wrong with single nodes leaves out those alone.

use std::fs;

use action_tests::{Site, on};

fn site() -> Site {
    let site = Site::new();
    site.command("hello", "touch \"$SCRIPT_ROOT/../ran.$name\"; echo hello");
    site
}

#[test]
fn a_missing_nodes_file() {
    let site = site();
    fs::remove_file(site.path("nodes.yaml")).unwrap();
    insta::assert_snapshot!(site.refused(), @"
    ------- stderr -------
    error: SITE/nodes.yaml:1: cannot read it: No such file or directory (os error 2)
    ------- exit 78 -------
    ");
}

#[test]
fn an_empty_nodes_file() {
    let site = site();
    for text in ["", "\n", "# only a note\n", "---\n"] {
        site.nodes(text);
        let refused = site.refused();
        assert_eq!(
            refused.stderr(),
            "error: SITE/nodes.yaml:1: no nodes are defined: write `node01: {}` for a start\n",
            "{text:?}"
        );
        assert_eq!(refused.code(), 78);
    }
}

#[test]
fn a_nodes_file_that_is_no_yaml() {
    let site = site();
    site.nodes("n1: {}\nn2: [1, 2\nn3: {}\n");
    insta::assert_snapshot!(site.refused(), @"
    ------- stderr -------
    error: SITE/nodes.yaml:3: did not find expected ',' or ']' at line 3 column 3, while parsing a flow sequence at line 2 column 5
    ------- exit 78 -------
    ");
}

#[test]
fn a_nodes_file_that_is_no_map() {
    let site = site();
    for (text, found) in [("- n1\n- n2\n", "a list"), ("n1\n", "a text")] {
        site.nodes(text);
        let refused = site.refused();
        let reason = format!("expected a map from node name to metadata, found {found}");
        assert_eq!(
            refused.stderr(),
            format!("error: SITE/nodes.yaml:1: {reason}\n")
        );
        assert_eq!(refused.code(), 78);
    }
}

#[test]
fn a_nodes_file_that_is_no_text() {
    let site = site();
    site.write("nodes.yaml", b"n1: {}\nn2: {a: \xff\xfe}\n");
    let refused = site.refused();
    assert_eq!(
        refused.stderr(),
        "error: SITE/nodes.yaml:2: it is not UTF-8 text\n"
    );
    assert_eq!(refused.code(), 78);
}

#[test]
fn a_nodes_file_that_is_no_file() {
    let site = site();
    fs::remove_file(site.path("nodes.yaml")).unwrap();
    fs::create_dir(site.path("nodes.yaml")).unwrap();
    let refused = site.refused();
    assert_eq!(
        refused.stderr(),
        "error: SITE/nodes.yaml:1: it is not a regular file\n"
    );
    // A FIFO that nobody writes to holds nobody up.
    fs::remove_dir(site.path("nodes.yaml")).unwrap();
    let _fifo = site.gate("nodes.yaml");
    let refused = site.refused();
    assert_eq!(
        refused.stderr(),
        "error: SITE/nodes.yaml:1: it is not a regular file\n"
    );
}

#[test]
fn a_nodes_file_that_grows_beyond_all_bounds() {
    let site = site();
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, last) in ('b'..'j').zip('a'..) {
        let items = vec![format!("*{last}"); 10].join(",");
        bomb += &format!("{name}: &{name} [{items}]\n");
    }
    site.nodes(&bomb);
    let refused = site.refused();
    assert!(
        refused.stderr().starts_with("error: SITE/nodes.yaml:"),
        "{refused}"
    );
    assert_eq!(refused.code(), 78);
}

#[test]
fn nodes_with_one_name_are_left_out_until_it_is_clear_which_is_meant() {
    let site = site();
    site.nodes("n1: {a: 1}\ntwin: {a: 1}\nn2: {}\ntwin: {a: 2}\n");
    let check = site.server_verb(&["check"]);
    insta::assert_snapshot!(check, @"
    SITE/nodes.yaml:4: twin is defined twice; neither definition is used until one is taken away
    ------- stderr -------
    error: 2 nodes and 1 command can be used; 1 error, 0 warnings
    ------- exit 78 -------
    ");
    let server = site.start();
    let api = server.api();
    assert_eq!(api.node_names(), ["n1", "n2"]);
    assert_eq!(api.refused(on("hello", "twin")).1, "no such node: twin");
    assert_eq!(api.refused(on("hello", "n1,twin")).1, "no such node: twin");
    assert!(!server.has("ran.twin") && !server.has("ran.n1"));
    assert_eq!(api.run(on("hello", "n[1-2]")).nodes(), ["n1", "n2"]);
}
