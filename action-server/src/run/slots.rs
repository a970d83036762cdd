//! The server's slots for scripts: asks the scheduler at each change, and hands starts to the owners
//! of runs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{
    ServerLoad,
    scheduler::{JobStart, RunKey, SchedulerState, WaitReason, decide},
};
use crate::locks::lock;

/// All slots of the server. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct JobSlots(Arc<Mutex<SlotBoard>>);

#[derive(Debug)]
struct SlotBoard {
    state: SchedulerState,
    /// To the owner of each run: jobs that have a slot. There are at most as many as slots.
    starts: HashMap<RunKey, UnboundedSender<usize>>,
}

/// The jobs of one run that wait. They leave the queue when this is dropped.
#[derive(Debug)]
pub(super) struct JobQueue {
    slots: JobSlots,
    run: RunKey,
    jobs: usize,
    /// Jobs that have a slot and are not started yet.
    starts: UnboundedReceiver<usize>,
    is_held: bool,
}

/// A slot, given back when this is dropped.
#[derive(Debug)]
pub(super) struct JobSlot(JobSlots);

impl JobSlots {
    /// So many slots, all of them free.
    pub(super) fn new(slots: usize) -> JobSlots {
        JobSlots(Arc::new(Mutex::new(SlotBoard {
            state: SchedulerState::new(slots),
            starts: HashMap::new(),
        })))
    }

    /// Queues the jobs of a run, at most `fanout` of them at once.
    pub(super) fn queue_jobs(&self, jobs: usize, fanout: usize) -> JobQueue {
        let (sender, starts) = unbounded_channel();
        let run = self.change_board(|board| {
            let run = board.state.add_run(jobs, fanout);
            board.starts.insert(run, sender);
            run
        });
        JobQueue {
            slots: self.clone(),
            run,
            jobs,
            starts,
            is_held: false,
        }
    }

    /// Adds slots and queue to the load.
    pub(super) fn add_to(&self, load: &mut ServerLoad) {
        let board = lock(&self.0);
        (load.slots, load.slots_used) = board.state.slot_usage();
        let (runs, since) = board.state.queue_age();
        load.waiting_runs = runs;
        load.oldest_wait = since.map(|since| since.elapsed()).unwrap_or_default();
    }

    /// The place of a run in the queue, from 1; 0 where none of its jobs waits for a slot.
    pub(super) fn queue_position(&self, run: RunKey) -> u32 {
        lock(&self.0).state.queue_position(run)
    }

    /// Makes a change, and hands out the starts that follow.
    fn change_board<T>(&self, change: impl FnOnce(&mut SlotBoard) -> T) -> T {
        let mut board = lock(&self.0);
        let result = change(&mut board);
        for JobStart { run, job } in decide(&mut board.state, Instant::now()) {
            if let Some(starts) = board.starts.get(&run) {
                // The owner takes its run from the board before it stops listening.
                _ = starts.send(job);
            }
        }
        result
    }
}

impl JobQueue {
    /// The run, for [`JobSlots::queue_position`].
    pub(super) fn run_key(&self) -> RunKey {
        self.run
    }

    /// The next job to start, with its slot. Cancel safe.
    pub(super) async fn next_start(&mut self) -> (usize, JobSlot) {
        match self.starts.recv().await {
            Some(job) => (job, JobSlot(self.slots.clone())),
            None => std::future::pending().await,
        }
    }

    /// Holds all jobs back while the record of the run takes nothing.
    pub(super) fn set_held(&mut self, is_held: bool) {
        if std::mem::replace(&mut self.is_held, is_held) == is_held {
            return;
        }
        let (run, all) = (self.run, 0..self.jobs);
        self.revert_and_change(|board| {
            if is_held {
                board.state.hold_jobs(run, all, WaitReason::Record);
            } else {
                board.state.release_jobs(run, all);
            }
        });
    }

    /// Takes all jobs that have not started out of the queue, and returns them in order.
    pub(super) fn cancel_waiting(&mut self) -> Vec<usize> {
        let run = self.run;
        self.revert_and_change(|board| board.state.cancel_waiting(run))
    }

    /// A job that was started has finished.
    pub(super) fn finish_job(&self) {
        let run = self.run;
        self.slots.change_board(|board| board.state.finish_job(run));
    }

    /// Takes back the starts that were not carried out, and makes a change.
    fn revert_and_change<T>(&mut self, change: impl FnOnce(&mut SlotBoard) -> T) -> T {
        let (run, starts) = (self.run, &mut self.starts);
        self.slots.change_board(|board| {
            while let Ok(job) = starts.try_recv() {
                board.state.revert_start(JobStart { run, job });
            }
            change(board)
        })
    }
}

impl Drop for JobQueue {
    fn drop(&mut self) {
        let run = self.run;
        self.revert_and_change(|board| {
            board.starts.remove(&run);
            board.state.remove_run(run);
        });
    }
}

impl Drop for JobSlot {
    fn drop(&mut self) {
        self.0.change_board(|board| board.state.free_slot());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn slots_go_to_the_next_run_when_they_are_given_back() {
        let slots = JobSlots::new(1);
        let mut first = slots.queue_jobs(2, 2);
        let mut second = slots.queue_jobs(1, 1);
        let keys = [first.run_key(), second.run_key()];
        let positions = || keys.map(|run| slots.queue_position(run));
        let (job, slot) = first.next_start().await;
        assert_eq!((job, positions()), (0, [1, 2]));
        assert!(second.next_start().now_or_never().is_none());
        drop(slot);
        assert_eq!(positions(), [0, 1]);
        let (job, slot) = first.next_start().await;
        drop(slot);
        assert_eq!((job, second.next_start().await.0), (1, 0));
        assert_eq!(positions(), [0, 0]);
    }

    #[tokio::test]
    async fn what_an_owner_does_not_start_goes_to_others() {
        let slots = JobSlots::new(1);
        let (mut held, mut other) = (slots.queue_jobs(1, 1), slots.queue_jobs(3, 3));
        held.set_held(true);
        drop(other.next_start().await);
        assert!(held.next_start().now_or_never().is_none());
        held.set_held(false);
        assert_eq!(other.cancel_waiting(), [1, 2]);
        assert_eq!(held.next_start().await.0, 0);
        drop((held, other));
        let mut load = ServerLoad::default();
        slots.add_to(&mut load);
        assert_eq!((load.slots_used, load.waiting_runs), (0, 0));
    }
}
