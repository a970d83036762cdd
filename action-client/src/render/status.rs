//! The terminal around the status line: its width, and how the line is erased.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

/// Columns of a terminal that does not say how many it has.
const USUAL_COLUMNS: usize = 80;

static SHOWN: AtomicBool = AtomicBool::new(false);

/// How many columns the terminal on stderr has now.
pub(super) fn terminal_columns() -> usize {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => USUAL_COLUMNS,
    }
}

/// Whether this process is in the terminal's foreground.
pub(super) fn is_foreground() -> bool {
    let group = rustix::termios::tcgetpgrp(io::stderr());
    // On a terminal of no session there is no such thing as a foreground.
    group.map_or(true, |group| group == rustix::process::getpgrp())
}

/// Whether a stream is a pipe or a socket.
pub(super) fn is_piped(stream: &impl AsFd) -> bool {
    use rustix::fs::{FileType, fstat};
    let is_pipe = |kind| matches!(kind, FileType::Fifo | FileType::Socket);
    fstat(stream).is_ok_and(|stat| is_pipe(FileType::from_raw_mode(stat.st_mode)))
}

/// The sequence that erases a line this wide, which a narrower terminal may have wrapped.
pub(super) fn erase_sequence(width: usize, columns: usize) -> String {
    let rows = width.div_ceil(columns.max(1)).max(1);
    format!("\r{}\x1b[J", "\x1b[A".repeat(rows - 1))
}

/// Remembers whether the line stands there.
pub(super) fn set_shown(is_shown: bool) {
    SHOWN.store(is_shown, Ordering::Relaxed);
}

/// Moves below the status line before the process ends. Does not wait for a stopped terminal.
pub(crate) fn leave() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    if !SHOWN.swap(false, Ordering::Relaxed) {
        return;
    }
    let stderr = io::stderr();
    let at_once = Timespec::default();
    if let Ok(1) = poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&at_once)) {
        // The process ends now, whether it could be written or not.
        let _ = rustix::io::write(&stderr, b"\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_wrapped_is_taken_away_whole() {
        assert_eq!(erase_sequence(79, 80), "\r\x1b[J");
        assert_eq!(erase_sequence(0, 80), "\r\x1b[J");
        assert_eq!(erase_sequence(79, 40), "\r\x1b[A\x1b[J");
        assert_eq!(erase_sequence(81, 40), "\r\x1b[A\x1b[A\x1b[J");
        assert_eq!(
            erase_sequence(5, 0),
            format!("\r{}\x1b[J", "\x1b[A".repeat(4))
        );
    }
}
