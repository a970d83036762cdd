//! The file of accepted nodes in the state directory.

use super::*;

#[test]
fn they_are_kept_closed_and_written_only_when_they_change() {
    let text = format!("{}s1: {{__secret__: {{key: hidden}}}}\n", nodes(1..=3));
    let server = site(&text).start();
    let path = server.path("state/nodes.json");
    let made = fs::metadata(&path).unwrap();
    assert_eq!(made.mode() & 0o777, 0o600);
    assert!(
        server
            .read("state/nodes.json")
            .contains("\"__secret__\":{\"key\":\"hidden\"}")
    );
    look_again(&server);
    server.nodes(&format!("# a note\n{text}"));
    look_again(&server);
    let server = server.stop().start();
    assert_eq!(fs::metadata(&path).unwrap().ino(), made.ino());
    server.nodes(&format!("{text}s2: {{}}\n"));
    wait_for_count(&server, 5);
    wait_until("the new node to be kept", CEILING, || {
        server
            .read("state/nodes.json")
            .contains("\"s2\"")
            .then_some(())
    });
    assert_ne!(fs::metadata(&path).unwrap().ino(), made.ino());
    assert_eq!(server.read("state/version"), "1\n");
    // `check` and `explain` write nothing.
    let site = server.stop();
    fs::remove_file(&path).unwrap();
    _ = site.server_verb(&["check"]).ok();
    _ = site.server_verb(&["explain"]).ok();
    _ = site.server_verb(&["accept-nodes"]).ok();
    assert!(!path.exists());
}

#[test]
fn others_cannot_put_nodes_into_it() {
    let server = site(&nodes(1..=20)).start();
    let site = server.stop();
    let path = site.path("state/nodes.json");
    site.nodes("n1: [\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let checked = site.server_verb(&["check"]);
    assert!(
        checked.stderr().contains("nodes.yaml:2: ") && checked.code() == 78,
        "{checked}"
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    chown(&path, Some(65534), None).unwrap();
    assert!(site.refused().stderr().contains("nodes.yaml:2: "));
    chown(&path, Some(0), None).unwrap();
    assert_eq!(count(&site.start()), 20);
}

#[test]
fn root_accepts_for_a_server_of_another_user() {
    let site = site(&nodes(1..=20));
    site.settings("revocation_path: revoked.jsonl");
    let server = site.start();
    let site = server.stop();
    site.nodes(&nodes(1..=2));
    let mut give = Command::new("chown");
    give.args(["-R", "65534:65534"]).arg(site.path("state"));
    _ = run(give).ok();
    let checked = site.server_verb(&["check"]);
    assert!(
        checked.stdout().contains("the file is not used: "),
        "{checked}"
    );
    _ = site.server_verb(&["accept-nodes"]).ok();
    let made = fs::metadata(site.path("state/nodes.accept")).unwrap();
    assert_eq!(
        (made.uid(), made.gid(), made.mode() & 0o777),
        (65534, 65534, 0o600)
    );
    assert_eq!(site.server_verb(&["check"]).code(), 0);
}

#[test]
fn nodes_that_cannot_be_kept_are_told_of_and_tried_again() {
    let server = site(&nodes(1..=20)).start();
    // A directory in the place of the file cannot be replaced.
    fs::remove_file(server.path("state/nodes.json")).unwrap();
    fs::create_dir(server.path("state/nodes.json")).unwrap();
    server.nodes(&nodes(1..=19));
    server.wait_for_log("cannot keep the accepted nodes: ");
    assert_eq!(count(&server), 19);
    fs::remove_dir(server.path("state/nodes.json")).unwrap();
    look_again(&server);
    wait_until("the nodes to be kept", CEILING, || {
        server.has("state/nodes.json").then_some(())
    });
    server.wait_for_log("mended: ");
}

#[test]
fn metrics_show_both_counts_and_how_many_are_missing() {
    let site = site(&nodes(1..=288));
    site.settings("metrics_listen: \"127.0.0.1:0\"");
    let server = site.start();
    let counts = |server: &Server| {
        let scrape = server.scrape();
        let names = [
            "action_nodes",
            "action_nodes_in_file",
            "action_nodes_missing",
        ];
        names.map(|name| scrape.of(name))
    };
    assert_eq!(counts(&server), [288.0, 288.0, 0.0]);
    server.nodes(&nodes(1..=100));
    server.wait_for_log("the file is not used: ");
    assert_eq!(counts(&server), [288.0, 100.0, 188.0]);
    let server = server.stop().start();
    assert_eq!(counts(&server), [288.0, 100.0, 188.0]);
    _ = server.server_verb(&["accept-nodes"]).ok();
    wait_for_count(&server, 100);
    assert_eq!(counts(&server), [100.0, 100.0, 0.0]);
}

#[test]
fn explain_and_generate_token_know_what_the_server_uses() {
    let server = site(&nodes(1..=288)).start();
    let site = server.stop();
    site.nodes(&nodes(1..=100));
    let explained = site.server_verb(&["explain", "--command", "hello"]).ok();
    assert!(
        explained.stdout().contains("run on cnode[001-288]"),
        "{explained}"
    );
    _ = site
        .server_verb(&["generate-token", "--nodes", "cnode288"])
        .ok();
    let refused = site.server_verb(&["generate-token", "--nodes", "cnode289"]);
    assert_eq!(refused.code(), 64, "{refused}");
}
