//! `accept-clock`: the admin accepts a system clock that the server doubts.

use std::path::Path;

use super::{Failure, environment, note, say};
use crate::{config::Settings, record};

/// Accepts the system clock as it is now, and prints why it was doubted.
pub(super) fn accept(config: &Path) -> Result<(), Failure> {
    let settings = Settings::load(config, environment())?;
    let pause = record::accept_clock(&settings.state_directory, settings.retention_age)?;
    let Some(pause) = pause else {
        note("the system clock is not doubted: records are removed by age\n");
        return Ok(());
    };
    say(&format!("{}\n", pause.reason()))?;
    note(
        "accepted: a running server removes old records within moments, and a stopped one when it starts\n",
    );
    Ok(())
}
