//! The server's log: lines of text or JSON on stderr, or entries of systemd's journal.
//!
//! Owns where lines go. A reader that is gone, or takes nothing, must stop no run: lines are written
//! by a thread of their own, and those that it cannot take are left out.

mod journal;

use std::io::{self, IsTerminal, Write};

use action_proto::escape_in_json;
use thiserror::Error;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

pub(crate) use crate::config::ADDRESSES;
use crate::config::{LogFormat, Settings, log_filter};
use journal::{JournalFormat, JournalSocket};

/// Why there is no log.
#[derive(Debug, Error)]
pub(crate) enum LogError {
    /// The journal is wanted, and is not there.
    #[error("log_format: journald: there is no journal to write to: {0}; set it to text or json")]
    Journal(#[source] io::Error),
}

/// Starts the log of a server. What is logged is written for as long as the guard is there.
pub(crate) fn start(settings: &Settings) -> Result<WorkerGuard, LogError> {
    let (format, journal) = match settings.log_format {
        Some(LogFormat::Journald) => {
            let journal = JournalSocket::open().map_err(LogError::Journal)?;
            (LogFormat::Journald, Some(journal))
        }
        Some(format) => (format, None),
        None if journal::is_stderr() => (LogFormat::Text, JournalSocket::open().ok()),
        None => (LogFormat::Text, None),
    };
    match journal {
        None => Ok(start_on_stderr(settings, format)),
        Some(journal) => {
            let (writer, guard) = start_queue(journal);
            let log = log_builder(filter(settings), writer).with_ansi(false);
            log.event_format(JournalFormat).init();
            Ok(guard)
        }
    }
}

/// Starts the log on stderr, for who looks there, in whatever format the server's is.
pub(crate) fn start_on_stderr(settings: &Settings, format: LogFormat) -> WorkerGuard {
    let (writer, guard) = start_queue(io::stderr());
    let filter = filter(settings);
    match format {
        LogFormat::Json => {
            let log = log_builder(filter, move || JsonEscapes(writer.clone()));
            log.with_target(false).json().flatten_event(true).init();
        }
        LogFormat::Text | LogFormat::Journald => {
            let log = log_builder(filter, writer).with_target(false);
            log.with_ansi(io::stderr().is_terminal()).init();
        }
    }
    guard
}

fn filter(settings: &Settings) -> EnvFilter {
    // The settings have checked that it can be read.
    log_filter(&settings.log_level).unwrap_or_default()
}

/// How many lines wait for a reader that is slow. Each takes 40 bytes of memory from the start.
const QUEUED_LINES: usize = 32 * 1024;

fn start_queue(writer: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .buffered_lines_limit(QUEUED_LINES)
        .finish(writer)
}

/// Lines of JSON, in which nothing drives a terminal.
struct JsonEscapes(NonBlocking);

impl Write for JsonEscapes {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(line) {
            Ok(text) => self.0.write_all(escape_in_json(text).as_bytes())?,
            Err(_) => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

type LogBuilder<W> = tracing_subscriber::fmt::SubscriberBuilder<
    tracing_subscriber::fmt::format::DefaultFields,
    tracing_subscriber::fmt::format::Format,
    EnvFilter,
    W,
>;

fn log_builder<W>(filter: EnvFilter, writer: W) -> LogBuilder<W>
where
    W: for<'a> MakeWriter<'a> + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_writer(writer)
}
