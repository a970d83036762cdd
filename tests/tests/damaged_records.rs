//! Records whose first event cannot be read: put aside, reported, and removed with all others. None is
//! deleted because it is damaged.

use std::{fs, path::Path};

use action_proto::v1::{ListRunsRequest, Outcome, Run};
use action_tests::{Api, CEILING, Site, on, wait_until};
use serde_json::json;
use tonic::Code;

const POLICY: &str = "
rules:
- {name: all, allow: [all], subjects: ['*']}
- {name: not of others, deny: ['read:any'], subjects: [bob]}
";

/// What happens to a record, to that of which command, and how.
type Damage = (&'static str, &'static str, fn(&Path));

fn site() -> Site {
    let site = Site::new();
    site.command("hello", "echo hello");
    site.command("pour", "head -c 300000 /dev/zero");
    site.write("policy.yaml", POLICY);
    site.settings("policy_path: policy.yaml");
    site
}

fn listed(api: &Api) -> Vec<Run> {
    api.list_runs(ListRunsRequest::default()).unwrap().runs
}

fn cut(path: &Path, length: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 4;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_record_is_put_aside_and_reported() {
    let spoil: [Damage; 7] = [
        ("emptied", "hello", |path| cut(path, 0)),
        ("cut in its header", "hello", |path| cut(path, 7)),
        ("cut behind its header", "hello", |path| cut(path, 16)),
        ("cut in its first event", "hello", |path| cut(path, 40)),
        ("flipped in its header", "hello", |path| flip(path, 3)),
        ("flipped in its first event", "hello", |path| flip(path, 30)),
        ("long and flipped", "pour", |path| flip(path, 30)),
    ];
    let server = site().start();
    let whole = server.api().run(on("hello", "n1"));
    let runs = spoil.map(|(_, command, _)| server.api_of("bob").run(on(command, "n1")));
    let site = server.stop();
    let mut kept = Vec::new();
    for (run, (_, _, spoil)) in runs.iter().zip(spoil) {
        let record = site.record(&run.id);
        spoil(&record);
        let name = record.file_name().unwrap().to_owned();
        kept.push((name, fs::read(&record).unwrap()));
    }
    let server = site.start();
    for (run, (what, ..)) in runs.iter().zip(spoil) {
        server.audited(
            "record_damaged",
            &json!({"run_id": run.id, "outcome": "lost"}),
        );
        let log = server.log();
        assert!(
            log.lines()
                .any(|line| line.contains("damaged") && line.contains(&run.id)),
            "{what}"
        );
    }
    for (name, bytes) in &kept {
        assert!(
            !server.path("state/runs").join(name).exists(),
            "{}",
            name.display()
        );
        let aside = server.path("state/damaged").join(name);
        assert_eq!(&fs::read(aside).unwrap(), bytes, "{}", name.display());
    }
    // Who may read everything sees them; whose runs these were is not known.
    let alice = server.api_of("alice");
    let all = listed(&alice);
    assert_eq!(all.len(), runs.len() + 1);
    for run in all.iter().filter(|run| run.run_id != whole.id) {
        assert_eq!(run.outcome(), Outcome::Lost);
        assert_eq!(
            (run.message.as_str(), run.command.as_str()),
            ("record damaged", "")
        );
        assert!(run.start_time.is_some());
        let (code, text) = alice.refused_run(&run.run_id[..10]);
        assert_eq!(code, Code::DataLoss, "{text}");
        assert!(text.contains("damaged"), "{text}");
    }
    let bob = server.api_of("bob");
    assert_eq!(listed(&bob), []);
    assert_eq!(bob.refused_run(&runs[0].id).0, Code::NotFound);
    let shown = server.client().run(&["runs"]).ok();
    assert_eq!(
        shown.stdout().matches("(record damaged)").count(),
        runs.len(),
        "{shown}"
    );
    let shown = server.client().run(&["show", &runs[0].id]);
    assert!(
        shown.code() != 0 && shown.stderr().contains("damaged"),
        "{shown}"
    );
    let exported = server.export(&runs[0].id);
    assert!(
        exported.code() != 0 && !exported.stderr().contains("no such run"),
        "{exported}"
    );
    // The next start does not report it again, and retention takes them with the others.
    let site = server.stop();
    let lines = site.audit();
    let reports = |lines: &[serde_json::Value]| {
        let lines = lines
            .iter()
            .filter(|line| line["event"] == "record_damaged");
        lines.count()
    };
    assert_eq!(reports(&lines), runs.len());
    let site = site.start().stop();
    assert_eq!(reports(&site.audit()), runs.len());
    site.settings("retention: {age: 1ms}");
    let server = site.start();
    server.wait_for_log("removed old records");
    assert_eq!(listed(&server.api_of("alice")), []);
    assert_eq!(
        fs::read_dir(server.path("state/damaged")).unwrap().count(),
        0
    );
}

#[test]
fn what_was_begun_for_a_run_that_nobody_was_told_of_leaves_nothing() {
    let server = site().start();
    let run = server.api().run(on("hello", "n1"));
    let site = server.stop();
    let record = fs::read(site.record(&run.id)).unwrap();
    for (at, length) in [0, 3, 16, 40, record.len()].into_iter().enumerate() {
        let name = format!("state/runs/{:013}-{at:016}.new", 1);
        site.write(name, &record[..length]);
    }
    let server = site.start();
    assert_eq!(listed(&server.api()).len(), 1);
    assert_eq!(fs::read_dir(server.path("state/runs")).unwrap().count(), 1);
    assert!(!server.has("state/damaged"));
}

#[test]
fn what_is_good_of_a_record_that_is_damaged_behind_is_shown() {
    // A short record, and a long one whose index is there or not.
    for (command, has_index) in [("hello", true), ("pour", true), ("pour", false)] {
        let server = site().start();
        let run = server.api().run(on(command, "n1"));
        let record = server.record(&run.id);
        if command == "pour" {
            // It is written after readers have seen the end.
            wait_until("the index", CEILING, || {
                record.with_extension("idx").exists().then_some(())
            });
        }
        let length = fs::metadata(&record).unwrap().len();
        // In the frame of the run's end.
        flip(&record, usize::try_from(length).unwrap() - 40);
        if !has_index {
            fs::remove_file(record.with_extension("idx")).unwrap();
        }
        let got = server.api().get_run(&run.id).unwrap();
        assert_eq!(got.jobs.len(), 1, "{command}");
        let is_told = got
            .run
            .unwrap()
            .message
            .starts_with("record damaged behind event ");
        assert_eq!(is_told, command == "hello" || !has_index, "{command}");
        let shown = server.client().run(&["show", &run.id]);
        assert_eq!(shown.code(), 254, "{shown}");
        assert!(shown.stdout().len() > 5, "{shown}");
        assert!(shown.stderr().contains("is damaged"), "{shown}");
        assert!(!shown.stderr().contains("goes on; "), "{shown}");
        assert!(!shown.stderr().contains("running"), "{shown}");
    }
}

#[test]
fn what_a_damaged_record_does_not_say_is_not_run_again() {
    // Wherever the damage is behind the first event; a record this short has no index.
    for tenth in 4..9 {
        let site = site();
        site.nodes("n1: {}\nn2: {}\nn3: {}\nn4: {}\n");
        let server = site.start();
        let run = server.api().run(on("hello", "n[1-4]"));
        let record = server.record(&run.id);
        let length = usize::try_from(fs::metadata(&record).unwrap().len()).unwrap();
        flip(&record, length * tenth / 10);
        for words in [
            &["rerun"][..],
            &["rerun", "--failed"],
            &["rerun", "--not-run"],
        ] {
            let words = [words, &[run.id.as_str()]].concat();
            let refused = server.client().run(&words);
            assert_eq!(refused.code(), 255, "{tenth}: {refused}");
            assert_eq!(refused.stdout(), "", "{tenth}: {refused}");
            assert!(
                refused.stderr().contains("is damaged"),
                "{tenth}: {refused}"
            );
        }
        let again = server.client().run(&["rerun", "--all", &run.id]).ok();
        assert_eq!(again.stdout().lines().count(), 4, "{tenth}: {again}");
    }
}
