//! Secrets of a node are hidden in what its scripts print, and nothing that callers see depends on them.

use action_proto::v1::run_event::Event;
use action_tests::{Server, Site, on, with_arguments};

const SECRET: &str = "hunter2-long";

fn site() -> Site {
    let site = Site::new();
    site.nodes(&format!(
        "n1: {{__secret__: {{bmc_password: '{SECRET}'}}}}\nlines:\n  __secret__:\n    bmc_password: |\n      {SECRET}\n"
    ));
    site
}

/// The sizes of the events with output of a run on n1, whose script gets a guess.
fn sizes(server: &Server, command: &str, guess: &str) -> Vec<usize> {
    let run = server.api().run(with_arguments(command, "n1", &[guess]));
    let outputs = run.events.iter().filter_map(|event| match &event.event {
        Some(Event::NodeOutput(output)) => Some(output.data.len()),
        _ => None,
    });
    outputs.collect()
}

#[test]
fn the_sizes_of_output_do_not_tell_a_guess_from_another() {
    let site = site();
    // Each is one write. The first is what many scripts say of a bad argument.
    site.command(
        "message",
        "printf \"error: unknown machine type '%s'\\n\" \"$1\" >&2",
    );
    site.command("bare", "printf %s \"$1\"");
    site.command("twice", "printf 'no %s, %s' \"$1\" \"$1\"");
    site.command("line", "printf 'a line\\n%s' \"$1\" >&2");
    let server = site.start();
    for command in ["message", "bare", "twice", "line"] {
        for length in 1..SECRET.len() {
            let wrong = "z".repeat(length);
            let expected = sizes(&server, command, &wrong);
            let almost = format!("{}z", &SECRET[..length - 1]);
            for guess in [&SECRET[..length], &SECRET[SECRET.len() - length..], &almost] {
                assert_eq!(
                    sizes(&server, command, guess),
                    expected,
                    "{command} {guess}"
                );
            }
        }
    }
}

#[test]
fn a_secret_is_hidden_in_one_piece_and_in_several() {
    let site = site();
    site.command("whole", "echo \"pw=$bmc_password!\"");
    site.command(
        "parts",
        "printf %s \"pw=${bmc_password:0:5}\"; printf '%s!\\n' \"${bmc_password:5}\"",
    );
    site.command("errors", "printf %s \"$bmc_password\" >&2; echo ok");
    let server = site.start();
    for node in ["n1", "lines"] {
        let run = |command| server.api().run(on(command, node));
        // With `|` the value ends with a line break, which the script prints too.
        let end = if node == "n1" { "!\n" } else { "\n!\n" };
        for command in ["whole", "parts"] {
            assert_eq!(
                run(command).answer_of(node),
                format!("pw=***{end}"),
                "{command}"
            );
        }
        let errors = run("errors").stderr_of(node);
        assert_eq!(String::from_utf8_lossy(&errors).trim_end(), "***");
    }
}

#[test]
fn what_could_begin_a_secret_is_shown_when_the_script_pauses() {
    let site = site();
    let go = site.path("go");
    site.command(
        "ask",
        &format!(
            "printf 'a line\\nPassword: '; until [[ -e {} ]]; do sleep 0.05; done; echo thanks",
            go.display()
        ),
    );
    let server = site.start();
    let mut run = server.api().start(on("ask", "n1")).unwrap();
    run.wait_for("n1", "a line\nPassword: ");
    std::fs::write(&go, "").unwrap();
    assert_eq!(run.finish().answer_of("n1"), "a line\nPassword: thanks\n");
}
