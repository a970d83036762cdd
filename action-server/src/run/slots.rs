//! The server's slots for scripts: asks the scheduler at each change, and hands starts to the owners
//! of runs.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::Notify;

use super::{
    Load,
    scheduler::{JobStart, RunKey, SchedulerState, WaitReason, decide},
};

/// All slots of the server. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Slots(Arc<Mutex<SlotBoard>>);

#[derive(Debug)]
struct SlotBoard {
    state: SchedulerState,
    /// Jobs that were given a slot, and that the owner of their run has not started yet.
    granted: HashMap<RunKey, (VecDeque<usize>, Arc<Notify>)>,
}

/// The jobs of one run that wait. They leave the queue when this is dropped.
#[derive(Debug)]
pub(super) struct JobQueue {
    slots: Slots,
    run: RunKey,
    jobs: usize,
    granted: Arc<Notify>,
    is_held: bool,
}

/// A slot, given back when this is dropped.
#[derive(Debug)]
pub(super) struct JobSlot(Slots);

impl Slots {
    /// So many slots, all of them free.
    pub(super) fn new(slots: usize) -> Slots {
        Slots(Arc::new(Mutex::new(SlotBoard {
            state: SchedulerState::new(slots),
            granted: HashMap::new(),
        })))
    }

    /// Queues the jobs of a run, at most `fanout` of them at once.
    pub(super) fn queue(&self, jobs: usize, fanout: usize) -> JobQueue {
        let granted = Arc::<Notify>::default();
        let run = self.change(|board| {
            let run = board.state.add_run(jobs, fanout);
            let starts = (VecDeque::new(), Arc::clone(&granted));
            board.granted.insert(run, starts);
            run
        });
        JobQueue {
            slots: self.clone(),
            run,
            jobs,
            granted,
            is_held: false,
        }
    }

    /// Adds slots and queue to the load.
    pub(super) fn add_to(&self, load: &mut Load) {
        let board = self.lock();
        (load.slots, load.slots_used) = board.state.slots();
        let (runs, since) = board.state.queue();
        load.waiting_runs = runs;
        load.oldest_wait = since.map(|since| since.elapsed()).unwrap_or_default();
    }

    /// The place of a run in the queue, from 1; 0 where none of its jobs waits for a slot.
    pub(super) fn position(&self, run: RunKey) -> u32 {
        self.lock().state.position(run)
    }

    /// Makes a change, and hands out what may start after it.
    fn change<T>(&self, change: impl FnOnce(&mut SlotBoard) -> T) -> T {
        let mut board = self.lock();
        let result = change(&mut board);
        for JobStart { run, job } in decide(&mut board.state, Instant::now()) {
            if let Some((jobs, notify)) = board.granted.get_mut(&run) {
                jobs.push_back(job);
                notify.notify_one();
            }
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, SlotBoard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SlotBoard {
    /// Takes back what the owner of a run has not started.
    fn revert_granted(&mut self, run: RunKey) {
        let jobs = self.granted.get_mut(&run).map(|(jobs, _)| jobs);
        for job in jobs.map(std::mem::take).unwrap_or_default() {
            self.state.revert(JobStart { run, job });
        }
    }
}

impl JobQueue {
    /// The run, for [`Slots::position`].
    pub(super) fn key(&self) -> RunKey {
        self.run
    }

    /// The next job to start, with its slot. Cancel safe.
    pub(super) async fn next_start(&self) -> (usize, JobSlot) {
        loop {
            let job = {
                let mut board = self.slots.lock();
                let granted = board.granted.get_mut(&self.run);
                granted.and_then(|(jobs, _)| jobs.pop_front())
            };
            match job {
                Some(job) => return (job, JobSlot(self.slots.clone())),
                None => self.granted.notified().await,
            }
        }
    }

    /// Holds all jobs back while the record of the run takes nothing.
    pub(super) fn set_held(&mut self, is_held: bool) {
        if std::mem::replace(&mut self.is_held, is_held) == is_held {
            return;
        }
        self.slots.change(|board| {
            if is_held {
                board.revert_granted(self.run);
                let all = 0..self.jobs;
                board.state.hold(self.run, all, WaitReason::Record);
            } else {
                board.state.release(self.run, 0..self.jobs);
            }
        });
    }

    /// Takes all jobs that have not started out of the queue, and returns them in order.
    pub(super) fn cancel_waiting(&self) -> Vec<usize> {
        self.slots.change(|board| {
            board.revert_granted(self.run);
            board.state.cancel_waiting(self.run)
        })
    }

    /// A job that was started has finished.
    pub(super) fn finish_job(&self) {
        self.slots.change(|board| board.state.finish_job(self.run));
    }
}

impl Drop for JobQueue {
    fn drop(&mut self) {
        self.slots.change(|board| {
            board.revert_granted(self.run);
            board.granted.remove(&self.run);
            board.state.remove_run(self.run);
        });
    }
}

impl Drop for JobSlot {
    fn drop(&mut self) {
        self.0.change(|board| board.state.free_slot());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn slots_go_to_the_next_run_when_they_are_given_back() {
        let slots = Slots::new(1);
        let first = slots.queue(2, 2);
        let second = slots.queue(1, 1);
        let positions = || [&first, &second].map(|queue| slots.position(queue.key()));
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
        let slots = Slots::new(1);
        let (mut held, other) = (slots.queue(1, 1), slots.queue(3, 3));
        held.set_held(true);
        drop(other.next_start().await);
        assert!(held.next_start().now_or_never().is_none());
        held.set_held(false);
        assert_eq!(other.cancel_waiting(), [1, 2]);
        assert_eq!(held.next_start().await.0, 0);
        drop((held, other));
        let mut load = Load::default();
        slots.add_to(&mut load);
        assert_eq!((load.slots_used, load.waiting_runs), (0, 0));
    }
}
