//! Owns the token and its sources: a text, a file, or a program that prints it.

use super::settings::ClientSettings;
use super::{config_error, read_file};
use crate::error::Result;
use crate::stop_signals;
use crate::token_expiry;
use action_proto::input::shown_file;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fmt;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// How long the program of `jwt_token_command` may take.
const PROGRAM_LIMIT: Duration = Duration::from_secs(30);
const PROGRAM_PAUSE: Duration = Duration::from_millis(5);
/// How long its output is waited for after its end.
const OUTPUT_LIMIT: Duration = Duration::from_millis(500);
/// So much of its output is read at most, in bytes.
const MOST_OUTPUT: u64 = 64 << 10;

/// The process group of the program while it runs.
static PROGRAM_GROUP: Mutex<Option<Pid>> = Mutex::new(None);

/// A JWT. Its text leaves this type only towards the server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    fn new(text: &str, source: &str) -> Result<Self> {
        let text = text.trim();
        // The text itself must not turn up in the message.
        if text.is_empty() {
            return Err(config_error(format!("the token in {source} is empty")));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(
                config_error(format!("the token in {source} is not a token"))
                    .hint("a token is one word, as `action-server generate-token` prints it"),
            );
        }
        Ok(Self(text.to_owned()))
    }

    /// What to warn of at `now`, in seconds since 1970, where it is about to expire.
    pub(crate) fn expiry_warning(&self, now: u64) -> Option<String> {
        token_expiry::warning(&self.0, now)
    }

    pub(crate) fn bearer_header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Where the token comes from. All but a text may give another one later.
#[derive(Clone)]
pub(crate) enum TokenSource {
    Text(Token),
    File(PathBuf),
    /// `jwt_token_command`: a program and its arguments.
    Program(Vec<String>),
}

impl TokenSource {
    /// The one that the settings name. `source` is where these come from.
    pub(super) fn of(settings: &ClientSettings, source: &str) -> Result<Self> {
        if let Some(token) = settings.text("jwt_token") {
            return Ok(Self::Text(Token::new(token, "jwt_token")?));
        }
        if let Some(path) = settings.path("jwt_token_path") {
            return Ok(Self::File(path));
        }
        let Some(command) = settings.text("jwt_token_command") else {
            return Err(config_error(format!(
                "{source} gives no token: none of jwt_token, jwt_token_path and jwt_token_command"
            ))
            .hint("ask the server's admin for one, made with `action-server generate-token`"));
        };
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return Err(config_error("jwt_token_command is empty")
                .hint("it is a program and its arguments, as in `/usr/local/bin/print-token --for action`"));
        }
        Ok(Self::Program(words))
    }

    /// True for one that may give another token later.
    pub(crate) fn may_change(&self) -> bool {
        !matches!(self, Self::Text(_))
    }

    pub(crate) fn read(&self) -> Result<Token> {
        match self {
            Self::Text(token) => Ok(token.clone()),
            Self::File(path) => {
                let bytes = read_file(path, "jwt_token_path")?;
                Token::new(&String::from_utf8_lossy(&bytes), &shown_file(path))
            }
            Self::Program(words) => run_program(words),
        }
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource(..)")
    }
}

/// The program's token. Messages do not quote the setting, which may be the token by mistake.
fn run_program(words: &[String]) -> Result<Token> {
    let (program, arguments) = words.split_first().unzip();
    let mut command = Command::new(program.map_or("", String::as_str));
    let command = command
        .args(arguments.unwrap_or_default())
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let cannot_run = |error: io::Error| {
        config_error("cannot run the program that jwt_token_command names").caused_by(error)
            .hint("jwt_token_command is a program and its arguments, with blanks between them; there is no shell")
    };
    stop_signals::exit_on_stop(kill_token_program);
    // Locked while it is started: a stop signal must not come between the start and the note of its group.
    let mut group = program_group();
    let mut child = command.spawn().map_err(cannot_run)?;
    *group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    drop(group);
    let output = ProgramOutput::of(child.stdout.take());
    let status = wait_for_end(&mut child, PROGRAM_LIMIT).map_err(cannot_run);
    program_group().take();
    let Some(status) = status? else {
        let limit = PROGRAM_LIMIT.as_secs();
        return Err(config_error(format!(
            "the program that jwt_token_command names did not end within {limit} seconds"
        ))
        .hint("it must print the token and end, without asking anything"));
    };
    if !status.success() {
        return Err(config_error(format!(
            "the program that jwt_token_command names failed: {status}"
        )));
    }
    Token::new(&output.text(), "the output of jwt_token_command")
}

fn program_group() -> MutexGuard<'static, Option<Pid>> {
    PROGRAM_GROUP.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills the program of `jwt_token_command` and its children, if it runs.
pub(crate) fn kill_token_program() {
    if let Some(group) = program_group().take() {
        // It may have ended meanwhile.
        _ = kill_process_group(group, Signal::KILL);
    }
}

/// Waits for a program, and kills it when the limit is over: `None` then.
fn wait_for_end(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if began.elapsed() > limit {
            kill_token_program();
            _ = child.wait();
            return Ok(None);
        }
        thread::sleep(PROGRAM_PAUSE);
    }
}

/// What a program prints, read on a thread: another one that it left behind may hold its stdout open.
struct ProgramOutput {
    bytes: Arc<Mutex<Vec<u8>>>,
    is_read: mpsc::Receiver<()>,
}

impl ProgramOutput {
    fn of(stdout: Option<ChildStdout>) -> ProgramOutput {
        let bytes: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (read, is_read) = mpsc::channel();
        let kept = Arc::clone(&bytes);
        thread::spawn(move || {
            let mut part = [0; 1024];
            if let Some(stdout) = stdout {
                // What is longer is no token.
                let mut stdout = stdout.take(MOST_OUTPUT);
                while let Ok(count @ 1..) = stdout.read(&mut part) {
                    lock_bytes(&kept).extend(&part[..count]);
                }
            }
            _ = read.send(());
        });
        ProgramOutput { bytes, is_read }
    }

    /// All that came, once the program has ended.
    fn text(&self) -> String {
        _ = self.is_read.recv_timeout(OUTPUT_LIMIT);
        String::from_utf8_lossy(&lock_bytes(&self.bytes)).into_owned()
    }
}

fn lock_bytes(bytes: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    bytes.lock().unwrap_or_else(PoisonError::into_inner)
}
