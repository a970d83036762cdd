//! What a job is sent to do, who hears of it, and how its script is started.

use std::{path::Path, sync::atomic::Ordering, time::Duration};

use action_proto::v1::run_event::Event;
use tokio::sync::mpsc;

use super::shared::Shared;
use crate::{
    catalogue::{Command, PlannedJob, environment},
    disk_lane::LANES,
    process::{Process, Script, check_script, spawn},
};

/// What a job does: the run's own script, or one that looks at what came of it.
pub(super) struct Errand<'a> {
    pub(super) command: &'a Command,
    pub(super) script: &'a Path,
    pub(super) arguments: &'a [String],
    pub(super) timeout: Duration,
    /// What errors call the script, where that is not its name.
    pub(super) alias: Option<&'static str>,
}

/// Who gets the output.
pub(super) enum Ear<'a> {
    /// The run's owner, who records it.
    Owner(&'a mpsc::Sender<Event>),
    /// Whoever sent the job: the beginning of stdout, and nothing else.
    Sender(Vec<u8>),
}

/// So much of an output is heard at most.
pub(super) const HEARD: u64 = 4 * 1024;

/// Starts the script of an errand.
pub(super) async fn start(
    shared: &Shared,
    planned: &PlannedJob,
    errand: &Errand<'_>,
) -> Result<Process, String> {
    let script = Script {
        path: errand.script,
        arguments: errand.arguments,
        environment: environment(
            &shared.limits.base_environment,
            &shared.plan.script_root,
            &errand.command.name,
            planned,
            shared.run_id.as_str(),
            &shared.identity,
        ),
        directory: &shared.limits.working_directory,
    };
    check_files(shared).await?;
    let error = match spawn(&script, &shared.reaper).await {
        Ok(process) => return Ok(process),
        Err(error) => error,
    };
    // The kernel says the same of a missing script and of a missing interpreter.
    let path = errand.script.to_owned();
    let checked = LANES.scripts.run(move || check_script(&path).map(drop));
    let (reason, brief) = match checked.await {
        Ok(Err(reason)) => (reason.to_string(), reason.brief().into_owned()),
        _ => (error.to_string(), error.brief()),
    };
    let name = shared.plan.script_name(errand.script);
    // Once a run: it may have thousands of nodes, and look at each again and again.
    if !shared.logged_start_failure.swap(true, Ordering::Relaxed) {
        let run_id = shared.run_id.as_str();
        tracing::warn!(run_id, "cannot start {name}: {reason}");
    }
    let name = errand.alias.map_or(name, str::to_owned);
    Err(format!("cannot start {name}: {brief}"))
}

/// Refuses to start a script of a run that is bound to a plan, when the files are not those of the
/// plan any more.
async fn check_files(shared: &Shared) -> Result<(), String> {
    let Some(files) = shared.files.clone() else {
        return Ok(());
    };
    let checked = LANES.scripts.run(move || files.is_unchanged()).await;
    match checked {
        Ok(true) => Ok(()),
        _ => Err("the script, or a file beside it, has changed since the plan was shown".into()),
    }
}
