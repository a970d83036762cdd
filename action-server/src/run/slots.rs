//! The server's places for jobs: who waits for one, in which order, and where each one stands.
//!
//! A run stands in the queue once, however many of its jobs wait: so runs take turns.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// All places of the server. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    places: usize,
    free: Arc<Semaphore>,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    last: u64,
    /// Since when each one waits.
    waiting: BTreeMap<u64, Instant>,
}

/// A place in the queue, left when this is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    number: u64,
    queue: Arc<Mutex<Queue>>,
}

impl Slots {
    /// So many places, all of them free.
    pub(super) fn new(places: usize) -> Slots {
        Slots {
            places,
            free: Arc::new(Semaphore::new(places)),
            queue: Arc::default(),
        }
    }

    /// Joins the queue at its end.
    pub(super) fn queue_up(&self) -> Ticket {
        let mut queue = lock(&self.queue);
        queue.last += 1;
        let number = queue.last;
        queue.waiting.insert(number, Instant::now());
        Ticket {
            number,
            queue: Arc::clone(&self.queue),
        }
    }

    /// Waits for a place and takes it: first come, first served.
    ///
    /// # Errors
    /// None in practice: the places are never closed.
    pub(super) async fn take(self, ticket: Ticket) -> Result<OwnedSemaphorePermit, AcquireError> {
        let permit = self.free.acquire_owned().await;
        drop(ticket);
        permit
    }

    /// How many wait, and for how long the first one has.
    pub(super) fn waiting(&self) -> (usize, Duration) {
        let queue = lock(&self.queue);
        let first = queue.waiting.first_key_value();
        let age = first.map(|(_, since)| since.elapsed());
        (queue.waiting.len(), age.unwrap_or_default())
    }

    /// How many places there are, and how many are taken.
    pub(super) fn places(&self) -> (usize, usize) {
        let free = self.free.available_permits();
        (self.places, self.places.saturating_sub(free))
    }

    /// Where a ticket stands in the queue, from 1; 0 when it waits no more.
    pub(super) fn position(&self, ticket: u64) -> u32 {
        let queue = lock(&self.queue);
        match queue.waiting.contains_key(&ticket) {
            true => u32::try_from(queue.waiting.range(..=ticket).count()).unwrap_or(u32::MAX),
            false => 0,
        }
    }
}

impl Ticket {
    /// Its number, for [`Slots::position`].
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.queue).waiting.remove(&self.number);
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_stands_somewhere_and_moves_up() {
        let slots = Slots::new(1);
        let permit = slots.clone().take(slots.queue_up()).await.unwrap();
        let first = slots.queue_up();
        let (second, third) = (slots.queue_up(), slots.queue_up());
        let numbers = [first.number(), second.number(), third.number()];
        let stand = || numbers.map(|number| slots.position(number));
        assert_eq!(stand(), [1, 2, 3]);
        // One that gives up lets those behind it move up.
        drop(second);
        assert_eq!(stand(), [1, 0, 2]);
        drop(permit);
        let permit = slots.clone().take(first).await.unwrap();
        assert_eq!(stand(), [0, 0, 1]);
        drop((permit, third));
        assert_eq!(stand(), [0, 0, 0]);
    }
}
