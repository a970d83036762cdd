//! Bad input: metadata keys that would change how a script is run. The key is left out and
//! named; the node and its other keys work.

use action_tests::{Server, Site, on};

/// A node with one bad key, and what the server says of it.
#[track_caller]
fn with_key(key: &str, value: &str) -> (Server, String) {
    let site = Site::new();
    site.nodes(&format!(
        "n1:\n  fine: yes\n  {key}: {value}\n  after: too\n"
    ));
    // The script's environment before any shell, and the trace of what must not happen.
    site.whole_script("show/default.sh", "#!/bin/cat /proc/self/environ\n");
    site.write("libexec/show/metadata.yaml", "help: {summary: s}");
    site.command("shell", "echo ran");
    let check = site.server_verb(&["check"]);
    assert_eq!(check.code(), 78, "{check}");
    let fault = check.stdout();
    assert!(fault.starts_with("SITE/nodes.yaml:3: n1: "), "{check}");
    assert_eq!(fault.lines().count(), 1, "{check}");
    (site.start(), fault)
}

#[track_caller]
fn is_left_out(key: &str, value: &str, reason: &str) {
    let (server, fault) = with_key(key, value);
    assert!(fault.contains(reason), "{fault}");
    let run = server.api().run(on("show", "n1"));
    let seen = String::from_utf8(run.stdout_of("n1")).unwrap();
    assert!(
        seen.contains("\0fine=yes\0") && seen.contains("\0after=too\0"),
        "{seen}"
    );
    let value = value.trim_matches('"');
    assert!(!seen.contains(value), "{seen}");
    assert_eq!(server.api().run(on("shell", "n1")).answer_of("n1"), "ran\n");
    assert!(!server.has("evil"));
}

#[test]
fn path() {
    is_left_out(
        "PATH",
        "/evil/bin",
        "PATH is set for every script by the server",
    );
}

#[test]
fn ld_preload() {
    is_left_out(
        "LD_PRELOAD",
        "/evil/lib.so",
        "LD_PRELOAD would change how the shell or the loader",
    );
}

#[test]
fn bash_env() {
    is_left_out(
        "BASH_ENV",
        "/evil/env.sh",
        "BASH_ENV would change how the shell or the loader",
    );
}

#[test]
fn a_key_with_an_equals_sign() {
    is_left_out(
        "a=b",
        "evil-value",
        "\"a=b\" cannot be a variable of a script",
    );
}

#[test]
fn keys_that_hide_our_own() {
    for key in [
        "name",
        "command",
        "run_id",
        "job_id",
        "request_username",
        "SCRIPT_ROOT",
        "HOME",
    ] {
        is_left_out(
            key,
            "evil-value",
            &format!("{key} is set for every script by the server"),
        );
    }
}

#[test]
fn other_keys_of_shells_and_loaders() {
    for key in [
        "LD_LIBRARY_PATH",
        "IFS",
        "ENV",
        "SHELLOPTS",
        "PS4",
        "PYTHONPATH",
        "LC_ALL",
    ] {
        is_left_out(key, "evil-value", &format!("{key} would change how"));
    }
}

#[test]
fn keys_that_are_no_names() {
    for (key, shown) in [
        ("\"a b\"", "a b"),
        ("a-b", "a-b"),
        ("1a", "1a"),
        ("\"BASH_FUNC_ls%%\"", "BASH_FUNC_ls%%"),
        ("é", "é"),
    ] {
        is_left_out(
            key,
            "evil-value",
            &format!("{shown:?} cannot be a variable of a script"),
        );
    }
}

#[test]
fn values_that_no_variable_can_hold() {
    is_left_out("ok", "\"() { touch evil; }\"", "the value begins with ()");
    is_left_out("ok", "\"a\\0evil-value\"", "the value has a NUL");
}
