//! The forms of a run's output, live and again from the record: lines, folds, diffs and files.

use action_tests::{Client, Server, Site};

/// Most nodes say the same; one says more, one fails, one is silent.
const SCRIPT: &str = r#"
[[ $name = n9 ]] && exit 0
echo "version 1"
[[ $name = n3 ]] && echo "extra"
echo "last"
[[ $name = n4 ]] && { echo "disk is full" >&2; exit 3; }
exit 0
"#;

fn serving() -> (Server, Client) {
    let site = Site::new();
    site.nodes("n1: {}\nn2: {}\nn3: {}\nn4: {}\nn5: {}\nn9: {}\n");
    site.command("versions", SCRIPT);
    site.command("same", "echo all alike");
    site.command_with("once", "help: {summary: s, has_context: false}", "echo one");
    let server = site.start();
    let client = server.client();
    (server, client)
}

/// The id of the newest run.
fn newest(client: &Client) -> String {
    let runs = client
        .run(&["runs", "-n", "1", "--output", "json"])
        .stdout();
    let run: serde_json::Value = serde_json::from_str(runs.trim()).unwrap();
    run["run_id"].as_str().unwrap().to_owned()
}

const ALL: [&str; 3] = ["versions", "-g", "@*"];

#[test]
fn folded_outputs_are_the_same_live_and_again() {
    let (_server, client) = serving();
    let live = client.run(&[&ALL[..], &["--fold"]].concat());
    insta::assert_snapshot!(live, @r"
    n[1-2,5] (3)
    version 1
    last
    n3 (1)
    version 1
    extra
    last
    n9 (1): no output
    n4 (1): exit 3
    version 1
    last
    ------- stderr -------
    n4 (1): exit 3, stderr
    disk is full
    ok n[1-3,5,9] (5)  failed n4 (1): exit 3
    ------- exit 3 -------
    ");
    let run = newest(&client);
    for verb in ["attach", "show"] {
        let again = client.run(&[verb, &run, "--fold", "--exit", "largest"]);
        assert_eq!(again.to_string(), live.to_string(), "{verb}");
        let again = client.run(&["--fold", verb, &run, "--exit", "largest"]);
        assert_eq!(again.to_string(), live.to_string(), "{verb}");
    }
    insta::assert_snapshot!(client.run(&["once", "--fold"]), @r"
    once (1)
    one
    ------- stderr -------
    ok once (1)
    ------- exit 0 -------
    ");
}

#[test]
fn a_terminal_shows_lines_as_they_come_and_then_the_fold() {
    let (_server, client) = serving();
    let shown = client.run_on_terminal(&["same", "-g", "n[1-2]", "--fold", "--color", "never"], "");
    let text = shown.stdout();
    assert!(
        text.starts_with("n1: all alike\n") || text.starts_with("n2: all alike\n"),
        "{text}"
    );
    assert!(
        text.ends_with("n[1-2] (2)\nall alike\nok n[1-2] (2)\n"),
        "{text}"
    );
}

#[test]
fn each_node_is_compared_with_most() {
    let (_server, client) = serving();
    let live = client.run(&[&ALL[..], &["--diff"]].concat());
    insta::assert_snapshot!(live, @r"
    n[1-2,5] (3): the most common output
    --- n[1-2,5] (3)
    +++ n3 (1)
    @@ -1,2 +1,3 @@
     version 1
    +extra
     last
    --- n[1-2,5] (3) stderr
    +++ n4 (1) stderr
    @@ -0,0 +1 @@
    +disk is full
    --- n[1-2,5] (3)
    +++ n9 (1)
    @@ -1,2 +0,0 @@
    -version 1
    -last
    ------- stderr -------
    ok n[1-3,5,9] (5)  failed n4 (1): exit 3
    ------- exit 3 -------
    ");
    let again = client.run(&["show", &newest(&client), "--diff", "--exit", "largest"]);
    assert_eq!(again.to_string(), live.to_string());
    insta::assert_snapshot!(client.run(&["same", "-g", "@*", "--diff"]), @r"
    n[1-5,9] (6): all the same
    ------- stderr -------
    ok n[1-5,9] (6)
    ------- exit 0 -------
    ");
}

#[test]
fn quiet_says_only_what_is_wrong() {
    let (_server, client) = serving();
    insta::assert_snapshot!(client.run(&[&ALL[..], &["--quiet"]].concat()), @r"
    ------- stderr -------
    ok n[1-3,5,9] (5)  failed n4 (1): exit 3
    ------- exit 3 -------
    ");
    insta::assert_snapshot!(client.run(&["same", "-g", "@*", "--quiet"]), @r"
    ------- stderr -------
    ------- exit 0 -------
    ");
    let objects = client
        .run(&["same", "n1", "--quiet", "--output", "json"])
        .stdout();
    assert!(
        !objects.contains("node_output") && objects.contains("run_finished"),
        "{objects}"
    );
}

#[test]
fn each_stream_of_each_node_has_a_file() {
    let (server, client) = serving();
    let directory = server.path("home/out");
    std::fs::create_dir(&directory).unwrap();
    server.write("home/out/n9.stdout", "of an earlier run");
    server.write("home/out/other.stdout", "of nobody's business");
    insta::assert_snapshot!(client.run(&[&ALL[..], &["--output-dir", "out", "--quiet"]].concat()), @r"
    ------- stderr -------
    ok n[1-3,5,9] (5)  failed n4 (1): exit 3
    ------- exit 3 -------
    ");
    let mut files: Vec<String> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let text = server.read(format!("home/out/{name}"));
            format!("{name}: {text:?}\n")
        })
        .collect();
    files.sort();
    insta::assert_snapshot!(files.concat(), @r#"
    n1.stderr: ""
    n1.stdout: "version 1\nlast\n"
    n2.stderr: ""
    n2.stdout: "version 1\nlast\n"
    n3.stderr: ""
    n3.stdout: "version 1\nextra\nlast\n"
    n4.stderr: "disk is full\n"
    n4.stdout: "version 1\nlast\n"
    n5.stderr: ""
    n5.stdout: "version 1\nlast\n"
    n9.stderr: ""
    n9.stdout: ""
    other.stdout: "of nobody's business"
    "#);
    let refused = client.run(&["same", "n1", "--output-dir", "out/n1.stdout"]);
    insta::assert_snapshot!(refused, @r"
    ------- stderr -------
    error: cannot create out/n1.stdout
    caused by: File exists (os error 17)
    ------- exit 255 -------
    ");
}

#[test]
fn what_is_for_people_and_what_is_for_programs_do_not_mix() {
    let (_server, client) = serving();
    insta::assert_snapshot!(client.run(&["same", "n1", "--fold", "--output", "json"]), @r#"
    ------- stderr -------
    {"event":"error","message":"--fold is for people, and --output json for programs","caused_by":[],"hints":[]}
    ------- exit 64 -------
    "#);
    insta::assert_snapshot!(client.run(&["same", "n1", "--fold", "--diff"]), @r"
    ------- stderr -------
    error: the argument '--fold' cannot be used with '--diff'

    Usage: action-client same [OPTIONS] [NODE] [ARG..] [-g NODES]

    For more information, try '--help'.
    ------- exit 64 -------
    ");
    insta::assert_snapshot!(client.run(&["--fold", "cancel", "x"]), @r"
    ------- stderr -------
    error: --fold is not for `cancel`
    ------- exit 64 -------
    ");
}

#[test]
fn what_did_not_end_well_is_run_again() {
    let (server, client) = serving();
    _ = client.run(&ALL);
    let run = newest(&client);
    let first = client.clone().hide(run.clone(), "FIRST");
    insta::assert_snapshot!(first.run(&["rerun", &run, "--not-run"]), @r"
    ------- stderr -------
    error: run FIRST has no job that was not started
    hint: --all runs it on all its nodes again
    ------- exit 255 -------
    ");
    insta::assert_snapshot!(first.run(&["rerun", &run, "--dry-run"]), @r"
    NODE  RANK     SCRIPT
    n4    default  versions/default.sh
    ------- stderr -------
    again from run FIRST: versions on n4 (1); last time failed: exit 3 (1)
    would run 1 job, each for at most 1h
    plan: p1:..
    ------- exit 0 -------
    ");
    // The fault is mended on the server, and only its node is run again.
    server.command("versions", "echo mended");
    let mended = action_tests::wait_until("the edit to be read", action_tests::CEILING, || {
        let ran = first.run(&["rerun", &run, "--failed"]);
        (ran.code() == 0).then_some(ran)
    });
    insta::assert_snapshot!(mended, @r"
    n4: mended
    ------- stderr -------
    again from run FIRST: versions on n4 (1); last time failed: exit 3 (1)
    ok n4 (1)
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(first.run(&["rerun", &run, "--all", "--exclude", "n[1-5]"]), @r"
    n9: mended
    ------- stderr -------
    again from run FIRST: versions on n[1-5,9] (6); last time ok (5), failed: exit 3 (1); without n[1-5]
    ok n9 (1)
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(first.run(&["rerun", &run, "--all", "--failed"]), @r"
    ------- stderr -------
    error: the argument '--all' cannot be used with:
      --failed
      --not-run

    Usage: action-client rerun --all <RUN>

    For more information, try '--help'.
    ------- exit 64 -------
    ");
    insta::assert_snapshot!(first.run(&["rerun", &run, "-g", "n1"]), @r"
    ------- stderr -------
    error: -g is not for `rerun`, which has the run's nodes
    hint: --exclude leaves some of them out
    ------- exit 64 -------
    ");
    insta::assert_snapshot!(first.run(&["rerun", "nosuchrun"]), @r"
    ------- stderr -------
    error: no such run: nosuchrun
    ------- exit 255 -------
    ");
}
