//! `--output-dir`: a file for each stream of each node.

use crate::error::{CliError, ErrorKind, Result};
use action_proto::input::shown_file;
use action_proto::v1::{NodeOutput, OutputStream, RunEvent, run_event::Event};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub(crate) struct OutputFiles {
    directory: PathBuf,
    /// Stands for the node of a command that takes none.
    command: String,
    /// Of nodes that run: the two streams.
    open: HashMap<String, [File; 2]>,
}

impl OutputFiles {
    /// Makes the directory, so that a run is not started whose output cannot be kept.
    pub(crate) fn create(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory).map_err(|error| {
            CliError::new(
                ErrorKind::Config,
                format!("cannot create {}", crate::config::path_text(directory)),
            )
            .caused_by(error)
        })?;
        Ok(Self {
            directory: directory.to_owned(),
            command: String::new(),
            open: HashMap::new(),
        })
    }

    pub(crate) fn take_event(&mut self, event: &RunEvent) -> Result<()> {
        match &event.event {
            Some(Event::RunStarted(started)) => {
                self.command.clone_from(&started.command);
                // What an earlier run left of these nodes is not to be taken for this one's.
                let names = started.nodes.iter().map(String::as_str);
                for node in names.chain(started.nodes.is_empty().then_some("")) {
                    for path in self.paths(node)? {
                        match fs::remove_file(&path) {
                            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                                return Err(failed(&path, error));
                            }
                            _ => {}
                        }
                    }
                }
                Ok(())
            }
            Some(Event::NodeStarted(started)) => self.files(&started.node).map(|_| ()),
            Some(Event::NodeOutput(chunk)) => self.write(chunk),
            Some(Event::NodeFinished(finished)) => {
                self.open.remove(&finished.node);
                Ok(())
            }
            Some(Event::RunFinished(_)) | None => Ok(()),
        }
    }

    fn write(&mut self, chunk: &NodeOutput) -> Result<()> {
        let index = match chunk.stream() {
            OutputStream::Stdout => 0,
            OutputStream::Stderr => 1,
            OutputStream::Unspecified => return Ok(()),
        };
        let written = self.files(&chunk.node)?[index].write_all(&chunk.data);
        written.map_err(|error| failed(&self.directory, error))
    }

    fn files(&mut self, node: &str) -> Result<&mut [File; 2]> {
        if !self.open.contains_key(node) {
            let files = self.open_files(node)?;
            self.open.insert(node.to_owned(), files);
        }
        let message = || CliError::new(ErrorKind::Lost, "a file of the output is not open");
        self.open.get_mut(node).ok_or_else(message)
    }

    fn open_files(&self, node: &str) -> Result<[File; 2]> {
        let open = |path: &PathBuf| {
            let mut options = OpenOptions::new();
            let file = options.create(true).append(true).open(path);
            file.map_err(|error| failed(path, error))
        };
        let [stdout, stderr] = self.paths(node)?;
        Ok([open(&stdout)?, open(&stderr)?])
    }

    fn paths(&self, node: &str) -> Result<[PathBuf; 2]> {
        let name = if node.is_empty() { &self.command } else { node };
        // The server's word is not enough for where a file is written.
        let is_safe = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_safe) {
            let message = format!("`{name}` cannot be the name of a file");
            return Err(CliError::new(ErrorKind::Lost, message));
        }
        Ok(["stdout", "stderr"].map(|stream| self.directory.join(format!("{name}.{stream}"))))
    }
}

/// The run goes on even if our files fail.
fn failed(path: &Path, error: io::Error) -> CliError {
    let message = format!("cannot write {}", shown_file(path));
    CliError::new(ErrorKind::Lost, message).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_proto::v1::{NodeFinished, NodeStarted, RunStarted};

    fn take_event(files: &mut OutputFiles, event: Event) -> Result<()> {
        files.take_event(&RunEvent {
            event: Some(event),
            ..RunEvent::default()
        })
    }

    fn started(nodes: &[&str]) -> Event {
        Event::RunStarted(RunStarted {
            command: "usage".into(),
            nodes: nodes.iter().map(ToString::to_string).collect(),
            ..RunStarted::default()
        })
    }

    fn wrote(node: &str, data: &[u8]) -> Event {
        Event::NodeOutput(NodeOutput {
            node: node.into(),
            stream: OutputStream::Stdout.into(),
            data: data.to_vec().into(),
        })
    }

    #[test]
    fn each_stream_is_a_file_and_nothing_old_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join("out").join(name);
        let mut files = OutputFiles::create(&directory.path().join("out")).unwrap();
        fs::write(path("n1.stdout"), "old").unwrap();
        fs::write(path("n2.stdout"), "old").unwrap();
        let began = |node: &str| {
            let node = node.to_owned();
            Event::NodeStarted(NodeStarted {
                node,
                ..NodeStarted::default()
            })
        };
        let node = "n1".to_owned();
        let ended = Event::NodeFinished(NodeFinished {
            node,
            ..NodeFinished::default()
        });
        for event in [
            started(&["n1", "n2"]),
            began("n1"),
            wrote("n1", b"a\xff"),
            wrote("n1", b"b"),
            ended,
        ] {
            take_event(&mut files, event).unwrap();
        }
        assert_eq!(fs::read(path("n1.stdout")).unwrap(), b"a\xffb");
        assert_eq!(fs::read(path("n1.stderr")).unwrap(), b"");
        assert!(!path("n2.stdout").exists());
        take_event(&mut files, started(&[])).unwrap();
        take_event(&mut files, wrote("", b"x")).unwrap();
        assert_eq!(fs::read(path("usage.stdout")).unwrap(), b"x");
    }

    #[test]
    fn a_name_does_not_lead_out_of_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = OutputFiles::create(directory.path()).unwrap();
        for name in ["../x", "/etc/x", "a/b", "..", ".hidden", "a\0b"] {
            assert!(take_event(&mut files, wrote(name, b"x")).is_err(), "{name}");
        }
    }
}
