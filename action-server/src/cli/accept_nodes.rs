//! `accept-nodes`: the admin accepts an edit of the nodes file that the server holds back.

use std::path::Path;

use super::{CONFIG, Failure, counted, environment, note, say};
use crate::{
    config::Settings,
    definitions::{self, Sources},
};

/// Accepts the nodes file as it is now, and prints what that removes.
pub(super) fn accept(config: &Path) -> Result<(), Failure> {
    let settings = Settings::load(config, environment())?;
    let removal = definitions::accept_nodes(&Sources::new(&settings))
        .map_err(|fault| Failure::new(CONFIG, fault.to_string()))?;
    let Some(removal) = removal else {
        note("nothing is held back: the server uses the nodes file as it is\n");
        return Ok(());
    };
    say(&format!(
        "accepted before: {}\nin the file: {}\nremoved: {} ({})\n",
        counted(removal.accepted, "node"),
        counted(removal.in_file, "node"),
        removal.missing_set(),
        removal.missing.len(),
    ))?;
    note(
        "accepted: a running server uses the file within moments, and a stopped one when it starts\n",
    );
    Ok(())
}
