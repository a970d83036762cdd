//! A document whose commands are run: the files that it shows are written, the lines of its consoles
//! are typed into one shell, and what comes must be what it says.
//!
//! A line `` `FILE`: `` is followed by the block that is the file's content. In a `console` block lines
//! that begin with `$ ` are commands, with those that follow a `\`; the others are what they print.
//! After an edit of the server's files the document must `sleep` before it calls the client.
//! With `UPDATE=1` the document is written anew, with what was printed.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use regex::Regex;
use tempfile::TempDir;

use crate::{
    program::{PATH, program, under_name},
    wait::{CEILING, wait_until},
};

/// How the user of documents is called.
const USER: &str = "anna";
/// How long an output may take to become right after an edit, where another one may be meant.
const HASTE: Duration = Duration::from_secs(2);

/// Types what a document of this repository shows, and compares.
///
/// # Panics
/// What was printed is not what the document says.
#[track_caller]
pub fn follow(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    let told = fs::read_to_string(&path).unwrap();
    let update = env::var_os("UPDATE").is_some();
    let mut reader = Reader {
        shell: Shell::start(),
        edited: false,
        waited: false,
        patience: if update { HASTE } else { CEILING },
        steps: 0,
    };
    let found = reader.read(&told);
    assert!(reader.steps > 0, "{name} has no commands");
    if update {
        fs::write(&path, found).unwrap();
        return;
    }
    if told != found {
        let wrong = |(told, found): &(&str, &str)| told != found;
        let first = told.lines().zip(found.lines()).position(|it| wrong(&it));
        let from = first.unwrap_or(0).saturating_sub(3);
        let part = |text: &str| {
            text.lines()
                .skip(from)
                .take(16)
                .collect::<Vec<_>>()
                .join("\n")
        };
        let (told, found) = (part(&told), part(&found));
        panic!("{name}, from line {from}, says\n{told}\n--- and this came:\n{found}");
    }
}

struct Reader {
    shell: Shell,
    /// Something has been changed, and the server may not have seen it yet.
    edited: bool,
    /// The document has waited since then.
    waited: bool,
    patience: Duration,
    steps: usize,
}

impl Reader {
    /// The document as it should be.
    fn read(&mut self, text: &str) -> String {
        let mut found = String::new();
        let mut lines = text.lines().peekable();
        let mut file = None;
        while let Some(line) = lines.next() {
            found += &format!("{line}\n");
            if !line.starts_with("```") {
                let named = line.strip_prefix('`').and_then(|it| it.strip_suffix("`:"));
                file = named.or(file.filter(|_| line.is_empty()));
                continue;
            }
            let mut block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            match file.take() {
                Some(name) => {
                    block.push("");
                    self.shell.write(name, &block.join("\n"));
                    if name.starts_with("~/action/") {
                        (self.edited, self.waited) = (true, false);
                    }
                    found += &block.join("\n");
                }
                None if line == "```console" => found += &self.console(&block),
                None => {
                    block.push("");
                    found += &block.join("\n");
                }
            }
            found += "```\n";
        }
        found
    }

    fn console(&mut self, block: &[&str]) -> String {
        let mut found = String::new();
        let mut rest = block;
        while let Some(first) = rest.first() {
            assert!(first.starts_with("$ "), "not a command: {first:?}");
            let more = rest.iter().take_while(|line| line.ends_with('\\')).count();
            let (command, after) = rest.split_at(more + 1);
            let end = after.iter().position(|line| line.starts_with("$ "));
            let (told, after) = after.split_at(end.unwrap_or(after.len()));
            let lines =
                |lines: &[&str]| lines.iter().map(|it| format!("{it}\n")).collect::<String>();
            let command = lines(command);
            found += &command;
            found += &self.step(command.trim_start_matches("$ "), &lines(told));
            rest = after;
        }
        found
    }

    /// What a command prints: as it is told, where only what differs each time differs.
    fn step(&mut self, command: &str, told: &str) -> String {
        self.steps += 1;
        let asks = command.contains("action-client");
        self.waited |= command.contains("sleep ");
        assert!(
            !self.edited || !asks || self.waited,
            "no `sleep 1` between an edit and {command:?}"
        );
        // A busy machine may need longer than the document says.
        let patience = if self.edited && asks {
            self.patience
        } else {
            Duration::ZERO
        };
        self.edited &= !asks;
        let end = std::time::Instant::now() + patience;
        let (mut printed, wanted) = (self.shell.run(command), constant(command, told));
        let fits = |printed: &str| constant(command, printed) == wanted;
        while !fits(&printed) && std::time::Instant::now() < end {
            printed = self.shell.run(command);
        }
        if fits(&printed) {
            told.to_owned()
        } else {
            printed
        }
    }
}

/// What must be the same each time: without ids, times, widths, and the order of nodes.
pub fn constant(command: &str, text: &str) -> String {
    let replace = |text: &str, pattern: &str, with: &str| {
        Regex::new(pattern)
            .unwrap()
            .replace_all(text, with)
            .into_owned()
    };
    let text = replace(text, r"p1:[A-Za-z0-9._-]+", "PLAN");
    let text = replace(&text, r"(?-u:\b)[0-9a-f]{32}(?-u:\b)", "JTI");
    // One id in 400 has no digit. No English word is as long without i, l, o and u.
    let text = replace(&text, r"(?-u:\b)[0-9a-hjkmnp-tv-z]{16}(?-u:\b)", "RUN");
    let text = replace(&text, r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]", "");
    let text = replace(&text, r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?Z?", "TIME");
    let text = replace(&text, r"[0-9]+(\.[0-9]+)?(s|ms)(?-u:\b)", "SPAN");
    let text = replace(&text, r" {2,}", " ");
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    if command.contains("-g ") {
        lines.sort_unstable();
    }
    lines.join("\n")
}

/// One shell in a network of its own, where every port is free, and with a home of its own.
struct Shell {
    directory: TempDir,
    child: Child,
    typed: ChildStdin,
    lines: usize,
}

impl Shell {
    fn start() -> Shell {
        let directory = tempfile::tempdir().unwrap();
        let (home, bin) = (directory.path().join(USER), directory.path().join("bin"));
        for made in [&home, &bin] {
            fs::create_dir(made).unwrap();
        }
        for name in ["action-server", "action-client"] {
            under_name(&program(name), &bin, name);
        }
        let mut command = Command::new("unshare");
        command.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.args(["bash", "--noprofile", "--norc"]);
        command
            .env_clear()
            .env("HOME", &home)
            .env("USER", USER)
            .env("LANG", "C.UTF-8");
        command.env("PATH", format!("{}:{PATH}", bin.display()));
        command.current_dir(&home).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let typed = child.stdin.take().unwrap();
        let mut shell = Shell {
            directory,
            child,
            typed,
            lines: 0,
        };
        assert_eq!(
            shell.run("umask 022; ip link set lo up"),
            "",
            "tests run as root"
        );
        shell
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file of the user.
    fn write(&self, name: &str, text: &str) {
        let path = self.path(USER).join(name.trim_start_matches("~/"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Types a command, and waits for its end; where it goes on behind, for somebody who listens.
    fn run(&mut self, command: &str) -> String {
        let command = command.trim_end();
        self.lines += 1;
        let (out, code) = (self.path("out"), self.path(&format!("code.{}", self.lines)));
        let listens = match command.ends_with('&') {
            true => {
                "until (: <>/dev/tcp/127.0.0.1/6304) 2>/dev/null; do read -rt .02 <> <(:); done"
            }
            false => ":",
        };
        let (shown, made) = (out.display(), code.display());
        writeln!(
            self.typed,
            "{{ {command}\n}} </dev/null >{shown} 2>&1\ncode=$?; {listens}; : >{made}; (exit $code)"
        )
        .unwrap();
        wait_until(command, CEILING, || code.exists().then_some(()));
        let printed = String::from_utf8(fs::read(out).unwrap()).unwrap();
        let home = self.path(USER).display().to_string();
        let mut printed = printed.replace(&home, &format!("/home/{USER}"));
        if !printed.is_empty() && !printed.ends_with('\n') {
            printed.push('\n');
        }
        printed
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // All that it started ends with it: it is the first process of its namespace.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
