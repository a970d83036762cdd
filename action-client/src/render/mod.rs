//! Owns everything that is shown. A run is shown from its RunEvents alone, so that live runs,
//! re-attached ones and replays come out the same. Knows nothing of the connection.

mod human;
pub(crate) mod json;
mod lines;
pub(crate) mod output;
pub(crate) mod report;
pub(crate) mod table;
pub(crate) mod tally;
pub(crate) mod terminal;
pub(crate) mod time;

use crate::cli::globals::Format;
use crate::error::Result;
use action_proto::v1::RunEvent;
use human::Human;
use json::Json;
use output::Output;
use tally::Tally;

/// Shows one run, in the form that was asked for.
pub(crate) enum Renderer {
    /// For people.
    Human(Human),
    /// For programs.
    Json(Json),
}

impl Renderer {
    /// `prefixed` puts the node's name before each line even for a single node.
    pub(crate) fn new(format: Format, prefixed: bool) -> Self {
        match format {
            Format::Human => Self::Human(Human::new(prefixed)),
            Format::Json => Self::Json(Json::default()),
        }
    }

    /// Shows the next event.
    pub(crate) fn show(&mut self, event: &RunEvent, output: &mut Output) -> Result<()> {
        match self {
            Self::Human(human) => human.show(event, output),
            Self::Json(json) => json.show(event, output),
        }
    }

    /// Shows what is to be said when no more events come.
    pub(crate) fn conclude(&mut self, tally: &Tally, output: &mut Output) -> Result<()> {
        match self {
            Self::Human(human) => human.conclude(tally, output),
            // The last object of a run says it all.
            Self::Json(_) => Ok(()),
        }
    }
}
