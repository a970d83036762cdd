use std::io::Write;

use super::*;

struct Log {
    directory: tempfile::TempDir,
}

impl Log {
    fn new() -> Log {
        let directory = tempfile::tempdir().unwrap();
        Log { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Appends lines such as "+a", an acceptance, and "-a", an end.
    fn write(&self, lines: &str) -> File {
        let mut options = File::options();
        let options = options.read(true).append(true).create(true);
        let mut file = options.open(self.path("log")).unwrap();
        for word in lines.split_whitespace() {
            let (kind, id) = word.split_at(1);
            let name = if kind == "+" {
                "run_accepted"
            } else {
                "run_finished"
            };
            let line = format!(
                "{{\"seq\":1,\"event\":\"{name}\",\"run_id\":\"{id}\",\"subject\":\"s\",\"address\":\"x\"}}\n"
            );
            file.write_all(line.as_bytes()).unwrap();
        }
        file
    }

    fn checkpoints(&self) -> CheckpointStore {
        CheckpointStore::new(self.directory.path())
    }

    fn checkpoint(&self) {
        let file = self.write("");
        let open = self.found();
        self.checkpoints().write(&file, &open, false).unwrap();
    }

    fn found(&self) -> OpenRuns {
        let file = self.write("");
        self.checkpoints()
            .open_runs(&self.path("log"), &file)
            .unwrap()
    }

    fn open(&self) -> (String, bool) {
        let open = self.found();
        let ids: Vec<_> = open.runs.into_keys().collect();
        (ids.join(" "), open.is_complete)
    }
}

#[test]
fn runs_without_an_end_are_found_from_any_checkpoint() {
    let lines: Vec<&str> = "+a +b -a +c -b +d".split(' ').collect();
    for position in 0..=lines.len() {
        let log = Log::new();
        log.write(&lines[..position].join(" "));
        log.checkpoint();
        log.write(&lines[position..].join(" "));
        assert_eq!(log.open(), ("c d".to_owned(), true), "{position}");
        let found = log.found();
        assert_eq!(found.ended.contains("a"), position < 3, "{position}");
        let run = &found.runs["c"];
        assert_eq!(
            (run.caller.subject.as_deref(), &run.caller.address),
            (Some("s"), &None)
        );
    }
    let log = Log::new();
    log.write("+a +b -a");
    assert_eq!(log.open(), ("b".to_owned(), true), "no checkpoint");
}

#[test]
fn lines_that_are_cut_or_none_hide_no_other() {
    let log = Log::new();
    let mut file = log.write("+a +b");
    file.write_all(b"{\"seq\":3,\"event\":\"run_fin\n\xff\xfe\n\n[]\n")
        .unwrap();
    log.write("-b");
    file.write_all(b"{\"seq\":9,\"event\":\"run_finished\",\"run_id\":\"a\"")
        .unwrap();
    assert_eq!(log.open().0, "a");
}

#[test]
fn a_file_that_was_moved_or_copied_away_meanwhile_is_found() {
    for position in ["", "+a"] {
        let log = Log::new();
        log.write(position);
        log.checkpoint();
        log.write("+b +c -c");
        fs::rename(log.path("log"), log.path("log.1")).unwrap();
        let open = if position.is_empty() { "b" } else { "a b" };
        assert_eq!(log.open(), (open.to_owned(), true));
        log.write("-b");
        assert_eq!(log.open().0, open.trim_end_matches('b').trim());
    }
    // copytruncate
    let log = Log::new();
    log.write("+a +b");
    log.checkpoint();
    log.write("-a +c");
    fs::copy(log.path("log"), log.path("log.1")).unwrap();
    log.write("").set_len(0).unwrap();
    log.write("+d");
    assert_eq!(log.open(), ("b c d".to_owned(), true));
}

#[test]
fn a_part_that_is_gone_is_told() {
    let log = Log::new();
    log.write("+a");
    log.checkpoint();
    log.write("+b");
    fs::remove_file(log.path("log")).unwrap();
    assert_eq!(log.open(), ("a".to_owned(), false));
    log.checkpoint();
    assert_eq!(log.open(), ("a".to_owned(), true));
    let file = log.write("");
    let found = log.found();
    log.checkpoints().write(&file, &found, true).unwrap();
    fs::remove_file(log.path("log")).unwrap();
    assert_eq!(log.open(), ("a".to_owned(), true), "a server that stopped");
    fs::write(log.path(NAME), "no JSON").unwrap();
    assert_eq!(log.open(), (String::new(), true));
}
