//! The server's log: lines of text or JSON on stderr, or entries of systemd's journal.
//!
//! Owns where lines go. A reader that is gone, or takes nothing, must stop no run: lines are written
//! by a thread of their own, and those that it cannot take are left out.

mod journal;

use std::io::{self, IsTerminal, Write};

use action_proto::{escape_in_json, input::shown_value};
use thiserror::Error;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, filter::LevelFilter, fmt::MakeWriter};

use crate::config::{LogFormat, Settings};
use journal::{Journal, JournalFormat};

/// Why there is no log.
#[derive(Debug, Error)]
pub(crate) enum LogError {
    /// The level is none.
    #[error("log_level: {} is not error, warn, info, debug, trace or off, nor TARGET=LEVEL", shown_value(.0))]
    Level(String),
    /// The directives cannot be read.
    #[error("log_level: it is no list of directives such as action_server=debug,info")]
    Directives(#[from] tracing_subscriber::filter::ParseError),
    /// The journal is wanted, and is not there.
    #[error("log_format: journald: there is no journal to write to: {0}; set it to text or json")]
    Journal(#[source] io::Error),
}

/// Of lines that tell where the server can be reached. Whoever had it take a free port learns that
/// from them alone, so they are logged whatever the level, but for `off`.
pub(crate) const ADDRESSES: &str = "addresses";

/// Which lines are logged.
pub(crate) fn filter(settings: &Settings) -> Result<EnvFilter, LogError> {
    let wanted = &settings.log_level;
    let level = |word: &str| word.parse::<LevelFilter>().ok();
    let known = |word: &str| level(word).is_some() || word.contains(['=', ':', '[']);
    let words = wanted
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let directives = words.map(|word| match word {
        // The gravest level of the original.
        _ if word.eq_ignore_ascii_case("fatal") => Ok("error"),
        // EnvFilter takes it for a target, and is silent about all others.
        _ if !wanted.contains('[') && !known(word) => Err(LogError::Level(word.to_owned())),
        _ => Ok(word),
    });
    let mut directives = directives.collect::<Result<Vec<_>, _>>()?;
    if directives.is_empty() {
        directives.push("error");
    }
    let addresses = format!("{ADDRESSES}=info");
    let is_off = |word: &&str| level(word) == Some(LevelFilter::OFF);
    if !directives.iter().all(is_off) {
        // The first: what the setting says of them counts.
        directives.insert(0, &addresses);
    }
    Ok(EnvFilter::try_new(directives.join(","))?)
}

/// Starts the log of a server. What is logged is written for as long as the guard is there.
pub(crate) fn start(settings: &Settings) -> Result<WorkerGuard, LogError> {
    let (format, journal) = match settings.log_format {
        Some(LogFormat::Journald) => {
            let journal = Journal::open().map_err(LogError::Journal)?;
            (LogFormat::Journald, Some(journal))
        }
        Some(format) => (format, None),
        None if journal::is_stderr() => (LogFormat::Text, Journal::open().ok()),
        None => (LogFormat::Text, None),
    };
    match journal {
        None => start_on_stderr(settings, format),
        Some(journal) => {
            let (writer, guard) = queue(journal);
            let log = common(filter(settings)?, writer).with_ansi(false);
            log.event_format(JournalFormat).init();
            Ok(guard)
        }
    }
}

/// Starts the log on stderr, for who looks there, in whatever format the server's is.
pub(crate) fn start_on_stderr(
    settings: &Settings,
    format: LogFormat,
) -> Result<WorkerGuard, LogError> {
    let (writer, guard) = queue(io::stderr());
    let filter = filter(settings)?;
    match format {
        LogFormat::Json => {
            let log = common(filter, move || JsonEscapes(writer.clone()));
            log.with_target(false).json().flatten_event(true).init();
        }
        LogFormat::Text | LogFormat::Journald => {
            let log = common(filter, writer).with_target(false);
            log.with_ansi(io::stderr().is_terminal()).init();
        }
    }
    Ok(guard)
}

/// How many lines wait for a reader that is slow. Each takes 40 bytes of memory from the start.
const QUEUED_LINES: usize = 32 * 1024;

fn queue(writer: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
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

type Log<W> = tracing_subscriber::fmt::SubscriberBuilder<
    tracing_subscriber::fmt::format::DefaultFields,
    tracing_subscriber::fmt::format::Format,
    EnvFilter,
    W,
>;

fn common<W>(filter: EnvFilter, writer: W) -> Log<W>
where
    W: for<'a> MakeWriter<'a> + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_writer(writer)
}
