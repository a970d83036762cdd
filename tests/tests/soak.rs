//! All at once for a while, with a full disk in the middle: floods, short runs, cancels, lists, and
//! callers that leave. `ACTION_TEST_ROUNDS=600` makes it last for ten minutes.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use action_proto::v1::{ListRunsRequest, NodeFinished, Outcome};
use action_tests::{Api, Base, CEILING, Ended, Live, Server, Site, on, rounds, usage, wait_until};
use serde_json::Value;
use tonic::Code;

use crate::disk::Disk;

/// Writes 8,893 bytes to stdout.
const FLOOD: &str = "seq 1 2000";
const FLOOD_BYTES: u64 = 8_893;
/// So many runs are refused before the disk has space again.
const REFUSED: usize = 100;

/// What the callers share.
struct Soak {
    server: Arc<Server>,
    end: Instant,
    /// Set while the disk is full, and until the server has seen that it is not.
    disk_is_full: AtomicBool,
    /// How many times the disk was filled.
    fillings: AtomicUsize,
    taken: AtomicUsize,
    refused: AtomicUsize,
}

impl Soak {
    /// True until the time is over, and the disk was full and is no more.
    fn goes_on(&self) -> bool {
        let (is_full, fillings) = self.mark();
        Instant::now() < self.end || is_full || fillings == 0
    }

    /// The beginning of a span of time, to be asked whether the disk was full in it.
    fn mark(&self) -> (bool, usize) {
        let is_full = self.disk_is_full.load(Ordering::SeqCst);
        (is_full, self.fillings.load(Ordering::SeqCst))
    }

    fn was_full_since(&self, (was_full, fillings): (bool, usize)) -> bool {
        was_full || self.fillings.load(Ordering::SeqCst) > fillings
    }

    /// A run that is seen to its end by `follow`; refused only while the disk is full.
    fn run<T>(
        &self,
        api: &Api,
        command: &str,
        nodes: &str,
        follow: impl FnOnce(Live) -> T,
    ) -> Option<T> {
        let mark = self.mark();
        match api.start(on(command, nodes)) {
            Ok(live) => {
                self.taken.fetch_add(1, Ordering::SeqCst);
                Some(follow(live))
            }
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                assert!(self.was_full_since(mark), "{status:?}");
                self.refused.fetch_add(1, Ordering::SeqCst);
                None
            }
        }
    }

    /// Each byte is recorded, or counted as lost, which is right on a full disk alone.
    fn flood(&self, api: &Api) {
        let mark = self.mark();
        let run = self.run(api, "flood", "n[1-4]", Live::finish);
        for node in run.iter().flat_map(Ended::nodes) {
            let run = run.as_ref().unwrap();
            let NodeFinished {
                output_lost_bytes: lost,
                output_dropped_bytes: dropped,
                ..
            } = run.end_of(node);
            let kept = run.stdout_of(node).len() as u64;
            assert_eq!(kept + lost, FLOOD_BYTES, "{:?}", run.end_of(node));
            assert_eq!(*dropped, 0);
            assert_eq!(run.end_of(node).outcome(), Outcome::Ok);
            assert!(*lost == 0 || self.was_full_since(mark), "{lost} bytes lost");
        }
    }

    fn hello(&self, api: &Api) {
        let mark = self.mark();
        let run = self.run(api, "hello", "n1", Live::finish);
        if let Some(run) = run.filter(|_| !self.was_full_since(mark)) {
            assert_eq!(run.answer_of("n1"), "hello\n");
            assert_eq!(api.ended(&run.id).events, run.events);
        }
    }

    fn cancel(&self, api: &Api) {
        self.run(api, "wait", "n[1-20]", |live| {
            api.cancel(&live.id, false).unwrap();
            let run = live.finish();
            assert_eq!(run.summary().outcome(), Outcome::Cancelled);
        });
    }

    fn list(&self, api: &Api) {
        let running = api.list_runs(ListRunsRequest {
            running: true,
            ..ListRunsRequest::default()
        });
        running.unwrap();
        let page = api.list_runs(ListRunsRequest {
            command: "flood".into(),
            page_size: 20,
            ..ListRunsRequest::default()
        });
        for run in page.unwrap().runs.iter().take(3) {
            let jobs = api.get_run(&run.run_id).unwrap().jobs;
            assert_eq!(jobs.len(), 4, "{run:?}");
        }
    }

    /// Callers that leave their runs, and watchers that leave in the middle.
    fn leave(&self, api: &Api) {
        let run_id = self.run(api, "flood", "n[5-8]", |mut live| {
            live.read().unwrap();
            live.id.clone()
        });
        if let Some(run_id) = run_id {
            api.watch(&run_id, 1).unwrap().read().unwrap();
        }
    }

    /// Fills the disk once the first half is over, until a number of runs has been refused.
    fn fill_disk(&self, disk: &Disk, time: Duration) {
        let second_half = self.end - time / 2;
        wait_until("the second half", time + CEILING, || {
            let taken = self.taken.load(Ordering::SeqCst);
            (Instant::now() >= second_half && taken > 0).then_some(())
        });
        self.disk_is_full.store(true, Ordering::SeqCst);
        self.fillings.fetch_add(1, Ordering::SeqCst);
        disk.fill();
        wait_until("runs to be refused", CEILING, || {
            (self.refused.load(Ordering::SeqCst) >= REFUSED).then_some(())
        });
        disk.free();
        let api = self.server.api();
        wait_until("a run to be taken again", CEILING, || {
            api.start(on("hello", "n1")).ok().map(|live| {
                self.taken.fetch_add(1, Ordering::SeqCst);
                drop(live);
            })
        });
        self.disk_is_full.store(false, Ordering::SeqCst);
    }

    /// Each run that was accepted has one end in the audit log.
    fn every_run_has_ended(&self) {
        let living = ListRunsRequest {
            running: true,
            ..ListRunsRequest::default()
        };
        let api = self.server.api();
        wait_until("all runs to end", CEILING, || {
            let page = api.list_runs(living.clone()).unwrap();
            page.runs.is_empty().then_some(())
        });
        wait_until("the audit log to have all ends", CEILING, || {
            let mut ends: HashMap<String, (usize, usize)> = HashMap::new();
            for line in self.server.read("audit.jsonl").lines() {
                let line: Value = serde_json::from_str(line).unwrap_or_default();
                let run_id = || line["run_id"].as_str().unwrap().to_owned();
                match line["event"].as_str().unwrap_or_default() {
                    "run_accepted" => ends.entry(run_id()).or_default().0 += 1,
                    "run_finished" => ends.entry(run_id()).or_default().1 += 1,
                    _ => {}
                }
            }
            assert!(ends.len() >= self.taken.load(Ordering::SeqCst));
            ends.values().all(|&counts| counts == (1, 1)).then_some(())
        });
    }
}

#[test]
fn nothing_is_lost_and_all_is_given_back() {
    let time = Duration::from_secs(rounds(8));
    let site = Site::new();
    // Enough for what comes in the minute between two looks at old records.
    let disk = Disk::mount(&site.path("state"), "size=512m,mode=700");
    // The audit log of a full disk is another matter: see audit_faults.
    site.settings("audit_path: audit.jsonl\nretention: {size: 64MiB}");
    let nodes = (1..=20).map(|number| format!("n{number}:\n"));
    site.nodes(&nodes.collect::<String>());
    site.command("hello", "echo hello");
    site.command("flood", FLOOD);
    site.command("wait", "exec sleep 1000");
    let server = Arc::new(site.start());
    let base = Base::of(&server);
    let soak = Soak {
        server: Arc::clone(&server),
        end: Instant::now() + time,
        disk_is_full: AtomicBool::new(false),
        fillings: AtomicUsize::new(0),
        taken: AtomicUsize::new(0),
        refused: AtomicUsize::new(0),
    };
    thread::scope(|scope| {
        let callers: [fn(&Soak, &Api); 6] = [
            Soak::flood,
            Soak::hello,
            Soak::hello,
            Soak::cancel,
            Soak::list,
            Soak::leave,
        ];
        for call in callers {
            let soak = &soak;
            scope.spawn(move || {
                let api = soak.server.api();
                while soak.goes_on() {
                    call(soak, &api);
                }
            });
        }
        soak.fill_disk(&disk, time);
    });
    soak.every_run_has_ended();
    eprintln!(
        "{} runs, {} refused on a full disk",
        soak.taken.load(Ordering::SeqCst),
        soak.refused.load(Ordering::SeqCst)
    );
    base.is_kept(&server);
    wait_until("no process to be left", CEILING, || {
        usage::children(server.id()).is_empty().then_some(())
    });
}
