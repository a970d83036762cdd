//! The client's exit code: what scripts and people can rely on.

use action_tests::{Client, ClosedPort, Server, Site};

fn serving() -> Server {
    let site = Site::new();
    let nodes = "
ok: {code: 0}
one: {code: 1}
three: {code: 3}
off: {code: 123}
most: {code: 251}
over: {code: 255}
dead: {code: SEGV}
odd: {ranks: odd}
late: {ranks: late}
";
    site.nodes(nodes);
    let metadata = "help: {summary: s}\ntimeout: 1h\nexit_codes: {123: {state: 'OFF'}}";
    site.command_with(
        "end",
        metadata,
        "[[ $code != SEGV ]] || kill -SEGV $$; exit \"$code\"",
    );
    // The kernel refuses to start it.
    site.whole_script("end/odd.sh", "#!/etc/passwd\n");
    site.script("end/late.sh", "read -r < \"$SCRIPT_ROOT/../never\"");
    _ = site.gate("never");
    site.start()
}

#[test]
fn of_runs() {
    let server = serving();
    let client = server.client();
    for (words, code) in [
        (&["end", "ok"][..], 0),
        (&["end", "one"], 1),
        (&["end", "three"], 3),
        // A code that the command declares an answer.
        (&["end", "off"], 0),
        (&["end", "most"], 251),
        // What means something else as a code of ours.
        (&["end", "over"], 251),
        (&["end", "dead"], 128 + 11),
        (&["end", "odd"], 254),
        (&["end", "late", "--timeout", "100ms"], 253),
        // Of several the largest.
        (&["end", "-g", "ok,off"], 0),
        (&["end", "-g", "ok,one,three,off"], 3),
        (&["end", "-g", "three,dead,one"], 139),
        (&["end", "-g", "over,three"], 251),
        (&["end", "-g", "over,odd"], 254),
        (&["--timeout", "100ms", "end", "-g", "late,over"], 253),
        (&["--timeout", "100ms", "end", "-g", "late,odd"], 254),
        // As the admin's scripts may ask for it.
        (&["--exit", "zero", "end", "-g", "ok,three"], 0),
        (&["--exit", "any", "end", "-g", "ok,three"], 1),
        (&["--exit", "any", "end", "-g", "ok,off"], 0),
    ] {
        let ran = client.run(words);
        assert_eq!(ran.code(), code, "{words:?}\n{ran}");
    }
}

#[test]
fn of_runs_that_somebody_cancels() {
    let site = Site::new();
    site.command("wait", "echo waiting; read -r < \"$SCRIPT_ROOT/../never\"");
    _ = site.gate("never");
    let server = site.start();
    let mut client = server.client().start(&["wait", "n1"]);
    client.wait_for("waiting\n");
    // The server stops, and has little patience.
    server.terminate();
    let ran = client.finish();
    assert_eq!(ran.code(), 252, "{ran}");
}

#[test]
fn where_nothing_ran() {
    let server = serving();
    let client = server.client();
    for words in [
        &["run", "nothing", "ok"][..],
        &["end", "nobody"],
        &["end", "-g", "ok,nobody"],
        &["end", "-g", "n[1-9999999999]"],
        &["end", "-g", "n[1"],
    ] {
        let ran = client.run(words);
        let code = if words[1] == "nothing" { 64 } else { 255 };
        assert_eq!(ran.code(), code, "{words:?}\n{ran}");
        assert_eq!(ran.stdout(), "");
    }
    let closed = ClosedPort::new();
    let url = format!("http://{}", closed.address());
    let client = client.variable("ACTION_CLIENT_BASE_URL", url);
    assert_eq!(client.run(&["end", "ok"]).code(), 255);
    let client = server.client().variable("ACTION_CLIENT_JWT_TOKEN", "a.b.c");
    assert_eq!(client.run(&["end", "ok"]).code(), 255);
    let client = Client::without_configuration(&server);
    assert_eq!(client.run(&["end", "ok"]).code(), 255);
}

#[test]
fn of_command_lines_that_are_none() {
    let server = serving();
    let client = server.client();
    for words in [
        &[][..],
        &["--nonsense"],
        &["run"],
        &["run", "end"],
        &["end"],
        &["end", "--fanout", "0", "ok"],
        &["end", "-g"],
        &["--output", "xml", "end", "ok"],
        &["show"],
    ] {
        let ran = client.run(words);
        assert_eq!(ran.code(), 64, "{words:?}\n{ran}");
        assert_eq!(ran.stdout(), "", "{words:?}");
    }
}
