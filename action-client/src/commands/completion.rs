//! `completion`: the scripts for shells, and the hidden verbs that these call.

use crate::commands::Context;
use crate::complete::scripts::Shell;
use crate::complete::server_cache::{CacheFile, RUNS, epoch_seconds};
use crate::complete::{self, REFRESH};
use crate::config::Config;
use crate::connection::Connection;
use crate::environment::Environment;
use crate::error::Result;
use crate::render::output::StdStream;
use action_proto::v1::ListRunsRequest;
use clap::Args;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long the server is waited for, in the background.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
pub(crate) struct CompletionArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionArgs, context: &mut Context<'_>) -> Result<u8> {
    let script = args.shell.script();
    context.output.write(StdStream::Stdout, script.as_bytes())?;
    Ok(0)
}

/// Completes a line: `args` are the program, `__complete`, the shell, and the line's words.
pub(crate) fn complete(args: &[OsString], context: &mut Context<'_>) -> Result<u8> {
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    let words: Vec<String> = args.iter().skip(3).map(text).collect();
    let program = args.first().cloned().unwrap_or_default();
    let file = context.cache_file();
    let cache = file.as_ref().map(CacheFile::load).unwrap_or_default();
    let found = complete::candidates(&context.root, &context.alias, &cache, &words);
    let shell = args.get(2).map(text).unwrap_or_default();
    let lines = complete::shell_lines(&found, &shell);
    context.output.write(StdStream::Stdout, lines.as_bytes())?;
    if file.is_some() && cache.is_due(epoch_seconds()) {
        refresh_later(&program, context.globals.config.as_deref());
    }
    Ok(0)
}

/// Starts a process that updates the cache for the next completion. Its failure is ignored.
fn refresh_later(program: &OsString, config: Option<&Path>) {
    let Ok(own) = std::env::current_exe() else {
        return;
    };
    let mut command = Command::new(own);
    command.arg0(program).arg(REFRESH);
    if let Some(config) = config {
        command.arg(config);
    }
    // Nothing of the shell's may be held open by it, and no Ctrl-C is meant for it.
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _ = command.process_group(0).spawn();
}

/// Asks the server for all that completion should know.
pub(crate) async fn refresh(args: &[OsString], environment: &Environment) -> Result<u8> {
    let path = args.get(2).map(Path::new);
    let config = Config::load(path, environment)?;
    let file = CacheFile::of(&config, environment);
    file.update(|cache| {
        cache.tried_at = epoch_seconds();
        true
    });
    let asking = async {
        let connection = Connection::open(&config, config.timeout.min(REFRESH_TIMEOUT)).await?;
        let commands = connection.list_commands().await?;
        let nodes = connection.list_nodes("", "").await?;
        let runs = connection
            .list_runs(ListRunsRequest::default(), RUNS)
            .await?;
        file.update(|cache| {
            cache.take_answers(commands, &nodes, &runs, epoch_seconds());
            true
        });
        Ok(0)
    };
    tokio::time::timeout(REFRESH_TIMEOUT, asking)
        .await
        .unwrap_or(Ok(0))
}
