//! The client on a terminal: progress, Ctrl-C, and a window that changes its size.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Instant,
};

use action_tests::{CEILING, Server, Site, program, wait_until};
use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// A user at a terminal on which a program runs as the foreground process of a session.
struct User {
    ours: File,
    chunks: mpsc::Receiver<Vec<u8>>,
    shown: String,
    child: Child,
}

impl User {
    fn runs(server: &Server, words: &[&str], columns: u16) -> User {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs: OwnedFd = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        let ours = File::from(ours);
        _ = server.client();
        // setsid(1) makes the terminal that of the session, so that ^C comes as a signal.
        let mut command: Command = program::hermetic("setsid", &server.path("home"));
        command
            .args(["--ctty", "--wait"])
            .arg(server.path("bin/action-client"));
        command
            .args(words)
            .env("ACTION_CLIENT_CONFIG", server.path("client.yaml"));
        command.env("NO_COLOR", "1");
        let stream = || Stdio::from(theirs.try_clone().unwrap());
        command.stdin(stream()).stdout(stream()).stderr(stream());
        let child = command.spawn().unwrap();
        drop((command, theirs));
        let (sender, chunks) = mpsc::channel();
        let mut reader = ours.try_clone().unwrap();
        thread::spawn(move || {
            let mut chunk = vec![0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut chunk) {
                if sender.send(chunk[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let user = User {
            ours,
            chunks,
            shown: String::new(),
            child,
        };
        user.resizes(columns);
        user
    }

    fn resizes(&self, columns: u16) {
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.ours, size).unwrap();
    }

    fn types(&mut self, text: &str) {
        self.ours.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until the terminal was sent this text, from now on: what came up to there.
    #[track_caller]
    fn sees(&mut self, text: &str) -> String {
        // A line of progress is sent again and again: what does not come must not be waited for
        // as long as something else does.
        let end = Instant::now() + CEILING;
        loop {
            assert!(
                Instant::now() < end,
                "{text:?} did not come, only {:?}",
                self.shown
            );
            if let Some(at) = self.shown.find(text) {
                return self.shown.drain(..at + text.len()).collect();
            }
            match self.chunks.recv_timeout(CEILING) {
                Ok(chunk) => self.shown.push_str(&String::from_utf8_lossy(&chunk)),
                Err(error) => panic!("{text:?} did not come ({error}), only {:?}", self.shown),
            }
        }
    }

    /// Waits for the end: the exit code, and what came before it.
    fn end(mut self) -> (i32, String) {
        let end = Instant::now() + CEILING;
        while let Ok(chunk) = self.chunks.recv_timeout(CEILING) {
            assert!(Instant::now() < end, "no end came, only {:?}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&chunk));
        }
        let status = wait_until("the client's end", CEILING, || {
            self.child.try_wait().unwrap()
        });
        (status.code().unwrap(), self.shown)
    }
}

/// Two nodes that wait at a gate and one that does not.
fn serving() -> Server {
    let site = Site::new();
    site.nodes("slow1: {}\nslow2: {}\nquick: {}\n");
    site.command(
        "wait",
        "echo at work; [[ $name = quick ]] || read -r < \"$SCRIPT_ROOT/../gate.$name\"; echo done",
    );
    site.start()
}

/// What a terminal shows in the end, of lines that are written and taken away again.
fn rest(text: &str) -> String {
    let lines = text.replace("\r\n", "\n");
    let mut shown = String::new();
    for part in lines.split_inclusive("\r\u{1b}[J") {
        match part.strip_suffix("\r\u{1b}[J") {
            Some(part) => shown.push_str(&part[..part.rfind('\n').map_or(0, |at| at + 1)]),
            None => shown.push_str(part),
        }
    }
    shown
}

#[test]
fn a_run_that_lasts_shows_how_far_it_is_and_tears_no_line() {
    let server = serving();
    let gates = ["gate.slow1", "gate.slow2"].map(|name| server.gate(name));
    let mut user = User::runs(&server, &["wait", "-g", "@*"], 80);
    let before = user.sees("1 of 3 done, 2 running; slowest slow");
    for gate in gates {
        gate.open();
    }
    let (code, after) = user.end();
    let shown = rest(&(before + &after));
    assert_eq!(code, 0, "{shown}");
    let mut lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.pop(), Some("ok quick,slow[1-2] (3)"), "{shown}");
    lines.sort_unstable();
    let expected = [
        "quick: at work",
        "quick: done",
        "slow1: at work",
        "slow1: done",
        "slow2: at work",
        "slow2: done",
    ];
    assert_eq!(lines, expected, "{shown}");
}

#[test]
fn a_run_that_was_asked_about_shows_how_far_it_is_too() {
    let site = Site::new();
    let metadata = "help: {summary: s}\nconfirmation: 'Stop %{nodes} [y/n]?'\n";
    let script = "read -r < \"$SCRIPT_ROOT/../gate\"; [[ -e $SCRIPT_ROOT/again ]] || { touch \"$SCRIPT_ROOT/again\"; exit 3; }";
    site.command_with("stop", metadata, script);
    let server = site.start();
    let gate = server.gate("gate");
    let mut user = User::runs(&server, &["stop", "-g", "n1"], 80);
    _ = user.sees("Stop n1 (1 node) [y/n]? ");
    user.types("y\n");
    _ = user.sees("0 of 1 done, 1 running; slowest n1 ");
    gate.open();
    assert_eq!(user.end().0, 3);
    // Running it again asks again.
    let listed = server
        .client()
        .run(&["runs", "--output", "json"])
        .ok()
        .stdout();
    let run: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let run = run["run_id"].as_str().unwrap();
    let mut user = User::runs(&server, &["rerun", run, "--failed"], 80);
    _ = user.sees("stop on n1 (1); last time failed: exit 3 (1)");
    _ = user.sees("Stop n1 (1 node) [y/n]? ");
    user.types("n\n");
    let (code, shown) = user.end();
    assert!(code == 255 && shown.contains("nothing was run"), "{shown}");
    let mut user = User::runs(&server, &["rerun", run], 80);
    _ = user.sees("Stop n1 (1 node) [y/n]? ");
    user.types("y\n");
    gate.open();
    assert_eq!(user.end().0, 0);
}

#[test]
fn a_window_that_is_made_narrow_keeps_the_line_in_one_row() {
    let server = serving();
    let gates = ["gate.slow1", "gate.slow2"].map(|name| server.gate(name));
    let mut user = User::runs(&server, &["wait", "-g", "@*"], 100);
    // Which of the two was started first is not said.
    _ = user.sees("slowest slow");
    user.resizes(20);
    let shown = user.sees("1 of 3 done, 2 runn");
    assert!(
        shown.contains("\u{1b}[A\r\u{1b}[J") || shown.contains("\u{1b}[A\u{1b}[J"),
        "{shown:?}"
    );
    for gate in gates {
        gate.open();
    }
    assert_eq!(user.end().0, 0);
}

#[test]
fn the_first_interrupt_cancels_and_says_what_became_of_each() {
    let server = serving();
    let _gates = ["gate.slow1", "gate.slow2"].map(|name| server.gate(name));
    let mut user = User::runs(&server, &["wait", "-g", "@*"], 80);
    _ = user.sees("slowest");
    user.types("\u{3}");
    _ = user.sees("press Ctrl-C again to leave at once");
    let (code, shown) = user.end();
    assert_eq!(code, 130, "{shown}");
    assert!(
        rest(&shown).ends_with("ok quick (1)  cancelled slow[1-2] (2)\n"),
        "{shown}"
    );
}

#[test]
fn the_second_interrupt_leaves_at_once_below_the_line() {
    let site = Site::new();
    site.command(
        "stay",
        "trap '' TERM; echo at work; read -r < \"$SCRIPT_ROOT/../gate\"",
    );
    let server = site.start();
    let gates = server.gate("gate");
    let mut user = User::runs(&server, &["stay", "-g", "n1"], 80);
    _ = user.sees("1 running");
    user.types("\u{3}");
    _ = user.sees("press Ctrl-C again to leave at once");
    _ = user.sees("1 running");
    user.types("\u{3}");
    let (code, shown) = user.end();
    assert_eq!(code, 130, "{shown}");
    assert!(shown.ends_with('\n'), "{shown:?}");
    gates.open();
}
