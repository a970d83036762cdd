//! Bad input: YAML that is small and would be large, or deep, or many. It is refused at once, named,
//! and costs no more memory than it has bytes; what was good before stays.

use action_tests::{Server, Site, on, usage};

fn serving() -> Server {
    let site = Site::new();
    site.command("hello", "echo hello");
    site.start()
}

/// Texts that would take all memory, by name.
fn bombs() -> Vec<(&'static str, String)> {
    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for at in 1..12 {
        let before = at - 1;
        let ten = vec![format!("*a{before}"); 10].join(", ");
        laughs += &format!("a{at}: &a{at} [{ten}]\n");
    }
    let mut merges = String::from("b0: &b0 {k: v}\n");
    for at in 1..12 {
        let before = at - 1;
        let ten: String = (0..10).map(|key| format!("k{key}: *b{before}, ")).collect();
        merges += &format!("b{at}: &b{at} {{{ten}}}\n");
    }
    vec![
        ("aliases of aliases", laughs),
        ("maps of aliases", merges),
        ("an alias of itself", "n1: &a [*a]\n".into()),
        ("lists in lists", "[".repeat(10_000)),
        ("maps in maps", "{a: ".repeat(10_000)),
        (
            "blocks in blocks",
            (0..2000)
                .map(|at| format!("{}a:\n", " ".repeat(at)))
                .collect(),
        ),
        ("documents", "--- {n1: {}}\n".repeat(1000)),
    ]
}

#[track_caller]
fn is_survived(file: &str) {
    for (name, text) in bombs() {
        let server = serving();
        let before = usage::memory(server.id(), "VmRSS");
        usage::forget_peak(server.id());
        server.write(file, text);
        server.wait_for_log(&format!("ERROR {}:", server.path(file).display()));
        let peak = usage::memory(server.id(), "VmHWM");
        assert!(
            peak < before + 48 * 1024,
            "{name}: {before} KiB before, peak {peak} KiB"
        );
        assert_eq!(
            server.api().run(on("hello", "n1")).answer_of("n1"),
            "hello\n",
            "{name}"
        );
    }
}

#[test]
fn as_a_nodes_file() {
    is_survived("nodes.yaml");
}

#[test]
fn as_a_commands_metadata() {
    is_survived("libexec/hello/metadata.yaml");
}

#[test]
fn metadata_of_a_command_that_is_larger_than_any() {
    let server = serving();
    let padding = "# padding\n".repeat(200_000);
    server.write(
        "libexec/hello/metadata.yaml",
        format!("help: {{summary: new}}\n{padding}"),
    );
    server.wait_for_log("bytes, more than 1048576");
    assert_eq!(
        server.api().run(on("hello", "n1")).answer_of("n1"),
        "hello\n"
    );
}
