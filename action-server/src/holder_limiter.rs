//! Limits in all and for each holder: connections of an address, runs and streams of a subject.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex},
};

use crate::locks::lock;

/// Permits for holders of type `K`. Clones share them.
#[derive(Debug)]
pub(crate) struct HolderLimiter<K> {
    inner: Arc<HolderCounts<K>>,
}

#[derive(Debug)]
struct HolderCounts<K> {
    most: usize,
    most_per_holder: usize,
    taken: Mutex<HashMap<K, usize>>,
}

impl<K> Clone for HolderLimiter<K> {
    fn clone(&self) -> HolderLimiter<K> {
        HolderLimiter {
            inner: Arc::clone(&self.inner),
        }
    }
}

/// A permit, held until it is dropped.
#[derive(Debug)]
pub(crate) struct HolderPermit<K: Eq + Hash> {
    places: HolderLimiter<K>,
    holder: K,
}

impl<K: Eq + Hash + Clone> HolderLimiter<K> {
    /// At most `most` permits, and `most_per_holder` of them for each holder.
    pub(crate) fn new(most: usize, most_per_holder: usize) -> HolderLimiter<K> {
        HolderLimiter {
            inner: Arc::new(HolderCounts {
                most,
                most_per_holder,
                taken: Mutex::default(),
            }),
        }
    }

    /// How many each holder may hold.
    pub(crate) fn most_per_holder(&self) -> usize {
        self.inner.most_per_holder
    }

    /// How many are held.
    pub(crate) fn taken(&self) -> usize {
        lock(&self.inner.taken).values().sum()
    }

    /// A permit for the holder; `None` where a limit is reached.
    pub(crate) fn take(&self, holder: K) -> Option<HolderPermit<K>> {
        let mut taken = lock(&self.inner.taken);
        let all: usize = taken.values().sum();
        let own = taken.get(&holder).copied().unwrap_or(0);
        if all >= self.inner.most || own >= self.inner.most_per_holder {
            return None;
        }
        taken.insert(holder.clone(), own + 1);
        Some(HolderPermit {
            places: self.clone(),
            holder,
        })
    }
}

impl<K: Eq + Hash> Drop for HolderPermit<K> {
    fn drop(&mut self) {
        let mut taken = lock(&self.places.inner.taken);
        if let Some(count) = taken.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_bounded_and_given_back() {
        let places = HolderLimiter::new(3, 2);
        let (a, b) = ("a", "b");
        let first = places.take(a).unwrap();
        let _second = places.take(a).unwrap();
        assert!(places.take(a).is_none(), "the holder has its share");
        let _third = places.take(b).unwrap();
        assert!(places.take(b).is_none(), "all are taken");
        drop(first);
        assert!(places.take(b).is_some());
    }
}
