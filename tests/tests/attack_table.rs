//! The page of faults names tests that are there, and has every fault of the groups that it has.

use std::{collections::BTreeSet, fs, path::Path};

/// How many faults each group has.
const GROUPS: [(char, usize); 8] = [
    ('A', 30),
    ('B', 18),
    ('C', 23),
    ('D', 12),
    ('E', 15),
    ('F', 9),
    ('G', 26),
    ('H', 9),
];

fn page() -> String {
    fs::read_to_string(root().join("docs/attack-table.md")).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The texts in backticks of the last column of the tables.
fn named(page: &str) -> Vec<&str> {
    let rows = page.lines().filter_map(|line| line.strip_suffix(" |"));
    let cells = rows.filter_map(|row| row.rsplit_once(" | "));
    cells
        .flat_map(|(_, cell)| cell.split('`').skip(1).step_by(2))
        .collect()
}

/// Whether there is such a test: `file::test`, `file::part::test`, `path/of/file.rs::test`, or a file or path alone.
fn is_there(name: &str) -> bool {
    let (file, test) = name.rsplit_once("::").unwrap_or((name, ""));
    let path = if file.contains('/') {
        root().join(file)
    } else {
        root().join(format!("tests/tests/{}.rs", file.replace("::", "/")))
    };
    let function = format!("fn {test}(");
    match fs::read_to_string(&path) {
        Ok(text) => test.is_empty() || text.contains(&function),
        Err(_) => test.is_empty() && path.is_dir(),
    }
}

#[test]
fn the_tests_that_it_names_are_there() {
    let page = page();
    let named = named(&page);
    assert!(named.len() > 150, "only {} are found", named.len());
    // In these cells names of settings and of tests in a file that is named besides stand too.
    let others = ["leave_running", "ACTION_TEST_ROUNDS", "names_are_made_safe"];
    let missing: Vec<_> = named
        .into_iter()
        .filter(|name| !others.contains(name) && !is_there(name))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn it_has_every_fault() {
    let page = page();
    let first = |line: &str| Some(line.strip_prefix("| ")?.split_once(" | ")?.0.to_owned());
    let lines: Vec<String> = page.lines().filter_map(first).collect();
    let found: BTreeSet<&str> = lines.iter().map(String::as_str).collect();
    for (group, count) in GROUPS {
        for number in 1..=count {
            let name = format!("{group}{number}");
            assert!(found.contains(name.as_str()), "{name} is not there");
        }
    }
}
