//! A site: a directory with a server's settings, nodes and commands, before a server runs on it
//! and while one does.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    gate::Gate,
    program::{Ran, Running, hermetic, program, run, under_name, write_script},
    server::Server,
    wait::{CEILING, wait_until},
};

/// The settings of a site: those of `init`, but a stop waits little for runs, and a script that
/// ends when it is asked has the time that a busy machine takes. A story with scripts that do not
/// end sets a short `kill_grace`; one that calls a server that stops, a long `drain_timeout`.
const SETTINGS: &str = "\
listen: \"127.0.0.1:6304\"
jwt_secret_path: jwt_secret
nodes_config_path: nodes.yaml
command_directory_path: libexec
state_directory: state
drain_timeout: 500ms
kill_grace: 60s
";

/// The directory of a server. Everything in it is gone with the value.
///
/// Scripts find it as `$SCRIPT_ROOT/..`.
#[derive(Debug)]
pub struct Site {
    directory: TempDir,
}

impl Default for Site {
    fn default() -> Site {
        Site::new()
    }
}

impl Site {
    /// A site with one node, `n1`, and no commands.
    pub fn new() -> Site {
        let site = Site::shipped();
        site.write("server.yaml", SETTINGS);
        fs::remove_dir_all(site.path("libexec")).unwrap();
        fs::create_dir(site.path("libexec")).unwrap();
        site.nodes("n1: {}\n");
        site
    }

    /// A site as `action-server init` makes it.
    pub fn shipped() -> Site {
        let site = Site {
            directory: tempfile::tempdir().unwrap(),
        };
        for directory in ["bin", "home"] {
            fs::create_dir(site.path(directory)).unwrap();
        }
        let mut init = hermetic(site.program("action-server"), &site.path("home"));
        init.arg("init").arg(site.directory.path());
        _ = run(init).ok();
        site
    }

    /// Leaves the directory where it is, for whoever made the one above it.
    pub fn leave_behind(&mut self) {
        self.directory.disable_cleanup(true);
    }

    /// A file of the site.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A program under test, under its own name.
    pub fn program(&self, name: &str) -> PathBuf {
        under_name(&program(name), &self.path("bin"), name)
    }

    /// Writes a file of the site, in place where it is there already.
    pub fn write(&self, name: impl AsRef<Path>, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Reads a file of the site.
    #[track_caller]
    pub fn read(&self, name: impl AsRef<Path>) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Whether a file of the site is there.
    pub fn has(&self, name: impl AsRef<Path>) -> bool {
        self.path(name).exists()
    }

    /// Writes the nodes file.
    pub fn nodes(&self, text: &str) {
        self.write("nodes.yaml", text);
    }

    /// Gives one of the settings that are there another value.
    #[track_caller]
    pub fn set(&self, name: &str, value: &str) {
        let text = self.read("server.yaml");
        let (mut found, start) = (false, format!("{name}:"));
        let line = |line: &str| match line.starts_with(&start) {
            true => {
                found = true;
                format!("{start} {value}\n")
            }
            false => format!("{line}\n"),
        };
        let text: String = text.lines().map(line).collect();
        assert!(found, "no {name} in the settings");
        self.write("server.yaml", text);
    }

    /// Adds lines to the settings.
    pub fn settings(&self, lines: &str) {
        let text = self.read("server.yaml");
        self.write("server.yaml", format!("{text}{lines}\n"));
    }

    /// Writes a command that has no more than it needs: a default script, given without its
    /// first line.
    pub fn command(&self, name: &str, script: &str) {
        self.command_with(name, "help: {summary: a test}\n", script);
    }

    /// Writes a command with this metadata.
    pub fn command_with(&self, name: &str, metadata: &str, script: &str) {
        self.script(&format!("{name}/default.sh"), script);
        self.write(format!("libexec/{name}/metadata.yaml"), metadata);
    }

    /// Writes a bash script below the command directory, given without its first line.
    pub fn script(&self, name: &str, script: &str) {
        self.whole_script(name, format!("#!/bin/bash\n{script}\n"));
    }

    /// Writes a file that can be executed below the command directory.
    pub fn whole_script(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path("libexec").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_script(&path, text);
    }

    /// Makes a place where scripts wait: `read -r < "$SCRIPT_ROOT/../NAME"`.
    pub fn gate(&self, name: &str) -> Gate {
        Gate::new(&self.path(name))
    }

    /// Runs a verb of `action-server` on the site's settings, to its end.
    #[track_caller]
    pub fn server_verb(&self, words: &[&str]) -> Ran {
        Running::start(self.server_verb_command(words), self.hidden()).finish()
    }

    /// The same, to be started elsewhere.
    pub fn server_verb_command(&self, words: &[&str]) -> std::process::Command {
        let mut command = hermetic(self.program("action-server"), &self.path("home"));
        command.args(words);
        command.arg("--config").arg(self.path("server.yaml"));
        command
    }

    /// Runs a verb of `action-server` that needs no settings, in the site's directory.
    #[track_caller]
    pub fn server_verb_alone(&self, words: &[&str]) -> Ran {
        let mut command = hermetic(self.program("action-server"), &self.path("home"));
        command.args(words).current_dir(self.path(""));
        Running::start(command, self.hidden()).finish()
    }

    /// Runs the server where it must not get as far as to serve.
    #[track_caller]
    pub fn refused(&self) -> Ran {
        self.server_verb(&["serve", "--listen", "127.0.0.1:0"])
    }

    /// The token that `init` made.
    pub fn token(&self) -> String {
        let text = self.read("client.yaml");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("jwt_token: "));
        line.unwrap().to_owned()
    }

    /// The secret that tokens are signed with.
    pub fn secret(&self) -> String {
        self.read("jwt_secret").trim().to_owned()
    }

    /// What is hidden in what programs wrote: where the site is.
    pub fn hidden(&self) -> Vec<(String, String)> {
        let path = fs::canonicalize(self.directory.path()).unwrap();
        let shown = |path: &Path| (path.display().to_string(), "SITE".to_owned());
        vec![shown(&path), shown(self.directory.path())]
    }

    /// Starts a server on the site.
    #[track_caller]
    pub fn start(self) -> Server {
        Server::start(self, |_| {})
    }
}

/// The audit log.
impl Site {
    /// Its lines so far, each of which must be JSON.
    #[track_caller]
    pub fn audit(&self) -> Vec<Value> {
        let text = self.read("state/audit.jsonl");
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let read = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}"));
        whole
            .split('\n')
            .filter(|line| !line.is_empty())
            .map(read)
            .collect()
    }

    /// Waits for the first line of this event that has these fields, and returns it.
    #[track_caller]
    pub fn audited(&self, event: &str, fields: &Value) -> Value {
        wait_until(&format!("{event} with {fields}"), CEILING, || {
            let fits = |line: &Value| {
                let mut wanted = fields.as_object().unwrap().iter();
                line["event"] == event && wanted.all(|(key, value)| line[key] == *value)
            };
            self.audit().into_iter().find(fits)
        })
    }
}

/// The records of runs, as files.
impl Site {
    /// The file of a run's record.
    #[track_caller]
    pub fn record(&self, run_id: &str) -> PathBuf {
        let entries = fs::read_dir(self.path("state/runs")).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        let ending = format!("-{run_id}.run");
        paths
            .find(|path| path.to_str().unwrap().ends_with(&ending))
            .unwrap_or_else(|| panic!("no record of {run_id}"))
    }

    /// Writes copies of a record, as of runs that were accepted before it, a millisecond apart, the newest
    /// first. `id` makes the ids: of 16 characters, digits and letters without i, l, o and u.
    pub fn copy_record(&self, run_id: &str, count: usize, id: impl Fn(usize) -> String) {
        let record = self.record(run_id);
        let bytes = fs::read(&record).unwrap();
        let name = record.file_name().unwrap().to_str().unwrap();
        let (time, _) = name.split_once('-').unwrap();
        let time: usize = time.parse().unwrap();
        for at in 0..count {
            let name = format!("{:013}-{}.run", time - 1 - at, id(at));
            fs::write(record.with_file_name(name), &bytes).unwrap();
        }
    }

    /// Writes a run's events with `action-server runs export`.
    #[track_caller]
    pub fn export(&self, run_id: &str) -> Ran {
        self.server_verb(&["runs", "export", run_id])
    }
}
