//! `accept-nodes`: the admin accepts an edit of the nodes file that the server holds back.

use std::path::Path;

use super::{Failure, counted, environment, note, say};
use crate::{
    config::Settings,
    definitions::{self, Sources},
};

/// Accepts the nodes file as it is now, and prints what that removes.
pub(super) fn accept(config: &Path) -> Result<(), Failure> {
    let settings = Settings::load(config, environment())?;
    let removal = definitions::accept_nodes(&Sources::new(&settings))
        .map_err(|fault| Failure::of_fault(&fault))?;
    let Some(removal) = removal else {
        note("nothing is held back: the server uses the nodes file as it is\n");
        return Ok(());
    };
    let nodes = &removal.nodes;
    let mut text = format!(
        "accepted before: {}\nin the file: {}\n",
        counted(nodes.accepted, "node"),
        counted(removal.in_file, "node"),
    );
    if !nodes.missing.is_empty() {
        let (set, count) = (nodes.missing_set(), nodes.missing.len());
        text += &format!("removed: {set} ({count})\n");
    }
    for (group, loss) in &removal.groups {
        let (set, count) = (loss.missing_set(), loss.missing.len());
        text += &format!("removed from group {group}: {set} ({count})\n");
    }
    say(&text)?;
    note(
        "accepted: a running server uses the file within moments, and a stopped one when it starts\n",
    );
    Ok(())
}
