//! What messages may show of a text that an admin or user gave: nothing that can be a secret. A
//! secret can stand in any setting by mistake, so the rule is the same for all of them.

use std::path::{Component, Path, PathBuf};

use crate::{escape_unsafe, is_dash};

/// A part of a secret that is shorter than this tells nothing of use.
const SHOWN: usize = 8;
/// Secrets of tokens have at least 32 bytes.
const LONGEST_WORD: usize = 31;
/// The longest name that is shown, in bytes: that of a node or group.
const LONGEST_NAME: usize = 64;
/// So long is a run's id, which looks random.
const RUN_ID: usize = 16;
/// So many random characters in a file's name can be a secret.
const LEAST_RANDOM: usize = 20;

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

/// A run's id, or how it begins, for a message: itself where it can be one, else as a name is shown.
pub fn shown_run_id(text: &str) -> String {
    let can_be_id = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    match text.len() <= RUN_ID && text.bytes().all(can_be_id) {
        true => text.to_owned(),
        false => shown_name(text),
    }
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

/// A path for a message, of one that somebody gave: shown as [`shown_file`] does it where it leads
/// somewhere. Of one that does not, the part that is not there is shown only if it looks like names
/// of files.
///
/// `exists` tells whether a path leads somewhere; it is asked of this one and those above it.
pub fn shown_path(path: &Path, exists: impl Fn(&Path) -> bool) -> String {
    let (there, missing) = split_missing(path, exists);
    if is_words(missing) {
        return shown_file(path);
    }
    let text = missing.to_string_lossy();
    let what = format!("a path of {}, which is not shown", counted(&text));
    match there.as_os_str().is_empty() {
        true => what,
        false => format!("{}, then {what}", shown_file(there)),
    }
}

/// True for a path that leads somewhere, and for one whose missing part looks like names of files.
pub fn is_path_or_words(path: &Path, exists: impl Fn(&Path) -> bool) -> bool {
    is_words(split_missing(path, exists).1)
}

fn split_missing(path: &Path, exists: impl Fn(&Path) -> bool) -> (&Path, &Path) {
    let there = path.ancestors().find(|above| exists(above));
    let there = there.unwrap_or(Path::new(""));
    (there, path.strip_prefix(there).unwrap_or(path))
}

fn is_words(path: &Path) -> bool {
    path.components().all(|part| match part {
        Component::Normal(name) => name
            .to_str()
            .is_some_and(|name| name.len() <= LONGEST_WORD && is_plain(name)),
        _ => true,
    })
}

/// A path for a message, of a file that is there or that the program itself names: whole, but for
/// names in it that can be secrets. Of `keys/4f0c0fd12a9be773...secret` it shows
/// `keys/4f0c..(64 characters).secret`.
pub fn shown_file(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    let parts: Vec<Component<'_>> = path.components().collect();
    let name = |index: usize| match parts.get(index) {
        Some(Component::Normal(name)) => Some(name.to_string_lossy()),
        _ => None,
    };
    let is_secret = |index: usize| name(index).is_some_and(|name| looks_secret(&name));
    // A secret with a slash in it is two names.
    let is_part = |index: usize| {
        name(index).is_some_and(|name| random_length(&name) > 0)
            && (is_secret(index + 1) || index > 0 && is_secret(index - 1))
    };
    let mut shown = PathBuf::new();
    let mut is_whole = true;
    for (index, part) in parts.iter().enumerate() {
        let Some(name) = name(index) else {
            shown.push(part);
            continue;
        };
        let text = match is_secret(index) || is_part(index) {
            true => shortened(&name),
            false => escape_unsafe(&name, &[]).into_owned(),
        };
        is_whole &= text == name;
        shown.push(text);
    }
    match is_whole {
        true => path.display().to_string(),
        false => shown.display().to_string(),
    }
}

fn shortened(name: &str) -> String {
    let (stem, suffix) = name.rsplit_once('.').unwrap_or((name, ""));
    let is_suffix =
        (1..SHOWN).contains(&suffix.len()) && suffix.bytes().all(|byte| byte.is_ascii_lowercase());
    let (stem, suffix) = match is_suffix {
        true => (stem, format!(".{suffix}")),
        false => (name, String::new()),
    };
    let first: String = stem.chars().take(SHOWN / 2).collect();
    let first = escape_unsafe(&first, &[]);
    format!("{first}..({}){suffix}", counted(stem))
}

/// True for a file's name that is longer than names are, or has more random characters than the ids
/// of files: a run's has 16, the longest random part of a UUID 12.
fn looks_secret(name: &str) -> bool {
    name.len() > LONGEST_NAME || random_length(name) >= LEAST_RANDOM
}

fn random_length(name: &str) -> usize {
    let parts = name.split(|c: char| !c.is_alphanumeric());
    parts.filter(|part| !is_word(part)).map(str::len).sum()
}

/// What a command line's word is shown as in a message, where it is not shown as it is.
pub fn hidden_word(word: &str) -> Option<String> {
    let is_option = word.starts_with(is_dash);
    let word = word.trim_start_matches(is_dash);
    let is_odd = |c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && !"-_".contains(c);
    if is_option && word.len() >= SHOWN && word.contains(is_odd) {
        return Some(format!("a word of {}, which is not shown", counted(word)));
    }
    let shown = shown_path(word.as_ref(), |_| false);
    (shown != word).then_some(shown)
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: [&str; 10] = [
        "4f0c0fd12a9be7735c1184b2aa0ffe314f0c0fd12a9be7735c1184b2aa0ffe31",
        "Zk3vQ9xR/7LmB+t0PnWc2yHsEaUd5fGjKi8oXrNqTvYbMzCl1w6hSgJpIeDkRuFA",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJvbGdhIn0.7LmBt0PnWc2yHsEaUd5fGj",
        "q7LmB+t0PnWc2yHsEaUd5fGjKi8oXrNqTvYbMzCl1w6=",
        "q7LmB+t0PnWc2yHs=EaUd5fGjKi8oXrNqTvYbMzCl1w6",
        "-----BEGIN PRIVATE KEY----- MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEH",
        "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEH",
        "550e8400-e29b-41d4-a716-446655440000",
        "a horse, a battery, and one staple",
        "correct-horse-battery-staple-and-a-correct-one",
    ];

    /// UUIDs and words are names of files, too.
    fn is_like_a_name(secret: &str) -> bool {
        secret.starts_with("550e8400-") || secret.contains("horse")
    }

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
            if !is_like_a_name(secret) {
                for name in [
                    secret.replace('/', "_"),
                    format!("{}.sh", secret.replace('/', "+")),
                ] {
                    let text = shown_file(Path::new("keys").join(&name).join("x"));
                    assert!(!shown(text.clone(), &name), "{text}");
                }
            }
        }
        for secret in &SECRETS[..7] {
            assert!(!shown(shown_name(secret), secret), "{secret}");
            assert!(!shown(shown_set(secret), secret), "{secret}");
            assert!(!shown(shown_run_id(secret), secret), "{secret}");
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
        let there = "/tmp/.tmpZk3vQ9";
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
        let long = "power-status-of-all-the-nodes-that-stand-in-the-second-room-now";
        assert_eq!(shown_name(long), long);
        for id in ["7k", "4x7q0c9kz3mt5vhy", "latest"] {
            assert_eq!(shown_run_id(id), id);
        }
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
    fn a_secret_with_slashes_is_not_shown_as_a_path() {
        let path = format!("/etc/keys/{}.secret", SECRETS[1]);
        let shown = "/etc/keys/Zk3v..(8 characters)/7LmB..(55 characters).secret";
        assert_eq!(shown_file(path), shown);
        assert_eq!(
            shown_file("/tmp/Zk3vQ9xR/nodes.yaml"),
            "/tmp/Zk3vQ9xR/nodes.yaml"
        );
    }

    #[test]
    fn names_of_files_are_shown_but_for_those_that_can_be_secrets() {
        for name in [
            "power-status",
            "metadata.yaml",
            "cluster-2024-11-production.yaml",
            "ActionServerConfiguration.yaml",
            "a-very-long-name-of-the-nodes-that-stand-in-the-second-room.yaml",
            "550e8400-e29b-41d4-a716-446655440000",
            "f81d4fae-7dec-11d0-a765-00a0c91e6bf6.run",
            "1764460000000000-4x7q0c9kz3mt5vhy.run",
            "node-3f9a2c1b7d4e.yaml",
            "i-0abcd1234ef567890.stdout",
            ".tmpZk3vQ9",
            "tmp.Zk3vQ9xR7L",
            "..2026_11_29_12_00_00.1234567890",
            "action-server-7d9f8b6c5-x2x9z",
            "libstdc++.so.6.0.30",
            "my file (2).sh",
            "\u{e9}tat.yaml",
        ] {
            let path = Path::new("/srv").join(name);
            assert_eq!(shown_file(&path), format!("/srv/{name}"));
        }
        assert_eq!(shown_file("a//b/./c/"), "a//b/./c/");
        for (name, expected) in [
            (
                "4f0c0fd12a9be7735c1184b2aa0ffe314f0c0fd12a9be7735c1184b2aa0ffe31.secret",
                "4f0c..(64 characters).secret",
            ),
            (
                "7LmB-t0PnWc2yHsEaUd5fGjKi8oXrNqTvYbMzCl1w6",
                "7LmB..(42 characters)",
            ),
            ("a\u{1b}[31m\nb.sh", "a\\u{1b}[31m\\u{a}b.sh"),
            ("\u{202e}hs.x", "\\u{202e}hs.x"),
        ] {
            for (before, after) in [("/etc/keys/", ""), ("", "/default.sh")] {
                let shown = shown_file(format!("{before}{name}{after}"));
                assert_eq!(shown, format!("{before}{expected}{after}"));
            }
        }
    }
}
