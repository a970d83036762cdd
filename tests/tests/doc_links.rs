//! What the documents name must be there: files and headings that they link to, and the messages that they
//! say what to do about.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// The files below a directory that end so, each with its text.
fn files(directory: &Path, endings: &[&str]) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_str().unwrap();
        if path.is_dir() {
            // What was built or installed is nobody's document.
            if name != "target" && name != "node_modules" && !name.starts_with('.') {
                found.extend(files(&path, endings));
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.insert(path.clone(), fs::read_to_string(path).unwrap());
        }
    }
    found
}

/// The anchors that a renderer gives to a document's headings.
fn anchors(text: &str) -> Vec<String> {
    let mut is_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        if is_code || heading == line || !heading.starts_with(' ') {
            continue;
        }
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let plain = heading.trim().to_lowercase();
        found.push(
            plain
                .chars()
                .filter(kept)
                .collect::<String>()
                .replace(' ', "-"),
        );
    }
    found
}

/// Where a document links to, without what is on other machines.
fn links(text: &str) -> Vec<&str> {
    let ends = text.split("](").skip(1);
    let targets = ends.filter_map(|rest| Some(rest.split_once(')')?.0));
    let is_here = |link: &&str| !link.contains("://") && !link.contains(char::is_whitespace);
    targets.filter(is_here).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let documents = files(&root(), &[".md"]);
    let mut wrong = Vec::new();
    for (path, text) in &documents {
        for link in links(text) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            let Ok(target) = target.canonicalize() else {
                wrong.push(format!("{}: no file {link}", path.display()));
                continue;
            };
            let known = documents.get(&target).map(|text| anchors(text));
            if !anchor.is_empty() && known.is_some_and(|it| !it.iter().any(|it| it == anchor)) {
                wrong.push(format!("{}: no heading {link}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(documents.values().map(|it| links(it).len()).sum::<usize>() > 100);
}

/// The sources' words, with every value in them as `..` and every text on one line.
fn sources() -> String {
    let all = [
        "action-server/src",
        "action-client/src",
        "proto/src",
        "libexec",
        "tests/tests",
    ];
    let own = Path::new(file!()).file_name().unwrap();
    let all = all
        .iter()
        .flat_map(|part| files(&root().join(part), &[".rs", ".sh"]));
    let all = all.filter(|(path, _)| path.file_name() != Some(own));
    let mut text: String = all.map(|(_, text)| text).collect();
    text = text.replace("\\\"", "\"");
    let joined = text.split("\\\n").map(str::trim_start);
    joined.collect::<Vec<_>>().join("")
}

/// What the system and libraries say, by which our messages end.
const FOREIGN: [&str; 6] = [
    "(os error ",
    // Ours, with a verb that the source inserts.
    "cannot write the revocations",
    "invalid peer certificate: BadSignature",
    "invalid peer certificate: UnknownIssuer",
    "connection closed",
    "frame with invalid size",
];

/// The parts of a message that are the same each time.
fn constant(message: &str) -> impl Iterator<Item = &str> {
    let parts = message
        .split("..")
        .map(|part| part.trim_matches([' ', ';', ':', ',']));
    parts.filter(|part| part.len() > 3)
}

#[test]
fn every_message_that_troubleshooting_names_is_one_of_ours() {
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let sources = sources();
    let mut wrong = Vec::new();
    let mut messages = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let Some(cell) = row.split(" | ").next() else {
            continue;
        };
        // Messages with a backtick in them stand between two.
        let (quote, cell) = match cell.contains("``") {
            true => ("``", cell),
            false => ("`", cell),
        };
        for message in cell.split(quote).skip(1).step_by(2) {
            messages += 1;
            for part in constant(message) {
                if !sources.contains(part) && !FOREIGN.iter().any(|it| part.contains(it)) {
                    wrong.push(format!("{part:?} of {message:?}"));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {messages}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(messages > 40, "{messages}");
}
