//! The machine whose server holds the state directory, kept in the lock file from a start to a clean stop.
//!
//! A holder that is found there while the lock is free did not stop: its machine may still run scripts,
//! which another machine can neither see nor end.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
};

use action_proto::input::shown_name;
use serde::{Deserialize, Serialize};

/// The longest text of a holder, in bytes.
const LIMIT: usize = 4096;

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateHolder {
    /// The host's name.
    host: String,
    /// machine-id(5); empty where there is none.
    machine_id: String,
}

impl StateHolder {
    /// This machine.
    pub(super) fn this_machine() -> StateHolder {
        let machine_id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let host = rustix::system::uname();
        StateHolder {
            host: host.nodename().to_string_lossy().into_owned(),
            machine_id: machine_id.trim().to_owned(),
        }
    }

    /// The machine's id.
    pub(super) fn machine_id(&self) -> &str {
        &self.machine_id
    }

    /// The host's name, for messages.
    pub fn shown(&self) -> String {
        shown_name(&self.host)
    }

    /// The holder in the lock file. A file without one is of a server that stopped, or of an older one.
    pub(super) fn read(lock: &File) -> io::Result<Option<StateHolder>> {
        let mut text = vec![0; LIMIT];
        let length = lock.read_at(&mut text, 0)?;
        Ok(serde_json::from_slice(&text[..length]).ok())
    }

    /// Puts the holder into the lock file, in place: its lock would not follow another file.
    pub(super) fn write(&self, lock: &File) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        lock.set_len(0)?;
        lock.write_all_at(&text, 0)?;
        lock.sync_all()
    }

    /// Takes any holder out of the lock file.
    pub(super) fn clear(lock: &File) -> io::Result<()> {
        lock.set_len(0)?;
        lock.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_kept_until_it_is_cleared() {
        let lock = tempfile::tempfile().unwrap();
        assert_eq!(StateHolder::read(&lock).unwrap(), None);
        let long = StateHolder {
            host: "a".repeat(64),
            machine_id: "0123".into(),
        };
        let own = StateHolder::this_machine();
        for holder in [&long, &own] {
            holder.write(&lock).unwrap();
            assert_eq!(StateHolder::read(&lock).unwrap().as_ref(), Some(holder));
        }
        lock.set_len(5).unwrap();
        assert_eq!(StateHolder::read(&lock).unwrap(), None, "cut");
        StateHolder::clear(&lock).unwrap();
        assert_eq!(StateHolder::read(&lock).unwrap(), None);
        assert!(!own.host.is_empty());
    }
}
