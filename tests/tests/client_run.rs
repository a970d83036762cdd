//! The client runs commands: nodes, arguments, prefixes.

use action_tests::{Server, Site};

fn serving() -> Server {
    let site = Site::new();
    site.nodes("cnode01:\ncnode02:\nlogin1:\n__groups__: {compute: 'cnode[01-02]'}\n");
    let metadata = "help: {summary: Say hello, syntax: 'NAME [WORD]..'}";
    site.command_with("hello", metadata, "printf '<%s>' \"$name\" \"$@\"; echo");
    let once = "help: {summary: Say it once, has_context: false, syntax: '[WORD]..'}";
    site.command_with("once", once, "printf '<%s>' \"$@\"; echo");
    site.start()
}

/// What a command line prints, its lines sorted where nodes may come in any order.
#[track_caller]
fn prints(server: &Server, words: &[&str]) -> String {
    let ran = server.client().run(words).ok();
    let text = ran.stdout();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[test]
fn lines_of_several_nodes_are_prefixed() {
    let server = serving();
    let both = "cnode01: <cnode01>\ncnode02: <cnode02>";
    for set in [
        "cnode01,cnode02",
        "cnode[01-02]",
        "@compute",
        "cnode*",
        "@*!login1",
    ] {
        assert_eq!(prints(&server, &["run", "hello", "-g", set]), both, "{set}");
        assert_eq!(prints(&server, &["hello", "-g", set]), both, "{set}");
    }
    // Asked for a set, one node has its prefix too.
    assert_eq!(
        prints(&server, &["run", "hello", "-g", "login1"]),
        "login1: <login1>"
    );
}

#[test]
fn a_single_node_is_bare() {
    let server = serving();
    assert_eq!(prints(&server, &["run", "hello", "cnode01"]), "<cnode01>");
    assert_eq!(prints(&server, &["hello", "cnode01"]), "<cnode01>");
}

#[test]
fn arguments_follow_the_node() {
    let server = serving();
    let line = "<cnode01><a b><><*>";
    assert_eq!(
        prints(&server, &["run", "hello", "cnode01", "a b", "", "*"]),
        line
    );
    assert_eq!(prints(&server, &["hello", "cnode01", "a b", "", "*"]), line);
    let line = format!("cnode01: {line}");
    assert_eq!(
        prints(&server, &["hello", "-g", "cnode01", "a b", "", "*"]),
        line
    );
    assert_eq!(
        prints(&server, &["-g", "cnode01", "hello", "a b", "", "*"]),
        line
    );
}

#[test]
fn words_that_look_like_options_are_the_scripts_after_the_node() {
    let server = serving();
    assert_eq!(
        prints(&server, &["hello", "cnode01", "-rf", "--all"]),
        "<cnode01><-rf><--all>"
    );
    assert_eq!(
        prints(&server, &["hello", "cnode01", "--", "-g", "--confirm"]),
        "<cnode01><-g><--confirm>"
    );
    assert_eq!(
        prints(&server, &["hello", "-g", "cnode01", "--", "-rf"]),
        "cnode01: <cnode01><-rf>"
    );
}

#[test]
fn a_command_without_nodes_takes_all_words_as_arguments() {
    let server = serving();
    assert_eq!(
        prints(&server, &["run", "once", "cnode01", "x"]),
        "<cnode01><x>"
    );
    assert_eq!(prints(&server, &["once"]), "<>");
}

#[test]
fn estate_show_on_two_nodes() {
    let site = Site::shipped();
    let server = site.start();
    let ran = server
        .client()
        .run(&["run", "estate-show", "-g", "cnode01,cnode02"]);
    let mut lines: Vec<_> = ran.stdout().lines().map(str::to_owned).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["cnode01: general-small", "cnode02: compute-small"]);
    assert_eq!(ran.stderr(), "ok cnode[01-02] (2)\n");
    assert_eq!(ran.code(), 0);
}

#[test]
fn the_nodes_are_listed_in_the_order_of_the_file() {
    let site = Site::new();
    site.nodes("b2: {ranks: [aws, metal], az: x}\na1:\nb1:\n__groups__: {all: 'b[1-2],a1'}\n");
    site.settings("visible_metadata: [az]");
    let server = site.start();
    let client = server.client();
    insta::assert_snapshot!(client.run(&["estate-list"]), @"
    b2
    a1
    b1
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(client.run(&["nodes"]), @"
    b2
    a1
    b1
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(client.run(&["nodes", "--long"]), @"
    NAME  RANKS      GROUPS  METADATA
    b2    aws,metal  all     az=x
    a1    -          all     -
    b1    -          all     -
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(client.run(&["nodes", "--json"]), @r#"
    {"event":"node","name":"b2","ranks":["aws","metal"],"groups":["all"],"metadata":{"az":"x"}}
    {"event":"node","name":"a1","ranks":[],"groups":["all"],"metadata":{}}
    {"event":"node","name":"b1","ranks":[],"groups":["all"],"metadata":{}}
    ------- stderr -------
    ------- exit 0 -------
    "#);
    insta::assert_snapshot!(client.run(&["nodes", "-g", "b*"]), @"
    b2
    b1
    ------- stderr -------
    ------- exit 0 -------
    ");
}
