//! Starts a script: its own process group, nothing inherited, both outputs piped.
//!
//! There is no `pre_exec`, so that the standard library starts it by posix_spawn(3): no copy of
//! the server's memory map, and no code of ours between fork and exec.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use thiserror::Error;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::{OutputPipe, Reaper, ScriptGroup, script::without_number};

/// How long a script that is being written is waited for.
const BUSY_LIMIT: Duration = Duration::from_millis(250);
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// What is to be started.
#[derive(Debug)]
pub struct ScriptStart<'a> {
    /// The script, as an absolute path: nothing is searched.
    pub path: &'a Path,
    /// Its arguments.
    pub arguments: &'a [String],
    /// Its whole environment.
    pub environment: Vec<(&'a str, std::borrow::Cow<'a, str>)>,
    /// Where it starts.
    pub directory: &'a Path,
}

/// A script that runs.
#[derive(Debug)]
pub struct ScriptProcess {
    /// To wait for its end.
    pub child: Child,
    /// To signal it and what it started.
    pub group: ScriptGroup,
    /// Its standard output.
    pub stdout: OutputPipe,
    /// Its standard error.
    pub stderr: OutputPipe,
}

/// Why a script could not be started.
#[derive(Debug, Error)]
pub enum SpawnError {
    /// The working directory is not there or not open to the server.
    #[error(
        "the working directory {} cannot be used: {source}",
        crate::shown::file(path)
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The kernel refused.
    #[error("{0}")]
    Refused(#[from] io::Error),
}

impl SpawnError {
    /// The same for callers, without a path or the number of an error.
    pub fn brief(&self) -> String {
        match self {
            SpawnError::Directory { .. } => "the working directory cannot be used".to_owned(),
            SpawnError::Refused(error) => without_number(error),
        }
    }
}

/// Starts a script. A script that is just being written is waited for, a little.
///
/// # Errors
/// The kernel's reason, or that the working directory is not there.
pub async fn spawn(script: &ScriptStart<'_>, reaper: &Reaper) -> Result<ScriptProcess, SpawnError> {
    let started = Instant::now();
    loop {
        match try_spawn(script, reaper) {
            Err(error) if is_busy(&error) && started.elapsed() < BUSY_LIMIT => {
                sleep(BUSY_PAUSE).await;
            }
            Err(error) => return Err(explain_failure(script, error).await),
            Ok(process) => return Ok(process),
        }
    }
}

fn try_spawn(script: &ScriptStart<'_>, reaper: &Reaper) -> io::Result<ScriptProcess> {
    let mut command = Command::new(script.path);
    command
        .args(script.arguments)
        .env_clear()
        .envs(
            script
                .environment
                .iter()
                .map(|(key, value)| (key, value.as_ref())),
        )
        .current_dir(script.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let missing = || io::Error::other("the new process has no pipes or no id");
    let (group, mut child) = reaper.start_script(|| {
        let child = command.spawn()?;
        let group = child
            .id()
            .and_then(ScriptGroup::of_leader)
            .ok_or_else(missing)?;
        Ok((group, child))
    })?;
    let stdout = child.stdout.take().ok_or_else(missing)?;
    let stderr = child.stderr.take().ok_or_else(missing)?;
    Ok(ScriptProcess {
        child,
        group,
        stdout: OutputPipe::new(stdout),
        stderr: OutputPipe::new(stderr),
    })
}

/// ETXTBSY, execve(2): the script is open for writing.
fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ExecutableFileBusy
}

async fn explain_failure(script: &ScriptStart<'_>, error: io::Error) -> SpawnError {
    // The kernel gives the same errors for the directory as for the script.
    match tokio::fs::read_dir(script.directory).await {
        Err(source) => SpawnError::Directory {
            path: script.directory.to_owned(),
            source,
        },
        Ok(_) => SpawnError::Refused(error),
    }
}
