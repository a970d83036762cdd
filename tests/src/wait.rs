//! Waiting for what another process does: looked for often, and never longer than a ceiling.
//! The only place of the suite that pauses.

use std::time::{Duration, Instant};

/// The longest that anything may take that takes a moment: reached only when something is broken,
/// also on a machine where many programs wait for the processor.
pub const CEILING: Duration = Duration::from_secs(120);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(4);

/// Looks until there is something, and returns it.
///
/// # Panics
/// Nothing was there within `ceiling`; says what was waited for.
#[track_caller]
pub fn wait_until<T>(what: &str, ceiling: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + ceiling;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            Instant::now() < end,
            "waited {ceiling:?} in vain for {what}"
        );
        std::thread::park_timeout(PAUSE);
    }
}
