//! Output for people: whole lines with their node's name, or the bytes of a single node.

use crate::error::Result;
use crate::render::lines::{LineAssembler, LineEnd};
use crate::render::output::{OutputWriter, StdStream};
use crate::render::prefix;
use crate::render::tally::Tally;
use crate::render::terminal::TerminalFilter;
use action_proto::v1::{NodeOutput, OutputStream, RunEvent, run_event::Event};
use std::collections::HashMap;

pub(crate) struct HumanRenderer {
    prefixed: bool,
    /// How wide prefixes are on a terminal.
    width: usize,
    /// Of each node that has not ended: stdout and stderr.
    nodes: HashMap<String, [StreamReader; 2]>,
    /// What is to be written next, reused.
    block: Vec<u8>,
}

/// Lines are written together up to this many bytes.
const BLOCK: usize = 64 * 1024;

#[derive(Default)]
struct StreamReader {
    prefix: Vec<u8>,
    lines: LineAssembler,
    filter: TerminalFilter,
}

impl HumanRenderer {
    /// `prefixed` puts the node's name before each line even when there is only one node.
    pub(crate) fn new(prefixed: bool) -> Self {
        Self {
            prefixed,
            width: 0,
            nodes: HashMap::new(),
            block: Vec::new(),
        }
    }

    pub(crate) fn render_event(
        &mut self,
        event: &RunEvent,
        output: &mut OutputWriter,
    ) -> Result<()> {
        match &event.event {
            Some(Event::RunStarted(started)) => {
                self.prefixed =
                    (self.prefixed && !started.nodes.is_empty()) || started.nodes.len() > 1;
                self.width = prefix::names_width(&started.nodes);
                Ok(())
            }
            Some(Event::NodeOutput(chunk)) if self.prefixed => self.show_lines(chunk, output),
            Some(Event::NodeOutput(chunk)) => self.show_bytes(chunk, output),
            Some(Event::NodeFinished(finished)) => self.finish(&finished.node, output),
            Some(Event::NodeStarted(_) | Event::RunFinished(_)) | None => Ok(()),
        }
    }

    /// Shows what was held back of nodes that have not ended; the others have been taken off.
    pub(crate) fn finish_all(&mut self, output: &mut OutputWriter) -> Result<()> {
        let mut rest: Vec<String> = self.nodes.keys().cloned().collect();
        rest.sort_unstable();
        rest.iter().try_for_each(|node| self.finish(node, output))
    }

    /// Prints the end of the run, or its state; `summed_up` even for a single node.
    pub(crate) fn render_end(
        &mut self,
        tally: &Tally,
        summed_up: bool,
        output: &mut OutputWriter,
    ) -> Result<()> {
        let last = if self.prefixed || summed_up {
            Some(tally.summary())
        } else {
            tally.single_node_remark()
        };
        for line in tally.job_notes().into_iter().chain(last) {
            output.safe_line(StdStream::Stderr, &line)?;
        }
        Ok(())
    }

    /// The reader of a node's stream, and the empty block.
    fn reader(
        &mut self,
        node: &str,
        target: StdStream,
        output: &OutputWriter,
    ) -> (&mut StreamReader, &mut Vec<u8>) {
        if !self.nodes.contains_key(node) {
            let reader = |target| StreamReader {
                prefix: prefix::prefix_of(node, self.width, target, output),
                ..StreamReader::default()
            };
            let readers = [reader(StdStream::Stdout), reader(StdStream::Stderr)];
            self.nodes.insert(node.to_owned(), readers);
        }
        let [stdout, stderr] = self.nodes.entry(node.to_owned()).or_default();
        let reader = if target == StdStream::Stdout {
            stdout
        } else {
            stderr
        };
        self.block.clear();
        (reader, &mut self.block)
    }

    fn show_lines(&mut self, chunk: &NodeOutput, output: &mut OutputWriter) -> Result<()> {
        let Some(target) = target_of(chunk) else {
            return Ok(());
        };
        let is_filtered = output.is_filtered(target);
        let (reader, block) = self.reader(&chunk.node, target, output);
        let StreamReader {
            prefix,
            lines,
            filter,
        } = reader;
        lines.push(&chunk.data, |text, _| {
            add_line(prefix, text, is_filtered.then_some(&mut *filter), block);
            if block.len() < BLOCK {
                return Ok(());
            }
            let written = output.write(target, block);
            block.clear();
            written
        })?;
        if block.is_empty() {
            Ok(())
        } else {
            output.write(target, block)
        }
    }

    fn show_bytes(&mut self, chunk: &NodeOutput, output: &mut OutputWriter) -> Result<()> {
        let Some(target) = target_of(chunk) else {
            return Ok(());
        };
        if !output.is_filtered(target) {
            return output.write(target, &chunk.data);
        }
        let (reader, block) = self.reader(&chunk.node, target, output);
        reader.filter.push(&chunk.data, block);
        output.write(target, block)
    }

    /// Writes what was held back of a node's output: a last line without a newline.
    fn finish(&mut self, node: &str, output: &mut OutputWriter) -> Result<()> {
        let Some([stdout, stderr]) = self.nodes.remove(node) else {
            return Ok(());
        };
        for (target, mut reader) in [(StdStream::Stdout, stdout), (StdStream::Stderr, stderr)] {
            let StreamReader {
                prefix,
                lines,
                filter,
            } = &mut reader;
            let buffer = &mut self.block;
            buffer.clear();
            if self.prefixed {
                let filter = output.is_filtered(target).then_some(filter);
                lines.finish(|text, _: LineEnd| {
                    add_line(prefix, text, filter, buffer);
                    output.write(target, buffer)
                })?;
                continue;
            }
            filter.finish(buffer);
            if !filter.style().is_empty() {
                buffer.extend(b"\x1b[0m");
            }
            if !buffer.is_empty() {
                output.write(target, buffer)?;
            }
        }
        Ok(())
    }
}

fn target_of(chunk: &NodeOutput) -> Option<StdStream> {
    match chunk.stream() {
        OutputStream::Stdout => Some(StdStream::Stdout),
        OutputStream::Stderr => Some(StdStream::Stderr),
        OutputStream::Unspecified => None,
    }
}

/// Adds a line or piece to the block, so that lines of other nodes never get into it.
fn add_line(prefix: &[u8], text: &[u8], filter: Option<&mut TerminalFilter>, block: &mut Vec<u8>) {
    block.extend_from_slice(prefix);
    let Some(filter) = filter else {
        block.extend_from_slice(text);
        block.push(b'\n');
        return;
    };
    // Colours go on in the node's next line, and not in the lines of others between.
    block.extend(filter.style());
    filter.push(text, block);
    filter.push(b"\n", block);
    if !filter.style().is_empty() {
        block.pop();
        block.extend(b"\x1b[0m\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_proto::v1::{NodeFinished, Outcome, RunStarted};

    fn started(nodes: &[&str]) -> Event {
        let nodes = nodes.iter().map(ToString::to_string).collect();
        Event::RunStarted(RunStarted {
            command: "usage".into(),
            nodes,
            ..RunStarted::default()
        })
    }

    fn wrote(node: &str, stream: OutputStream, data: &[u8]) -> Event {
        let data = data.to_vec().into();
        Event::NodeOutput(NodeOutput {
            node: node.into(),
            stream: stream.into(),
            data,
        })
    }

    fn ended(node: &str) -> Event {
        Event::NodeFinished(NodeFinished {
            node: node.into(),
            outcome: Outcome::Ok.into(),
            exit_code: Some(0),
            ..NodeFinished::default()
        })
    }

    fn shown(prefixed: bool, terminal: bool, events: Vec<Event>) -> (Vec<u8>, String) {
        let (mut output, captured) = OutputWriter::memory(terminal);
        let (mut human, mut tally) = (HumanRenderer::new(prefixed), Tally::default());
        for event in events {
            let event = RunEvent {
                event: Some(event),
                ..RunEvent::default()
            };
            tally.take_event(&event);
            human.render_event(&event, &mut output).unwrap();
        }
        human.finish_all(&mut output).unwrap();
        human.render_end(&tally, false, &mut output).unwrap();
        output.flush().unwrap();
        (
            captured.of(StdStream::Stdout),
            captured.text(StdStream::Stderr),
        )
    }

    use OutputStream::{Stderr, Stdout};

    #[test]
    fn lines_of_several_nodes_are_whole_and_prefixed() {
        let (stdout, stderr) = shown(
            false,
            false,
            vec![
                started(&["n1", "n2"]),
                wrote("n1", Stdout, b"one\ntw"),
                wrote("n2", Stdout, b"eins\n"),
                wrote("n2", Stderr, b"oh\n"),
                wrote("n1", Stdout, b"o\nthree"),
                ended("n1"),
                ended("n2"),
            ],
        );
        assert_eq!(stdout, b"n1: one\nn2: eins\nn1: two\nn1: three\n");
        assert_eq!(stderr, "n2: oh\nok n[1-2] (2)\n");
    }

    #[test]
    fn a_single_node_is_bare_and_exact() {
        let bytes = b"\x1b[2Jpartial \xff\r";
        let events = || vec![started(&["n1"]), wrote("n1", Stdout, bytes), ended("n1")];
        assert_eq!(
            shown(false, false, events()),
            (bytes.to_vec(), String::new())
        );
        assert_eq!(shown(false, true, events()).0, b"^[[2Jpartial \\xff^M");
        let (stdout, stderr) = shown(true, false, events());
        assert_eq!(stdout, b"n1: \x1b[2Jpartial \xff\r\n");
        assert_eq!(stderr, "ok n1 (1)\n");
    }

    #[test]
    fn colour_stays_with_its_node() {
        let events = vec![
            started(&["n1", "n2"]),
            wrote("n1", Stdout, b"\x1b[31mred\n"),
            wrote("n2", Stdout, b"plain\n"),
            wrote("n1", Stdout, b"red\x1b[0m\nplain\x1b[\n"),
            ended("n1"),
            ended("n2"),
        ];
        let (stdout, _) = shown(false, true, events);
        assert_eq!(
            String::from_utf8(stdout).unwrap(),
            "n1: \x1b[31mred\x1b[0m\nn2: plain\nn1: \x1b[31mred\x1b[0m\nn1: plain^[[\n"
        );
    }

    #[test]
    fn a_command_without_nodes_has_no_prefix() {
        let events = vec![started(&[]), wrote("", Stdout, b"x\n"), ended("")];
        assert_eq!(shown(true, false, events), (b"x\n".to_vec(), String::new()));
    }

    #[test]
    fn what_was_held_is_shown_when_the_stream_ends_early() {
        let events = vec![started(&["n1", "n2"]), wrote("n1", Stdout, b"half")];
        let (stdout, stderr) = shown(false, false, events);
        assert_eq!(stdout, b"n1: half\n");
        assert_eq!(stderr, "running n[1-2] (2)\n");
    }
}
