//! One call of a script: which script with which arguments, and starting it.

use std::{path::Path, sync::atomic::Ordering, time::Duration};

use thiserror::Error;

use super::shared::RunContext;
use crate::{
    catalogue::{Command, PlannedJob, environment},
    disk_lane::LANES,
    process::{EnvMarker, ScriptProcess, ScriptStart, check_script, spawn},
};

/// A script to be run for a job: the command's own, or one that reads the node's state.
pub(super) struct ScriptCall<'a> {
    pub(super) command: &'a Command,
    pub(super) script: &'a Path,
    pub(super) arguments: &'a [String],
    pub(super) timeout: Duration,
    /// The name of the script in errors, where its own may not be shown.
    pub(super) alias: Option<&'static str>,
}

/// Why a script was not started, for callers.
#[derive(Debug, Error)]
pub(super) enum CallError {
    /// The run is bound to a plan of other files.
    #[error("the script, or a file beside it, has changed since the plan was shown")]
    Changed,
    /// The script or the system does not allow it.
    #[error("cannot start {name}: {brief}")]
    NotStarted { name: String, brief: String },
}

impl ScriptCall<'_> {
    /// Starts the script, in a process with an id of its own.
    pub(super) async fn start(
        &self,
        context: &RunContext,
        planned: &PlannedJob,
    ) -> Result<(ScriptProcess, EnvMarker), CallError> {
        let marker = EnvMarker::random(context.run_id.as_str());
        let script = ScriptStart {
            path: self.script,
            arguments: self.arguments,
            environment: environment(
                &context.limits.base_environment,
                &context.plan.script_root,
                &self.command.name,
                planned,
                context.run_id.as_str(),
                marker.job_id(),
                &context.identity,
            ),
            directory: &context.limits.working_directory,
        };
        check_files(context).await?;
        match spawn(&script, &context.reaper).await {
            Ok(process) => Ok((process, marker)),
            Err(error) => {
                // The kernel gives the same error for a missing script and a missing interpreter.
                let path = self.script.to_owned();
                let checked = LANES.scripts.run(move || check_script(&path).map(drop));
                let (reason, brief) = match checked.await {
                    Ok(Err(reason)) => (reason.to_string(), reason.brief().into_owned()),
                    _ => (error.to_string(), error.brief()),
                };
                Err(self.start_failure(context, &reason, brief))
            }
        }
    }

    /// Logs why the script cannot be started, once a run. Returns the error for callers.
    fn start_failure(&self, context: &RunContext, reason: &str, brief: String) -> CallError {
        let name = context.plan.script_name(self.script);
        if !context.logged_start_failure.swap(true, Ordering::Relaxed) {
            let run_id = context.run_id.as_str();
            tracing::warn!(run_id, "cannot start {name}: {reason}");
        }
        CallError::NotStarted {
            name: self.alias.map_or(name, str::to_owned),
            brief,
        }
    }
}

/// Checks that the files of a plan that the run is bound to are unchanged.
async fn check_files(context: &RunContext) -> Result<(), CallError> {
    let Some(files) = context.files.clone() else {
        return Ok(());
    };
    let checked = LANES.scripts.run(move || files.is_unchanged()).await;
    match checked {
        Ok(true) => Ok(()),
        _ => Err(CallError::Changed),
    }
}
