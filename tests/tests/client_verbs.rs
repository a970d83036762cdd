//! The verbs around runs: what each prints, where, and with which exit code.

use action_tests::{Client, Server, Site};

fn serving() -> (Server, Client) {
    let site = Site::new();
    site.nodes("n1: {}\nlogin1: {}\n");
    site.command(
        "talk",
        "echo out of $name; echo err of $name >&2; [[ $name != n1 ]] || exit 5",
    );
    site.command("stay", "echo at work; read -r < \"$SCRIPT_ROOT/../gate\"");
    let server = site.start();
    let client = server.client();
    (server, client)
}

/// Starts a run and leaves it: its id, and a client that hides it.
fn left(client: &Client, words: &[&str]) -> (String, Client) {
    let run = client.run(&[&["--detach"], words].concat()).ok().stdout();
    let run = run.trim().to_owned();
    (run.clone(), client.clone().hide(run, "RUN"))
}

#[test]
fn a_run_is_left_and_attached_to_and_shown() {
    let (_server, client) = serving();
    let (run, client) = left(&client, &["talk", "-g", "login1"]);
    insta::assert_snapshot!(client.run(&["attach", &run]), @r"
    out of login1
    ------- stderr -------
    err of login1
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(client.run(&["show", &run[..8]]), @r"
    out of login1
    ------- stderr -------
    err of login1
    ------- exit 0 -------
    ");
    let (run, client) = left(&client, &["talk", "-g", "n1"]);
    insta::assert_snapshot!(client.run(&["attach", &run, "--output", "human"]), @r"
    out of n1
    ------- stderr -------
    err of n1
    ------- exit 5 -------
    ");
    insta::assert_snapshot!(client.run(&["show", &run]), @r"
    out of n1
    ------- stderr -------
    err of n1
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(client.run(&["show", &run, "--exit", "any", "--fold"]), @r"
    n1 (1): exit 5
    out of n1
    ------- stderr -------
    n1 (1): exit 5, stderr
    err of n1
    failed n1 (1): exit 5
    ------- exit 1 -------
    ");
    insta::assert_snapshot!(client.run(&["show", "nosuchrun"]), @r"
    ------- stderr -------
    error: no such run: nosuchrun
    ------- exit 255 -------
    ");
    insta::assert_snapshot!(client.run(&["attach"]), @r"
    ------- stderr -------
    error: the following required arguments were not provided:
      <RUN>

    Usage: action-client attach <RUN>

    For more information, try '--help'.
    ------- exit 64 -------
    ");
}

#[test]
fn a_run_is_cancelled_and_its_end_is_told() {
    let (server, client) = serving();
    let _gate = server.gate("gate");
    let (run, client) = left(&client, &["stay", "-g", "n1"]);
    let mut attached = client.start(&["attach", &run]);
    attached.wait_for("at work");
    insta::assert_snapshot!(client.run(&["rerun", &run]), @r"
    ------- stderr -------
    error: run RUN goes on, so it is not known what is to be run again
    hint: `action-client attach RUN` follows it to its end
    ------- exit 255 -------
    ");
    insta::assert_snapshot!(client.run(&["cancel", &run]), @r"
    cancelling run RUN: 1 running and 0 waiting of 1 jobs
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(attached.finish().hide(run.clone(), "RUN"), @r"
    at work
    ------- stderr -------
    n1: cancelled: cancelled by admin
    ------- exit 252 -------
    ");
    insta::assert_snapshot!(client.run(&["cancel", &run]), @r"
    run RUN had ended: cancelled
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(client.run(&["cancel", "nosuchrun"]), @r"
    ------- stderr -------
    error: no such run: nosuchrun
    ------- exit 255 -------
    ");
}

#[test]
fn runs_are_listed_and_filtered() {
    let (_server, client) = serving();
    let (run, client) = left(&client, &["talk", "-g", "n1", "some", "words"]);
    _ = client.run(&["attach", &run]);
    let listed = client.run(&["runs"]).ok().stdout();
    let [head, row] = listed.lines().collect::<Vec<_>>()[..] else {
        panic!("{listed}");
    };
    assert!(
        head.starts_with("RUN  ") && head.ends_with("COMMAND"),
        "{head}"
    );
    assert!(
        row.starts_with("RUN ") && row.ends_with("n1     talk some words"),
        "{row}"
    );
    assert!(row.contains("failed   1 failed"), "{row}");
    for (filter, count) in [
        (["--outcome", "failed"], 1),
        (["--outcome", "ok"], 0),
        (["--command", "stay"], 0),
        (["-g", "n1"], 1),
        (["-g", "login1"], 0),
        (["--until", "2020-01-01"], 0),
        (["--since", "1h"], 1),
    ] {
        let listed = client.run(&[&["runs", "--output", "json"], &filter[..]].concat());
        assert_eq!(listed.ok().stdout().lines().count(), count, "{filter:?}");
    }
    insta::assert_snapshot!(client.run(&["runs", "--since", "yesterday"]), @r"
    ------- stderr -------
    error: wrong value for `--since`: `yesterday`; expected how long ago, as in `2h`, or a date with or without a time of day
    hint: for example: `--since 2026-11-24T10:00`
    ------- exit 64 -------
    ");
    insta::assert_snapshot!(client.run(&["runs", "--outcome", "fine"]), @r"
    ------- stderr -------
    error: wrong value for `--outcome`: `fine`; expected ok, failed, cancelled, timed-out, not-started or lost
    hint: for example: `--outcome failed`
    ------- exit 64 -------
    ");
    insta::assert_snapshot!(client.run(&["--fanout", "2", "runs"]), @r"
    ------- stderr -------
    error: --fanout is not for `runs`
    ------- exit 64 -------
    ");
}

/// A run is one line of the list, whatever its arguments are; JSON has all of them.
#[test]
fn a_run_is_one_short_line_of_the_list() {
    let (_server, client) = serving();
    let long = "x".repeat(50_000);
    let arguments = ["a\tb", "c\nd\r\ne", "\u{1b}[2J\u{202e}", &long];
    _ = client.run(&[&["talk", "n1"][..], &arguments].concat());
    let piped = client.run(&["runs"]).ok().stdout();
    let shown = client.run_on_terminal(&["runs", "--long"], "").stdout();
    for list in [&piped, &shown] {
        let lines: Vec<&str> = list.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), 2, "{list:?}");
        assert!(
            lines[1].contains("  talk a b c d e ^[[2J<U+202E> xxx"),
            "{list:?}"
        );
        assert!(lines[1].contains("xxx..."), "{list:?}");
        assert!(lines[1].chars().count() < 200, "{list:?}");
        assert!(
            !lines[1].contains('\t') && !lines[1].contains('\u{1b}'),
            "{list:?}"
        );
    }
    let json = client.run(&["runs", "--output", "json"]).ok().stdout();
    let run: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(run["arguments"], serde_json::json!(arguments));
}

#[test]
fn names_are_coloured_where_that_is_asked_for() {
    let (_server, client) = serving();
    let words = ["talk", "-g", "n1,login1"];
    let coloured = |client: &Client, choice: &[&str]| {
        let ran = client.run(&[choice, &words].concat());
        ran.stdout().contains('\u{1b}')
    };
    assert!(coloured(&client, &["--color", "always"]));
    assert!(!coloured(&client, &[]) && !coloured(&client, &["--color", "never"]));
    let on_terminal = |client: &Client| client.run_on_terminal(&words, "").stdout();
    let shown = on_terminal(&client);
    assert!(shown.contains("\u{1b}[0m     out of n1\n"), "{shown:?}");
    let plain = on_terminal(&client.clone().variable("NO_COLOR", "1"));
    assert!(plain.contains("n1:     out of n1\n"), "{plain:?}");
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
}

#[test]
fn scripts_for_shells_are_printed_without_a_server() {
    let site = Site::new();
    let client = Client::without_configuration(&site);
    for (shell, part) in [
        ("bash", "complete -o"),
        ("zsh", "compdef"),
        ("fish", "complete -c"),
    ] {
        assert!(
            client
                .run(&["completion", shell])
                .ok()
                .stdout()
                .contains(part),
            "{shell}"
        );
    }
    insta::assert_snapshot!(client.run(&["completion", "csh"]), @r"
    ------- stderr -------
    error: wrong value for SHELL: `csh`; expected bash, fish or zsh
    hint: for example: `zsh`
    ------- exit 64 -------
    ");
    insta::assert_snapshot!(client.run(&["-g", "n1", "completion", "bash"]), @r"
    ------- stderr -------
    error: -g is not for `completion`
    ------- exit 64 -------
    ");
}
