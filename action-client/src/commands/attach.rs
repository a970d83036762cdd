//! `attach`: a run's output from its start to its end. Ctrl-C leaves the run alone.

use crate::commands::{Context, session};
use crate::error::Result;
use crate::exit::ExitMode;
use crate::follow::RunFollower;
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
    let follow = RunFollower::watch(&connection, &args.run, context.globals.reconnect_for).await?;
    session::watch_run(follow, &args.view, ExitMode::Largest, context).await
}
