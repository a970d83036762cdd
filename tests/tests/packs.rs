//! The shipped power and estate commands, on the nodes of the demo platform, through the entry
//! points `power` and `estate`.

use action_tests::{Server, Site};

/// The shipped site with nodes that change state at once.
fn serving() -> Server {
    let site = Site::shipped();
    site.nodes(
        "
cnode01: {ranks: [demo], demo_delay: 0}
cnode02: {ranks: [demo], demo_delay: 0, demo_type: compute-small}
switch1: {}
",
    );
    site.start()
}

#[test]
fn power_status_says_off_after_power_off() {
    let server = serving();
    let power = server.client().called("power");
    insta::assert_snapshot!(power.run(&["status", "cnode01"]), @"
    ON
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(power.run(&["--confirm", "off", "cnode01"]), @"
    powering off
    STOPPING
    OFF
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(power.run(&["status", "cnode01"]), @"
    OFF
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(power.run(&["on", "cnode01"]), @"
    powering on
    PENDING
    ON
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(power.run(&["status", "cnode01"]), @"
    ON
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(power.run(&["--confirm", "cycle", "cnode01"]), @"
    powering off
    STOPPING
    OFF
    powering on
    PENDING
    ON
    ------- stderr -------
    ------- exit 0 -------
    ");
}

#[test]
fn estate_change_streams_its_steps_and_estate_show_confirms() {
    let server = serving();
    let estate = server.client().called("estate");
    let change = ["change", "--confirm", "-g", "cnode[01-02]", "general-large"];
    let ran = estate.run(&change).ok();
    let of = |node: &str| {
        let lines = ran.stdout();
        let lines = lines.lines().filter_map(|line| line.strip_prefix(node));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    insta::assert_snapshot!(of("cnode01: "), @"
    changing from general-small to general-large
    powering off
    STOPPING
    OFF
    changed to general-large
    powering on
    PENDING
    ON
    ");
    insta::assert_snapshot!(of("cnode02: "), @"
    changing from compute-small to general-large
    powering off
    STOPPING
    OFF
    changed to general-large
    powering on
    PENDING
    ON
    ");
    let ran = server.client().run(&["estate-show", "cnode01"]);
    insta::assert_snapshot!(ran, @"
    general-large
    ------- stderr -------
    ------- exit 0 -------
    ");
    let shown = estate.run(&["show", "-g", "cnode01,cnode02"]).ok();
    let mut lines: Vec<_> = shown.stdout().lines().map(str::to_owned).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["cnode01: general-large", "cnode02: general-large"]);
}

#[test]
fn estate_list_lists_the_nodes() {
    let server = serving();
    let estate = server.client().called("estate");
    insta::assert_snapshot!(estate.run(&["list"]), @"
    cnode01
    cnode02
    switch1
    ------- stderr -------
    ------- exit 0 -------
    ");
}

#[test]
fn a_node_without_a_rank_is_told_which_there_are() {
    let server = serving();
    let power = server.client().called("flight-power");
    let ran = power.run(&["status", "switch1"]);
    assert_eq!(ran.code(), 78, "{ran}");
    let told = "\
error: power-status cannot run on switch1: the node has no rank that power-status has a script for
hint: power-status has scripts for these ranks: aws azure demo ipmi redfish
hint: set one in the nodes file (nodes_config_path in the server's settings), for example \
'switch1: {ranks: [aws]}'
";
    assert!(ran.stderr().starts_with(told), "{ran}");
}

#[test]
fn the_sample_shows_what_a_script_gets_and_gives() {
    let server = serving();
    let ran = server
        .client()
        .run(&["sample", "cnode01", "5", "two words"]);
    assert_eq!(ran.code(), 5, "{ran}");
    assert!(ran.stdout().contains("\n  two words\n"), "{ran}");
}
