//! What others can write is not run and not read: scripts, what stands around them, definitions and
//! settings. `check` names each, with the command that mends it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use action_tests::{CEILING, Server, Site, on, wait_until};
use tonic::Code;

fn site() -> Site {
    let site = Site::new();
    site.command(
        "hello",
        ". \"$SCRIPT_ROOT/helpers/deep/words.sh\"; echo \"$word\"",
    );
    site.command("other", "echo other");
    site.whole_script("helpers/deep/words.sh", "word=hello\n");
    site.whole_script("hello/lib/data.txt", "data\n");
    site
}

fn mode(site: &Site, path: &str, mode: u32) {
    fs::set_permissions(site.path(path), fs::Permissions::from_mode(mode)).unwrap();
}

#[track_caller]
fn is_refused(server: &Server, command: &str, what: &str) {
    let (code, text) = server.api().refused(on(command, "n1"));
    let shown = format!("the script {what} cannot be run");
    assert_eq!(code, Code::FailedPrecondition, "{text}");
    assert!(text.starts_with(&shown), "{text}");
}

#[test]
fn what_all_scripts_may_read_counts_for_all() {
    for (path, what) in [
        ("libexec/helpers/deep/words.sh", "helpers/deep/words.sh"),
        ("libexec/helpers/deep", "helpers/deep"),
        ("libexec/helpers", "helpers"),
    ] {
        let site = site();
        mode(&site, path, 0o757);
        let check = site.server_verb(&["check"]);
        assert_eq!(check.code(), 78, "{check}");
        let expected = format!(
            "SITE/{path}:1: not trusted: SITE/{path} can be written by others; run: chmod go-w SITE/{path}; until then no run of any command is started\n"
        );
        assert_eq!(check.stdout(), expected);
        let server = site.start();
        is_refused(&server, "hello", what);
        is_refused(&server, "other", what);
        // Mended while the server runs.
        mode(&server, path, 0o755);
        let api = server.api();
        wait_until("it to be seen", CEILING, || {
            api.start(on("hello", "n1")).ok()
        });
        assert_eq!(api.run(on("hello", "n1")).answer_of("n1"), "hello\n");
        // And broken again, also for commands that were good before.
        mode(&server, path, 0o775 | 0o002);
        wait_until("it to be seen", CEILING, || {
            api.start(on("other", "n1")).err()
        });
        is_refused(&server, "hello", what);
    }
}

#[test]
fn what_one_command_may_read_counts_for_it_alone() {
    let site = site();
    mode(&site, "libexec/hello/lib/data.txt", 0o666);
    // Where a link leads counts too, and one that leads nowhere does not.
    symlink("nowhere", site.path("libexec/helpers/broken")).unwrap();
    let server = site.start();
    is_refused(&server, "hello", "hello/lib/data.txt");
    assert_eq!(
        server.api().run(on("other", "n1")).answer_of("n1"),
        "other\n"
    );
    let site = server.stop();
    mode(&site, "libexec/hello/lib/data.txt", 0o644);
    site.write("outside", "word=evil\n");
    mode(&site, "outside", 0o666);
    symlink("../../outside", site.path("libexec/other/lib")).unwrap();
    let server = site.start();
    is_refused(&server, "other", "other/lib");
    assert_eq!(
        server.api().run(on("hello", "n1")).answer_of("n1"),
        "hello\n"
    );
}

#[test]
fn a_script_that_others_can_write_is_not_run() {
    let site = site();
    mode(&site, "libexec/hello/default.sh", 0o775 | 0o002);
    let check = site.server_verb(&["check"]);
    let reason = "the script of rank default is not usable: SITE/libexec/hello/default.sh can be written by others; run: chmod go-w";
    assert!(check.stdout().contains(reason), "{check}");
    let server = site.start();
    let (code, text) = server.api().refused(on("hello", "n1"));
    assert_eq!(code, Code::FailedPrecondition, "{text}");
    assert_eq!(
        server.api().run(on("other", "n1")).answer_of("n1"),
        "other\n"
    );
    // One that becomes so is refused at once: it is looked at before each run.
    mode(&server, "libexec/other/default.sh", 0o757);
    is_refused(&server, "other", "other/default.sh");
}

#[test]
fn for_development_all_of_it_can_be_allowed() {
    let site = site();
    mode(&site, "libexec/helpers/deep/words.sh", 0o666);
    mode(&site, "libexec/hello/default.sh", 0o777);
    site.settings("allow_unsafe_permissions: true");
    let server = site.start();
    assert!(server.log().contains("allow_unsafe_permissions is set"));
    assert_eq!(
        server.api().run(on("hello", "n1")).answer_of("n1"),
        "hello\n"
    );
}

#[test]
fn settings_that_hold_a_secret_are_closed_to_others() {
    let site = Site::new();
    let secret = format!("jwt_secret: {}", site.secret());
    let settings = site
        .read("server.yaml")
        .replace("jwt_secret_path: jwt_secret", &secret);
    site.write("server.yaml", settings);
    mode(&site, "server.yaml", 0o644);
    let refused = site.refused();
    assert_eq!(refused.code(), 78, "{refused}");
    let reason = "SITE/server.yaml: jwt_secret is in it, and others can read or write it; run: chmod 600 SITE/server.yaml";
    assert!(refused.stderr().contains(reason), "{refused}");
    assert!(!refused.stderr().contains(&site.secret()));
    mode(&site, "server.yaml", 0o600);
    assert_eq!(site.start().api().node_names(), ["n1"]);
}
