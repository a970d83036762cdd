//! Errors that pass by themselves, and when to read again what failed for one.
//!
//! A file that cannot be read for such a reason keeps what was read before: the error says nothing
//! of its content. One classification and one schedule for all files that are read again.

use std::{
    error::Error,
    fmt, io,
    time::{Duration, Instant},
};

use rustix::io::Errno;

/// How long to wait before a failed reading is tried again.
pub(crate) const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// True for a lack of descriptors or memory, and for a disk that fails: the same call may succeed
/// later, without an edit.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    // The standard library reports a buffer that it cannot allocate without a number.
    error.kind() == io::ErrorKind::OutOfMemory
        || matches!(
            Errno::from_io_error(error),
            Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::IO)
        )
}

/// True for an error that has a transient one among its causes.
pub(crate) fn is_caused_by_transient(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref().is_some_and(is_transient) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The error, if it is transient or caused by such a one.
pub(crate) fn transient<E: Error + 'static>(error: &E) -> Option<&E> {
    Some(error).filter(|error| is_caused_by_transient(*error))
}

/// When files are read again: once they changed, and each second after a transient error.
#[derive(Debug, Clone)]
pub(crate) struct ReadSchedule {
    /// The files, as the log calls them.
    what: &'static str,
    /// The fingerprint of the files that were read last; `None` reads them in any case.
    seen: Option<u64>,
    /// When to try again; `None` while nothing failed.
    retry_at: Option<Instant>,
}

impl ReadSchedule {
    /// A schedule of files that were read when they had this fingerprint.
    pub(crate) fn new(what: &'static str, seen: u64) -> ReadSchedule {
        ReadSchedule {
            what,
            seen: Some(seen),
            retry_at: None,
        }
    }

    /// Whether files that have this fingerprint are to be read now.
    pub(crate) fn is_due(&self, stamp: u64) -> bool {
        match self.retry_at {
            Some(retry_at) => Instant::now() >= retry_at,
            None => self.seen != Some(stamp),
        }
    }

    /// How long to wait for the next look, which is `usual` unless a retry is due earlier.
    pub(crate) fn pause(&self, usual: Duration) -> Duration {
        let retry = self.retry_at.map(|at| at.duration_since(Instant::now()));
        retry.map_or(usual, |retry| retry.min(usual))
    }

    /// Reads the files at the next look in any case.
    pub(crate) fn read_again(&mut self) {
        self.seen = None;
    }

    /// Records that the files were read when they had this fingerprint, and the transient error if
    /// there was one. Logs the first of a row of them and their end. Returns false for the others
    /// of the row, which are no news.
    pub(crate) fn record<E: fmt::Display>(&mut self, stamp: u64, transient: Option<&E>) -> bool {
        let what = self.what;
        let Some(error) = transient else {
            self.seen = Some(stamp);
            if self.retry_at.take().is_some() {
                tracing::info!("the {what} can be read again");
            }
            return true;
        };
        let is_first = self.retry_at.is_none();
        self.retry_at = Some(Instant::now() + RETRY_INTERVAL);
        if is_first {
            tracing::warn!(
                "cannot read the {what} now: {error}; what was read before stays in use, retrying every second"
            );
        }
        is_first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::OpenError, net::TlsError, trust::TrustError, yaml::Fault};

    fn error(errno: Errno) -> io::Error {
        errno.into()
    }

    #[test]
    fn what_passes_by_itself_is_told_from_what_an_edit_has_to_mend() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO] {
            assert!(is_transient(&error(errno)), "{errno}");
        }
        assert!(is_transient(&io::ErrorKind::OutOfMemory.into()));
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::ISDIR, Errno::LOOP] {
            assert!(!is_transient(&error(errno)), "{errno}");
        }
        assert!(!is_transient(&io::ErrorKind::InvalidData.into()));
        assert!(!is_transient(&io::Error::other("x")));
    }

    /// Through every type that an error of a file comes in.
    #[test]
    fn the_cause_is_found_behind_the_errors_of_each_kind_of_file() {
        for (errno, expected) in [(Errno::IO, true), (Errno::NOENT, false)] {
            let untrusted = || TrustError::Unreadable {
                path: "/f".into(),
                error: error(errno),
            };
            let errors: [Box<dyn Error>; 7] = [
                Box::new(untrusted()),
                Box::new(OpenError::from(untrusted())),
                Box::new(OpenError::Unreadable("/f".into(), error(errno))),
                Box::new(OpenError::from(crate::auth::KeyError::from(untrusted()))),
                Box::new(OpenError::from(crate::auth::KeyError::from(
                    crate::auth::SecretError::Unreadable("/f".into(), error(errno)),
                ))),
                Box::new(OpenError::from(
                    crate::auth::revocation::RevocationError::from(untrusted()),
                )),
                Box::new(TlsError::Unreadable {
                    path: "/f".into(),
                    source: error(errno),
                }),
            ];
            for error in errors {
                assert_eq!(is_caused_by_transient(&*error), expected, "{error:?}");
            }
            let fault = Fault::error("/f", 1, "x").caused_by(&untrusted());
            assert_eq!(fault.is_transient, expected);
        }
    }

    #[test]
    fn files_are_read_when_they_changed_and_again_after_a_transient_error() {
        let mut schedule = ReadSchedule::new("test files", 1);
        assert!(!schedule.is_due(1) && schedule.is_due(2));
        assert!(schedule.record(2, Some(&"first")), "the first is news");
        assert!(!schedule.record(2, Some(&"second")), "the second is not");
        assert!(!schedule.is_due(3), "not before the next second");
        let usual = Duration::from_secs(30);
        assert!(schedule.pause(usual) <= RETRY_INTERVAL);
        schedule.retry_at = Some(Instant::now());
        assert!(schedule.is_due(1) && schedule.is_due(2), "edited or not");
        assert!(schedule.record(2, None::<&&str>));
        assert!(!schedule.is_due(2) && schedule.is_due(1));
        assert_eq!(schedule.pause(usual), usual);
        schedule.read_again();
        assert!(schedule.is_due(2));
    }
}
