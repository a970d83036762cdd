//! `attach`: a run's output from its start to its end. Ctrl-C leaves the run alone.

use crate::commands::{Context, session};
use crate::error::Result;
use crate::exit::ExitMode;
use crate::follow::RunFollower;
use crate::interrupt::{InterruptWatch, OnSignal};
use crate::render::Renderer;
use crate::render::ViewOptions;
use clap::Args;

#[derive(Args, Debug)]
pub(crate) struct AttachArgs {
    /// The run's id, or its beginning
    #[arg(value_name = "RUN")]
    run: String,
    /// How the output is shown.
    #[command(flatten)]
    pub(crate) view: ViewOptions,
}

/// Follows the run: its exit code.
pub(crate) async fn run(args: AttachArgs, context: &mut Context<'_>) -> Result<u8> {
    let connection = context.connect().await?;
    let mut follow =
        RunFollower::watch(&connection, &args.run, context.globals.reconnect_for).await?;
    let mut interrupt = InterruptWatch::watch(OnSignal::Leave)?;
    let format = context.globals.output;
    let mut renderer = Renderer::new(format, &args.view, false, context.output)?;
    let mode = context.globals.exit.unwrap_or(ExitMode::Largest);
    session::follow_run(&mut follow, &mut renderer, &mut interrupt, mode, context).await
}
