//! The register of issued tokens: no token without its entry, and none lost.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    process::{Command, Output, Stdio},
};

use action_tests::{Ran, Site, program::run};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

pub(crate) fn site() -> Site {
    let site = Site::new();
    site.command("hello", "echo hello");
    site
}

/// What a token says.
#[track_caller]
fn claims(token: &str) -> Value {
    let part = token.trim().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[track_caller]
pub(crate) fn made(site: &Site, words: &[&str]) -> String {
    let made = site.server_verb(&[&["generate-token"], words].concat());
    made.ok().stdout().trim().to_owned()
}

pub(crate) fn jti(token: &str) -> String {
    claims(token)["jti"].as_str().unwrap().to_owned()
}

/// The lines of the register.
#[track_caller]
fn lines(site: &Site) -> Vec<Value> {
    let text = site.read("state/issued.jsonl");
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

pub(crate) fn revoke(site: &Site, words: &[&str]) -> Ran {
    site.server_verb(&[&["revoke"], words].concat())
}

#[test]
fn what_a_token_says_is_in_the_register_and_never_the_token() {
    let site = site();
    let own = site.token();
    let words = [
        "--subject",
        "bob",
        "--uid",
        "7",
        "--role",
        "operators",
        "--command",
        "power-*",
        "--nodes",
        "n1",
        "--days",
        "2",
    ];
    let token = made(&site, &words);
    let said = claims(&token);
    let lines = lines(&site);
    assert_eq!(lines.len(), 2, "init's and this one: {lines:?}");
    assert_eq!(lines[0]["jti"], claims(&own)["jti"]);
    let entry = &lines[1];
    for (key, value) in [
        ("jti", said["jti"].clone()),
        ("subject", json!("bob")),
        ("uid", json!(7)),
        ("roles", json!(["operators"])),
        ("commands", json!(["power-*"])),
        ("nodes", json!("n1")),
    ] {
        assert_eq!(entry[key], value, "{key}");
    }
    let text = site.read("state/issued.jsonl");
    for token in [&token, &own] {
        assert!(token.split('.').all(|part| !text.contains(part)), "{text}");
    }
    let mode = fs::metadata(site.path("state/issued.jsonl"))
        .unwrap()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // An older server does not mind it, and init makes no second token.
    let server = site.start();
    _ = server.server_verb(&["tokens"]).ok();
}

#[test]
fn tokens_are_listed_with_what_became_of_them() {
    let site = site();
    let valid = made(&site, &["--subject", "anna", "--role", "a\u{1b}b"]);
    let revoked = made(&site, &["--subject", "bob", "--nodes", "n1"]);
    let text = site.read("state/issued.jsonl");
    let over = json!({
        "jti": "over", "subject": "carol",
        "issued": "2026-01-01T00:00:00Z", "expires": "2026-01-02T00:00:00Z",
    });
    site.write(
        "state/issued.jsonl",
        format!("{text}{over}\n{{\"jti\":\"torn"),
    );
    let server = site.start();
    _ = revoke(&server, &["--jti", &jti(&revoked)]).ok();
    let listed = server.server_verb(&["tokens", "--output", "json"]).ok();
    assert!(
        listed
            .stderr()
            .contains("1 line of the register cannot be read"),
        "{listed}"
    );
    let stdout = listed.stdout();
    let objects: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let state = |jti: &str| {
        let object = objects.iter().find(|object| object["jti"] == jti).unwrap();
        object["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(objects.len(), 4, "{stdout}");
    assert_eq!(state(&jti(&valid)), "valid");
    assert_eq!(state(&jti(&revoked)), "revoked");
    assert_eq!(state("over"), "expired");
    let table = server.server_verb(&["tokens"]).ok().stdout();
    let row = |jti: &str| {
        table
            .lines()
            .find(|line| line.contains(jti))
            .unwrap()
            .to_owned()
    };
    assert!(
        row(&jti(&revoked)).contains(" bob      revoked "),
        "{table}"
    );
    assert!(row(&jti(&revoked)).ends_with(" nodes n1"), "{table}");
    assert!(row("over").contains(" expired "), "{table}");
    assert!(
        row(&jti(&valid)).ends_with("roles a b"),
        "no control reaches the terminal: {table}"
    );
    // The next token mends what is torn, and loses nothing.
    _ = made(&server, &[]);
    let listed = server.server_verb(&["tokens", "--output", "json"]).ok();
    assert_eq!(listed.stdout().lines().count(), 5, "{listed}");
}

#[test]
fn without_its_entry_no_token_is_printed() {
    let site = site();
    let path = site.path("state/issued.jsonl");
    let before = site.read("state/issued.jsonl");
    let refused = |what: &str| {
        let ran = site.server_verb(&["generate-token"]);
        assert_eq!(
            (ran.code(), ran.stdout().as_str()),
            (1, ""),
            "{what}: {ran}"
        );
        assert!(ran.stderr().contains("no token was made"), "{what}: {ran}");
    };
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused("a directory");
    fs::remove_dir(&path).unwrap();
    symlink(site.path("elsewhere"), &path).unwrap();
    refused("a link");
    assert!(!site.has("elsewhere"));
    fs::remove_file(&path).unwrap();
    site.write("state/issued.jsonl", &before);
    // A disk that fails at each step.
    for call in ["write", "fsync", "rename"] {
        for error in ["ENOSPC", "EIO"] {
            let ran = failing(&site, &format!("{call}:error={error}"));
            let stderr = String::from_utf8_lossy(&ran.stderr);
            if call != "write" {
                // A failing write takes the message too.
                assert!(
                    stderr.contains("no token was made"),
                    "{call} {error}: {stderr}"
                );
            }
            assert_eq!(
                (ran.status.code(), ran.stdout.as_slice()),
                (Some(1), &b""[..]),
                "{call} {error}"
            );
            assert_eq!(site.read("state/issued.jsonl"), before, "{call} {error}");
        }
    }
    _ = made(&site, &[]);
    assert_eq!(lines(&site).len(), 2);
    let names = fs::read_dir(site.path("state")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the register and its lock: {names:?}");
}

/// Runs `generate-token` where a system call fails.
fn failing(site: &Site, call: &str) -> Output {
    let verb = site.server_verb_command(&["generate-token"]);
    let name = call.split(':').next().unwrap();
    let mut command = Command::new("strace");
    command.args([
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &format!("trace={name}"),
    ]);
    command.args(["-e", &format!("inject={call}")]);
    command.arg(verb.get_program()).args(verb.get_args());
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn those_who_make_tokens_at_the_same_time_lose_none() {
    let site = site();
    let start = |_| {
        let mut command = site.server_verb_command(&["generate-token"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let children: Vec<_> = (0..12).map(start).collect();
    let printed: Vec<String> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            jti(&String::from_utf8(output.stdout).unwrap())
        })
        .collect();
    let known: Vec<String> = lines(&site)
        .iter()
        .map(|line| line["jti"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        printed.iter().all(|jti| known.contains(jti)),
        "{printed:?} {known:?}"
    );
    assert_eq!(known.len(), 13);
}

#[test]
fn root_makes_tokens_for_a_server_of_another_user() {
    let site = site().start().stop();
    let mut give = Command::new("chown");
    give.args(["-R", "65534:65534"]).arg(site.path("state"));
    _ = run(give).ok();
    for name in ["issued.jsonl", "issued.jsonl.lock"] {
        _ = fs::remove_file(site.path("state").join(name));
    }
    site.settings("revocation_path: revoked.jsonl");
    site.write("revoked.jsonl", "");
    _ = made(&site, &["--subject", "bob"]);
    for name in ["issued.jsonl", "issued.jsonl.lock"] {
        let made = fs::metadata(site.path("state").join(name)).unwrap();
        assert_eq!(
            (made.uid(), made.gid(), made.mode() & 0o777),
            (65534, 65534, 0o600),
            "{name}"
        );
    }
    _ = site.server_verb(&["tokens"]).ok();
    // The state directory is made for who could make it as the server.
    site.settings("state_directory: home/state");
    let mut give = Command::new("chown");
    give.arg("65534:65534").arg(site.path("home"));
    _ = run(give).ok();
    site.write(
        "server.yaml",
        site.read("server.yaml")
            .replacen("state_directory: state\n", "", 1),
    );
    _ = made(&site, &["--subject", "bob"]);
    let state = fs::metadata(site.path("home/state")).unwrap();
    assert_eq!((state.uid(), state.mode() & 0o777), (65534, 0o700));
}

#[test]
fn tokens_for_less_than_a_day() {
    let site = site();
    let token = made(&site, &["--for", "90m"]);
    let said = claims(&token);
    assert_eq!(
        said["exp"].as_u64().unwrap() - said["iat"].as_u64().unwrap(),
        5400
    );
    let told = site
        .server_verb(&["generate-token", "--for", "1h 30m"])
        .ok();
    assert!(told.stderr().contains(" (in 1h 30m)\n"), "{told}");
    for words in [
        &["--for", "90m", "--days", "1"][..],
        &["--for", "0s"],
        &["--for", "500ms"],
        &["--for", "90"],
        &["--for", "-5m"],
        &["--for", "3651d"],
        &["--for", "99999999999y"],
    ] {
        let ran = site.server_verb(&[&["generate-token"], words].concat());
        assert_eq!(
            (ran.code(), ran.stdout().as_str()),
            (64, ""),
            "{words:?}: {ran}"
        );
    }
    for (option, values, example) in [
        ("--days", &["soon", "0", "3651", "1.5"][..], "as in `30`"),
        ("--uid", &["alice", "1.5"], "as in `1000`"),
        ("--for", &["soon", "90", "3651d"], "as in `90m`"),
    ] {
        for value in values {
            let ran = site.server_verb(&["generate-token", option, value]);
            let text = ran.stderr();
            assert!(text.contains(&format!("'{value}'")), "{ran}");
            assert!(text.contains(option) && text.contains(example), "{ran}");
        }
    }
    site.settings("jwt_lifetime: 1h");
    let ran = site.server_verb(&["generate-token", "--for", "61m"]);
    assert_eq!(ran.code(), 64, "{ran}");
    assert!(
        ran.stderr()
            .contains("--for: the settings' jwt_lifetime is 1h"),
        "{ran}"
    );
}

/// A policy that cannot be used hides no revocation.
#[test]
fn a_token_that_would_be_revoked_is_not_made_whatever_else_is_broken() {
    let site = site();
    fs::create_dir(site.path("keys")).unwrap();
    site.settings("jwt_key_directory: keys\npolicy_path: policy.yaml");
    site.write("policy.yaml", "rules: []\n");
    let site = site.start().stop();
    site.write("policy.yaml", "rules: [");
    site.write("nodes.yaml", "n1: [");
    let key = site.path("keys/a.secret");
    fs::write(&key, "x".repeat(20) + &"yz".repeat(10)).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!made(&site, &["--key", "a"]).is_empty());
    _ = revoke(&site, &["--key", "a"]).ok();
    let count = lines(&site).len();
    let ran = site.server_verb(&["generate-token", "--key", "a"]);
    assert_eq!((ran.code(), ran.stdout().as_str()), (1, ""), "{ran}");
    assert!(
        ran.stderr().contains("the token would not be good"),
        "{ran}"
    );
    assert_eq!(lines(&site).len(), count);
}
