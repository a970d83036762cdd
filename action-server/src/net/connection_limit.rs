//! How many connections there may be, in all and from one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// The places for connections.
#[derive(Debug, Clone)]
pub(super) struct Places {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    most: usize,
    most_per_address: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    address: IpAddr,
}

impl Places {
    pub(super) fn new(most: usize, most_per_address: usize) -> Places {
        Places {
            inner: Arc::new(Inner {
                most,
                most_per_address,
                taken: Mutex::default(),
            }),
        }
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        let taken = self.inner.taken.lock();
        taken.unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    /// A place for a connection from an address; `None` when there is none.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let mut taken = self
            .inner
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let own = taken.get(&address).copied().unwrap_or(0);
        if all >= self.inner.most || own >= self.inner.most_per_address {
            return None;
        }
        taken.insert(address, own + 1);
        Some(Place {
            places: self.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self
            .places
            .inner
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.address);
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
        let (a, b): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let first = places.take(a).unwrap();
        let _second = places.take(a).unwrap();
        assert!(places.take(a).is_none(), "the address has its share");
        let _third = places.take(b).unwrap();
        assert!(places.take(b).is_none(), "all are taken");
        drop(first);
        assert!(places.take(b).is_some());
    }
}
