//! The audit log on a real file: one event a line whatever is in it, and what becomes of lines
//! when the file is another one, or not the server's own.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use proptest::{collection, option, prelude::*};
use serde_json::Value;

use super::{Audit, Event, Who, line::line};
use crate::{metrics::Metrics, trust::Trust};

fn texts() -> impl Strategy<Value = String> {
    // Any text, and one of what is most likely to break a line.
    let treacherous =
        "[\u{0}\n\r\t\"\\\\\u{1b}\u{7f}\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{2066}a=,{}]{0,12}";
    prop_oneof![any::<String>(), treacherous.prop_map(String::from)]
}

prop_compose! {
    fn whos()(subject in option::of(texts()), jti in option::of(texts()),
              key in option::of(texts()), address in option::of(texts())) -> Who {
        Who { subject, jti, key, address }
    }
}

prop_compose! {
    fn events()(
        name in texts(),
        who in whos(),
        plain in collection::vec(option::of(texts()), 10),
        arguments in option::of(collection::vec(texts(), 0..4)),
        scripts in option::of(collection::btree_map(texts(), texts(), 0..3)),
        counts in option::of(collection::btree_map(texts(), any::<u32>(), 0..3)),
        faults in option::of(collection::vec(texts(), 0..3)),
        repeated in option::of(any::<u64>()),
    ) -> Event {
        let mut plain = plain.into_iter();
        let mut next = || plain.next().flatten();
        Event {
            name,
            who,
            run_id: next(),
            method: next(),
            command: next(),
            nodes: next(),
            nodes_length: repeated,
            nodes_sha256: None,
            rule: next(),
            outcome: next(),
            reason: next(),
            version: next(),
            plan: next(),
            what: next(),
            arguments,
            arguments_length: repeated,
            arguments_sha256: None,
            scripts,
            counts,
            faults,
            repeated,
            lost: repeated,
        }
    }
}

proptest! {
    #[test]
    fn any_event_is_one_line_that_reads_back_the_same(event in events(), seq in any::<u64>()) {
        let line = line(seq, std::time::SystemTime::now(), &event).unwrap();
        let (body, end) = line.split_at(line.len() - 1);
        prop_assert_eq!(end, "\n");
        let bad = |c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c);
        prop_assert!(!body.contains(bad), "{}", body.escape_debug());
        let value: Value = serde_json::from_str(body).unwrap();
        prop_assert_eq!(&value["seq"], &Value::from(seq));
        let read: Event = serde_json::from_str(body).unwrap();
        prop_assert_eq!(read, event);
    }
}

#[test]
fn a_caller_cannot_make_a_denial_long() {
    let long = "\u{20ac}".repeat(100_000);
    let event = Event {
        command: Some(long.clone()),
        nodes: Some(long.clone()),
        reason: Some(long.clone()),
        arguments: Some(vec![long; 64]),
        ..Event::new("denied")
    };
    let event = event.cut().bounded();
    let line = line(1, std::time::SystemTime::now(), &event).unwrap();
    assert!(line.len() < 6000, "{}", line.len());
}

#[test]
fn node_sets_that_are_cut_can_be_told_by_their_digest() {
    let whole = |nodes: &str| {
        let event = Event {
            nodes: Some(nodes.to_owned()),
            ..Event::new("run_accepted")
        };
        event.bounded()
    };
    let most = "n".repeat(1024);
    for short in ["cnode[01-04]", "", most.as_str()] {
        let event = whole(short);
        assert_eq!(event.nodes.as_deref(), Some(short));
        assert_eq!((event.nodes_length, event.nodes_sha256), (None, None));
    }
    let event = whole(&format!("{most},m1"));
    assert_eq!(event.nodes.unwrap(), format!("{most}..."));
    assert_eq!(event.nodes_length, Some(1027));
    // printf %s "$(printf 'n%.0s' {1..1024}),m1" | sha256sum
    assert_eq!(
        event.nodes_sha256.unwrap(),
        "bf48bbdf1cff4d014a4fe8298a2de4f64f47ba2c56ef9b15ddd11c8234dc9168"
    );
    for character in ["\u{1b}", "\"", "\u{20ac}", "n"] {
        let event = whole(&character.repeat(16 * 1024));
        let length = 16 * 1024 * character.len() as u64;
        assert_eq!(event.nodes_length, Some(length));
        // Cutting what is refused first loses nothing of this.
        assert_eq!(event.clone().cut().nodes_length, Some(length));
        let line = line(1, std::time::SystemTime::now(), &event).unwrap();
        assert!(line.len() < 1500, "{}: {line}", line.len());
    }
}

#[test]
fn arguments_that_are_cut_can_be_told_by_their_digest() {
    let whole = |arguments: &[&str]| {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let event = Event {
            arguments: Some(arguments),
            ..Event::new("run_accepted")
        };
        event.bounded()
    };
    for short in [&["m5.large", "--force"][..], &[""; 64], &[]] {
        let event = whole(short);
        assert_eq!(event.arguments.as_deref().unwrap(), short);
        assert_eq!(
            (event.arguments_length, event.arguments_sha256),
            (None, None)
        );
    }
    let most = "a".repeat(1024);
    assert_eq!(whole(&[&most]).arguments_length, None);
    let event = whole(&[&most, "b"]);
    assert_eq!(event.arguments_length, Some(1025));
    assert_eq!(event.arguments.unwrap(), [most.as_str()]);
    // printf '%s\0' "$(printf 'a%.0s' {1..1024})" b | sha256sum
    assert_eq!(
        event.arguments_sha256.unwrap(),
        "ef8619f6df9eed3b0e24b1f19a45fbcc1f576e5335661c600ce2198c36f49862"
    );
    for character in ["\u{1b}", "\"", "\u{20ac}", "a"] {
        let many: Vec<String> = vec![character.repeat(4096); 64];
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let event = whole(&many);
        assert_eq!(
            event.arguments_length,
            Some(64 * 4096 * character.len() as u64)
        );
        let line = line(1, std::time::SystemTime::now(), &event).unwrap();
        assert!(line.len() < 1500, "{}: {line}", line.len());
    }
}

/// A directory with a log in it.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn open(&self) -> Result<Audit, String> {
        let metrics = Metrics::new().unwrap();
        Audit::open(
            &self.path("log"),
            self.directory.path(),
            Trust::Strict,
            metrics,
        )
        .map_err(|error| error.to_string())
    }
}

fn names(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let name = |line| {
        let value: Option<Value> = serde_json::from_str(line).ok();
        value.map_or("broken".to_owned(), |it| {
            it["event"].as_str().unwrap().to_owned()
        })
    };
    text.lines().map(name).collect()
}

async fn commit(audit: &Audit, event: &str) {
    let turn = audit.turn().await.unwrap();
    turn.commit(Event::new(event)).await.unwrap();
}

#[tokio::test]
async fn a_log_is_the_servers_own_or_refused() {
    let place = Place::new();
    let log = place.path("log");
    commit(&place.open().unwrap(), "a").await;
    assert_eq!(
        fs::metadata(&log).unwrap().permissions().mode() & 0o777,
        0o600
    );
    for mode in [0o602, 0o622, 0o666] {
        fs::set_permissions(&log, Permissions::from_mode(mode)).unwrap();
        let error = place.open().unwrap_err();
        assert!(error.contains("chmod go-w"), "{error}");
    }
    fs::rename(&log, place.path("other")).unwrap();
    symlink(place.path("other"), &log).unwrap();
    assert!(place.open().unwrap_err().contains("a link is not followed"));
    fs::remove_file(&log).unwrap();
    fs::create_dir(&log).unwrap();
    assert!(place.open().is_err(), "a directory");
    fs::remove_dir(&log).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(&log)
        .status()
        .unwrap();
    assert!(made.success());
    assert!(place.open().unwrap_err().contains("not a regular file"));
    fs::remove_file(&log).unwrap();
    fs::set_permissions(place.directory.path(), Permissions::from_mode(0o777)).unwrap();
    assert!(
        place
            .open()
            .unwrap_err()
            .contains("can be written by others")
    );
}

#[tokio::test]
async fn a_line_without_its_end_spoils_no_other() {
    let place = Place::new();
    commit(&place.open().unwrap(), "a").await;
    let mut file = OpenOptions::new()
        .append(true)
        .open(place.path("log"))
        .unwrap();
    file.write_all(b"{\"seq\":2,\"ev").unwrap();
    commit(&place.open().unwrap(), "b").await;
    assert_eq!(names(&place.path("log")), ["a", "broken", "b"]);
}

#[tokio::test]
async fn lines_follow_the_name() {
    let place = Place::new();
    let audit = place.open().unwrap();
    audit.write(Event::new("a")).await.unwrap();
    fs::rename(place.path("log"), place.path("old")).unwrap();
    audit.write(Event::new("b")).await.unwrap();
    assert_eq!(names(&place.path("old")), ["a"]);
    audit.settle().await;
    fs::remove_file(place.path("log")).unwrap();
    audit.write(Event::new("c")).await.unwrap();
    assert_eq!(names(&place.path("log")), ["c"]);
    audit.settle().await;
    // Cut by copytruncate.
    fs::write(place.path("log"), "").unwrap();
    audit.write(Event::new("d")).await.unwrap();
    assert_eq!(names(&place.path("log")), ["d"]);
    audit.settle().await;
    // What cannot be used does not take the place of what has a name.
    fs::rename(place.path("log"), place.path("older")).unwrap();
    fs::create_dir(place.path("log")).unwrap();
    audit.reopen().await;
    audit.write(Event::new("e")).await.unwrap();
    assert_eq!(names(&place.path("older")), ["d", "e"]);
    assert!(*audit.works().borrow());
    fs::remove_dir(place.path("log")).unwrap();
    audit.write(Event::new("f")).await.unwrap();
    assert_eq!(names(&place.path("log")), ["f"]);
}

/// A file of the same name must be as trusted as at the start.
#[tokio::test]
async fn no_line_goes_to_a_removed_file() {
    let place = Place::new();
    let audit = place.open().unwrap();
    audit.write(Event::new("a")).await.unwrap();
    audit.settle().await;
    fs::remove_file(place.path("log")).unwrap();
    fs::write(place.path("log"), "").unwrap();
    fs::set_permissions(place.path("log"), Permissions::from_mode(0o666)).unwrap();
    assert!(audit.write(Event::new("b")).await.is_err());
    assert!(!*audit.works().borrow());
    fs::remove_file(place.path("log")).unwrap();
    audit.settle().await;
    assert!(*audit.works().borrow());
    audit.write(Event::new("c")).await.unwrap();
    assert_eq!(names(&place.path("log")), ["audit_resumed", "c"]);
}

#[tokio::test]
async fn the_end_of_a_run_that_could_not_be_written_follows() {
    let place = Place::new();
    let audit = place.open().unwrap();
    let event = |name, id: &str| Event::of_run(name, &id);
    for id in ["r", "s"] {
        audit.write(event("run_accepted", id)).await.unwrap();
    }
    audit.settle().await;
    fs::remove_file(place.path("log")).unwrap();
    fs::create_dir(place.path("log")).unwrap();
    for name in ["run_finished", "denied"] {
        assert!(audit.write(event(name, "r")).await.is_err());
    }
    fs::remove_dir(place.path("log")).unwrap();
    audit.settle().await;
    let log = place.path("log");
    assert_eq!(names(&log), ["audit_resumed", "run_finished"]);
    assert!(fs::read_to_string(&log).unwrap().contains("\"lost\":1"));
    let open: Vec<_> = audit.open_runs().await.runs.into_keys().collect();
    assert_eq!(open, ["s"]);
    let open = place.open().unwrap().open_runs().await;
    assert_eq!(open.runs.into_keys().collect::<Vec<_>>(), ["s"]);
    assert!(open.is_complete);
}
