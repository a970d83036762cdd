//! Edits of nodes, metadata and scripts are picked up while the server runs. A broken edit keeps
//! the last good version, and the log says what is wrong and where.

use std::{fs, os::unix::fs::PermissionsExt};

use action_proto::v1::ListCommandsRequest;
use action_tests::{Api, Server, Site, on, program::AT_ONCE, wait_until};
use tonic::Code;

/// Soon: long before the server would look without being told of an edit (every 30 s).
#[track_caller]
fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    wait_until(what, AT_ONCE, || is_so().then_some(()));
}

fn hello() -> Site {
    let site = Site::new();
    site.command("hello", "echo hello");
    site
}

fn answer(api: &Api, command: &str) -> String {
    api.run(on(command, "n1")).answer_of("n1")
}

fn summary(api: &Api, command: &str) -> Option<String> {
    let list = api.list_commands(ListCommandsRequest::default()).unwrap();
    let mut commands = list.commands.into_iter();
    Some(commands.find(|known| known.name == command)?.summary)
}

#[test]
fn nodes_edited_in_place() {
    let server = hello().start();
    let api = server.api();
    assert_eq!(api.node_names(), ["n1"]);
    server.nodes("n2: {}\nn1: {}\n");
    soon("the new node", || api.node_names() == ["n2", "n1"]);
    server.nodes("n2: {}\n");
    soon("the old node to go", || api.node_names() == ["n2"]);
    assert_eq!(api.refused(on("hello", "n1")).1, "no such node: n1");
}

#[test]
fn nodes_replaced_by_rename_again_and_again() {
    let server = hello().start();
    let api = server.api();
    for number in 2..6 {
        server.write("nodes.new", format!("n{number}: {{}}\n"));
        fs::rename(server.path("nodes.new"), server.path("nodes.yaml")).unwrap();
        soon("the new node", || {
            api.node_names() == [format!("n{number}")]
        });
    }
    // And in place again, in the file that came by rename.
    server.nodes("n9: {}\n");
    soon("the edit in place", || api.node_names() == ["n9"]);
}

#[test]
fn metadata_of_nodes_and_what_a_run_began_with() {
    let site = Site::new();
    site.nodes("n1: {colour: red}\n");
    site.command(
        "colour",
        "echo $colour; read -r < \"$SCRIPT_ROOT/../gate\"; echo $colour",
    );
    let gate = site.gate("gate");
    let server = site.start();
    let api = server.api();
    let mut run = api.start(on("colour", "n1")).unwrap();
    run.wait_for("n1", "red\n");
    server.nodes("n1: {colour: blue}\nn2: {}\n");
    soon("the edit", || api.node_names().len() == 2);
    gate.open();
    assert_eq!(
        run.finish().answer_of("n1"),
        "red\nred\n",
        "a run keeps what it began with"
    );
    let mut run = api.start(on("colour", "n1")).unwrap();
    run.wait_for("n1", "blue\n");
    gate.open();
    run.finish();
}

#[test]
fn metadata_of_commands() {
    let server = hello().start();
    let api = server.api();
    server.write(
        "libexec/hello/metadata.yaml",
        "help: {summary: new words}\n",
    );
    soon("the new summary", || {
        summary(&api, "hello").as_deref() == Some("new words")
    });
}

#[test]
fn commands_and_ranks_that_come_and_go() {
    let site = hello();
    site.nodes("n1: {ranks: aws}\n");
    let server = site.start();
    let api = server.api();
    server.command("second", "echo second");
    soon("the new command", || {
        api.command_names() == ["hello", "second"]
    });
    assert_eq!(answer(&api, "second"), "second\n");
    server.script("hello/aws.sh", "echo hello aws");
    soon("the new rank", || answer(&api, "hello") == "hello aws\n");
    fs::remove_file(server.path("libexec/hello/aws.sh")).unwrap();
    soon("the rank to go", || {
        let run = api.start(on("hello", "n1"));
        run.is_ok_and(|run| run.finish().answer_of("n1") == "hello\n")
    });
    fs::remove_dir_all(server.path("libexec/second")).unwrap();
    soon("the command to go", || api.command_names() == ["hello"]);
    assert_eq!(api.refused(on("second", "n1")).0, Code::NotFound);
}

#[test]
fn scripts_edited_in_place_and_by_rename() {
    let server = hello().start();
    let api = server.api();
    server.script("hello/default.sh", "echo edited");
    // What runs is the file itself: there is nothing to wait for.
    assert_eq!(answer(&api, "hello"), "edited\n");
    server.script("hello/.default.sh.new", "echo replaced");
    let path = |name| server.path("libexec/hello").join(name);
    fs::rename(path(".default.sh.new"), path("default.sh")).unwrap();
    assert_eq!(answer(&api, "hello"), "replaced\n");
}

#[test]
fn a_script_that_is_made_executable() {
    let site = hello();
    site.write("libexec/hello/default.sh", "#!/bin/bash\necho at last\n");
    let script = site.path("libexec/hello/default.sh");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o644)).unwrap();
    let server = site.start();
    let api = server.api();
    assert_eq!(api.command_names(), [""; 0]);
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    soon("the command", || api.command_names() == ["hello"]);
    assert_eq!(answer(&api, "hello"), "at last\n");
}

fn release(site: &Site, name: &str, text: &str) {
    site.script(
        &format!("../{name}/hello/default.sh"),
        &format!("echo {text}"),
    );
    site.write(
        format!("{name}/hello/metadata.yaml"),
        format!("help: {{summary: {text}}}"),
    );
}

#[test]
fn the_command_directory_swapped_by_rename() {
    let server = hello().start();
    let api = server.api();
    release(&server, "next", "next");
    fs::rename(server.path("libexec"), server.path("old")).unwrap();
    fs::rename(server.path("next"), server.path("libexec")).unwrap();
    soon("the new directory", || {
        summary(&api, "hello").as_deref() == Some("next")
    });
    assert_eq!(answer(&api, "hello"), "next\n");
    // It is the new one that is watched now.
    server.write("libexec/hello/metadata.yaml", "help: {summary: edited}");
    soon("an edit in it", || {
        summary(&api, "hello").as_deref() == Some("edited")
    });
}

#[test]
fn a_command_directory_that_is_a_link_to_a_release() {
    use std::os::unix::fs::symlink;
    let site = Site::new();
    release(&site, "1.0", "one");
    release(&site, "2.0", "two");
    fs::remove_dir(site.path("libexec")).unwrap();
    symlink("1.0", site.path("libexec")).unwrap();
    let server = site.start();
    let api = server.api();
    assert_eq!(answer(&api, "hello"), "one\n");
    symlink("2.0", server.path("link")).unwrap();
    fs::rename(server.path("link"), server.path("libexec")).unwrap();
    soon("the new release", || {
        summary(&api, "hello").as_deref() == Some("two")
    });
    assert_eq!(answer(&api, "hello"), "two\n");
}

/// Breaks a file, sees that nothing changes and the log says where, and mends it.
#[track_caller]
fn keeps_the_last_good(server: &Server, file: &str, broken: &str, fault: &str, mended: &str) {
    let api = server.api();
    let before = (
        api.node_names(),
        api.command_names(),
        summary(&api, "hello"),
    );
    server.write(file, broken);
    let line = format!("ERROR {}{fault}", server.path(file).display());
    soon(&format!("{line:?} in the log"), || {
        server.log().contains(&line)
    });
    assert_eq!(
        (
            api.node_names(),
            api.command_names(),
            summary(&api, "hello")
        ),
        before
    );
    assert_eq!(answer(&api, "hello"), "hello\n");
    server.write(file, mended);
    soon("the mended file", || server.log().contains("mended: "));
}

#[test]
fn a_broken_nodes_file_keeps_all_nodes() {
    let server = hello().start();
    let mended = "n1: {}\nn2: {}\n";
    keeps_the_last_good(&server, "nodes.yaml", "n1: {}\nn2: [\n", ":3: ", mended);
    let api = server.api();
    soon("the mended nodes", || api.node_names() == ["n1", "n2"]);
}

#[test]
fn an_emptied_nodes_file_keeps_all_nodes() {
    // As an editor leaves it for a moment, or a full disk for longer.
    let server = hello().start();
    let fault = ":1: no nodes are defined";
    keeps_the_last_good(&server, "nodes.yaml", "", fault, "n1: {}\n");
}

#[test]
fn a_broken_node_keeps_itself_and_lets_others_change() {
    let site = hello();
    site.nodes("n1: {colour: red}\nn2: {}\n");
    site.command("colour", "echo $colour");
    let server = site.start();
    let api = server.api();
    server.nodes("n1: [broken]\nn3: {}\n");
    soon("the other edits", || api.node_names() == ["n1", "n3"]);
    assert_eq!(answer(&api, "colour"), "red\n");
    let line = format!("ERROR {}:1: ", server.path("nodes.yaml").display());
    assert!(server.log().contains(&line), "{}", server.log());
}

#[test]
fn broken_metadata_of_a_command_keeps_it() {
    let server = hello().start();
    let (broken, mended) = ("help:\n  summary: [a, b]\n", "help: {summary: mended}\n");
    let file = "libexec/hello/metadata.yaml";
    keeps_the_last_good(&server, file, broken, ":2: ", mended);
    let api = server.api();
    soon("the mended command", || {
        summary(&api, "hello").as_deref() == Some("mended")
    });
}

#[test]
fn a_nodes_file_that_is_gone_keeps_all_nodes() {
    let server = hello().start();
    fs::remove_file(server.path("nodes.yaml")).unwrap();
    server.wait_for_log("cannot read it");
    let api = server.api();
    assert_eq!(api.node_names(), ["n1"]);
    server.nodes("n1: {}\nback: {}\n");
    soon("the file to be back", || api.node_names() == ["n1", "back"]);
}

#[test]
fn a_command_directory_that_is_gone_keeps_all_commands() {
    let server = hello().start();
    fs::rename(server.path("libexec"), server.path("away")).unwrap();
    server.wait_for_log("not trusted: ");
    let api = server.api();
    assert_eq!(api.command_names(), ["hello"]);
    // Its scripts are gone, and nothing takes their place.
    assert_eq!(api.refused(on("hello", "n1")).0, Code::FailedPrecondition);
    fs::rename(server.path("away"), server.path("libexec")).unwrap();
    soon("the directory to be back", || {
        api.start(on("hello", "n1")).is_ok()
    });
    assert_eq!(answer(&api, "hello"), "hello\n");
}
