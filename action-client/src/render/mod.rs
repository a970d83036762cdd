//! Rendering of a run from its events alone, so that live runs and replays look the same.

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
mod view_options;

use crate::error::{CliError, Result};
use action_proto::v1::{RunEvent, run_event::Event};
use files::OutputFiles;
use human::HumanRenderer;
use json::JsonRenderer;
use output::{OutputWriter, StdStream};
use outputs::OutputGroups;
use tally::Tally;
pub(crate) use view_options::{OutputFormat, ViewOptions};

/// Shows one run, in the form that was asked for.
pub(crate) struct Renderer {
    form: RenderForm,
    /// Whether the scripts' output is shown as it comes.
    is_live: bool,
    is_quiet: bool,
    files: Option<OutputFiles>,
    /// What is shown at the end.
    last: Option<(Conclusion, OutputGroups)>,
}

enum RenderForm {
    Human(HumanRenderer),
    Json(JsonRenderer),
}

#[derive(Clone, Copy)]
enum Conclusion {
    Fold,
    Diff,
}

impl Renderer {
    /// `prefixed`: with the node's name even for a single node. Fails before anything runs.
    pub(crate) fn new(
        format: OutputFormat,
        view: &ViewOptions,
        prefixed: bool,
        output: &OutputWriter,
    ) -> Result<Self> {
        let (form, option) = match format {
            OutputFormat::Human => (RenderForm::Human(HumanRenderer::new(prefixed)), None),
            OutputFormat::Json => {
                let options = [(view.fold, "--fold"), (view.diff, "--diff")];
                (
                    RenderForm::Json(JsonRenderer::default()),
                    options.into_iter().find(|(given, _)| *given),
                )
            }
        };
        if let Some((_, option)) = option {
            let message = format!("{option} is for people, and --output json for programs");
            return Err(CliError::usage(message));
        }
        let last = if view.fold {
            Some(Conclusion::Fold)
        } else {
            view.diff.then_some(Conclusion::Diff)
        };
        // On a terminal folded outputs are live too.
        let is_live = match last {
            None => true,
            Some(Conclusion::Fold) => output.is_terminal(StdStream::Stdout),
            Some(Conclusion::Diff) => false,
        };
        let files = view
            .output_dir
            .as_deref()
            .map(OutputFiles::create)
            .transpose()?;
        Ok(Self {
            form,
            is_live: is_live && !view.quiet,
            is_quiet: view.quiet,
            files,
            last: last
                .filter(|_| !view.quiet)
                .map(|last| (last, OutputGroups::default())),
        })
    }

    pub(crate) fn render_event(
        &mut self,
        event: &RunEvent,
        output: &mut OutputWriter,
    ) -> Result<()> {
        if let Some(files) = &mut self.files {
            files.take_event(event)?;
        }
        if let Some((_, outputs)) = &mut self.last {
            outputs.take_event(event);
        }
        if !self.is_live && matches!(event.event, Some(Event::NodeOutput(_))) {
            return Ok(());
        }
        match &mut self.form {
            RenderForm::Human(human) => human.render_event(event, output),
            RenderForm::Json(json) => json.render_event(event, output),
        }
    }

    /// Shows what is to be said when no more events come.
    pub(crate) fn render_end(&mut self, tally: &Tally, output: &mut OutputWriter) -> Result<()> {
        let RenderForm::Human(human) = &mut self.form else {
            // The last object of a run says it all.
            return Ok(());
        };
        human.finish_all(output)?;
        if let Some((last, outputs)) = &mut self.last {
            outputs.close_all(tally);
            match last {
                Conclusion::Fold => {
                    // Lines that came live stand above.
                    if self.is_live {
                        output.line(StdStream::Stdout, "")?;
                    }
                    fold::print_groups(outputs, tally, output)?;
                }
                Conclusion::Diff => diff::print_diffs(outputs, tally, output)?,
            }
        }
        if self.is_quiet && tally.is_all_ok() {
            return Ok(());
        }
        human.render_end(tally, self.last.is_some(), output)
    }

    /// Whether a line of progress may stand below the output on a terminal.
    pub(crate) fn may_show_progress(&self, output: &OutputWriter) -> bool {
        matches!(self.form, RenderForm::Human(_)) && !self.is_quiet && output.may_show_status()
    }
}
