//! A reload, a start and `check` on the same broken files.

use super::*;

/// What the server says and does, whatever came before: nodes, selections and decisions.
fn seen(server: &Server) -> Vec<String> {
    let (root, bob) = (as_(server, "root"), as_(server, "bob"));
    let mut lines = vec![root.node_names().join(" ")];
    for set in ["@head", "@compute", "@all", "rank=head", "@*!@head"] {
        lines.push(format!("{set}: {}", allowed(&root, set)));
    }
    for set in ["@*", "c1", "h1", "h2"] {
        lines.push(format!("bob, {set}: {}", allowed(&bob, set)));
    }
    let token = narrowed(server, "@compute");
    lines.push(format!("token: {}", allowed(&token, "@*")));
    let ran = root
        .start(on("power-on", "c1"))
        .map(|run| run.finish().answer_of("c1"));
    lines.push(format!(
        "{:?}",
        ran.map_err(|status| status.message().to_owned())
    ));
    lines
}

/// Whether each line that `check` printed is in the log.
fn logs_all(server: &Server, checked: &str) -> bool {
    let log = server.log();
    let mut lines = checked.lines();
    lines.all(|line| log.contains(line.trim_start_matches("SITE")))
}

#[test]
fn a_reload_a_start_and_check_agree_about_every_broken_file() {
    let policy = "\
rules:
- {name: root, allow: [all], subjects: [root]}
- {name: bob, allow: [run], subjects: [bob], nodes: '@compute,@head'}
- {name: heads, deny: [run], subjects: [bob], nodes: '@head'}
- {name: by rank, deny: [run], subjects: [bob], nodes: 'rank=head'}
";
    let good = "\
__groups__:
  compute: c[1-2]
  head: h1
  all: '@compute,@head'
c1: {colour: red}
c2: {}
h1: {ranks: head}
";
    let replaced = |from: &str, to: &str| good.replace(from, to);
    let with_h2 = |text: String| format!("{text}h2: {{ranks: head}}\n");
    // Each file, with what `check` says of it and something that must be seen.
    let cases = [
        (
            replaced("c2: {}\n", ""),
            "left out: c2",
            "@compute: run on [c1], not on [] by root",
        ),
        (
            replaced("c[1-2]", "c[1-9]"),
            "left out: c[3-9]",
            "or not all of it is there; you may on c[1-2]; nothing was run",
        ),
        (
            replaced("head: h1", "head: []"),
            "",
            "@head: the node set \"@head\" selects no node",
        ),
        (
            replaced("head: h1", "head: x1"),
            "left out: x1",
            "bob, h1: you may not run power-off on all of h1, or not all of it is there; you may on c[1-2]",
        ),
        (
            with_h2(replaced("head: h1", "head: h[1-2")),
            "group head is broken",
            "@head: run on [h1], not on [] by root",
        ),
        (
            with_h2(replaced("head: h1", "head:")),
            "group head is broken",
            "bob, h2: you may not run this command, or there is none of that name (bob: the group @head is broken)",
        ),
        (
            replaced("compute: c[1-2]", "compute: '@nosuch'"),
            "group all is broken: it names @compute",
            "token: you may not run",
        ),
        (
            replaced("  head: h1\n", ""),
            "group all is broken: no such group: @head",
            "@head: no such group: @head",
        ),
        (
            replaced("head: h1", "head: '@all'"),
            "leads in a circle",
            "@all: run on [c[1-2],h1]",
        ),
        (
            with_h2(
                good.replace("__groups__:\n", "__groups__: [x]\nh3:\n")
                    .replace(
                        "  compute: c[1-2]\n  head: h1\n  all: '@compute,@head'\n",
                        "",
                    ),
            ),
            "every group is broken",
            "@all: run on [c[1-2],h1], not on [] by root",
        ),
        (
            replaced("c1: {colour: red}", "c1: [x]"),
            "last good definitions of broken nodes stay in use: c1",
            "not on [c1,h1] by bob, by rank, heads",
        ),
        (
            replaced("c1: {colour: red}", "c1: {colour: blue, PATH: x}"),
            "last good definitions",
            "Ok(\"red\\n\")",
        ),
        (
            replaced("c2: {}", "c2: {}\nc2: {}"),
            "c2 is defined twice",
            "c1 c2 h1",
        ),
        (
            replaced("c1: {colour: red}", "c1: {colour: red"),
            "did not find expected",
            "c1 c2 h1",
        ),
        (String::new(), "no nodes are defined", "c1 c2 h1"),
        ("- c1\n".to_owned(), "found a list", "Ok(\"red\\n\")"),
    ];
    for (file, said, must_be_seen) in cases {
        let site = site(good, policy);
        site.command("power-on", "echo $colour");
        let server = site.start();
        server.nodes(&file);
        let what = format!("{must_be_seen:?} and {said:?} of {file}");
        let checked = wait_until(&what, CEILING, || {
            let checked = server.server_verb(&["check"]);
            let is_logged = logs_all(&server, &checked.stdout());
            let is_new = seen(&server).iter().any(|line| line.contains(must_be_seen));
            (is_logged && is_new && checked.stdout().contains(said)).then_some(checked)
        });
        let reloaded = seen(&server);
        let server = server.stop().start();
        assert_eq!(seen(&server), reloaded, "{file}");
        let again = server.server_verb(&["check"]);
        assert_eq!(again.to_string(), checked.to_string(), "{file}");
        wait_until("the log to say what check says", CEILING, || {
            logs_all(&server, &checked.stdout()).then_some(())
        });
        assert_eq!(seen(&server), reloaded, "{file}");
    }
}
