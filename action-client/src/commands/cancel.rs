//! `cancel`: stops a run.

use crate::commands::{Context, runs};
use crate::error::{CliError, ErrorKind, Result};
use crate::render::json;
use crate::render::output::StdStream;
use action_proto::v1::Run;
use clap::Args;

#[derive(Args, Debug)]
pub(crate) struct CancelArgs {
    /// The run's id, or its beginning
    #[arg(value_name = "RUN")]
    run: String,
    /// Do not wait for the scripts to end by themselves
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(args: CancelArgs, context: &mut Context<'_>) -> Result<u8> {
    let connection = context.connect().await?;
    let Some(run) = connection.cancel_run(&args.run, args.force).await? else {
        return Err(CliError::new(
            ErrorKind::Refused,
            "the server did not describe the run",
        ));
    };
    if context.is_json() {
        json::write(&runs::run_object(&run), context.output)?;
    } else {
        let text = what_is_done(&run);
        context.output.safe_line(StdStream::Stdout, &text)?;
    }
    Ok(0)
}

fn what_is_done(run: &Run) -> String {
    let id = &run.run_id;
    if run.end_time.is_some() {
        return format!("run {id} had ended: {}", run.outcome().label());
    }
    // The answer has only the id if the caller may cancel the run and not see it.
    if run.start_time.is_none() {
        return format!("cancelling run {id}, unless it has ended");
    }
    let (running, waiting) = (run.running_jobs, run.waiting_jobs);
    format!(
        "cancelling run {id}: {running} running and {waiting} waiting of {} jobs",
        run.jobs
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_proto::v1::Outcome;

    #[test]
    fn it_says_what_is_stopped() {
        let mut run = Run {
            run_id: "r".into(),
            jobs: 3,
            running_jobs: 2,
            waiting_jobs: 1,
            start_time: Some(prost_types::Timestamp::default()),
            ..Run::default()
        };
        assert_eq!(
            what_is_done(&run),
            "cancelling run r: 2 running and 1 waiting of 3 jobs"
        );
        run.end_time = Some(prost_types::Timestamp::default());
        run.outcome = Outcome::Ok.into();
        assert_eq!(what_is_done(&run), "run r had ended: ok");
        let hidden = Run {
            run_id: "r".into(),
            ..Run::default()
        };
        assert_eq!(
            what_is_done(&hidden),
            "cancelling run r, unless it has ended"
        );
    }
}
