//! Entries of systemd's journal, in its own protocol: one datagram an entry, one field a line.
//! (systemd's documentation, "Native Journal Protocol".)

use std::{
    env, fmt,
    io::{self, Write},
    os::unix::net::UnixDatagram,
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Where the journal takes entries.
const SOCKET: &str = "/run/systemd/journal/socket";
/// The longest value, in characters. One datagram takes some 200 KiB, and what is cut here is whole
/// in the record and in the audit log.
const LONGEST: usize = 4096;

/// Whether stderr goes to the journal: systemd.exec(5), JOURNAL_STREAM.
pub(super) fn is_stderr() -> bool {
    let stat = rustix::fs::fstat(io::stderr());
    let stream = stat.map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    stream.is_ok_and(|stream| env::var("JOURNAL_STREAM").is_ok_and(|own| own == stream))
}

/// The journal's socket.
pub(super) struct JournalSocket(UnixDatagram);

impl JournalSocket {
    /// Looks whether there is a journal.
    pub(super) fn open() -> io::Result<JournalSocket> {
        let there = UnixDatagram::unbound()?;
        there.connect(SOCKET)?;
        // Not this one: after a restart of the journal its socket is another one of that name.
        Ok(JournalSocket(UnixDatagram::unbound()?))
    }
}

impl Write for JournalSocket {
    /// Takes an entry, which comes as a whole.
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        self.0.send_to(entry, SOCKET)?;
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes an event as an entry: the line of text as MESSAGE, and each of its fields by itself.
pub(super) struct JournalFormat;

impl<S, N> FormatEvent<S, N> for JournalFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        context.format_fields(Writer::new(&mut line), event)?;
        let mut entry = JournalEntry {
            writer,
            result: Ok(()),
        };
        entry.field("MESSAGE", &line);
        entry.field("PRIORITY", priority(*event.metadata().level()));
        entry.field("SYSLOG_IDENTIFIER", "action-server");
        event.record(&mut entry);
        entry.result
    }
}

/// syslog(3).
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

/// An entry that is being written.
struct JournalEntry<'a> {
    writer: Writer<'a>,
    result: fmt::Result,
}

impl JournalEntry<'_> {
    /// A value cannot end its line, and so cannot pass for another field.
    fn field(&mut self, name: &str, value: &str) {
        let mut line = format!("{}=", name.to_ascii_uppercase());
        for character in value.chars().take(LONGEST) {
            if character.is_control() {
                line.extend(character.escape_default());
            } else {
                line.push(character);
            }
        }
        if value.chars().nth(LONGEST).is_some() {
            line.push('…');
        }
        self.result = self.result.and_then(|()| writeln!(self.writer, "{line}"));
    }
}

impl Visit for JournalEntry<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != "message" {
            self.field(field.name(), value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn entry(log: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .event_format(JournalFormat)
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn each_field_is_a_line_of_its_own() {
        let seen =
            entry(|| tracing::warn!(run_id = "r1", jobs = 3, gone = None::<&str>, "refused"));
        let expected = "MESSAGE=refused run_id=\"r1\" jobs=3\nPRIORITY=4\nSYSLOG_IDENTIFIER=action-server\nRUN_ID=r1\nJOBS=3\n";
        assert_eq!(seen, expected);
    }

    #[test]
    fn no_value_passes_for_a_field_and_none_is_without_end() {
        let forged = "x\nRUN_ID=other\r\0\u{1b}[0m\u{85}";
        let seen = entry(|| tracing::info!(reason = forged, "{forged}"));
        let lines: Vec<_> = seen.split('\n').collect();
        assert_eq!(lines.len(), 5, "{seen:?}");
        assert!(lines[3].starts_with("REASON=x\\nRUN_ID=other\\r"), "{seen}");
        assert!(!seen.contains(['\0', '\u{1b}', '\u{85}']), "{seen:?}");
        let long = entry(|| tracing::error!(reason = "é".repeat(200_000), "long"));
        assert!(long.len() < 5 * 4 * LONGEST, "{}", long.len());
        assert!(long.contains("é…\n") && long.contains("PRIORITY=3"));
    }
}
