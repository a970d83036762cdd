//! An edit of the nodes file that removes many nodes is held back, by a reload and by a start, until
//! the nodes are back or the admin accepts it.

mod state_file;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    process::Command,
};

use action_tests::{CEILING, Server, Site, on, processes, program::run, wait_until};
use rustix::process::Signal;

/// A nodes file as a generator writes it: groups and anchors, then nodes of one line each.
fn nodes(numbers: impl IntoIterator<Item = usize>) -> String {
    let mut text = String::from(
        "__groups__:\n  compute: cnode[001-288]\n__meta__:\n  aws: &aws {ranks: [aws]}\n",
    );
    for number in numbers {
        text += &format!("cnode{number:03}: {{<<: *aws, ip: 10.0.0.{number}}}\n");
    }
    text
}

fn site(text: &str) -> Site {
    let site = Site::new();
    site.nodes(text);
    site.command("hello", "echo $ip");
    site
}

fn count(server: &Server) -> usize {
    server.api().node_names().len()
}

#[track_caller]
fn wait_for_count(server: &Server, expected: usize) {
    wait_until(&format!("{expected} nodes"), CEILING, || {
        (count(server) == expected).then_some(())
    });
}

/// Makes the server look at its definitions, and waits until it has.
fn look_again(server: &Server) {
    let lines = |server: &Server| {
        let reloads = server.audit().into_iter();
        let reloads = reloads.filter(|line| line["event"] == "reloaded");
        reloads.filter(|line| line["what"] == "definitions").count()
    };
    let before = lines(server);
    processes::signal(server.id(), Signal::HUP);
    wait_until("another look", CEILING, || {
        (lines(server) > before).then_some(())
    });
}

fn cut(text: &str, lines: usize) -> String {
    text.split_inclusive('\n').take(lines).collect()
}

#[test]
fn a_file_that_is_written_in_part_changes_nothing() {
    let whole = nodes(1..=288);
    let mut site = site(&whole);
    for (lines, missing) in [
        (4, "cnode[001-288] (288)"),
        (5, "cnode[002-288] (287)"),
        (150, "cnode[147-288] (142)"),
        (200, "cnode[197-288] (92)"),
    ] {
        let server = site.start();
        assert_eq!(count(&server), 288);
        server.nodes(&cut(&whole, lines));
        let (missing, of) = missing.split_once(' ').unwrap();
        let of = of.trim_matches(['(', ')']);
        let in_file = lines - 4;
        let fault = format!(
            "nodes.yaml:1: the file is not used: 288 nodes are accepted and the file has {in_file}; {of} are missing: {missing}; put them back, or run action-server accept-nodes"
        );
        server.wait_for_log(&fault);
        let seen = |server: &Server| {
            assert_eq!(count(server), 288, "{lines} lines");
            let run = server.api().run(on("hello", "cnode288,cnode001"));
            assert_eq!(run.answer_of("cnode288"), "10.0.0.288\n");
            let checked = server.server_verb(&["check"]);
            assert_eq!(checked.code(), 78, "{checked}");
            assert!(checked.stdout().contains(&fault), "{checked}");
            assert!(
                checked
                    .stderr()
                    .contains("288 nodes and 1 command can be used; 1 error"),
                "{checked}"
            );
        };
        seen(&server);
        // SIGHUP makes it look, and accepts nothing.
        look_again(&server);
        seen(&server);
        let server = server.stop().start();
        server.wait_for_log(&fault);
        seen(&server);
        look_again(&server);
        seen(&server);
        server.nodes(&whole);
        server.wait_for_log("mended: ");
        assert_eq!(count(&server), 288);
        site = server.stop();
    }
}

#[test]
fn a_file_that_breaks_off_within_a_node_changes_nothing_either() {
    let whole = nodes(1..=288);
    let server = site(&whole).start();
    for bytes in [40, 90, 5000, whole.len() - 3] {
        server.nodes(&whole[..bytes]);
        wait_until("the fault", CEILING, || {
            let checked = server.server_verb(&["check"]);
            let fault = checked.stdout();
            let fault = fault.lines().next()?.trim_start_matches("SITE");
            server.log().contains(fault).then_some(())
        });
        assert_eq!(count(&server), 288, "{bytes} bytes");
        server.nodes(&whole);
        wait_until("the whole file", CEILING, || {
            (server.server_verb(&["check"]).code() == 0).then_some(())
        });
    }
    server.nodes(&whole[..5000]);
    let server = server.stop().start();
    assert_eq!(count(&server), 288);
}

/// Groups in front of the nodes or behind them, the list of `compute` with a member on each line.
fn nodes_with_groups(members: impl IntoIterator<Item = usize>, are_in_front: bool) -> String {
    let mut groups = String::from("__groups__:\n  head: cnode001\n  compute:\n");
    for number in members {
        groups += &format!("    - cnode{number:03}\n");
    }
    let nodes = nodes(1..=40).replace("  compute: cnode[001-288]\n", "");
    let nodes = nodes.replace("__groups__:\n", "");
    match are_in_front {
        true => groups + &nodes,
        false => nodes + &groups,
    }
}

#[test]
fn a_list_of_a_group_that_is_written_in_part_changes_nothing() {
    for are_in_front in [true, false] {
        let site = site(&nodes_with_groups(1..=40, are_in_front));
        site.settings("metrics_listen: \"127.0.0.1:0\"");
        let server = site.start();
        let members = |server: &Server| server.api().run(on("hello", "@compute")).nodes().len();
        assert_eq!(members(&server), 40);
        // Ten may always go.
        server.nodes(&nodes_with_groups(1..=30, are_in_front));
        wait_until("30 members", CEILING, || {
            (members(&server) == 30).then_some(())
        });
        server.nodes(&nodes_with_groups(1..=12, are_in_front));
        let fault = "nodes.yaml:1: the file is not used: 40 nodes are accepted and the file has 40; 18 of 30 members are missing in group compute: cnode[013-030]; put them back, or run action-server accept-nodes";
        server.wait_for_log(fault);
        assert_eq!(members(&server), 30);
        let checked = server.server_verb(&["check"]);
        assert_eq!(checked.code(), 78, "{checked}");
        assert!(checked.stdout().contains(fault), "{checked}");
        assert_eq!(server.scrape().of("action_nodes_missing"), 18.0);
        let server = server.stop().start();
        assert_eq!(members(&server), 30);
        let accepted = server.server_verb(&["accept-nodes"]).ok();
        assert_eq!(
            accepted.stdout(),
            "accepted before: 40 nodes\nin the file: 40 nodes\nremoved from group compute: cnode[013-030] (18)\n"
        );
        wait_until("12 members", CEILING, || {
            (members(&server) == 12).then_some(())
        });
    }
}

#[test]
fn of_a_group_only_what_it_alone_loses_is_counted() {
    let with_group = |group: &str, numbers| {
        nodes(numbers).replace("compute: cnode[001-288]", &format!("compute: {group}"))
    };
    let server = site(&with_group("cnode[001-011]", 1..=44)).start();
    // The nodes of all members are removed, which are a quarter of the nodes.
    server.nodes(&with_group("cnode[001-011]", 12..=44));
    wait_for_count(&server, 33);
    server.nodes(&with_group("cnode[012-030]", 12..=44));
    let members = || {
        Some(
            server
                .api()
                .start(on("hello", "@comp*"))
                .ok()?
                .finish()
                .nodes()
                .len(),
        )
    };
    wait_until("19 members", CEILING, || {
        members().filter(|count| *count == 19)
    });
    // One that is gone loses all of them: a pattern of groups would mean less without a word.
    server.nodes(&nodes(12..=44).replace("compute: cnode[001-288]", "other: cnode012"));
    server.wait_for_log("19 of 19 members are missing in group compute: cnode[012-030]");
    assert_eq!(members(), Some(19));
    _ = server.server_verb(&["accept-nodes"]).ok();
    wait_until("other", CEILING, || {
        let run = server.api().start(on("hello", "@other")).ok()?.finish();
        (run.nodes() == ["cnode012"]).then_some(())
    });
}

#[test]
fn more_than_ten_and_more_than_a_quarter_are_held_back_and_no_fewer() {
    for (before, removed, is_held) in [
        (12, 10, false),
        (44, 11, false),
        (43, 11, true),
        (11, 11, true),
        (12, 11, true),
        (10, 10, false),
    ] {
        let server = site(&nodes(1..=before)).start();
        server.nodes(&nodes(removed + 1..=before));
        match is_held {
            true => server.wait_for_log("the file is not used: "),
            false => wait_for_count(&server, before - removed),
        }
        let expected = if is_held { before } else { before - removed };
        assert_eq!(count(&server), expected, "{removed} of {before}");
        let code = server.server_verb(&["check"]).code();
        assert_eq!(code == 78, is_held, "{removed} of {before}");
        assert_eq!(
            count(&server.stop().start()),
            expected,
            "{removed} of {before}"
        );
    }
}

#[test]
fn new_names_for_all_nodes_remove_the_old_ones() {
    let server = site(&nodes(1..=20)).start();
    server.nodes(&nodes(101..=120));
    server
        .wait_for_log("20 nodes are accepted and the file has 20; 20 are missing: cnode[001-020]");
    assert_eq!(server.api().node_names()[0], "cnode001");
    // A node that is there and broken is not missing.
    server.nodes(&nodes(1..=20).replace("ip: 10", "PATH: 10"));
    server.wait_for_log("mended: ");
    assert_eq!(count(&server), 20);
    assert_eq!(
        server
            .api()
            .run(on("hello", "cnode007"))
            .answer_of("cnode007"),
        "10.0.0.7\n"
    );
}

#[test]
fn what_the_admin_accepts_is_used_at_once_and_only_once() {
    let (whole, part) = (nodes(1..=288), nodes(1..=100));
    let server = site(&whole).start();
    let nothing = server.server_verb(&["accept-nodes"]).ok();
    assert_eq!(
        nothing.stderr(),
        "nothing is held back: the server uses the nodes file as it is\n"
    );
    assert!(!server.has("state/nodes.accept"));
    server.nodes(&part);
    server.wait_for_log("the file is not used: ");
    insta::assert_snapshot!(server.server_verb(&["accept-nodes"]), @"
    accepted before: 288 nodes
    in the file: 100 nodes
    removed: cnode[101-288] (188)
    ------- stderr -------
    accepted: a running server uses the file within moments, and a stopped one when it starts
    ------- exit 0 -------
    ");
    wait_for_count(&server, 100);
    server.wait_for_log("nodes are gone nodes=\"cnode[101-288]\"");
    wait_until("the approval to be used up", CEILING, || {
        (!server.has("state/nodes.accept")).then_some(())
    });
    assert_eq!(server.server_verb(&["check"]).code(), 0);
    // The same file once more, after the whole one, is another edit.
    server.nodes(&whole);
    wait_for_count(&server, 288);
    server.nodes(&part);
    wait_until("the edit to be held back", CEILING, || {
        (server.log().matches("ERROR").count() == 2).then_some(())
    });
    assert_eq!(count(&server), 288);
    // What is accepted is this file and no other.
    _ = server.server_verb(&["accept-nodes"]).ok();
    wait_for_count(&server, 100);
    let server = server.stop().start();
    assert_eq!(count(&server), 100);
}

#[test]
fn a_stopped_server_uses_what_was_accepted_when_it_starts() {
    let server = site(&nodes(1..=288)).start();
    let site = server.stop();
    site.nodes(&nodes(1..=100));
    assert_eq!(site.server_verb(&["check"]).code(), 78);
    _ = site.server_verb(&["accept-nodes"]).ok();
    assert_eq!(site.server_verb(&["check"]).code(), 0);
    // An approval is for one text alone.
    site.nodes(&nodes(1..=101));
    assert_eq!(site.server_verb(&["check"]).code(), 78);
    let server = site.start();
    assert_eq!(count(&server), 288);
    let site = server.stop();
    site.nodes(&nodes(1..=100));
    let server = site.start();
    assert_eq!(count(&server), 100);
    assert!(!server.has("state/nodes.accept"));
}

#[test]
fn enough_nodes_that_are_back_end_it() {
    let server = site(&nodes(1..=288)).start();
    server.nodes(&nodes(1..=150));
    server.wait_for_log("the file is not used: ");
    // 72 of 288 are a quarter, and no more.
    server.nodes(&nodes(1..=216));
    wait_for_count(&server, 216);
    server.wait_for_log("mended: ");
    let server = server.stop().start();
    assert_eq!(count(&server), 216);
}

#[test]
fn a_start_goes_on_with_the_accepted_nodes_where_the_file_cannot_be_read() {
    let server = site(&nodes(1..=20)).start();
    let mut site = server.stop();
    for (text, fault) in [
        ("n1: [\n", "nodes.yaml:2: "),
        ("", ":1: no nodes are defined"),
        ("- x\n", "found a list"),
    ] {
        site.nodes(text);
        let server = site.start();
        server.wait_for_log(fault);
        assert_eq!(count(&server), 20, "{text:?}");
        let checked = server.server_verb(&["check"]);
        assert!(
            checked.stdout().contains(fault) && checked.code() == 78,
            "{checked}"
        );
        site = server.stop();
    }
    fs::remove_file(site.path("nodes.yaml")).unwrap();
    let server = site.start();
    server.wait_for_log("nodes.yaml:1: cannot read it");
    assert_eq!(server.api().run(on("hello", "@compute")).nodes().len(), 20);
    // Commands have no such state.
    let site = server.stop();
    fs::rename(site.path("libexec"), site.path("away")).unwrap();
    assert_eq!(site.refused().code(), 78);
}

#[test]
fn accepted_nodes_that_are_damaged_or_gone_stop_no_start() {
    let mut site = site(&nodes(1..=20));
    for damage in ["", "n1: [", "{\"cnode001\":", "\0\0\0", "__broken__: 1"] {
        site.nodes(&nodes(1..=20));
        let server = site.start();
        site = server.stop();
        site.write("state/nodes.json", damage);
        site.nodes(&nodes(1..=3));
        let checked = site.server_verb(&["check"]);
        assert_eq!(checked.code(), 0, "{checked}");
        let warning = "warning: the accepted nodes cannot be used: ";
        assert!(checked.stdout().contains(warning), "{checked}");
        let server = site.start();
        server.wait_for_log(warning);
        assert_eq!(count(&server), 3, "{damage:?}");
        site = server.stop();
        let checked = site.server_verb(&["check"]);
        assert!(!checked.stdout().contains("nodes.json"), "{checked}");
    }
    site.nodes(&nodes(1..=20));
    let site = site.start().stop();
    fs::remove_file(site.path("state/nodes.json")).unwrap();
    site.nodes(&nodes(1..=2));
    assert_eq!(count(&site.start()), 2);
}
