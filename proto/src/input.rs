//! What messages may show of a text that an admin or user gave: nothing that can be a secret. A
//! secret can stand in any setting by mistake, so the rule is the same for all of them.

use std::path::{Component, Path};

/// A part of a secret that is shorter than this tells nothing of use.
const SHOWN: usize = 8;
/// Secrets of tokens have at least 32 bytes.
const LONGEST_WORD: usize = 31;
/// The longest name that is shown, in bytes: that of a node or group.
const LONGEST_NAME: usize = 64;

/// A setting's value for a message: itself where it is too short to tell anything, such as `"p"`,
/// else its length.
pub fn shown_value(text: &str) -> String {
    if text.len() < SHOWN {
        return format!("{text:?}");
    }
    format!("a text of {}", counted(text))
}

/// A name for a message: itself where it is one, such as `jwt_secret` or `cnode01.cluster`, else its
/// length.
pub fn shown_name(text: &str) -> String {
    let is_short = text.len() < SHOWN && !text.contains(char::is_control);
    if is_short || (text.len() <= LONGEST_NAME && is_plain(text)) {
        return text.to_owned();
    }
    format!("a name of {}, which is not shown", counted(text))
}

/// A node set for a message: itself where its terms look like names, else its length.
pub fn shown_set(text: &str) -> String {
    let operators = ['*', '?', '=', '&', '!', '{', '}', '^', '(', ')', '/'];
    let names = text.replace(operators, " ");
    let is_name = |term: &str| term.len() <= LONGEST_NAME && is_plain(term);
    let is_short = text.len() < SHOWN && !text.contains(char::is_control);
    match is_short || names.split(',').all(is_name) {
        true => text.to_owned(),
        false => format!("a text of {}, which is not shown", counted(text)),
    }
}

/// A path for a message: itself where it leads somewhere. Of one that does not, the part that is not
/// there is shown only if it looks like names of files.
///
/// `exists` tells whether a path leads somewhere; it is asked of this one and those above it.
pub fn shown_path(path: &Path, exists: impl Fn(&Path) -> bool) -> String {
    let there = path.ancestors().find(|above| exists(above));
    let there = there.unwrap_or(Path::new(""));
    let missing = path.strip_prefix(there).unwrap_or(path);
    let is_word = |part: Component<'_>| match part {
        Component::Normal(name) => name
            .to_str()
            .is_some_and(|name| name.len() <= LONGEST_WORD && is_plain(name)),
        _ => true,
    };
    if missing.components().all(is_word) {
        return path.display().to_string();
    }
    let text = missing.to_string_lossy();
    let what = format!("a path of {}, which is not shown", counted(&text));
    match there.as_os_str().is_empty() {
        true => what,
        false => format!("{}, then {what}", there.display()),
    }
}

/// True for a text of one line without anything that only random bytes have.
fn is_plain(text: &str) -> bool {
    let is_allowed = |c: char| c.is_alphanumeric() || " _.-@+:,~[]%".contains(c);
    text.chars().all(is_allowed)
        && !text.starts_with("--")
        && !text.contains("eyJ")
        && text.split(|c: char| !c.is_alphanumeric()).all(is_word)
}

/// False for what a program made up: `4f0c0fd12a..` or `Zk3vQ9xR..`, not `cnode0012` or `TestServer`.
fn is_word(text: &str) -> bool {
    let kinds: Vec<u8> = text.chars().map(kind).collect();
    let changes = kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let kinds = (0..3).filter(|kind| kinds.contains(kind)).count();
    let is_mixed = kinds == 3 || (kinds == 2 && text.len() >= 12);
    text.len() < SHOWN || (text.len() <= LONGEST_WORD && !(is_mixed && changes * 3 >= text.len()))
}

fn kind(c: char) -> u8 {
    match c {
        _ if c.is_numeric() => 0,
        _ if c.is_uppercase() => 1,
        _ => 2,
    }
}

fn counted(text: &str) -> String {
    match text.chars().count() {
        1 => "1 character".to_owned(),
        count => format!("{count} characters"),
    }
}

/// What can hardly be meant to be a part of a secret, such as `ends with a blank`.
pub fn secret_fault(secret: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(secret);
    let is_blank = |c: Option<char>| c.is_some_and(char::is_whitespace);
    if text.ends_with('\n') {
        Some("ends with a newline")
    } else if text.ends_with('\r') {
        Some("ends with a carriage return (a Windows line end)")
    } else if is_blank(text.chars().next_back()) {
        Some("ends with a blank")
    } else if text.starts_with('\u{feff}') {
        Some("begins with a byte order mark")
    } else if is_blank(text.chars().next()) {
        Some("begins with a blank")
    } else {
        None
    }
}

/// What is wrong with a PEM text (RFC 7468) that a library does not read, in words without any of it.
pub fn pem_fault(text: &[u8]) -> &'static str {
    const LINES: &str = "BEGIN and END must be on lines of their own";
    let text = String::from_utf8_lossy(text);
    let has = |part: &str| text.contains(part);
    let is_marker = |line: &str, word: &str| {
        let label = line.trim_end().strip_prefix(word);
        let label = label.and_then(|rest| rest.strip_suffix("-----"));
        label.is_some_and(is_pem_label)
    };
    let alone = |word: &str| {
        text.split(['\n', '\r'])
            .filter(|line| is_marker(line, word))
            .count()
    };
    let (begins, ends) = (alone("-----BEGIN "), alone("-----END "));
    if has("\\n") && has("-----BEGIN") {
        "its line breaks are written as \\n: BEGIN and END must be on lines of their own"
    } else if begins < text.matches("-----BEGIN").count() || ends < text.matches("-----END").count()
    {
        LINES
    } else if begins > ends {
        "a block has no line with END: the file is not whole"
    } else if has("-----BEGIN") {
        "what is between BEGIN and END is not base64: the file is damaged"
    } else {
        "there is no PEM block in it"
    }
}

/// True for what stands between the dashes of a marker, such as `RSA PRIVATE KEY`.
pub fn is_pem_label(label: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ';
    label.len() <= LONGEST_WORD && label.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: [&str; 8] = [
        "4f0c0fd12a9be7735c1184b2aa0ffe314f0c0fd12a9be7735c1184b2aa0ffe31",
        "Zk3vQ9xR/7LmB+t0PnWc2yHsEaUd5fGjKi8oXrNqTvYbMzCl1w6hSgJpIeDkRuFA",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJvbGdhIn0.7LmBt0PnWc2yHsEaUd5fGj",
        "-----BEGIN PRIVATE KEY----- MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEH",
        "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEH",
        "550e8400-e29b-41d4-a716-446655440000",
        "a horse, a battery, and one staple",
        "correct-horse-battery-staple-and-a-correct-one",
    ];

    #[test]
    fn no_secret_passes_for_a_value_or_a_path() {
        let shown = |shown: String, secret: &str| {
            let parts = secret.as_bytes().windows(SHOWN);
            parts
                .filter_map(|part| str::from_utf8(part).ok())
                .any(|part| shown.contains(part))
        };
        for secret in SECRETS {
            assert!(!shown(shown_value(secret), secret), "{secret}");
            for folder in ["", "/etc/action", "/opt/none/deeper"] {
                let path = Path::new(folder).join(secret);
                let text = shown_path(&path, |it| Path::new("/etc/action").starts_with(it));
                assert!(!shown(text.clone(), secret), "{text}");
            }
        }
        for secret in &SECRETS[..5] {
            assert!(!shown(shown_name(secret), secret), "{secret}");
            assert!(!shown(shown_set(secret), secret), "{secret}");
        }
    }

    #[test]
    fn what_people_write_is_shown() {
        for path in [
            "/etc/action/server.yaml",
            "/opt/none/site/action.d/tls-2026/private_key.pem",
            "relative/nodes-rack02.yaml",
            "jwt_secret",
            "/home/Olga/MyFiles/Key2.pem",
            "../x",
        ] {
            assert_eq!(shown_path(Path::new(path), |_| false), path);
        }
        let there = "/tmp/.tmpZk3vQ9xR7LmBt0PnWc2yHs";
        let path = Path::new(there).join("nodes.yaml");
        let text = shown_path(&path, |it| Path::new(there).starts_with(it));
        assert_eq!(text, path.display().to_string());
        for name in [
            "cnode0012",
            "r01c03n12",
            "gpu-node-007.cluster.example.org",
            "ec2_id",
        ] {
            assert_eq!(shown_name(name), name);
        }
        assert_eq!(shown_name("../n4"), "../n4");
        for set in [
            "n[1-100/2],@compute&!gone5",
            "@{compute,vault}",
            "rack=[1-2]*",
        ] {
            assert_eq!(shown_set(set), set);
        }
        assert_eq!(shown_value("soon"), "\"soon\"");
        assert_eq!(shown_value("many more"), "a text of 9 characters");
    }

    #[test]
    fn what_is_hardly_a_part_of_a_secret() {
        for (text, expected) in [
            ("a b\nc", None),
            ("", None),
            ("x\n", Some("ends with a newline")),
            ("x \r\n", Some("ends with a newline")),
            (
                "x\r",
                Some("ends with a carriage return (a Windows line end)"),
            ),
            ("x ", Some("ends with a blank")),
            ("x\u{a0}", Some("ends with a blank")),
            ("\tx", Some("begins with a blank")),
            ("\u{feff}x", Some("begins with a byte order mark")),
        ] {
            assert_eq!(secret_fault(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(secret_fault(b"\xffx\x85"), None);
    }

    #[test]
    fn what_is_wrong_with_a_pem_text() {
        let good = "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n";
        for (text, part) in [
            (good.replace('\n', ""), "lines of their own"),
            (good.replace('\n', " "), "lines of their own"),
            (good.replace('\n', "\\n"), "written as \\n"),
            (good.replacen('\n', " ", 1), "lines of their own"),
            (good.replace("-----END PRIVATE KEY-----\n", ""), "not whole"),
            (good.replace("MIGH", "M!GH"), "not base64"),
            ("secret".to_owned(), "no PEM block"),
        ] {
            let fault = pem_fault(text.as_bytes());
            assert!(fault.contains(part), "{text}: {fault}");
        }
    }
}
