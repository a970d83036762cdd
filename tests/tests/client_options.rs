//! Options without a value: whatever the client's help lists, wherever it stands, nothing is run.

use std::fs;

use action_tests::{Client, Ran, Server, Site};

fn serving() -> (Server, Client) {
    let site = Site::new();
    site.nodes("cnode001:\ncnode002:\n");
    site.command("power-off", "touch \"$SCRIPT_ROOT/../ran\"");
    site.command("estate-off", "touch \"$SCRIPT_ROOT/../ran\"");
    let server = site.start();
    let client = server.client();
    (server, client)
}

/// The options with a value that a help text lists, by each of their names.
fn options(help: &str) -> Vec<String> {
    let lines = help.lines().map(str::trim_start);
    let lines = lines.filter(|line| line.starts_with('-'));
    let mut options = Vec::new();
    for line in lines {
        let Some((names, _)) = line.split_once(" <") else {
            continue;
        };
        options.extend(names.split(", ").map(str::to_owned));
    }
    options
}

#[track_caller]
fn is_refused(ran: &Ran, option: &str) {
    let text = format!("error: `{option}` needs a value\nhint: ");
    assert_eq!((ran.code(), ran.stdout().as_str()), (64, ""), "{ran}");
    assert!(ran.stderr().starts_with(&text), "{option}: {ran}");
}

const FOLLOWING: [&[&str]; 3] = [&[], &["--confirm"], &["--"]];

#[test]
fn options_of_a_run_swallow_no_node() {
    let (server, whole) = serving();
    let help = whole.run(&["power-off", "--help"]).ok().stdout();
    let mut options = options(&help);
    options.push("--group".to_owned());
    assert!(options.len() > 12, "{options:?}");
    for (client, command) in [
        (&whole, "power-off"),
        (&whole.clone().called("power"), "off"),
        (&whole.clone().called("estate"), "off"),
    ] {
        for option in &options {
            for following in FOLLOWING {
                let option = option.as_str();
                for words in [
                    &[command, "cnode001", "cnode002", "--confirm", option][..],
                    &[command, "cnode001", option],
                    &[command, option],
                    &[option],
                ] {
                    is_refused(&client.run(&[words, following].concat()), option);
                }
            }
        }
    }
    assert!(!server.has("ran"));
    assert_eq!(fs::read_dir(server.path("home")).unwrap().count(), 0);
    assert_eq!(server.audit().len(), 1, "{:?}", server.audit());
    _ = whole.run(&["power-off", "cnode001"]).ok();
    assert!(server.has("ran"));
}

#[test]
fn options_of_verbs_need_their_values() {
    let (_server, client) = serving();
    let help = client.run(&["--help"]).ok().stdout();
    let (_, verbs) = help.split_once("\nVerbs:\n").unwrap();
    let verbs = verbs.lines().take_while(|line| !line.is_empty());
    // Lines that go on stand further to the right.
    let verbs = verbs.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let verbs = verbs.filter(|verb| !verb.is_empty());
    let mut tried = 0;
    for verb in verbs {
        let help = client.run(&[verb, "--help"]).ok().stdout();
        for option in options(&help) {
            for following in FOLLOWING {
                for words in [&[verb, &option][..], &[verb, "x", &option]] {
                    is_refused(&client.run(&[words, following].concat()), &option);
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 300, "{tried}");
}

#[test]
fn a_mistake_is_an_object_where_json_is_wanted() {
    let (_server, client) = serving();
    let words = ["--output", "json", "power-off", "cnode001", "--exclude"];
    insta::assert_snapshot!(client.run(&words), @r#"
    ------- stderr -------
    {"event":"error","message":"`--exclude` needs a value","caused_by":[],"hints":["a value that begins with `-` is written `--exclude=-value`"]}
    ------- exit 64 -------
    "#);
    insta::assert_snapshot!(client.run(&["power-off", "cnode001", "--dry"]), @r"
    ------- stderr -------
    error: unknown option `--dry`
    hint: did you mean `--dry-run`?
    hint: words for the script that begin with -- stand behind `--`
    ------- exit 64 -------
    ");
    let words = [
        "--exclude",
        "cnode001",
        "power-off",
        "-g",
        "@*",
        "--exclude=cnode002",
    ];
    insta::assert_snapshot!(client.run(&words), @r"
    ------- stderr -------
    error: --exclude is given twice
    hint: several node sets are one, with commas: `a,b`
    ------- exit 64 -------
    ");
}

#[test]
fn an_empty_value_narrows_nothing_and_is_refused() {
    let (server, client) = serving();
    for words in [
        &["power-off", "-g", ""][..],
        &["power-off", "--nodes="],
        &["-g", "", "power-off"],
        &["power-off", "cnode001", "-g", ""],
        &["power-off", "-g", "@*", "--exclude="],
        &["power-off", "-g", "@*", "--expect-nodes="],
        &["power-off", "-g", "@*", "--max-failures", " "],
        &["runs", "--subject", ""],
        &["runs", "-g", ""],
        &["nodes", "-g", ""],
        &["can-i", "power-off", "-g", ""],
        &["power-off", ""],
        &["power-off", "-g", ","],
        &["can-i", "power-off", ""],
        &["nodes", "--exclude", ","],
    ] {
        let ran = client.run(words);
        assert_eq!((ran.code(), ran.stdout().as_str()), (64, ""), "{ran}");
        assert!(ran.stderr().contains(" is empty"), "{ran}");
    }
    assert!(!server.has("ran"));
}
