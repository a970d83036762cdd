//! The documents with commands in them: each is typed as it stands, and must print what it says.

use action_tests::{
    Site,
    document::{constant, follow},
    picture::{svg, text},
};

#[test]
fn the_tutorial() {
    follow("docs/tutorial.md");
}

/// What the picture shows: words as they are typed, and the exit code that the last line tells.
const SHOWN: [(&str, &[&str]); 3] = [
    ("power", &["cycle", "-g", "cnode[01-02]", "--confirm"]),
    ("power", &["status", "-g", "@compute,switch1", "--fold"]),
    ("action-client", &["runs"]),
];

/// `docs/run.svg` is what the client prints, but for the order of nodes, ids and times; `UPDATE=1` draws it.
#[test]
fn the_picture_of_a_run() {
    let server = Site::shipped().start();
    let client = server.client();
    let mut printed = String::new();
    for (name, words) in SHOWN {
        let quoted = |word: &&str| match word.contains('[') {
            true => format!("'{word}'"),
            false => (*word).to_owned(),
        };
        let typed: Vec<String> = words.iter().map(quoted).collect();
        let words: Vec<&str> = words.iter().copied().chain(["--color", "always"]).collect();
        let ran = client.clone().called(name).run(&words);
        let (stdout, stderr) = (ran.stdout(), ran.stderr());
        printed += &format!(
            "\u{1b}[1m$ {name} {}\u{1b}[0m\n{stdout}{stderr}\n",
            typed.join(" ")
        );
    }
    let printed = printed.trim_end();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/run.svg");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, svg(printed)).unwrap();
    }
    let drawn = text(&std::fs::read_to_string(path).unwrap());
    let printed = constant("-g ", &text(&svg(printed)));
    assert_eq!(constant("-g ", &drawn), printed, "UPDATE=1 draws it anew");
}

#[test]
fn the_readme() {
    follow("README.md");
}
