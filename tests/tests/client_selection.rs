//! The client's ways to say on which nodes: sets, exclusions, expectations and limits.

use action_tests::{Client, Server, Site};

const NODES: &str = "
__groups__: {compute: 'cnode[01-04]'}
login1: {}
cnode01: {ranks: aws, zone: a}
cnode02: {ranks: aws, zone: b}
cnode03: {}
cnode04: {}
";

fn serving() -> (Server, Client) {
    let site = Site::new();
    site.nodes(NODES);
    site.settings("visible_metadata: [zone]");
    site.command("hello", "echo hello from $name");
    site.command("fail", "exit 3");
    let metadata = "help: {summary: a test}\nconfirmation: 'Stop %{nodes} [y/n]?'\n";
    site.command_with("stop", metadata, "echo stopped");
    let server = site.start();
    let client = server.client();
    (server, client)
}

#[test]
fn nodes_are_listed_as_lines_rows_objects_and_a_set() {
    let (_server, client) = serving();
    insta::assert_snapshot!(client.run(&["nodes", "-g", "@compute", "--exclude", "cnode03"]), @r"
    cnode01
    cnode02
    cnode04
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(client.run(&["nodes", "--long"]), @r"
    NAME     RANKS  GROUPS   METADATA
    login1   -      -        -
    cnode01  aws    compute  zone=a
    cnode02  aws    compute  zone=b
    cnode03  -      compute  -
    cnode04  -      compute  -
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(client.run(&["nodes", "-g", "cnode0[1,3]", "--json"]), @r#"
    {"event":"node","name":"cnode01","ranks":["aws"],"groups":["compute"],"metadata":{"zone":"a"}}
    {"event":"node","name":"cnode03","ranks":[],"groups":["compute"],"metadata":{}}
    ------- stderr -------
    ------- exit 0 -------
    "#);
    insta::assert_snapshot!(client.run(&["nodes", "--fold"]), @r"
    cnode[01-04],login1
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(client.run(&["--fold", "--exclude", "login1", "nodes"]), @r"
    cnode[01-04]
    ------- stderr -------
    ------- exit 0 -------
    ");
}

#[test]
fn excluded_nodes_are_left_alone() {
    let (_server, client) = serving();
    insta::assert_snapshot!(client.run(&["hello", "-g", "@compute", "--exclude", "cnode[02-04]"]), @r"
    cnode01: hello from cnode01
    ------- stderr -------
    ok cnode01 (1)
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(client.run(&["hello", "-g", "cnode01", "--exclude", "cnode01"]), @r#"
    ------- stderr -------
    error: the node set "cnode01 without cnode01" selects no node
    ------- exit 255 -------
    "#);
}

#[test]
fn a_group_without_nodes_excludes_none() {
    let site = Site::new();
    site.nodes("__groups__: {drained: 'n9'}\nn1: {}\nn2: {}\n");
    site.command("hello", "echo hello from $name");
    let server = site.start();
    let client = server.client();
    for set in ["@drained", "n1!n1"] {
        let listed = client.run(&["nodes", "--fold", "--exclude", set]).ok();
        assert_eq!(listed.stdout(), "n[1-2]\n", "{set}");
        let ran = client.run(&["hello", "n1", "--exclude", set]).ok();
        assert_eq!(ran.stdout(), "hello from n1\n", "{set}");
    }
    let refused = client.run(&["hello", "n1", "--exclude", "@drianed"]);
    assert_eq!(refused.code(), 255, "{refused}");
}

#[test]
fn a_node_before_other_nodes_is_refused() {
    let (_server, client) = serving();
    for words in [
        &["hello", "cnode01", "a", "--fold", "-g", "cnode02"][..],
        &["hello", "cnode01", "-g", "cnode02"],
        &["hello", "cnode01", "a", "--nodes", "cnode02"],
        &["hello", "cnode01", "--group=cnode02", "--", "a"],
        &["run", "hello", "cnode0[1-2]", "-g", "@compute"],
        &["hello", "@compute", "a", "--nodes", "login1"],
    ] {
        let ran = client.run(words);
        assert_eq!((ran.code(), ran.stdout().as_str()), (64, ""), "{ran}");
        assert!(ran.stderr().contains("nodes are given twice"), "{ran}");
        assert!(ran.stderr().contains("put -g before it"), "{ran}");
    }
    for words in [
        &["hello", "-g", "cnode02", "cnode01", "a"][..],
        &["hello", "--nodes", "cnode02", "cnode01"],
        &["hello", "a", "b", "-g", "cnode02"],
        &["hello", "zone=a", "-g", "cnode02"],
        &["hello", "cnode09", "--nodes", "cnode02"],
    ] {
        let ran = client.run(words).ok();
        assert_eq!(ran.stdout(), "cnode02: hello from cnode02\n", "{words:?}");
    }
    let ran = client.run(&["hello", "cnode01", "--", "a", "-g", "cnode02"]);
    assert_eq!(ran.ok().stdout(), "hello from cnode01\n");
}

#[test]
fn an_option_that_looks_like_ours_does_not_run() {
    let (_server, client) = serving();
    for word in [
        "--exclude-nodes",
        "--pln",
        "--plan p1:x",
        "--expected-nodes=1",
        "--dry-run-only",
        "--drry-rnu",
        "--detached",
        "--no-dry-run",
        "\u{2014}excludes",
    ] {
        let ran = client.run(&["hello", "cnode0[1-3]", word, "cnode02", "--confirm"]);
        assert_eq!((ran.code(), ran.stdout().as_str()), (64, ""), "{ran}");
        assert!(ran.stderr().starts_with("error: unknown option `"), "{ran}");
    }
    for word in ["--verbose", "--force", "--slow", "--level=3", "-x"] {
        _ = client.run(&["hello", "cnode01", word]).ok();
    }
}

#[test]
fn an_empty_exclusion_is_not_taken_for_none() {
    let (_server, client) = serving();
    for words in [
        &["hello", "-g", "@compute", "--exclude", ""][..],
        &["nodes", "--exclude", " "],
    ] {
        let ran = client.run(words);
        assert_eq!((ran.code(), ran.stdout().as_str()), (64, ""), "{ran}");
        assert!(ran.stderr().contains("is empty"), "{ran}");
    }
}

#[test]
fn a_misspelt_node_has_its_nearest_suggested() {
    let (_server, client) = serving();
    insta::assert_snapshot!(client.run(&["hello", "cnoed01"]), @r"
    ------- stderr -------
    error: no such node: cnoed01
    hint: did you mean `cnode01` or `cnode02` or `cnode03`?
    hint: `action-client nodes` lists the nodes
    ------- exit 255 -------
    ");
    insta::assert_snapshot!(client.run(&["nodes", "-g", "login"]), @r"
    ------- stderr -------
    error: no such node: login
    hint: did you mean `login1`?
    hint: `action-client nodes` lists the nodes
    ------- exit 255 -------
    ");
    insta::assert_snapshot!(client.run(&["hello", "--dry-run", "-g", "cnode[05-06]"]), @r"
    ------- stderr -------
    error: no such node: cnode[05-06]
    ------- exit 255 -------
    ");
}

#[test]
fn numbers_with_other_padding_are_suggested() {
    let (server, client) = serving();
    insta::assert_snapshot!(client.run(&["hello", "cnode1"]), @r"
    ------- stderr -------
    error: no such node: cnode1
    hint: did you mean `cnode01`?
    hint: `action-client nodes` lists the nodes
    ------- exit 255 -------
    ");
    insta::assert_snapshot!(client.run(&["nodes", "-g", "login01"]), @r"
    ------- stderr -------
    error: no such node: login01
    hint: did you mean `login1`?
    hint: `action-client nodes` lists the nodes
    ------- exit 255 -------
    ");
    for words in [
        &["hello", "-g", "cnode[1-3]"][..],
        &["hello", "-g", "cnode[1-3],login1", "--dry-run"],
        &["hello", "-g", "@compute", "--exclude", "cnode[1-3]"],
        &["can-i", "hello", "-g", "cnode[001-003]"],
        &["nodes", "-g", "cnode[1-3]"],
    ] {
        let ran = client.run(words);
        let hint = "\nhint: did you mean `cnode[01-03]`?\n";
        assert!(ran.code() == 255 && ran.stderr().contains(hint), "{ran}");
    }
    let ran = server.server_verb(&["generate-token", "--nodes", "cnode[1-3]"]);
    let hint = "did you mean cnode[01-03]?";
    assert!(ran.code() == 64 && ran.stderr().contains(hint), "{ran}");
}

#[test]
fn a_set_in_place_of_a_word_is_led_to_its_option() {
    let (_server, client) = serving();
    insta::assert_snapshot!(client.run(&["nodes", "@compute"]), @r"
    ------- stderr -------
    error: unexpected word `@compute` for `nodes`
    hint: node sets stand behind -g: `action-client nodes -g @compute`
    ------- exit 64 -------
    ");
    insta::assert_snapshot!(client.run(&["runs", "cnode[01-02]"]), @r"
    ------- stderr -------
    error: unexpected word `cnode[01-02]` for `runs`
    hint: node sets stand behind -g: `action-client runs -g 'cnode[01-02]'`
    ------- exit 64 -------
    ");
}

#[test]
fn another_number_of_nodes_than_expected_is_refused() {
    let (_server, client) = serving();
    insta::assert_snapshot!(client.run(&["hello", "-g", "@compute", "--expect-nodes", "3"]), @r"
    ------- stderr -------
    error: 3 nodes were expected and 4 are selected; nothing was run
    ------- exit 255 -------
    ");
    insta::assert_snapshot!(client.run(&["hello", "-g", "@compute", "--expect-nodes", "3", "--dry-run"]), @r"
    ------- stderr -------
    error: 3 nodes are expected, and it is 4: cnode[01-04]
    ------- exit 255 -------
    ");
    insta::assert_snapshot!(client.run(&["hello", "-g", "cnode01", "--expect-nodes", "1"]), @r"
    cnode01: hello from cnode01
    ------- stderr -------
    ok cnode01 (1)
    ------- exit 0 -------
    ");
    let asked = client.run_on_terminal(&["stop", "-g", "@compute", "--expect-nodes", "3"], "y\n");
    assert!(!asked.stdout().contains("Stop"), "{asked}");
}

#[test]
fn after_too_many_failures_no_more_is_started() {
    let (_server, client) = serving();
    let one_by_one = ["fail", "-g", "@compute", "--fanout", "1", "--max-failures"];
    let with = |limit| client.run(&[&one_by_one[..], &[limit]].concat());
    insta::assert_snapshot!(with("2"), @r"
    ------- stderr -------
    failed cnode[01-02] (2): exit 3  cancelled cnode[03-04] (2)
    ------- exit 252 -------
    ");
    insta::assert_snapshot!(with("25%"), @r"
    ------- stderr -------
    failed cnode01 (1): exit 3  cancelled cnode[02-04] (3)
    ------- exit 252 -------
    ");
    insta::assert_snapshot!(with("0"), @r"
    ------- stderr -------
    error: wrong value for `--max-failures`: `0`; expected a number of nodes from 1 up, or a part of them from 1% to 100%
    hint: for example: `--max-failures 10%`
    ------- exit 64 -------
    ");
    insta::assert_snapshot!(with("many"), @r"
    ------- stderr -------
    error: wrong value for `--max-failures`: `many`; expected a number of nodes from 1 up, or a part of them from 1% to 100%
    hint: for example: `--max-failures 10%`
    ------- exit 64 -------
    ");
}
