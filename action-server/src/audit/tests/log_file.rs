//! The log on the disk: its file, moved, removed and full.

use super::*;

/// A directory with a log in it.
struct LogDirectory {
    directory: tempfile::TempDir,
}

impl LogDirectory {
    fn new() -> LogDirectory {
        LogDirectory {
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
            let name = it.get("what").unwrap_or(&it["event"]);
            name.as_str().unwrap().to_owned()
        })
    };
    text.lines().map(name).collect()
}

/// An event that `names` calls by this name.
fn named(name: &str) -> Event {
    let what = name.to_owned();
    Event::Revoked { what }
}

async fn commit(audit: &Audit, name: &str) {
    let turn = audit.reserve_turn().await.unwrap();
    turn.commit(named(name)).await.unwrap();
}

#[tokio::test]
async fn a_log_is_the_servers_own_or_refused() {
    let place = LogDirectory::new();
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
    let place = LogDirectory::new();
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
    let place = LogDirectory::new();
    let audit = place.open().unwrap();
    audit.write(named("a")).await.unwrap();
    fs::rename(place.path("log"), place.path("old")).unwrap();
    audit.write(named("b")).await.unwrap();
    assert_eq!(names(&place.path("old")), ["a"]);
    audit.settle().await;
    fs::remove_file(place.path("log")).unwrap();
    audit.write(named("c")).await.unwrap();
    assert_eq!(names(&place.path("log")), ["c"]);
    audit.settle().await;
    // Cut by copytruncate.
    fs::write(place.path("log"), "").unwrap();
    audit.write(named("d")).await.unwrap();
    assert_eq!(names(&place.path("log")), ["d"]);
    audit.settle().await;
    // What cannot be used does not take the place of what has a name.
    fs::rename(place.path("log"), place.path("older")).unwrap();
    fs::create_dir(place.path("log")).unwrap();
    audit.reopen().await;
    audit.write(named("e")).await.unwrap();
    assert_eq!(names(&place.path("older")), ["d", "e"]);
    assert!(*audit.watch_writable().borrow());
    fs::remove_dir(place.path("log")).unwrap();
    audit.write(named("f")).await.unwrap();
    assert_eq!(names(&place.path("log")), ["f"]);
}

/// A file of the same name must be as trusted as at the start.
#[tokio::test]
async fn no_line_goes_to_a_removed_file() {
    let place = LogDirectory::new();
    let audit = place.open().unwrap();
    audit.write(named("a")).await.unwrap();
    audit.settle().await;
    fs::remove_file(place.path("log")).unwrap();
    fs::write(place.path("log"), "").unwrap();
    fs::set_permissions(place.path("log"), Permissions::from_mode(0o666)).unwrap();
    assert!(audit.write(named("b")).await.is_err());
    assert!(!*audit.watch_writable().borrow());
    fs::remove_file(place.path("log")).unwrap();
    audit.settle().await;
    assert!(*audit.watch_writable().borrow());
    audit.write(named("c")).await.unwrap();
    assert_eq!(names(&place.path("log")), ["audit_resumed", "c"]);
}

#[tokio::test]
async fn the_end_of_a_run_that_could_not_be_written_follows() {
    let place = LogDirectory::new();
    let audit = place.open().unwrap();
    for id in ["r", "s"] {
        let run_id = id.to_owned();
        let accepted = AcceptedRun {
            run_id,
            ..AcceptedRun::default()
        };
        audit.write(accepted.into()).await.unwrap();
    }
    audit.settle().await;
    fs::remove_file(place.path("log")).unwrap();
    fs::create_dir(place.path("log")).unwrap();
    let end = FinishedRun::never_started(&"r", String::new());
    for event in [end, named("other")] {
        assert!(audit.write(event).await.is_err());
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
