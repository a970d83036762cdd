//! Programs: started with nothing of the machine's environment, and seen to their end within a
//! ceiling.

use std::{
    env,
    ffi::OsStr,
    fmt, fs,
    io::Read,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::wait::{CEILING, wait_until};

/// The only directories that programs are looked for in.
pub const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Where cargo put a program of this package: beside the program that runs now.
pub fn program(name: &str) -> PathBuf {
    let own = env::current_exe().unwrap();
    let directory = own.parent().unwrap();
    // Test programs are one level further down.
    let directory = match directory.ends_with("deps") {
        true => directory.parent().unwrap(),
        false => directory,
    };
    directory.join(format!("{name}-under-test"))
}

/// What `tests/run` has put into cargo's target directory, which holds the program that runs now.
#[track_caller]
pub fn tool(name: &str) -> PathBuf {
    let own = env::current_exe().unwrap();
    let mut places = own.ancestors().map(|directory| directory.join(name));
    places.find(|place| place.exists()).unwrap_or_else(|| {
        panic!("there is no {name} in the target directory: run tests/run, which makes it")
    })
}

/// A program of the release before this one; `None` where it could not be built, for want of history.
#[track_caller]
#[expect(clippy::print_stderr, reason = "the reader of the results must know")]
pub fn of_previous_release(name: &str) -> Option<PathBuf> {
    let directory = tool("previous-release");
    if let Ok(reason) = fs::read_to_string(directory.join("missing")) {
        eprintln!("not tested: {}", reason.trim());
        return None;
    }
    Some(directory.join(name))
}

/// A command in an environment of two variables, with nothing on its stdin.
pub fn hermetic(program: impl AsRef<OsStr>, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", home)
        .current_dir(home)
        .stdin(Stdio::null());
    command
}

/// The same command, run by a shell line that ends with `exec "$@"`.
pub fn through_shell(command: &Command, line: &str) -> Command {
    let mut shell = Command::new("/bin/bash");
    shell.args(["-c", line, "bash"]).arg(command.get_program());
    shell.args(command.get_args()).env_clear();
    shell.stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    shell
}

/// What a program wrote, and how it ended. Displays as both texts with the exit code, for
/// snapshots; what differs from run to run is hidden there.
#[derive(Debug)]
#[must_use]
pub struct Ran {
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub status: ExitStatus,
    hidden: Vec<(String, String)>,
}

impl Ran {
    /// How a program ended that wrote all to one place.
    pub fn on_terminal(shown: Vec<u8>, status: ExitStatus, hidden: Vec<(String, String)>) -> Ran {
        Ran {
            stdout: shown,
            stderr: Vec::new(),
            status,
            hidden,
        }
    }

    /// Its exit code; 128 and the number for a signal, as shells say it.
    pub fn code(&self) -> i32 {
        let signal = || self.status.signal().map_or(-1, |signal| 128 + signal);
        self.status.code().unwrap_or_else(signal)
    }

    /// Shows `name` where `text` stands.
    pub fn hide(mut self, text: impl Into<String>, name: impl Into<String>) -> Ran {
        self.hidden.push((text.into(), name.into()));
        self
    }

    /// What it wrote to stdout, as text with the hidden hidden.
    pub fn stdout(&self) -> String {
        self.shown(&self.stdout)
    }

    /// What it wrote to stderr, as text with the hidden hidden.
    pub fn stderr(&self) -> String {
        self.shown(&self.stderr)
    }

    /// The same, once it is sure that it went well.
    ///
    /// # Panics
    /// It ended with another code than 0.
    #[track_caller]
    pub fn ok(self) -> Ran {
        assert_eq!(self.code(), 0, "{self}");
        self
    }

    fn shown(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let hide = |text: String, (from, to): &(String, String)| text.replace(from, to);
        self.hidden.iter().fold(text, hide)
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", without_digest(&self.stdout()))?;
        writeln!(f, "------- stderr -------")?;
        write!(f, "{}", without_digest(&self.stderr()))?;
        writeln!(f, "------- exit {} -------", self.code())
    }
}

/// The text without the digests of plans, which differ from server to server.
fn without_digest(text: &str) -> String {
    let mut parts = text.split("p1:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| {
        let is_of_digest = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        shown + "p1:.." + part.trim_start_matches(is_of_digest)
    })
}

/// A program that runs, whose output is read as it comes.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<mpsc::Receiver<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    reading: Option<JoinHandle<()>>,
    read: Vec<u8>,
    hidden: Vec<(String, String)>,
}

impl Running {
    /// Starts it with both outputs piped.
    pub fn start(mut command: Command, hidden: Vec<(String, String)>) -> Running {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (sender, receiver) = mpsc::channel();
        let mut stdout = child.stdout.take().unwrap();
        thread::spawn(move || {
            let mut chunk = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = stdout.read(&mut chunk) {
                if sender.send(chunk[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut pipe = child.stderr.take().unwrap();
        let stderr = Arc::<Mutex<Vec<u8>>>::default();
        let so_far = Arc::clone(&stderr);
        let reading = thread::spawn(move || {
            let mut chunk = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = pipe.read(&mut chunk) {
                so_far.lock().unwrap().extend(&chunk[..count]);
            }
        });
        Running {
            child,
            stdout: Some(receiver),
            stderr,
            reading: Some(reading),
            read: Vec::new(),
            hidden,
        }
    }

    /// Its process id.
    pub fn id(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Waits until its stdout so far has this text.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + CEILING;
        while !contains(&self.read, text.as_bytes()) {
            let left = end.saturating_duration_since(Instant::now());
            match self.stdout.as_ref().unwrap().recv_timeout(left) {
                Ok(chunk) => self.read.extend(chunk),
                Err(error) => panic!(
                    "{text:?} did not come ({error}), only {:?}, and on stderr {:?}",
                    String::from_utf8_lossy(&self.read),
                    String::from_utf8_lossy(&self.stderr.lock().unwrap())
                ),
            }
        }
    }

    /// Waits until its stderr so far has this text.
    #[track_caller]
    pub fn wait_for_error(&self, text: &str) {
        wait_until(text, CEILING, || {
            contains(&self.stderr.lock().unwrap(), text.as_bytes()).then_some(())
        });
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sees it to its end.
    #[track_caller]
    pub fn finish(self) -> Ran {
        self.finish_within(CEILING)
    }

    /// The same, with a ceiling of its own.
    #[track_caller]
    pub fn finish_within(mut self, ceiling: Duration) -> Ran {
        let status = wait_until("the program's end", ceiling, || {
            self.child.try_wait().unwrap()
        });
        let mut stdout = std::mem::take(&mut self.read);
        for chunk in self.stdout.take().unwrap() {
            stdout.extend(chunk);
        }
        self.reading.take().unwrap().join().unwrap();
        let stderr = std::mem::take(&mut *self.stderr.lock().unwrap());
        Ran {
            stdout,
            stderr,
            status,
            hidden: std::mem::take(&mut self.hidden),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            _ = self.child.kill();
            _ = self.child.wait();
        }
    }
}

/// Runs a program to its end.
#[track_caller]
pub fn run(command: Command) -> Ran {
    Running::start(command, Vec::new()).finish()
}

/// Whether bytes stand somewhere in others.
pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Gives a program another name: a link in `directory`, to be called by that name.
pub fn under_name(program: &Path, directory: &Path, name: &str) -> PathBuf {
    let link = directory.join(name);
    match std::os::unix::fs::symlink(program, &link) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => panic!("{error}"),
        _ => link,
    }
}

/// Writes a file that can be executed.
pub fn write_script(path: &Path, text: impl AsRef<[u8]>) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A time that is short for people and long for programs: for what must come at once.
pub const AT_ONCE: Duration = Duration::from_secs(5);
