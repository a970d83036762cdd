//! The only writer of stdout and stderr: buffered, and in order with each other.

use crate::error::{CliError, ErrorKind, Result};
use crate::render::status;
use crate::render::terminal::visible_text;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;

/// When text is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Even when it is not a terminal
    Always,
    /// Nowhere
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StdStream {
    /// What was asked for.
    Stdout,
    /// Talk about it.
    Stderr,
}

pub(crate) struct OutputWriter {
    stdout: StreamWriter,
    stderr: StreamWriter,
    last: StdStream,
    status: StatusLine,
    /// Whether stdout goes to another program, which may write to the terminal itself.
    is_piped: bool,
}

struct StreamWriter {
    writer: BufWriter<Box<dyn Write + Send>>,
    terminal: bool,
    filtered: bool,
    coloured: bool,
}

impl OutputWriter {
    /// The process's own streams. `raw` passes control sequences to terminals.
    pub(crate) fn standard(color: ColorChoice, raw: bool, no_color: bool) -> Self {
        let stream = |file: io::Result<File>, terminal: bool| StreamWriter {
            writer: BufWriter::with_capacity(
                1 << 16,
                match file {
                    Ok(file) => Box::new(BlockingFile(file)) as Box<dyn Write + Send>,
                    // Without a descriptor there is no reader.
                    Err(_) => Box::new(io::sink()),
                },
            ),
            terminal,
            filtered: terminal && !raw,
            coloured: match color {
                ColorChoice::Auto => terminal && !no_color,
                ColorChoice::Always => true,
                ColorChoice::Never => false,
            },
        };
        let (stdout, stderr) = (io::stdout(), io::stderr());
        // std's own stdout writes at every newline, which is dear for a million lines.
        let copy = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().map(File::from);
        Self {
            stdout: stream(copy(stdout.as_fd()), stdout.is_terminal()),
            stderr: stream(copy(stderr.as_fd()), stderr.is_terminal()),
            last: StdStream::Stdout,
            status: StatusLine::default(),
            is_piped: status::is_piped(&stdout),
        }
    }

    fn stream(&self, target: StdStream) -> &StreamWriter {
        match target {
            StdStream::Stdout => &self.stdout,
            StdStream::Stderr => &self.stderr,
        }
    }

    /// Whether people read it as it is written.
    pub(crate) fn is_terminal(&self, target: StdStream) -> bool {
        self.stream(target).terminal
    }

    /// Whether control sequences must be made visible there.
    pub(crate) fn is_filtered(&self, target: StdStream) -> bool {
        self.stream(target).filtered
    }

    /// Whether our own words are coloured there.
    pub(crate) fn is_coloured(&self, target: StdStream) -> bool {
        self.stream(target).coloured
    }

    /// Text from the server as it may be shown there.
    pub(crate) fn safe<'a>(&self, target: StdStream, text: &'a str) -> Cow<'a, str> {
        if self.is_filtered(target) {
            visible_text(text)
        } else {
            Cow::Borrowed(text)
        }
    }

    /// Writes bytes as they are. What was written to the other stream before is seen before.
    pub(crate) fn write(&mut self, target: StdStream, bytes: &[u8]) -> Result<()> {
        self.erase_status()?;
        if target != self.last {
            self.flush()?;
            self.last = target;
        }
        let stream = match target {
            StdStream::Stdout => &mut self.stdout,
            StdStream::Stderr => &mut self.stderr,
        };
        if let (true, Some(last)) = (stream.terminal, bytes.last()) {
            self.status.is_amid_line = *last != b'\n';
        }
        stream.writer.write_all(bytes).map_err(write_error)
    }

    /// Writes a line of ours, whose text was made safe where it came from outside.
    pub(crate) fn line(&mut self, target: StdStream, text: &str) -> Result<()> {
        self.write(target, text.as_bytes())?;
        self.write(target, b"\n")
    }

    /// Writes a line whose text is from outside.
    pub(crate) fn safe_line(&mut self, target: StdStream, text: &str) -> Result<()> {
        let text = self.safe(target, text).into_owned();
        self.line(target, &text)
    }

    /// Writes text of clap's, with its colours where there are any.
    pub(crate) fn styled(
        &mut self,
        target: StdStream,
        text: &clap::builder::StyledStr,
    ) -> Result<()> {
        let text = if self.is_coloured(target) {
            text.ansi().to_string()
        } else {
            text.to_string()
        };
        self.write(target, text.trim_end().as_bytes())?;
        self.write(target, b"\n")
    }

    /// Sends everything that is buffered on its way.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.stdout.writer.flush().map_err(write_error)?;
        self.stderr.writer.flush().map_err(write_error)
    }
}

impl OutputWriter {
    /// Shows a line below all output until the next write, unless a line there has not ended.
    pub(crate) fn show_status(&mut self, text: &str) -> Result<()> {
        self.erase_status()?;
        if self.status.is_amid_line || !status::is_foreground() {
            return Ok(());
        }
        self.flush()?;
        // Set before the write and cleared after it: an interrupt in between ends a line too many.
        status::set_shown(true);
        let writer = &mut self.stderr.writer;
        let written = writer.write_all(text.as_bytes());
        written.and_then(|()| writer.flush()).map_err(write_error)?;
        self.status.shown = Some(text.chars().count());
        Ok(())
    }

    /// Takes note that the user has ended the line on the terminal, by typing.
    pub(crate) fn line_was_ended(&mut self) {
        self.status.is_amid_line = false;
    }

    /// Whether the status line may stand: only this process writes to the terminal.
    pub(crate) fn may_show_status(&self) -> bool {
        self.stderr.terminal && self.stderr.filtered && !self.is_piped
    }

    /// How wide such a line may be.
    pub(crate) fn columns(&self) -> usize {
        status::terminal_columns()
    }

    /// Takes the line away again.
    pub(crate) fn erase_status(&mut self) -> Result<()> {
        let Some(width) = self.status.shown.take() else {
            return Ok(());
        };
        let writer = &mut self.stderr.writer;
        let written =
            writer.write_all(status::erase_sequence(width, status::terminal_columns()).as_bytes());
        written.and_then(|()| writer.flush()).map_err(write_error)?;
        status::set_shown(false);
        Ok(())
    }
}

#[derive(Default)]
struct StatusLine {
    /// How wide the line is that stands there.
    shown: Option<usize>,
    /// Whether what was written last to a terminal does not end with a newline.
    is_amid_line: bool,
}

fn write_error(error: io::Error) -> CliError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => CliError::new(ErrorKind::BrokenPipe, "nobody reads"),
        // The run goes on even if our output fails.
        _ => CliError::new(ErrorKind::Lost, "cannot write the output").caused_by(error),
    }
}

/// A file that waits if another process made the shared terminal or pipe non-blocking.
struct BlockingFile(File);

impl Write for BlockingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    use rustix::event::{PollFd, PollFlags, poll};
                    poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None)?;
                }
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod memory {
    //! An `OutputWriter` that tests can read.

    use super::*;
    use std::sync::{Arc, Mutex};

    /// What was written, in order, as (stream, text).
    #[derive(Clone, Default)]
    pub(crate) struct CapturedOutput(Arc<Mutex<Vec<(StdStream, u8)>>>);

    struct CapturedWriter(CapturedOutput, StdStream);

    impl Write for CapturedWriter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut captured = self.0.0.lock().unwrap();
            captured.extend(bytes.iter().map(|&byte| (self.1, byte)));
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl CapturedOutput {
        /// What one stream got.
        pub(crate) fn of(&self, target: StdStream) -> Vec<u8> {
            let captured = self.0.lock().unwrap();
            captured
                .iter()
                .filter(|(of, _)| *of == target)
                .map(|(_, byte)| *byte)
                .collect()
        }

        /// What one stream got, as text.
        pub(crate) fn text(&self, target: StdStream) -> String {
            String::from_utf8(self.of(target)).unwrap()
        }
    }

    impl OutputWriter {
        /// An output into memory; `terminal` filters as on a terminal.
        pub(crate) fn memory(terminal: bool) -> (Self, CapturedOutput) {
            let captured = CapturedOutput::default();
            let stream = |target| StreamWriter {
                writer: BufWriter::new(Box::new(CapturedWriter(captured.clone(), target)) as _),
                terminal,
                filtered: terminal,
                coloured: false,
            };
            let output = Self {
                stdout: stream(StdStream::Stdout),
                stderr: stream(StdStream::Stderr),
                last: StdStream::Stdout,
                status: StatusLine::default(),
                is_piped: !terminal,
            };
            (output, captured)
        }
    }
}
