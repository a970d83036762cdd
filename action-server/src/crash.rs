//! Places where a test lets the server die, to prove what its records say afterwards.
//!
//! Built only with the feature `crash-points`, which no release has: without it a point is
//! nothing at all.

/// Ends the process at once, as a kill would, when `$ACTION_CRASH_AT` names this point.
#[cfg(feature = "crash-points")]
pub(crate) fn point(name: &str) {
    if std::env::var_os("ACTION_CRASH_AT").is_some_and(|wanted| wanted == name) {
        std::process::abort();
    }
}

/// Does nothing.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub(crate) fn point(_: &str) {}
