//! Owns everything that is shown. A run is shown from its RunEvents alone, so that live runs,
//! re-attached ones and replays come out the same. Knows nothing of the connection.

mod diff;
mod files;
mod fold;
mod human;
pub(crate) mod json;
mod lines;
pub(crate) mod output;
mod outputs;
mod prefix;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod tally;
pub(crate) mod terminal;
pub(crate) mod time;

use crate::cli::globals::Format;
use crate::cli::options::ViewOptions;
use crate::error::{CliError, Result};
use action_proto::v1::{RunEvent, run_event::Event};
use files::Files;
use human::Human;
use json::Json;
use output::{Output, Target};
use outputs::Outputs;
use tally::Tally;

/// Shows one run, in the form that was asked for.
pub(crate) struct Renderer {
    form: Form,
    /// Whether the scripts' output is shown as it comes.
    is_live: bool,
    is_quiet: bool,
    files: Option<Files>,
    /// What is shown at the end.
    last: Option<(Last, Outputs)>,
}

enum Form {
    /// For people.
    Human(Human),
    /// For programs.
    Json(Json),
}

#[derive(Clone, Copy)]
enum Last {
    Fold,
    Diff,
}

impl Renderer {
    /// `prefixed` puts the node's name before each line even for a single node. Fails before
    /// anything runs when what is asked for cannot be done.
    pub(crate) fn new(
        format: Format,
        view: &ViewOptions,
        prefixed: bool,
        output: &Output,
    ) -> Result<Self> {
        let (form, option) = match format {
            Format::Human => (Form::Human(Human::new(prefixed)), None),
            Format::Json => {
                let options = [(view.fold, "--fold"), (view.diff, "--diff")];
                (
                    Form::Json(Json::default()),
                    options.into_iter().find(|(given, _)| *given),
                )
            }
        };
        if let Some((_, option)) = option {
            let message = format!("{option} is for people, and --output json for programs");
            return Err(CliError::usage(message));
        }
        let last = match (view.fold, view.diff) {
            (true, _) => Some(Last::Fold),
            (_, true) => Some(Last::Diff),
            _ => None,
        };
        // On a terminal folded outputs are live too.
        let is_live = match last {
            None => true,
            Some(Last::Fold) => output.is_terminal(Target::Stdout),
            Some(Last::Diff) => false,
        };
        let files = view.output_dir.as_deref().map(Files::create).transpose()?;
        Ok(Self {
            form,
            is_live: is_live && !view.quiet,
            is_quiet: view.quiet,
            files,
            last: last
                .filter(|_| !view.quiet)
                .map(|last| (last, Outputs::default())),
        })
    }

    /// Shows the next event.
    pub(crate) fn show(&mut self, event: &RunEvent, output: &mut Output) -> Result<()> {
        if let Some(files) = &mut self.files {
            files.take(event)?;
        }
        if let Some((_, outputs)) = &mut self.last {
            outputs.take(event);
        }
        if !self.is_live && matches!(event.event, Some(Event::NodeOutput(_))) {
            return Ok(());
        }
        match &mut self.form {
            Form::Human(human) => human.show(event, output),
            Form::Json(json) => json.show(event, output),
        }
    }

    /// Shows what is to be said when no more events come.
    pub(crate) fn conclude(&mut self, tally: &Tally, output: &mut Output) -> Result<()> {
        let Form::Human(human) = &mut self.form else {
            // The last object of a run says it all.
            return Ok(());
        };
        human.finish_all(output)?;
        if let Some((last, outputs)) = &mut self.last {
            outputs.close_all(tally);
            match last {
                Last::Fold => {
                    // Lines that came live stand above.
                    if self.is_live {
                        output.line(Target::Stdout, "")?;
                    }
                    fold::print(outputs, tally, output)?;
                }
                Last::Diff => diff::print(outputs, tally, output)?,
            }
        }
        if self.is_quiet && tally.is_all_ok() {
            return Ok(());
        }
        human.conclude(tally, self.last.is_some(), output)
    }

    /// Whether a line of progress may stand below what is shown: people watch, and nothing
    /// else writes to their terminal.
    pub(crate) fn may_show_progress(&self, output: &Output) -> bool {
        matches!(self.form, Form::Human(_)) && !self.is_quiet && output.may_show_status()
    }
}
