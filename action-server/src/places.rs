//! How many of a thing there may be, in all and for each holder: connections from an address, runs and
//! streams of a subject.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The places, taken by holders of type `K`.
#[derive(Debug)]
pub(crate) struct Places<K> {
    inner: Arc<Inner<K>>,
}

#[derive(Debug)]
struct Inner<K> {
    most: usize,
    most_per_holder: usize,
    taken: Mutex<HashMap<K, usize>>,
}

impl<K> Clone for Places<K> {
    fn clone(&self) -> Places<K> {
        Places {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<K> Inner<K> {
    fn taken(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Place<K: Eq + Hash> {
    places: Places<K>,
    holder: K,
}

impl<K: Eq + Hash + Clone> Places<K> {
    /// So many places in all, and so many of them for each holder.
    pub(crate) fn new(most: usize, most_per_holder: usize) -> Places<K> {
        Places {
            inner: Arc::new(Inner {
                most,
                most_per_holder,
                taken: Mutex::default(),
            }),
        }
    }

    /// How many each holder may take.
    pub(crate) fn most_per_holder(&self) -> usize {
        self.inner.most_per_holder
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.inner.taken().values().sum()
    }

    /// A place for the holder; `None` when there is none.
    pub(crate) fn take(&self, holder: K) -> Option<Place<K>> {
        let mut taken = self.inner.taken();
        let all: usize = taken.values().sum();
        let own = taken.get(&holder).copied().unwrap_or(0);
        if all >= self.inner.most || own >= self.inner.most_per_holder {
            return None;
        }
        taken.insert(holder.clone(), own + 1);
        Some(Place {
            places: self.clone(),
            holder,
        })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.inner.taken();
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
    fn places_are_bounded_and_given_back() {
        let places = Places::new(3, 2);
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
