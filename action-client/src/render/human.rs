//! Owns the output for people: whole lines under their node's name for several nodes, plain
//! bytes for a single one. Fed RunEvents only, so live runs and replays look the same.

use crate::error::Result;
use crate::render::lines::{LineAssembler, LineEnd};
use crate::render::output::{OutputWriter, StdStream};
use crate::render::prefix;
use crate::render::tally::Tally;
use crate::render::terminal::TerminalFilter;
use action_proto::v1::{NodeOutput, OutputStream, RunEvent, run_event::Event};
use std::collections::HashMap;

/// Shows a run to people.
pub(crate) struct HumanRenderer {
    prefixed: bool,
    /// How wide prefixes are on a terminal.
    width: usize,
    nodes: HashMap<String, NodeStreams>,
    /// What is to be written next, reused.
    block: Vec<u8>,
}

/// How many bytes are written at once, but for a longer line: whole lines are put together to that,
/// since a write for each is dear for a million.
const BLOCK: usize = 64 * 1024;

/// What has been read of a node's two streams.
#[derive(Default)]
struct NodeStreams {
    stdout: StreamReader,
    stderr: StreamReader,
}

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

    /// Shows the next event.
    pub(crate) fn show(&mut self, event: &RunEvent, output: &mut OutputWriter) -> Result<()> {
        match &event.event {
            Some(Event::RunStarted(started)) => {
                self.prefixed =
                    (self.prefixed && !started.nodes.is_empty()) || started.nodes.len() > 1;
                self.width = prefix::width(&started.nodes);
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

    /// Says how the run ended, or what is known of it when the stream ended early: `summed_up`
    /// even for a single node.
    pub(crate) fn conclude(
        &mut self,
        tally: &Tally,
        summed_up: bool,
        output: &mut OutputWriter,
    ) -> Result<()> {
        let last = if self.prefixed || summed_up {
            Some(tally.summary())
        } else {
            tally.remark()
        };
        for line in tally.notes().into_iter().chain(last) {
            output.safe_line(StdStream::Stderr, &line)?;
        }
        Ok(())
    }

    fn show_lines(&mut self, chunk: &NodeOutput, output: &mut OutputWriter) -> Result<()> {
        let Some(target) = target_of(chunk) else {
            return Ok(());
        };
        let Self {
            nodes,
            block,
            width,
            ..
        } = self;
        let NodeStreams { stdout, stderr } = streams_of(nodes, &chunk.node, *width, output);
        let StreamReader {
            prefix,
            lines,
            filter,
        } = if target == StdStream::Stdout {
            stdout
        } else {
            stderr
        };
        let is_filtered = output.is_filtered(target);
        block.clear();
        lines.push(&chunk.data, |text, _| {
            add_line(prefix, text, is_filtered.then_some(&mut *filter), block);
            if block.len() < BLOCK {
                return Ok(());
            }
            let written = output.write(target, block);
            block.clear();
            written
        })?;
        match block.is_empty() {
            true => Ok(()),
            false => output.write(target, block),
        }
    }

    fn show_bytes(&mut self, chunk: &NodeOutput, output: &mut OutputWriter) -> Result<()> {
        let Some(target) = target_of(chunk) else {
            return Ok(());
        };
        if !output.is_filtered(target) {
            return output.write(target, &chunk.data);
        }
        let streams = streams_of(&mut self.nodes, &chunk.node, self.width, output);
        let StreamReader { filter, .. } = if target == StdStream::Stdout {
            &mut streams.stdout
        } else {
            &mut streams.stderr
        };
        self.block.clear();
        filter.push(&chunk.data, &mut self.block);
        output.write(target, &self.block)
    }

    /// Writes what was held back of a node's output: a last line without a newline.
    fn finish(&mut self, node: &str, output: &mut OutputWriter) -> Result<()> {
        let Some(streams) = self.nodes.remove(node) else {
            return Ok(());
        };
        let NodeStreams { stdout, stderr } = streams;
        for (target, mut reading) in [(StdStream::Stdout, stdout), (StdStream::Stderr, stderr)] {
            let StreamReader {
                prefix,
                lines,
                filter,
            } = &mut reading;
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

fn streams_of<'a>(
    nodes: &'a mut HashMap<String, NodeStreams>,
    node: &str,
    width: usize,
    output: &OutputWriter,
) -> &'a mut NodeStreams {
    if !nodes.contains_key(node) {
        let reading = |target| StreamReader {
            prefix: prefix::of(node, width, target, output),
            ..StreamReader::default()
        };
        let (stdout, stderr) = (reading(StdStream::Stdout), reading(StdStream::Stderr));
        nodes.insert(node.to_owned(), NodeStreams { stdout, stderr });
    }
    nodes.entry(node.to_owned()).or_default()
}

/// Adds one line or piece of one to what is written at once, so that lines of others never get
/// into it.
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
            tally.take(&event);
            human.show(&event, &mut output).unwrap();
        }
        human.finish_all(&mut output).unwrap();
        human.conclude(&tally, false, &mut output).unwrap();
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
