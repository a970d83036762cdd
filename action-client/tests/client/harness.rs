//! The real client as a process: run to its end, or watched and signalled while it runs.

use crate::server::Server;
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command as Process};

/// The longest that anything may take: a ceiling, not a wait.
pub(crate) const CEILING: Duration = Duration::from_secs(30);
impl Server {
    /// The client, called as `program`, with these words.
    pub(crate) fn client(&self, program: &str, words: &[&str]) -> Process {
        let mut client = bare_client(program, words);
        client.env(
            "ACTION_CLIENT_BASE_URL",
            format!("http://127.0.0.1:{}/action", self.port()),
        );
        client
    }

    /// Runs the client to its end.
    pub(crate) async fn run(&self, words: &[&str]) -> Ran {
        finish(self.client("action-client", words)).await
    }
}

/// How the client ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

/// The client in an empty environment but for its token.
pub(crate) fn bare_client(program: &str, words: &[&str]) -> Process {
    let mut client = Process::new(env!("CARGO_BIN_EXE_action-client"));
    client
        .arg0(program)
        .args(words)
        .env_clear()
        .env("HOME", "/nowhere")
        .env("ACTION_CLIENT_JWT_TOKEN", "t0ken")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    client
}

/// Runs the client to its end.
pub(crate) async fn finish(mut client: Process) -> Ran {
    let output = tokio::time::timeout(CEILING, client.output()).await;
    Ran::from(output.expect("the client ends").unwrap())
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
        }
    }
}

/// A client that is watched while it runs.
pub(crate) struct Running {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Running {
    /// Starts the client.
    pub(crate) fn start(server: &Server, words: &[&str]) -> Self {
        let mut child = server.client("action-client", words).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// The next line of output.
    pub(crate) async fn line(&mut self) -> String {
        let line = tokio::time::timeout(CEILING, self.stdout.next_line()).await;
        line.expect("a line comes while the run goes on")
            .unwrap()
            .unwrap_or_default()
    }

    /// The next line of talk.
    pub(crate) async fn error_line(&mut self) -> String {
        let line = tokio::time::timeout(CEILING, self.stderr.next_line()).await;
        line.expect("a line comes while the run goes on")
            .unwrap()
            .unwrap_or_default()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        kill_process(id.unwrap(), signal).unwrap();
    }

    /// Waits for the end: the rest of what was written.
    pub(crate) async fn end(mut self) -> Ran {
        let limit = CEILING + Duration::from_secs(1);
        let status = tokio::time::timeout(limit, self.child.wait()).await;
        let code = status.expect("the client ends").unwrap().code();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout
            .into_inner()
            .read_to_string(&mut stdout)
            .await
            .unwrap();
        self.stderr
            .into_inner()
            .read_to_string(&mut stderr)
            .await
            .unwrap();
        Ran {
            stdout,
            stderr,
            code,
        }
    }
}
