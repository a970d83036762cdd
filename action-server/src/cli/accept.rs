//! `accept-clock` and `accept-nodes`: the admin accepts what the server holds back.

use std::path::Path;

use super::{VerbFailure, counted, load_settings, print_note, print_text};
use crate::{
    definitions::{self, DefinitionSources},
    record,
};

/// Accepts the system clock as it is now, and prints why it was doubted.
pub(super) fn accept_clock(config: &Path) -> Result<(), VerbFailure> {
    let settings = load_settings(config)?;
    let pause = record::accept_clock(&settings.state_directory, settings.retention.age)?;
    let Some(pause) = pause else {
        print_note("the system clock is not doubted: records are removed by age\n");
        return Ok(());
    };
    print_text(&format!("{}\n", pause.reason()))?;
    print_note(
        "accepted: a running server removes old records within moments, and a stopped one when it starts\n",
    );
    Ok(())
}

/// Accepts the nodes file as it is now, and prints what that removes.
pub(super) fn accept_nodes(config: &Path) -> Result<(), VerbFailure> {
    let settings = load_settings(config)?;
    let removal = definitions::accept_nodes(&DefinitionSources::new(&settings))?;
    let Some(removal) = removal else {
        print_note("nothing is held back: the server uses the nodes file as it is\n");
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
    print_text(&text)?;
    print_note(
        "accepted: a running server uses the file within moments, and a stopped one when it starts\n",
    );
    Ok(())
}
