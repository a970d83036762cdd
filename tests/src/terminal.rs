//! A terminal with a user at it: a pseudo-terminal (pty(7)) whose other side is the test.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::{
    program::Ran,
    wait::{CEILING, wait_until},
};

/// A program with all three streams on a terminal. What the terminal shows has the typed text too:
/// the terminal echoes it.
#[derive(Debug)]
pub struct Session {
    ours: File,
    child: Child,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
    hidden: Vec<(String, String)>,
}

impl Session {
    /// Starts the program where `typed` is typed ahead.
    #[track_caller]
    pub fn start(mut command: Command, typed: &str, hidden: Vec<(String, String)>) -> Session {
        let (mut ours, theirs) = open();
        ours.write_all(typed.as_bytes()).unwrap();
        let stream = || Stdio::from(theirs.try_clone().unwrap());
        command.stdin(stream()).stdout(stream()).stderr(stream());
        let child = command.spawn().unwrap();
        // Only the program has the terminal now, so that its end is the end of what it shows.
        drop((command, theirs));
        let shown: Arc<Mutex<Vec<u8>>> = Arc::default();
        let mut from = ours.try_clone().unwrap();
        let into = Arc::clone(&shown);
        let reader = thread::spawn(move || {
            let mut chunk = [0; 4096];
            // The end is an error, EIO.
            while let Ok(count @ 1..) = from.read(&mut chunk) {
                into.lock().unwrap().extend(&chunk[..count]);
            }
        });
        Session {
            ours,
            child,
            shown,
            reader,
            hidden,
        }
    }

    /// Waits until the terminal shows this.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        wait_until(&format!("{text:?} on the terminal"), CEILING, || {
            let shown = self.shown.lock().unwrap();
            String::from_utf8_lossy(&shown).contains(text).then_some(())
        });
    }

    /// Types this.
    #[track_caller]
    pub fn type_text(&mut self, text: &str) {
        self.ours.write_all(text.as_bytes()).unwrap();
    }

    /// Waits for the program's end: what the terminal showed.
    #[track_caller]
    pub fn finish(mut self) -> Ran {
        let status = wait_until("the program's end", CEILING, || {
            self.child.try_wait().unwrap()
        });
        self.reader.join().unwrap();
        let shown = std::mem::take(&mut *self.shown.lock().unwrap());
        let shown = String::from_utf8(shown).unwrap();
        Ran::on_terminal(shown.replace("\r\n", "\n").into(), status, self.hidden)
    }
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
