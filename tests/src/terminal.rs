//! A terminal with a user at it: a pseudo-terminal (pty(7)) whose other side is the test.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    thread,
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::{
    program::Ran,
    wait::{CEILING, wait_until},
};

/// Runs a program with all three streams on a terminal where `typed` is typed ahead. What the
/// terminal shows has the typed text too: the terminal echoes it.
#[track_caller]
pub fn run(mut command: Command, typed: &str, hidden: Vec<(String, String)>) -> Ran {
    let (mut ours, theirs) = open();
    ours.write_all(typed.as_bytes()).unwrap();
    let stream = || Stdio::from(theirs.try_clone().unwrap());
    command.stdin(stream()).stdout(stream()).stderr(stream());
    let mut child = command.spawn().unwrap();
    // Only the program has the terminal now, so that its end is the end of what it shows.
    drop((command, theirs));
    let mut reader = ours.try_clone().unwrap();
    let shown = thread::spawn(move || {
        let mut shown = Vec::new();
        // The end is an error, EIO.
        _ = reader.read_to_end(&mut shown);
        shown
    });
    let status = wait_until("the program's end", CEILING, || child.try_wait().unwrap());
    let shown = String::from_utf8(shown.join().unwrap()).unwrap();
    Ran::on_terminal(shown.replace("\r\n", "\n").into(), status, hidden)
}

fn open() -> (File, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = rustix::fs::open(name, flags, Mode::empty()).unwrap();
    (File::from(ours), theirs)
}
