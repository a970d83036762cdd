//! Places where a test lets the server die, to prove what its records say afterwards, or lets it
//! fail as by a fault of ours.
//!
//! Built only with the feature `crash-points`, which no release has: without it a point is
//! nothing at all.

/// Ends the process at once, as a kill would, when `$ACTION_CRASH_AT` names this point, and panics
/// when `$ACTION_PANIC_AT` does.
#[cfg(feature = "crash-points")]
#[expect(clippy::panic, reason = "a test asked for it")]
pub(crate) fn point(name: &str) {
    let names = |variable| std::env::var_os(variable).is_some_and(|wanted| wanted == name);
    if names("ACTION_CRASH_AT") {
        std::process::abort();
    }
    if names("ACTION_PANIC_AT") {
        panic!("at {name}, as ACTION_PANIC_AT says");
    }
}

/// Does nothing.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub(crate) fn point(_: &str) {}
