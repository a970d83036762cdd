//! What revocations revoke, and that a file that is not whole revokes everything.

use proptest::prelude::*;

use super::*;
use crate::corruption;

fn parse(text: &str) -> Result<RevocationList, String> {
    RevocationList::parse(Path::new("f"), text).map_err(|error| error.to_string())
}

#[test]
fn each_kind_revokes_what_it_says() {
    let text = r#"{"revoke":"token","jti":"t1"}
{"revoke":"subject","subject":"bob","before":"2026-01-01T00:00:10Z"}
{"revoke":"subject","subject":"bob","before":"2026-01-01T00:00:05Z"}

{"revoke":"key","key":"old"}
"#;
    let revoked = parse(text).unwrap();
    let at = parse_time("2026-01-01T00:00:10Z").unwrap();
    for (jti, subject, key, issued, expected) in [
        ("t1", "x", None, at, true),
        ("t2", "x", None, at, false),
        ("t2", "bob", None, at, true),
        ("t2", "bob", None, at - 100, true),
        ("t2", "bob", None, at + 1, false),
        ("t2", "x", Some("old"), at + 1, true),
        ("t2", "x", Some("new"), at + 1, false),
    ] {
        let told = revoked.revoke(jti, subject, key, issued);
        assert_eq!(told, expected, "{jti} {subject} {key:?} {issued}");
    }
    assert_eq!(
        revoked.since(&RevocationList::default()),
        [
            "the token t1",
            "the tokens of bob made up to 2026-01-01T00:00:10Z",
            "the tokens of the key old"
        ]
    );
    assert_eq!(revoked.since(&revoked), [""; 0]);
    let all = parse("{\"revoke\":\"all\",\"before\":\"2026-01-01T00:00:10Z\"}\n").unwrap();
    assert!(all.revoke("any", "any", None, at));
    assert!(!all.revoke("any", "any", None, at + 1));
}

#[test]
fn a_line_that_is_none_is_named() {
    for (text, part) in [
        (
            "{\"revoke\":\"token\",\"jti\":\"t1\"}",
            "f:1: the line is not whole",
        ),
        ("\n{\n", "f:2: "),
        (
            "{\"revoke\":\"token\",\"jti\":\"t1\",\"x\":1}\n",
            "f:1: unknown field",
        ),
        (
            "{\"revoke\":\"all\",\"before\":\"soon\"}\n",
            "f:1: \"soon\" is not a time",
        ),
        (
            "{\"revoke\":\"key\",\"key\":\"../x\"}\n",
            "f:1: \"../x\" is no key's name",
        ),
        ("{\"jti\":\"t1\"}\n", "f:1: missing field"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.starts_with(part), "{text:?}: {error}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_line() {
    let line = |jti: &str| format!("\u{feff}{{\"revoke\":\"token\",\"jti\":\"{jti}\"}}\r\n");
    let revoked = parse(&(line("t1") + &line("t2"))).unwrap();
    assert!(revoked.revoke("t1", "", None, 0) && revoked.revoke("t2", "", None, 0));
    assert!(parse("\u{feff}").is_ok(), "an editor's empty file");
    assert!(parse(&(line("t1") + "\u{feff}{")).is_err());
    // It is in force when the server says so of the bytes that are there.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("revoked");
    fs::write(&path, line("t1")).unwrap();
    revoke(&path, Trust::Lax, &Revocation::Token { jti: "t2".into() }).unwrap();
    let read = RevocationList::read(&path, Trust::Lax).unwrap();
    assert_eq!(read.digest, of_text(&fs::read(&path).unwrap()));
    assert!(read.revoke("t1", "", None, 0) && read.revoke("t2", "", None, 0));
}

#[test]
fn what_is_added_is_read_back_and_what_was_there_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("revoked");
    let entry = |jti: &str| Revocation::Token { jti: jti.into() };
    let missing = revoke(&path, Trust::Lax, &entry("a")).unwrap_err();
    assert!(missing.to_string().contains("cannot read"), "{missing}");
    begin(&path).unwrap();
    revoke(&path, Trust::Lax, &entry("a")).unwrap();
    begin(&path).unwrap();
    revoke(&path, Trust::Lax, &entry("b\"")).unwrap();
    let revoked = RevocationList::read(&path, Trust::Lax).unwrap();
    assert!(revoked.revoke("a", "", None, 0) && revoked.revoke("b\"", "", None, 0));
    assert!(!revoked.revoke("c", "", None, 0));
}

const GOOD: &str = r#"{"revoke":"token","jti":"t1"}
{"revoke":"subject","subject":"bob","before":"2026-01-01T00:00:10Z"}
{"revoke":"key","key":"old"}

{"revoke":"all","before":"2026-01-01T00:00:10Z"}
"#;
const WORDS: &[&str] = &[
    "{\"revoke\":\"token\",\"jti\":\"t1\"}",
    "{\"revoke\":\"key\",\"key\":\"old\"}",
    "\n",
    " ",
    "\r",
    "{",
    "}",
    "\"revoke\"",
    ":",
    ",",
    "\"jti\"",
    "\"x\"",
    "null",
    "[",
    "]",
    "\0",
    "\u{2028}",
];

proptest! {
    /// A file is good when each of its lines is, and has its end; a fault names the first that is not.
    #[test]
    fn nothing_of_a_file_is_passed_over(bytes in corruption::file(GOOD, WORDS)) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("revoked");
        fs::write(&path, &bytes).unwrap();
        let read = RevocationList::read(&path, Trust::Lax).map_err(|error| error.to_string());
        let Ok(text) = String::from_utf8(bytes) else {
            let begins = format!("{}: cannot read the revocations", path.display());
            prop_assert!(read.is_err_and(|error| error.starts_with(&begins)));
            return Ok(());
        };
        let mut lines = text.split_inclusive('\n');
        match lines.position(|line| parse(line).is_err()) {
            None => prop_assert_eq!(read, parse(&text)),
            Some(at) => {
                let begins = format!("{}:{}: ", path.display(), at + 1);
                prop_assert!(read.is_err_and(|error| error.starts_with(&begins)));
            }
        }
        // What each line revokes the file revokes.
        if let Ok(whole) = parse(&text) {
            prop_assert!(text.is_empty() || text.ends_with('\n'), "half a line is passed over");
            for line in text.split_inclusive('\n') {
                let part = parse(line).unwrap();
                prop_assert!(part.tokens.is_subset(&whole.tokens) && part.keys.is_subset(&whole.keys));
                prop_assert!(part.all <= whole.all);
                let is_kept = |(subject, before)| whole.subjects.get(subject) >= Some(before);
                prop_assert!(part.subjects.iter().all(is_kept));
            }
        }
    }
}

#[test]
fn who_could_read_the_file_still_can() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("revoked.jsonl");
    for mode in [0o600, 0o644] {
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let entry = Revocation::Token { jti: "t1".into() };
        revoke(&path, Trust::Strict, &entry).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
    }
}
