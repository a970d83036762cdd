//! Bad input: names of commands that are paths, and other names that are none.

use action_tests::{Server, Site, on};
use tonic::Code;

/// A site whose every script leaves a trace, also those that a path could lead to.
fn serving() -> Server {
    let site = Site::new();
    let trace = "touch \"$SCRIPT_ROOT/../ran\"; echo ran";
    site.command("usage", trace);
    site.script("helpers/default.sh", trace);
    site.script("usage/sub/default.sh", trace);
    site.write("libexec/usage/sub/metadata.yaml", "help: {summary: s}");
    site.script("../outside/default.sh", trace);
    site.write("outside/metadata.yaml", "help: {summary: s}");
    site.command("broken", trace);
    site.write("libexec/broken/metadata.yaml", "help: {}\n");
    site.start()
}

#[test]
fn a_commands_name_is_never_a_path() {
    let server = serving();
    let api = server.api();
    assert_eq!(api.command_names(), ["usage"]);
    for name in [
        "../outside",
        "..",
        ".",
        "usage/sub",
        "usage/",
        "./usage",
        "usage/../usage",
        "/bin/sh",
        "helpers",
        "usage/default.sh",
        "..%2foutside",
        "usage\0",
        "usage\n",
        " usage",
        "Usage",
        "USAGE",
        "usage_",
        "",
        "*",
        "us*",
        "żółć",
        &"usage".repeat(1000),
    ] {
        let (code, text) = api.refused(on(name, "n1"));
        assert_eq!(code, Code::NotFound, "{name:?}: {text}");
        assert!(text.starts_with("no such command: "), "{text}");
        assert!(
            text.len() < 300,
            "the name is not repeated without end: {} bytes",
            text.len()
        );
    }
    assert!(!server.has("ran"));
    assert_eq!(api.run(on("usage", "n1")).answer_of("n1"), "ran\n");
}

#[test]
fn a_broken_command_is_named_and_not_run() {
    let server = serving();
    let (code, text) = server.api().refused(on("broken", "n1"));
    assert_eq!(code, Code::FailedPrecondition);
    assert!(
        text.starts_with("the command broken cannot be run: help.summary is missing"),
        "{text}"
    );
    assert!(!server.has("ran"));
    assert_eq!(server.api().run(on("usage", "n1")).answer_of("n1"), "ran\n");
}
