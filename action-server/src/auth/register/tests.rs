//! What the register keeps: all tokens that may still be good, and never half a line.

use std::{os::unix::fs::symlink, thread};

use proptest::prelude::*;

use super::*;

fn token(jti: &str, expires: u64) -> IssuedToken {
    IssuedToken {
        jti: jti.to_owned(),
        subject: "bob".to_owned(),
        uid: None,
        roles: vec!["operators".to_owned()],
        commands: Some(vec!["power-*".to_owned()]),
        nodes: None,
        key: None,
        issued: 1_000_000,
        expires,
    }
}

fn names(register: &TokenRegister) -> Vec<&str> {
    register.tokens().map(|token| token.jti.as_str()).collect()
}

#[test]
fn what_is_added_is_read_back_closed_to_others_and_in_a_new_directory() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let read = || TokenRegister::read(&state, Trust::Lax).unwrap();
    assert_eq!(names(&read()), [""; 0]);
    let (one, two) = (token("one", now() + 60), token("two", now() + 60));
    register(&state, Trust::Lax, &one).unwrap();
    register(&state, Trust::Lax, &two).unwrap();
    assert_eq!(read().tokens().collect::<Vec<_>>(), [&one, &two]);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join(NAME))), (0o700, 0o600));
    let text = fs::read_to_string(state.join(NAME)).unwrap();
    assert!(
        text.contains("\"issued\":\"1970-01-12T13:46:40Z\""),
        "{text}"
    );
}

#[test]
fn lines_that_cannot_be_read_are_kept_and_spoil_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    register(state, Trust::Lax, &token("one", now() + 60)).unwrap();
    let path = state.join(NAME);
    let whole = fs::read_to_string(&path).unwrap();
    // Torn at every byte, as a copy or an editor on a full disk may leave it.
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        register(state, Trust::Lax, &token("two", now() + 60)).unwrap();
        let read = TokenRegister::read(state, Trust::Lax).unwrap();
        assert_eq!(names(&read).last(), Some(&"two"), "{length}");
        assert!(
            fs::read_to_string(&path)
                .unwrap()
                .starts_with(&whole[..length])
        );
    }
}

#[test]
fn bytes_that_are_not_text_are_kept_when_a_token_is_added() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    let damaged = b"\xff\xfe{\"jti\":\x80\n\x00\r\n".as_slice();
    fs::write(state.join(NAME), damaged).unwrap();
    register(state, Trust::Lax, &token("one", now() + 60)).unwrap();
    register(state, Trust::Lax, &token("two", now() + 60)).unwrap();
    let read = TokenRegister::read(state, Trust::Lax).unwrap();
    assert_eq!(names(&read), ["one", "two"]);
    assert_eq!(read.damaged_lines(), 2);
    assert!(fs::read(state.join(NAME)).unwrap().starts_with(damaged));
}

#[test]
fn a_byte_order_mark_hides_no_token() {
    let line = |jti| serde_json::to_string(&token(jti, 1)).unwrap();
    let text = format!(
        "\u{feff}{}\r\n\u{feff}{}\n\u{feff}",
        line("one"),
        line("two")
    );
    let register = TokenRegister::parse(text.as_bytes());
    assert_eq!(names(&register), ["one", "two"]);
    assert_eq!(register.damaged_lines(), 0);
}

#[test]
fn those_who_add_at_the_same_time_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    thread::scope(|scope| {
        for writer in 0..8 {
            scope.spawn(move || {
                for number in 0..8 {
                    let token = token(&format!("{writer}-{number}"), now() + 60);
                    register(state, Trust::Lax, &token).unwrap();
                }
            });
        }
    });
    let read = TokenRegister::read(state, Trust::Lax).unwrap();
    assert_eq!((read.tokens().count(), read.damaged_lines()), (64, 0));
}

#[test]
fn expired_tokens_go_after_a_year_and_when_there_are_too_many() {
    let now = 10 * KEPT_EXPIRED;
    let expired = (0..MOST_EXPIRED + 2).map(|number| token(&format!("e{number}"), now - 1));
    let tokens = [token("old", now - KEPT_EXPIRED - 1), token("good", now)];
    let lines: Vec<String> = tokens
        .into_iter()
        .chain(expired)
        .map(|token| serde_json::to_string(&token).unwrap())
        .collect();
    let mut register = TokenRegister::parse(lines.join("\n").as_bytes());
    register.drop_old(now);
    let names = names(&register);
    assert_eq!(names.len(), MOST_EXPIRED + 1);
    assert_eq!(names[..2], ["good", "e2"], "the oldest went");
}

#[test]
fn no_link_is_followed_and_nothing_but_a_file_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    let target = state.join("target");
    for name in [NAME, "issued.jsonl.lock"] {
        _ = fs::remove_file(state.join(name));
        symlink(&target, state.join(name)).unwrap();
        register(state, Trust::Lax, &token("one", now() + 60)).unwrap_err();
        assert!(!target.exists());
        fs::remove_file(state.join(name)).unwrap();
        fs::create_dir(state.join(name)).unwrap();
        register(state, Trust::Lax, &token("one", now() + 60)).unwrap_err();
        fs::remove_dir(state.join(name)).unwrap();
    }
    register(state, Trust::Lax, &token("one", now() + 60)).unwrap();
}

proptest! {
    #[test]
    fn any_text_can_be_read_and_written_back(text in "(\\PC|\n|\r|\\{|\"){0,80}") {
        let register = TokenRegister::parse(text.as_bytes());
        let again = TokenRegister::parse(&register.bytes());
        prop_assert_eq!(register.bytes(), again.bytes());
    }
}
