//! When edits are taken.

use std::fs;

use super::*;

const ALLOW: &str = "rules:\n- {name: all, allow: [all], subjects: ['*']}\n";
const DENY: &str = "- {name: heads, deny: [run], nodes: head1}\n";

#[test]
fn a_policy_that_is_being_written_is_not_taken_until_it_rests() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policy.yaml");
    let revocations = directory.path().join("revoked.jsonl");
    fs::write(&path, [ALLOW, DENY].concat()).unwrap();
    fs::write(&revocations, "").unwrap();
    let authority = Authority::open(AuthSources {
        secret: Some(
            TokenSecret::new(b"0123456789abcdefghijklmnopqrstuv".to_vec(), "test").unwrap(),
        ),
        key_directory: None,
        revocations,
        policy: Some(path.clone()),
        terms: TokenRules::default(),
        trust: Trust::Lax,
    });
    let authority = authority.unwrap();
    let rules = || authority.policy().rules().len();
    let mut schedules = FileSchedules::new(authority.opened);
    assert_eq!(rules(), 2);
    let mut look = || authority.read_changes(&mut schedules);
    // Its first part is there at one look, and all of it at the next.
    let extra = "- {name: more, deny: [run], nodes: head2}\n";
    fs::write(&path, ALLOW).unwrap();
    look();
    assert_eq!(rules(), 2);
    fs::write(&path, [ALLOW, DENY, extra].concat()).unwrap();
    look();
    assert_eq!(rules(), 2);
    look();
    assert_eq!(rules(), 3);
}

#[test]
fn keys_that_are_being_written_are_not_taken_until_they_rest_or_for_long() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys");
    let revocations = directory.path().join("revoked.jsonl");
    fs::create_dir(&keys).unwrap();
    fs::write(&revocations, "").unwrap();
    fs::write(keys.join("k.secret"), "0123456789abcdefghijklmnopqrstuv").unwrap();
    fs::set_permissions(
        keys.join("k.secret"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let authority = Authority::open(AuthSources {
        secret: None,
        key_directory: Some(keys.clone()),
        revocations,
        policy: None,
        terms: TokenRules::default(),
        trust: Trust::Lax,
    });
    let authority = authority.unwrap();
    let mut schedules = FileSchedules::new(authority.opened);
    let mut has_key = || {
        authority.read_changes(&mut schedules);
        authority.state.load().keys.get(Some("k")).is_some()
    };
    // What `echo 2999-.. > k.until` leaves at one look, and then at the next.
    fs::write(keys.join("k.until"), "").unwrap();
    assert!(has_key());
    fs::write(keys.join("k.until"), "2999-01-01T00:00:00Z\n").unwrap();
    assert!(has_key());
    assert!(has_key());
    let until = authority.state.load().keys.get(Some("k")).unwrap().until;
    assert!(until.is_some());
    // One that stays empty is no end.
    fs::write(keys.join("k.until"), "").unwrap();
    assert!(has_key());
    assert!(!has_key());
    fs::remove_file(keys.join("k.until")).unwrap();
    assert!(!has_key());
    assert!(has_key());
    // A key that is gone is not kept by other changes.
    fs::remove_file(keys.join("k.secret")).unwrap();
    let mut looks = 0;
    loop {
        fs::write(keys.join("other"), "x".repeat(looks)).unwrap();
        looks += 1;
        if !has_key() {
            break;
        }
        assert!(looks < 5);
    }
}

#[tokio::test]
async fn an_edit_between_the_start_and_the_first_look_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let revocations = directory.path().join("revocations");
    fs::write(&revocations, "").unwrap();
    let sources = AuthSources {
        secret: Some(TokenSecret::new((0..64).collect(), "test").unwrap()),
        key_directory: None,
        revocations: revocations.clone(),
        policy: None,
        terms: TokenRules::default(),
        trust: Trust::Lax,
    };
    let authority = Arc::new(Authority::open(sources).unwrap());
    fs::write(&revocations, "{\"revoke\":\"token\",\"jti\":\"abc\"}\n").unwrap();
    let (told, mut changes) = tokio::sync::mpsc::unbounded_channel();
    let current = authority.keep_current(None, move |change| _ = told.send(change));
    let change = tokio::select! {
        () = current => None,
        change = changes.recv() => change,
    };
    assert_eq!(change.unwrap().revoked, ["the token abc"]);
}
