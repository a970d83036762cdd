//! The client's help: the server's commands with their summaries.

use action_tests::{Server, Site};

fn serving() -> Server {
    let site = Site::new();
    let off = "\
help:
  summary: Power off a node
  description: Powers the node off, at once.
  syntax: NAME [DELAY]
confirmation: 'Power off %{nodes} [y/n]?'
timeout: 90s
fanout: 3
exit_codes: {123: {state: 'OFF'}}
";
    site.command_with("power-off", off, "");
    site.script("power-off/aws.sh", "");
    site.command_with(
        "power-on",
        "help: {summary: Power on a node, syntax: NAME}",
        "",
    );
    let grow = "help: {summary: Add nodes, syntax: 'TYPE NUMBER', has_context: false}";
    site.command_with("estate-grow", grow, "");
    site.command_with("usage", "help: {summary: Get system usage info}", "");
    site.start()
}

/// The part of a help text that begins with this line, up to an empty line.
#[track_caller]
fn part(help: &str, heading: &str) -> String {
    let begin = help
        .find(heading)
        .unwrap_or_else(|| panic!("no {heading:?} in {help}"));
    help[begin..]
        .split("\n\n")
        .next()
        .unwrap()
        .trim_end()
        .to_owned()
}

#[test]
fn help_lists_the_commands_of_the_server() {
    let server = serving();
    let client = server.client();
    let first = client.run(&["help"]).ok().stdout();
    insta::assert_snapshot!(part(&first, "Commands of the server"), @"
    Commands of the server:
      estate-grow  Add nodes
      power-off    Power off a node
      power-on     Power on a node
      usage        Get system usage info
    ");
    for words in [&["--help"][..], &["-h"], &["help"], &["run", "--help"]] {
        let ran = client.run(words).ok();
        assert!(
            ran.stdout()
                .contains(&part(&first, "Commands of the server")),
            "{ran}"
        );
        assert_eq!(ran.stderr(), "");
    }
}

#[test]
fn help_of_a_command_says_what_there_is_to_know() {
    let server = serving();
    let client = server.client();
    let help = client.run(&["help", "power-off"]).ok().stdout();
    let (about, rest) = help.split_once("\n\nOptions:").unwrap();
    insta::assert_snapshot!(about, @"
    Powers the node off, at once.

    Usage: action-client power-off [OPTIONS] NAME [DELAY]
           action-client power-off [OPTIONS] -g NODES [DELAY]
    ");
    insta::assert_snapshot!(rest[rest.find("\nAsks").unwrap()..], @"

    Asks before it runs (--confirm answers yes): Power off NODES [y/n]?
    Takes at most 1m 30s for each node.
    Runs on at most 3 nodes at once.
    Has scripts of their own for the ranks aws.
    Exit code 123 means OFF and is no failure.
    After the node, or after the script's first word with -g, words that begin with `-` are the script's
    where they are not options of this program; after `--` they always are.
    ");
    for words in [&["power-off", "--help"][..], &["run", "power-off", "-h"]] {
        let ran = client.run(words).ok();
        assert!(
            ran.stdout().starts_with("Powers the node off, at once."),
            "{ran}"
        );
    }
}

#[test]
fn help_of_a_command_without_nodes_has_no_nodes() {
    let server = serving();
    let help = server.client().run(&["help", "estate-grow"]).ok().stdout();
    assert_eq!(
        part(&help, "Usage:"),
        "Usage: action-client estate-grow [OPTIONS] TYPE NUMBER"
    );
}

#[test]
fn the_entry_points_have_the_commands_of_their_name() {
    let server = serving();
    for name in ["power", "flight-power"] {
        let help = server.client().called(name).run(&["help"]).ok().stdout();
        assert_eq!(
            part(&help, "Commands of the server"),
            "Commands of the server:\n  off  Power off a node\n  on   Power on a node"
        );
    }
    let estate = server
        .client()
        .called("estate")
        .run(&["--help"])
        .ok()
        .stdout();
    assert_eq!(
        part(&estate, "Commands of the server"),
        "Commands of the server:\n  grow  Add nodes"
    );
    let client = server.client().variable("FLIGHT_ACTION_NAMESPACE", "power");
    let client = client.variable("FLIGHT_ACTION_DESCRIPTION", "Words of the admin");
    let help = client.run(&["help"]).ok().stdout();
    assert!(
        help.starts_with("Words of the admin\n") && help.contains("\n  off  "),
        "{help}"
    );
}

#[test]
fn a_command_of_another_entry_point_is_unknown_here() {
    let server = serving();
    let power = server.client().called("power");
    insta::assert_snapshot!(power.run(&["usage", "n1"]), @"
    ------- stderr -------
    error: there is no command `usage`
    hint: `power help` lists the commands
    ------- exit 64 -------
    ");
}

#[test]
fn the_version_is_said_without_a_server() {
    let site = Site::new();
    let client = action_tests::Client::without_configuration(&site);
    let ran = client.run(&["--version"]).ok();
    assert!(ran.stdout().starts_with("action-client "), "{ran}");
}
