//! `revoke` revokes what was meant, and returns once it is in force.

use std::{fs, time::Instant};

use action_tests::{Server, Site, on, processes, program::AT_ONCE, token};
use jsonwebtoken::Algorithm;
use rustix::process::Signal;
use serde_json::json;
use tonic::Code;

use crate::{
    disk::Disk,
    issued_tokens::{jti, made, revoke, site},
};

/// Replaces the register by these entries, beside what they need.
fn write_register(site: &Site, entries: &[(&str, &str)]) {
    let line = |(jti, subject): &(&str, &str)| {
        let entry = json!({
            "jti": jti, "subject": subject,
            "issued": "2026-01-01T00:00:00Z", "expires": "2126-01-01T00:00:00Z",
        });
        format!("{entry}\n")
    };
    let text: String = entries.iter().map(line).collect();
    site.write("state/issued.jsonl", text);
}

fn is_refused(server: &Server, token: &str) -> bool {
    match server.api_with(Some(token)).start(on("hello", "n1")) {
        Ok(run) => {
            _ = run.finish();
            false
        }
        Err(status) => {
            assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
            true
        }
    }
}

/// Again and again, by callers whose connection was there before: the first call after `revoked:`
/// starts nothing.
#[test]
fn no_call_after_the_command_has_returned_starts_a_run() {
    let server = site().start();
    for round in 0..12 {
        let subject = format!("user{round}");
        let token = made(&server, &["--subject", &subject]);
        let api = server.api_with(Some(&token));
        _ = api.run(on("hello", "n1"));
        let id = jti(&token);
        let words: &[&str] = match round % 3 {
            0 => &["--jti", &id],
            1 => &["--jti", &id[..12]],
            _ => &["--subject", &subject],
        };
        let ran = revoke(&server, words).ok();
        assert!(!ran.stderr().contains("warning"), "{ran}");
        let status = api.start(on("hello", "n1")).unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    }
}

#[test]
fn a_beginning_must_mean_one_token() {
    let site = site();
    let first = format!("{:032x}", 0xde88_613c_u128 << 96 | 1);
    let second = format!("{:032x}", 0xde88_613d_u128 << 96 | 2);
    write_register(
        &site,
        &[(&first, "anna"), (&second, "bob"), ("portal-7", "carol")],
    );
    let server = site.start();
    let before = server.read("state/revoked.jsonl");
    let ran = revoke(&server, &["--jti", "de88613"]);
    assert_eq!(ran.code(), 1, "{ran}");
    insta::assert_snapshot!(ran.stderr(), @r"
    error: 2 issued tokens have a jti that begins with de88613; nothing was revoked
      de88613c000000000000000000000001  anna, expires 2126-01-01T00:00:00Z
      de88613d000000000000000000000002  bob, expires 2126-01-01T00:00:00Z
    hint: give more of the jti
    ");
    for unknown in ["de88613e", "0", "de88613c00000000000000000000001"] {
        let ran = revoke(&server, &["--jti", unknown]);
        assert_eq!(ran.code(), 1, "{unknown}: {ran}");
        assert!(
            ran.stderr()
                .contains("no issued token has a jti that begins with"),
            "{ran}"
        );
        assert!(ran.stderr().contains("--exact"), "{ran}");
    }
    assert_eq!(
        server.read("state/revoked.jsonl"),
        before,
        "nothing was written"
    );
    for (given, meant) in [
        ("de88613c", first.as_str()),
        (&second, &second),
        ("portal", "portal-7"),
    ] {
        let ran = revoke(&server, &["--jti", given]).ok();
        assert_eq!(ran.stderr(), format!("revoked: the token {meant}\n"));
    }
}

/// As a list, a log or a form may show it.
#[test]
fn a_jti_that_is_written_otherwise_is_found_or_refused() {
    let site = site();
    let first = format!("{:032x}", 0xde88_613c_u128 << 96 | 1);
    let second = format!("{:032x}", 0xab88_613d_u128 << 96 | 2);
    write_register(&site, &[(&first, "anna"), (&second, "bob")]);
    let server = site.start();
    let before = server.read("state/revoked.jsonl");
    let capitals = format!("{:032X}", 0xff_u128);
    for jti in [
        "xxx*",
        "de88*",
        "de88613?",
        "*",
        "de88613c..",
        "\"de88613c\"",
        "de88613c,",
        "ff",
        "FF",
        "3F2504E0-4F89",
        &capitals,
        &format!("{first}0"),
        &format!("'{first}'"),
    ] {
        let ran = revoke(&server, &["--jti", jti]);
        assert_eq!(ran.code(), 1, "{jti}: {ran}");
        assert!(ran.stderr().contains("nothing was revoked"), "{ran}");
        assert!(ran.stderr().contains("hint: "), "{ran}");
    }
    for jti in [
        "",
        " ",
        "a b",
        "a\tb",
        "\u{e4}",
        "de88\u{2026}",
        &"x".repeat(129),
    ] {
        for words in [&["--jti", jti][..], &["--jti", jti, "--exact"]] {
            let ran = revoke(&server, words);
            assert_eq!(ran.code(), 64, "{words:?}: {ran}");
            assert!(ran.stderr().contains("is no token's jti"), "{ran}");
        }
    }
    assert_eq!(server.read("state/revoked.jsonl"), before);
    let uuid = format!(
        "{}-{}-{}-{}-{}",
        &second[..8],
        &second[8..12],
        &second[12..16],
        &second[16..20],
        &second[20..]
    );
    for (given, meant) in [
        (first[..9].to_uppercase(), &first),
        (first.to_uppercase(), &first),
        (uuid.to_uppercase(), &second),
    ] {
        let ran = revoke(&server, &["--jti", &given]).ok();
        assert_eq!(ran.stderr(), format!("revoked: the token {meant}\n"));
    }
    // Taken as it is written, it may be another issuer's.
    let ran = revoke(&server, &["--jti", "xxx*", "--exact"]).ok();
    assert!(ran.stderr().starts_with("warning: "), "{ran}");
    let ran = revoke(&server, &["--subject", "BOB"]).ok();
    assert!(ran.stderr().contains("; did you mean bob?\n"), "{ran}");
}

/// What is whole is written, known or not: a token may have been made elsewhere.
#[test]
fn what_is_not_in_the_register_is_revoked_with_a_warning() {
    let server = site().start();
    let secret = server.secret();
    let foreign = |jti: &str, subject: &str| {
        let claims = token::with(token::with(token::claims(), "jti", jti), "sub", subject);
        token::signed(&claims, &secret, Algorithm::HS256)
    };
    let own_form = "0123456789abcdef0123456789abcdef";
    for (jti, words) in [
        (own_form, &[][..]),
        ("3F2504E0-4F89-11D3-9A0C-0305E82C3301", &[]),
        ("portal/42", &[]),
        ("4711", &["--exact"]),
    ] {
        let token = foreign(jti, "carol");
        assert!(!is_refused(&server, &token));
        let ran = revoke(&server, &[&["--jti", jti], words].concat()).ok();
        assert!(
            ran.stderr()
                .starts_with("warning: the register of issued tokens has no token of this jti"),
            "{ran}"
        );
        assert!(
            ran.stderr()
                .ends_with(&format!("revoked: the token {jti}\n")),
            "{ran}"
        );
        assert!(is_refused(&server, &token));
    }
    let token = foreign("one", "nobody");
    let ran = revoke(&server, &["--subject", "nobody"]).ok();
    assert!(
        ran.stderr()
            .starts_with("warning: the register of issued tokens has no token of nobody"),
        "{ran}"
    );
    assert!(is_refused(&server, &token));
    let ran = revoke(&server, &["--key", "2062"]).ok();
    assert!(
        ran.stderr().starts_with("warning: there is no key 2062"),
        "{ran}"
    );
    // A line that cannot be read may have the token that was not found.
    let path = server.path("state/issued.jsonl");
    let register = fs::read(&path).unwrap();
    fs::write(&path, [&register[..], b"\xff torn\n"].concat()).unwrap();
    for words in [
        &["--jti", "fedcba98"][..],
        &["--jti", "fedcba9876543210fedcba9876543210"],
        &["--subject", "nobody2"],
    ] {
        let ran = revoke(&server, words);
        let part = "; 1 line of the register cannot be read and may have it";
        assert!(ran.stderr().contains(part), "{ran}");
    }
    // One that is damaged as a whole stops no revocation, but for a beginning, which needs it.
    fs::remove_file(server.path("state/issued.jsonl")).unwrap();
    fs::create_dir(server.path("state/issued.jsonl")).unwrap();
    let ran = revoke(&server, &["--jti", own_form]).ok();
    assert!(ran.stderr().contains("cannot read the register"), "{ran}");
    let ran = revoke(&server, &["--jti", "4711"]);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(ran.stderr().contains("cannot read the register"), "{ran}");
}

#[test]
fn a_server_that_is_away_or_does_not_answer_keeps_nobody_waiting() {
    let site = site();
    let token = made(&site, &["--subject", "bob"]);
    let server = site.start();
    processes::signal(server.id(), Signal::STOP);
    let ran = revoke(&server, &["--subject", "anna"]).ok();
    processes::signal(server.id(), Signal::CONT);
    assert!(
        ran.stderr()
            .contains("the server has not taken this up within 10 s"),
        "{ran}"
    );
    assert!(
        ran.stderr().contains("revoked: the tokens of anna"),
        "{ran}"
    );
    let site = server.stop();
    let began = Instant::now();
    let ran = revoke(&site, &["--subject", "bob"]).ok();
    assert!(began.elapsed() < AT_ONCE);
    assert!(!ran.stderr().contains("warning"), "{ran}");
    let server = site.start();
    assert!(is_refused(&server, &token));
    // A server that was killed holds nobody up either.
    let site = server.kill();
    let began = Instant::now();
    _ = revoke(&site, &["--jti", &jti(&token)]).ok();
    assert!(began.elapsed() < AT_ONCE);
}

#[test]
fn a_full_disk_damages_nothing_and_keeps_no_revocation_waiting() {
    let site = site();
    site.settings("revocation_path: revoked.jsonl");
    site.write("revoked.jsonl", "");
    let disk = Disk::mount(&site.path("state"), "size=12m,mode=700");
    let token = made(&site, &["--subject", "bob"]);
    let server = site.start();
    let before = server.read("state/issued.jsonl");
    disk.fill();
    let ran = server.server_verb(&["generate-token"]);
    assert_eq!((ran.code(), ran.stdout().as_str()), (1, ""), "{ran}");
    assert!(ran.stderr().contains("no token was made"), "{ran}");
    assert_eq!(server.read("state/issued.jsonl"), before);
    let began = Instant::now();
    let ran = revoke(&server, &["--subject", "bob"]).ok();
    assert!(!ran.stderr().contains("warning"), "{ran}");
    assert!(began.elapsed() < AT_ONCE);
    assert!(is_refused(&server, &token));
    disk.free();
    _ = made(&server, &[]);
}

/// Root revokes in a directory that may be the server's user's.
#[test]
fn the_lock_is_no_link_and_no_pipe() {
    let site = Site::new();
    let server = site.start();
    let lock = server.path("state/revoked.jsonl.lock");
    let elsewhere = server.path("elsewhere");
    _ = fs::remove_file(&lock);
    std::os::unix::fs::symlink(&elsewhere, &lock).unwrap();
    let refused = server.server_verb(&["revoke", "--subject", "bob"]);
    assert_ne!(refused.code(), 0, "{refused}");
    assert!(!elsewhere.exists());
    fs::remove_file(&lock).unwrap();
    let mut make = std::process::Command::new("mkfifo");
    assert!(make.arg(&lock).status().unwrap().success());
    let refused = server.server_verb(&["revoke", "--subject", "bob"]);
    assert_ne!(refused.code(), 0, "{refused}");
    fs::remove_file(&lock).unwrap();
    _ = server.server_verb(&["revoke", "--subject", "bob"]).ok();
}

#[test]
fn a_link_to_revocations_that_several_servers_read_stays_one() {
    let server = Site::new().start();
    let site = server.stop();
    fs::create_dir(site.path("shared")).unwrap();
    let (link, target) = (
        site.path("state/revoked.jsonl"),
        site.path("shared/revoked.jsonl"),
    );
    fs::rename(&link, &target).unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let server = site.start();
    _ = server.server_verb(&["revoke", "--subject", "bob"]).ok();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert!(server.read("shared/revoked.jsonl").contains("\"bob\""));
}
