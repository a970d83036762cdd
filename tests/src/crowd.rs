//! Processes that have nothing to do with a server and do nothing: what a busy host has many of.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::program::hermetic;

/// Many processes, ended when this is dropped.
#[derive(Debug)]
pub struct Crowd(Child);

impl Crowd {
    /// Starts `count` processes, whose parent is one shell. They wait for the FIFO `gate`, which
    /// nobody opens.
    #[track_caller]
    pub fn start(count: usize, home: &Path) -> Crowd {
        let gate = home.join("crowd");
        let made = Command::new("mkfifo").arg(&gate).status().unwrap();
        assert!(made.success());
        // A small shell makes small processes.
        let mut shell = hermetic("/bin/sh", home);
        let script = "i=0; while [ $i -lt \"$1\" ]; do read -r line <\"$2\" & i=$((i+1)); done; echo ready; wait";
        shell
            .args(["-c", script, "crowd", &count.to_string()])
            .arg(&gate)
            .process_group(0)
            .stdout(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let crowd = Crowd(child);
        assert_eq!(line, "ready\n", "the crowd did not start");
        crowd
    }

    /// The shell's process id.
    pub fn id(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.id()) {
            _ = kill_process_group(group, Signal::KILL);
        }
        _ = self.0.wait();
    }
}
