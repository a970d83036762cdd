//! Tests of reading YAML to types: what is read, and that no message has a value.

use std::collections::BTreeMap;

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Text,
    Json,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    count: Option<usize>,
    wanted: Option<bool>,
    format: Option<Format>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    map: BTreeMap<String, String>,
}

#[test]
fn what_is_written_is_read() {
    let text =
        "\u{feff}count: 7\nwanted: True\nformat: json\nnames: [a, 010]\nmap: {x: 1.10, y: 'z'}\n";
    let settings: Settings = read(text).unwrap();
    assert_eq!((settings.count, settings.wanted), (Some(7), Some(true)));
    assert_eq!(settings.format, Some(Format::Json));
    assert_eq!(settings.names, ["a", "010"]);
    assert_eq!(settings.map["x"], "1.10");
    let empty: Option<Settings> = read("# nothing\n").unwrap();
    assert_eq!(empty, None);
}

#[test]
fn no_message_has_a_value() {
    const SECRET: &str = "Zk3vQ9xR7LmBt0PnWc2yHsEaUd5fGjKi";
    for (text, line, reason) in [
        ("SECRET", 1, "expected a map, found a text"),
        ("[SECRET]", 1, "expected a map, found a list"),
        (
            "SECRET: x",
            1,
            "unknown field `a name of 32 characters, which is not shown`",
        ),
        (
            "colour: x",
            1,
            "unknown field `colour`, expected one of `count`, `wanted`",
        ),
        (
            "\ncount: SECRET",
            2,
            "count: expected a number, found a text",
        ),
        ("count: -1", 1, "count: expected usize, found a number"),
        (
            "count: [SECRET]",
            1,
            "count: expected a number, found a list",
        ),
        (
            "wanted: SECRET",
            1,
            "wanted: expected true or false, found a text",
        ),
        ("format: SECRET", 1, "format: unknown variant a text of 32"),
        (
            "format: {SECRET: 1}",
            1,
            "format: expected enum Format, found a map",
        ),
        (
            "names: SECRET",
            1,
            "names: expected a sequence, found a text",
        ),
        (
            "names:\n- a\n- [SECRET]",
            3,
            "names[1]: expected a string, found a list",
        ),
        (
            "map: {SECRET: [1]}",
            1,
            "map.a name of 32 characters, which is not shown: expected a",
        ),
        ("count: 1\ncount: 2", 2, "count is given twice"),
        ("SECRET: 1\nSECRET: 2", 1, "unknown field `a name of 32"),
        (
            "map:\n  SECRET: 1\n  SECRET: 2",
            3,
            "map: a name of 32 characters, which is not shown is given twice",
        ),
        ("names:\n- a\n-\n- b", 3, "names[1]: nothing stands here"),
        ("a: 'SECRET", 1, ""),
        ("a: *SECRET", 1, ""),
        ("a: !SECRET x", 1, ""),
        ("%SECRET\n---\na: 1", 1, ""),
        ("a: \"\\SECRET\"", 1, ""),
    ] {
        let text = text.replace("SECRET", SECRET);
        let (found, message) = read::<Settings>(&text).unwrap_err();
        assert!(message.starts_with(reason), "{text}: {message}");
        assert!(found >= line, "{text}: {found} {message}");
        let mut parts = (0..SECRET.len() - 8).map(|at| &SECRET[at..at + 8]);
        assert!(!parts.any(|part| message.contains(part)), "{message}");
    }
}
