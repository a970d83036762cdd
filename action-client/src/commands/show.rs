//! `show`: the output of a run so far.

use crate::commands::{Context, session};
use crate::error::Result;
use crate::exit::ExitMode;
use crate::follow::RunFollower;
use crate::render::ViewOptions;
use crate::render::output::StdStream;
use clap::Args;

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The run's id, or its beginning
    #[arg(value_name = "RUN")]
    run: String,
    /// How the output is shown.
    #[command(flatten)]
    pub(crate) view: ViewOptions,
}

/// Shows the run. The exit code is that of showing it, unless `--exit` asks for the run's.
pub(crate) async fn run(args: ShowArgs, context: &mut Context<'_>) -> Result<u8> {
    let connection = context.connect().await?;
    let (run, _) = connection.get_run(&args.run).await?;
    let follow =
        RunFollower::watch(&connection, &run.run_id, context.globals.reconnect_for).await?;
    let follow = follow.until(run.last_sequence);
    let code = session::watch_run(follow, &args.view, ExitMode::Zero, context).await?;
    if run.end_time.is_none() && !context.is_json() {
        let line = format!(
            "run {0} goes on: `action-client attach {0}` follows it",
            run.run_id
        );
        context.output.line(StdStream::Stderr, &line)?;
    }
    Ok(code)
}
