//! A program's run to its end: how long it took, what it wrote, how much memory it had at most.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use action_tests::usage;

/// Where a program's output goes: a file, as with anybody who keeps it.
pub(crate) struct Sink<'a>(pub(crate) &'a Path);

impl Sink<'_> {
    /// Runs a program to its end: milliseconds. What it wrote must be so many lines.
    pub(crate) fn time(&self, command: &mut Command, lines: usize) -> f64 {
        let took = self.run(command);
        let text = fs::read(self.0).expect("the output");
        let found = text.iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(found, lines, "lines of {command:?}");
        took
    }

    /// Runs a program to its end, whatever it writes: milliseconds.
    pub(crate) fn run(&self, command: &mut Command) -> f64 {
        let file = File::create(self.0).expect("a file for the output");
        command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(Stdio::null());
        let began = Instant::now();
        let status = command.status().expect("the program");
        let took = began.elapsed();
        assert!(status.success(), "{command:?}: {status}");
        millis(took)
    }

    /// Runs a program to its end: the most memory that it had, in MiB.
    pub(crate) fn peak(&self, command: &mut Command) -> f64 {
        let file = File::create(self.0).expect("a file for the output");
        let mut child = command.stdout(file).spawn().expect("the program");
        let id = i32::try_from(child.id()).expect("an id");
        let mut peak = 0;
        while child.try_wait().expect("the program").is_none() {
            // Gone between the two looks, it has no memory to tell of.
            if let Some(now) = usage::try_memory(id, "VmHWM") {
                peak = peak.max(now);
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        mebibytes(peak)
    }
}

/// A time in milliseconds.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// KiB in MiB.
pub(crate) fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}
