use proptest::prelude::*;

use super::*;

impl SchedulerState {
    fn reason(&self, run: RunKey, job: usize) -> Option<WaitReason> {
        self.runs[&run].wait_reason(job)
    }

    /// The jobs that start now.
    fn starts(&mut self) -> Vec<(u64, usize)> {
        let starts = decide(self, Instant::now()).into_iter();
        starts.map(|start| (start.run.0, start.job)).collect()
    }

    /// A job's script has ended, and the job with it.
    fn end(&mut self, run: RunKey) {
        self.free_slot();
        self.finish_job(run);
    }
}

#[test]
fn runs_take_turns_however_many_jobs_each_has() {
    let mut state = SchedulerState::new(3);
    let (large, small) = (state.add_run(1000, 1000), state.add_run(2, 2));
    assert_eq!(state.starts(), [(1, 0), (2, 0), (1, 1)]);
    assert_eq!(
        (state.queue_position(small), state.queue_position(large)),
        (1, 2)
    );
    let third = state.add_run(1, 1);
    let mut order = Vec::new();
    for _ in 0..4 {
        state.end(large);
        order.extend(state.starts());
    }
    // A run that comes later has its turn after those that wait.
    assert_eq!(order, [(2, 1), (1, 2), (3, 0), (1, 3)]);
    assert_eq!(
        (state.queue_position(small), state.queue_position(third)),
        (0, 0)
    );
    assert_eq!(state.queue_age().0, 1);
}

#[test]
fn the_fanout_bounds_a_run_until_its_jobs_have_finished() {
    let mut state = SchedulerState::new(10);
    let run = state.add_run(4, 2);
    assert_eq!(state.starts(), [(1, 0), (1, 1)]);
    assert_eq!(state.reason(run, 2), Some(WaitReason::Fanout));
    assert_eq!(state.reason(run, 0), None);
    assert_eq!(
        (state.queue_position(run), state.slot_usage()),
        (0, (10, 2))
    );
    // The script has ended, and the job is still cleaned up after.
    state.free_slot();
    assert_eq!(state.starts(), []);
    state.finish_job(run);
    assert_eq!(state.starts(), [(1, 2)]);
}

#[test]
fn a_job_that_is_held_back_does_not_hold_up_its_run() {
    let mut state = SchedulerState::new(2);
    let run = state.add_run(5, 5);
    state.hold_jobs(run, 0..2, WaitReason::Record);
    assert_eq!(state.starts(), [(1, 2), (1, 3)]);
    let reasons = [0, 1, 2, 4].map(|job| state.reason(run, job));
    let (record, slot) = (Some(WaitReason::Record), Some(WaitReason::Slot));
    assert_eq!(reasons, [record, record, None, slot]);
    state.release_jobs(run, 1..2);
    state.end(run);
    assert_eq!(state.starts(), [(1, 1)]);
    // The whole run is held back: it leaves the queue.
    assert_eq!(state.queue_position(run), 1);
    state.hold_jobs(run, 0..5, WaitReason::Record);
    state.end(run);
    assert_eq!((state.starts(), state.queue_position(run)), (vec![], 0));
    state.release_jobs(run, 0..5);
    assert_eq!(state.starts(), [(1, 0)]);
    assert_eq!(state.cancel_waiting(run), [4]);
    state.end(run);
    assert_eq!(state.starts(), []);
}

#[test]
fn a_start_that_was_not_carried_out_is_taken_back() {
    let mut state = SchedulerState::new(1);
    let (first, _) = (state.add_run(1, 1), state.add_run(1, 1));
    let start = decide(&mut state, Instant::now());
    state.revert_start(start[0]);
    assert_eq!(state.cancel_waiting(first), [0]);
    assert_eq!(state.starts(), [(2, 0)]);
    state.remove_run(first);
    assert_eq!(state.slot_usage(), (1, 1));
}

#[test]
fn the_age_of_the_queue_is_that_of_its_first_run() {
    let mut state = SchedulerState::new(0);
    let begin = Instant::now();
    let later = begin + std::time::Duration::from_secs(1);
    let first = state.add_run(1, 1);
    decide(&mut state, begin);
    state.add_run(1, 1);
    decide(&mut state, later);
    assert_eq!(state.queue_age(), (2, Some(begin)));
    state.remove_run(first);
    assert_eq!(state.queue_age(), (1, Some(later)));
}

/// The work of a decision: each start pops one run from the queue and puts one back.
#[test]
fn a_start_costs_the_same_whatever_waits() {
    let mut state = SchedulerState::new(1);
    let blocked = state.add_run(10_000, 10_000);
    state.hold_jobs(blocked, 0..9_999, WaitReason::Record);
    let runs = [10_000, 10].map(|jobs| state.add_run(jobs, jobs));
    let mut started = 0;
    while let [(run, _)] = state.starts()[..] {
        started += 1;
        state.end(RunKey(run));
    }
    assert_eq!(started, 10_011);
    // One turn for each start but the last of each run: nothing is looked at twice.
    assert_eq!(state.last_turn, 10_011);
    assert!(runs.iter().all(|run| state.runs[run].ready.is_empty()));
}

proptest! {
    #[test]
    fn bounds_hold_and_each_job_starts_once(
        slots in 1_usize..5,
        runs in prop::collection::vec((1_usize..20, 1_usize..5), 1..6),
        ends in prop::collection::vec(any::<prop::sample::Index>(), 200),
    ) {
        let mut state = SchedulerState::new(slots);
        let keys: Vec<_> = runs.iter().map(|&(jobs, fanout)| state.add_run(jobs, fanout)).collect();
        let mut going = Vec::new();
        let mut started = BTreeSet::new();
        for end in ends {
            for start in decide(&mut state, Instant::now()) {
                prop_assert!(started.insert((start.run, start.job)));
                going.push(start.run);
            }
            prop_assert!(going.len() <= slots);
            for (key, (_, fanout)) in keys.iter().zip(&runs) {
                prop_assert!(going.iter().filter(|run| *run == key).count() <= *fanout);
            }
            if going.is_empty() {
                break;
            }
            let run = going.swap_remove(end.index(going.len()));
            state.end(run);
        }
        let all: usize = runs.iter().map(|(jobs, _)| jobs).sum();
        prop_assert_eq!(started.len(), all);
    }
}
