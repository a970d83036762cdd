//! ClusterShell's node sets are the measure of ours: thousands of random ones, and those of
//! ClusterShell's own tests, mean the same here and there, or are an error to both.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use action_proto::v1::ListNodesRequest;
use action_tests::{
    Api, Server, Site,
    program::{hermetic, tool},
};
use regex::Regex;
use serde_json::Value;

use crate::python::python;

/// What a node set means.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    /// These nodes, sorted.
    Nodes(Vec<String>),
    /// It can be read, and names what is not there.
    NotThere,
    /// It can be read, and has more nodes than are compared.
    Wide,
    /// It cannot be read, for this reason.
    Rejected(String),
}

impl Meaning {
    fn is_same(&self, theirs: &Meaning) -> bool {
        match (self, theirs) {
            (Meaning::Rejected(_), Meaning::Rejected(_)) => true,
            (Meaning::Nodes(_) | Meaning::NotThere, Meaning::Wide) => true,
            _ => self == theirs,
        }
    }
}

/// Where we differ from ClusterShell, and why: docs/using.md says it to users. Each is known by the
/// set, or by our error.
const DIFFERENCES: [(&str, &str, &str); 7] = [
    // Shells and people separate names by blanks; to ClusterShell `n1 n2` is one name.
    ("blank", "[^ ,!&^] +[^ ,!&^]", ""),
    // `[-5]` is rather `[1-5]` mistyped than the node n-5, and `[1-2-3]` is -2 to 3 to ClusterShell.
    (
        "negative number",
        r"\[([^\]]*,)? *-|-[^,\]]*-",
        r"a range needs a number on each side of the -|is not a number",
    ),
    // To ClusterShell `n1[9-10]` has the 92 nodes from n19 to n110.
    (
        "number of two widths after a digit",
        r"[0-9]\[",
        "after a digit all numbers need the same number of digits",
    ),
    // ClusterShell selects by groups only.
    ("attribute", "=", "cannot select by|no such node with"),
    // A nodes file is the only source of groups.
    ("source of groups", "@@", "no such group: @@"),
    // ClusterShell's groups have no patterns.
    ("pattern of groups", r"@[^,!&^]*[*?]", ""),
    // ClusterShell appends the digits to what is in the bracket before it reads that: to blanks, and
    // to nothing.
    (
        "digit after a bracket",
        r"\][0-9]",
        "^$|a number is missing",
    ),
];

/// What `fixtures/python/nodesets.py` prints: the inventory, then a line for each set.
fn judged(arguments: &[&str]) -> (Value, Vec<Value>) {
    let directory = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/python/nodesets.py");
    let mut program = hermetic(python(), directory.path());
    program.arg(script).args(arguments);
    let ran = action_tests::program::run(program).ok();
    let text = ran.stdout();
    let mut lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (lines.next().unwrap(), lines.collect())
}

fn names(value: &Value) -> Vec<String> {
    let names = value.as_array().unwrap().iter();
    names
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

/// A server with the nodes and groups of the inventory.
fn serve(inventory: &Value) -> Server {
    let site = Site::new();
    let mut text = String::new();
    for name in names(&inventory["inventory"]) {
        text += &format!("'{name}':\n");
    }
    text += &format!("__groups__: {}\n", inventory["groups"]);
    site.nodes(&text);
    site.start()
}

fn theirs(line: &Value) -> Meaning {
    match &line["nodes"] {
        _ if line["is_wide"] == true => Meaning::Wide,
        Value::Null => Meaning::Rejected(line["rejected"].to_string()),
        _ if line["is_there"] == false => Meaning::NotThere,
        nodes => Meaning::Nodes(names(nodes)),
    }
}

fn ours(api: &Api, set: &str) -> Meaning {
    if set.is_empty() {
        // To ListNodes that is all nodes.
        return Meaning::Nodes(Vec::new());
    }
    let mut request = ListNodesRequest {
        nodes: set.to_owned(),
        ..ListNodesRequest::default()
    };
    let mut nodes = BTreeSet::new();
    loop {
        match api.list_nodes(request.clone()) {
            Ok(page) => {
                nodes.extend(page.nodes.into_iter().map(|node| node.name));
                request.page_token = page.next_page_token;
                if request.page_token.is_empty() {
                    return Meaning::Nodes(nodes.into_iter().collect());
                }
            }
            Err(status) => return of_error(status.message()),
        }
    }
}

fn of_error(text: &str) -> Meaning {
    if text.starts_with("no such node: ") || text.starts_with("the node set names") {
        return Meaning::NotThere;
    }
    // A set that selects nothing is an error here, and never "all".
    if text.ends_with("selects no node") || text.starts_with("the node set is empty") {
        return Meaning::Nodes(Vec::new());
    }
    Meaning::Rejected(text.to_owned())
}

/// Compares all sets, and gives how many mean what and how many differ, by kind.
fn compare(api: &Api, lines: &[Value]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    let mut unknown = Vec::new();
    for line in lines {
        let set = line["set"].as_str().unwrap();
        let (ours, theirs) = (ours(api, set), theirs(line));
        let kind = match &ours {
            _ if !ours.is_same(&theirs) => difference(set, &ours).unwrap_or_else(|| {
                unknown.push(format!("{set:?}\n  here {ours:?}\n  there {theirs:?}"));
                "not known"
            }),
            Meaning::Nodes(_) => "nodes",
            Meaning::NotThere | Meaning::Wide => "not there",
            Meaning::Rejected(_) => "rejected",
        };
        *counts.entry(kind).or_default() += 1;
    }
    assert!(unknown.is_empty(), "{}\n{counts:?}", unknown.join("\n"));
    counts
}

fn difference(set: &str, ours: &Meaning) -> Option<&'static str> {
    let error = match ours {
        Meaning::Rejected(error) => error.as_str(),
        _ => "",
    };
    let is = |expression: &str, text: &str| Regex::new(expression).unwrap().is_match(text);
    // Blanks in brackets are not meant.
    let outside = Regex::new(r"\[[^\]]*\]")
        .unwrap()
        .replace_all(set.trim(), "[]");
    let known = DIFFERENCES.iter().find(|(kind, by_set, by_error)| {
        let set = if *kind == "blank" { &outside } else { set };
        is(by_set, set) && is(by_error, error)
    });
    known.map(|(kind, ..)| *kind)
}

#[test]
fn random_node_sets_mean_what_clustershell_takes_them_for() {
    let (inventory, lines) = judged(&["random", "4000", "20261124"]);
    let server = serve(&inventory);
    let api = server.api();
    let counts = compare(&api, &lines);
    // Each kind is there, and the differences are few.
    for (kind, least) in [("nodes", 1500), ("not there", 200), ("rejected", 500)] {
        assert!(counts[kind] > least, "{counts:?}");
    }
    let agreed = counts["nodes"] + counts["not there"] + counts["rejected"];
    assert!(agreed * 100 > lines.len() * 98, "{counts:?}");
}

#[test]
fn what_either_folds_is_the_same_set_to_both() {
    let (inventory, lines) = judged(&["random", "1000", "7"]);
    let server = serve(&inventory);
    let api = server.api();
    for line in &lines {
        let expected = theirs(line);
        let Meaning::Nodes(nodes) = &expected else {
            continue;
        };
        let folded = action_proto::fold(nodes.iter().map(String::as_str));
        for folded in [folded.as_str(), line["folded"].as_str().unwrap()] {
            assert_eq!(ours(&api, folded), expected, "{} as {folded}", line["set"]);
        }
    }
}

#[test]
fn the_sets_of_clustershells_own_tests_mean_the_same() {
    let mut packages = fs::read_dir(tool("clustershell")).unwrap();
    let package = packages.next().unwrap().unwrap().path();
    let (inventory, lines) = judged(&["literals", package.to_str().unwrap()]);
    let server = serve(&inventory);
    let counts = compare(&server.api(), &lines);
    let expected = [
        ("nodes", 1510),
        ("not there", 768),
        ("rejected", 290),
        // Differences. Those of blanks and attributes are options and sentences.
        ("blank", 12),
        ("attribute", 45),
        ("negative number", 24),
        ("number of two widths after a digit", 2),
        ("source of groups", 1),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
}

/// The table of differences in docs/using.md.
#[test]
fn the_documented_differences_are_there() {
    const ERROR: &[&str] = &["error"];
    const ABSENT: &[&str] = &["absent"];
    const WIDE: &[&str] = &["wide"];
    let table: &[(&str, &[&str], &[&str])] = &[
        ("n1!n1", &[], &[]),
        ("n1 n2", &["n1", "n2"], ABSENT),
        ("rack=r1", ERROR, ABSENT),
        ("@source:group", ERROR, ERROR),
        ("n[-5]", ERROR, &["n-5"]),
        ("n[-2-3]", ERROR, ABSENT),
        ("n-[1-5]&n-5,n-1!n-1", ABSENT, ABSENT),
        ("n1[9-10]", ERROR, WIDE),
        ("n1[9],n1[10]", &["n110", "n19"], &["n110", "n19"]),
        ("n[+1]", ERROR, &["n1"]),
        ("n[1_0]", ERROR, &["n10"]),
        ("n[0-00]", ERROR, &["n0"]),
        ("n[1 ,2]0", &["n10", "n20"], ERROR),
        ("n[1,]0", ERROR, &["n0", "n10"]),
        ("n[01-10]&n1", ABSENT, ABSENT),
        ("n[1-010]", ERROR, ERROR),
        ("n[0-1][1-2]", ERROR, ERROR),
        ("n[0-1]1[1-2]", ERROR, ERROR),
        ("n[0-4/2]0", ERROR, ERROR),
    ];
    let mut arguments = vec!["given", "n[0-2,10,19-20,110],n-5"];
    arguments.extend(table.iter().map(|(set, ..)| *set));
    let (inventory, lines) = judged(&arguments);
    let server = serve(&inventory);
    let api = server.api();
    let texts = |meaning: Meaning| match meaning {
        Meaning::Nodes(nodes) => nodes,
        Meaning::NotThere => vec!["absent".to_owned()],
        Meaning::Wide => vec!["wide".to_owned()],
        Meaning::Rejected(_) => vec!["error".to_owned()],
    };
    for ((set, here, there), line) in table.iter().zip(&lines) {
        assert_eq!(texts(ours(&api, set)), *here, "{set} here");
        assert_eq!(texts(theirs(line)), *there, "{set} there");
    }
}
