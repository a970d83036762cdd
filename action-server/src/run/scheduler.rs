//! Which jobs start next. Pure: no task, no clock, no lock.
//!
//! A run with a job that may start stands in the queue once, however many jobs it has, and goes to
//! the end of the queue with each start: so runs take turns. A job that is held back stays out of
//! the way of the others of its run.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::Instant,
};

/// Why a job waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitReason {
    /// For its turn: other jobs have the server's slots, or come first.
    Slot,
    /// As many jobs of its run go on as the fan-out allows.
    Fanout,
    /// The record of its run takes nothing.
    Record,
}

/// A run in the scheduler; later runs have greater keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RunKey(u64);

/// A job to start now, by its index in its run's plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct JobStart {
    pub(super) run: RunKey,
    pub(super) job: usize,
}

/// The server's slots, and the jobs that wait for them.
#[derive(Debug)]
pub(super) struct SchedulerState {
    slots: usize,
    used: usize,
    runs: BTreeMap<RunKey, RunJobs>,
    /// Runs that changed since the last decision.
    changed: BTreeSet<RunKey>,
    /// Runs that have a job which may start, by turn, and since when they have stood here.
    queue: BTreeMap<u64, (RunKey, Instant)>,
    last_turn: u64,
    last_key: u64,
}

/// The jobs of one run that have not ended.
#[derive(Debug)]
struct RunJobs {
    fanout: usize,
    /// How many were started and have not finished.
    running: usize,
    /// Those that may start as far as they are concerned.
    ready: BTreeSet<usize>,
    /// Those that may not, with the reason.
    held: BTreeMap<usize, WaitReason>,
    /// Its place in the queue.
    turn: Option<u64>,
}

/// Takes slots for the jobs that start now, and returns these in their order.
///
/// Each start takes the time of a few look-ups, however many jobs and runs wait.
pub(super) fn decide(state: &mut SchedulerState, now: Instant) -> Vec<JobStart> {
    while let Some(run) = state.changed.pop_first() {
        state.update_turn(run, now);
    }
    let mut starts = Vec::new();
    while state.used < state.slots
        && let Some((_, (run, _))) = state.queue.pop_first()
    {
        if let Some(jobs) = state.runs.get_mut(&run) {
            jobs.turn = None;
            if let Some(job) = jobs.ready.pop_first() {
                jobs.running += 1;
                state.used += 1;
                starts.push(JobStart { run, job });
            }
        }
        state.update_turn(run, now);
    }
    starts
}

impl SchedulerState {
    /// So many slots, all of them free.
    pub(super) fn new(slots: usize) -> SchedulerState {
        SchedulerState {
            slots,
            used: 0,
            runs: BTreeMap::new(),
            changed: BTreeSet::new(),
            queue: BTreeMap::new(),
            last_turn: 0,
            last_key: 0,
        }
    }

    /// Adds a run of so many jobs, at most `fanout` of them at once.
    pub(super) fn add_run(&mut self, jobs: usize, fanout: usize) -> RunKey {
        self.last_key += 1;
        let run = RunKey(self.last_key);
        let jobs = RunJobs {
            fanout,
            running: 0,
            ready: (0..jobs).collect(),
            held: BTreeMap::new(),
            turn: None,
        };
        self.runs.insert(run, jobs);
        self.changed.insert(run);
        run
    }

    /// Forgets a run, but not the slots that its jobs have.
    pub(super) fn remove_run(&mut self, run: RunKey) {
        self.cancel_waiting(run);
        if let Some(turn) = self.runs.remove(&run).and_then(|jobs| jobs.turn) {
            self.queue.remove(&turn);
        }
    }

    /// Holds back those of a run's jobs that wait; the others of the run may start.
    pub(super) fn hold_jobs(&mut self, run: RunKey, range: Range<usize>, reason: WaitReason) {
        if let Some(jobs) = self.change_run(run) {
            let chosen: Vec<usize> = jobs.ready.range(range).copied().collect();
            jobs.ready.retain(|job| chosen.binary_search(job).is_err());
            jobs.held
                .extend(chosen.into_iter().map(|job| (job, reason)));
        }
    }

    /// Lets jobs start that were held back.
    pub(super) fn release_jobs(&mut self, run: RunKey, range: Range<usize>) {
        if let Some(jobs) = self.change_run(run) {
            jobs.ready
                .extend(jobs.held.range(range.clone()).map(|(&job, _)| job));
            jobs.held.retain(|job, _| !range.contains(job));
        }
    }

    /// Takes back the start of a job that was not carried out.
    pub(super) fn revert_start(&mut self, start: JobStart) {
        if let Some(jobs) = self.change_run(start.run) {
            jobs.running -= 1;
            jobs.ready.insert(start.job);
        }
        self.free_slot();
    }

    /// Takes all jobs that wait out of a run, and returns them in order.
    pub(super) fn cancel_waiting(&mut self, run: RunKey) -> Vec<usize> {
        let Some(jobs) = self.change_run(run) else {
            return Vec::new();
        };
        let mut waiting = std::mem::take(&mut jobs.ready);
        waiting.extend(std::mem::take(&mut jobs.held).into_keys());
        waiting.into_iter().collect()
    }

    /// A job has finished, and counts for the fan-out no longer.
    pub(super) fn finish_job(&mut self, run: RunKey) {
        if let Some(jobs) = self.change_run(run) {
            jobs.running = jobs.running.saturating_sub(1);
        }
    }

    /// The script of a job has ended.
    pub(super) fn free_slot(&mut self) {
        self.used -= 1;
    }

    /// Slots in all, and those in use.
    pub(super) fn slot_usage(&self) -> (usize, usize) {
        (self.slots, self.used)
    }

    /// How many runs stand in the queue, and since when the first one has.
    pub(super) fn queue_age(&self) -> (usize, Option<Instant>) {
        let first = self.queue.first_key_value();
        (self.queue.len(), first.map(|(_, &(_, since))| since))
    }

    /// The place of a run in the queue, from 1; 0 where none of its jobs waits for a slot.
    pub(super) fn queue_position(&self, run: RunKey) -> u32 {
        let turn = self.runs.get(&run).and_then(|jobs| jobs.turn);
        let before = turn.map_or(0, |turn| self.queue.range(..=turn).count());
        u32::try_from(before).unwrap_or(u32::MAX)
    }

    fn change_run(&mut self, run: RunKey) -> Option<&mut RunJobs> {
        self.changed.insert(run);
        self.runs.get_mut(&run)
    }

    /// Puts a run at the end of the queue, or takes it out, as its jobs are now.
    fn update_turn(&mut self, run: RunKey, now: Instant) {
        let Some(jobs) = self.runs.get_mut(&run) else {
            return;
        };
        let first = jobs.ready.first();
        let is_eligible = first.is_some_and(|&job| jobs.wait_reason(job) == Some(WaitReason::Slot));
        match jobs.turn {
            None if is_eligible => {
                self.last_turn += 1;
                jobs.turn = Some(self.last_turn);
                self.queue.insert(self.last_turn, (run, now));
            }
            Some(turn) if !is_eligible => {
                jobs.turn = None;
                self.queue.remove(&turn);
            }
            _ => {}
        }
    }
}

impl RunJobs {
    /// Why a job waits; `None` where it does not.
    fn wait_reason(&self, job: usize) -> Option<WaitReason> {
        if let Some(&reason) = self.held.get(&job) {
            return Some(reason);
        }
        let reason = if self.running < self.fanout {
            WaitReason::Slot
        } else {
            WaitReason::Fanout
        };
        self.ready.contains(&job).then_some(reason)
    }
}

#[cfg(test)]
mod tests;
