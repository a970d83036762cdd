//! A disk that hangs: calls of the server to its state directory wait until the test lets them go on.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    program::write_script,
    server::Server,
    site::Site,
    wait::{CEILING, wait_until},
};

/// What the kernel asks about each call of the server: see the file.
const SUPERVISOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/hanging_calls.py");

/// The calls that can hang.
pub const KINDS: [&str; 5] = ["write", "fsync", "read", "open", "rename"];

/// The disk of a server's state directory. Needs root.
#[derive(Debug)]
pub struct HangingDisk {
    control: PathBuf,
}

impl HangingDisk {
    /// Starts a server on such a disk, which works at first.
    #[track_caller]
    pub fn start(site: Site) -> (Server, HangingDisk) {
        HangingDisk::start_with(site, |_| {})
    }

    /// The same; `change` may change how.
    #[track_caller]
    pub fn start_with(site: Site, change: impl FnOnce(&mut Command)) -> (Server, HangingDisk) {
        let control = site.path("disk");
        fs::create_dir(&control).unwrap();
        let program = site.program("action-server");
        let wrapper = site.path("bin/on-hanging-disk");
        let words = [
            Path::new(SUPERVISOR),
            &site.path("state"),
            &control,
            &program,
        ];
        let words = words.map(|word| format!("'{}'", word.display())).join(" ");
        write_script(
            &wrapper,
            format!("#!/bin/sh\nexec python3 {words} \"$@\"\n"),
        );
        (
            Server::start_changed(site, &wrapper, change),
            HangingDisk { control },
        )
    }

    /// Has calls of a kind hang from now on.
    pub fn hang(&self, kind: &str) {
        _ = fs::remove_file(self.control.join(format!("held-{kind}")));
        fs::write(self.control.join(format!("hang-{kind}")), "").unwrap();
    }

    /// Waits until one hangs.
    #[track_caller]
    pub fn wait_until_held(&self, kind: &str) {
        let held = self.control.join(format!("held-{kind}"));
        wait_until(&format!("a {kind} to hang"), CEILING, || {
            held.exists().then_some(())
        });
    }

    /// Lets them go on.
    pub fn release(&self, kind: &str) {
        _ = fs::remove_file(self.control.join(format!("hang-{kind}")));
    }
}

impl Drop for HangingDisk {
    fn drop(&mut self) {
        // The server is to end also where a test has failed.
        KINDS.iter().for_each(|kind| self.release(kind));
    }
}
