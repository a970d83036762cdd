//! The last line that a script wrote to stderr: mostly why it failed.

use action_proto::is_unsafe_to_show;

use super::mask::NodeSecrets;

/// The most that is shown of a line, in bytes.
const MOST: usize = 256;
/// The most bytes that are kept of a line, with characters that are not shown.
const KEPT: usize = 4 * MOST;

/// Finds the last line that is not blank.
#[derive(Debug, Default)]
pub(super) struct ErrorLine {
    /// The last whole one.
    last: Vec<u8>,
    /// The beginning of the line that is being written.
    open: Vec<u8>,
}

impl ErrorLine {
    /// Takes what comes next on stderr.
    pub(super) fn add_chunk(&mut self, data: &[u8]) {
        // A line of progress is written over and over behind carriage returns: the last counts.
        let is_break = |byte: &u8| matches!(*byte, b'\n' | b'\r');
        let Some(end) = data.iter().rposition(is_break) else {
            self.write_open(data);
            return;
        };
        let (whole, open) = (&data[..end], &data[end + 1..]);
        let mut lines = whole.splitn(2, is_break);
        self.write_open(lines.next().unwrap_or_default());
        // From the end: most lines need not be looked at.
        let later = lines.next().unwrap_or_default();
        let later = later.rsplit(is_break).find(|line| !is_blank(line));
        if let Some(line) = later {
            self.open.clear();
            self.write_open(line);
        }
        if !is_blank(&self.open) {
            std::mem::swap(&mut self.last, &mut self.open);
        }
        self.open.clear();
        self.write_open(open);
    }

    fn write_open(&mut self, data: &[u8]) {
        let room = KEPT.saturating_sub(self.open.len());
        self.open.extend_from_slice(&data[..room.min(data.len())]);
    }

    /// The line, without what moves a terminal; empty for none. Secrets are looked for again: colours
    /// within one hide it from those who look at the output.
    pub(super) fn display_text(&self, secrets: &NodeSecrets) -> String {
        let line = if is_blank(&self.open) {
            &self.last
        } else {
            &self.open
        };
        let mut text = secrets.hidden_in(&strip_controls(&String::from_utf8_lossy(line)));
        if line.len() == KEPT {
            // The end may be the beginning of a secret.
            let end = text.len().saturating_sub(secrets.longest_secret());
            cut_text(&mut text, end);
        }
        cut_text(&mut text, MOST);
        text
    }
}

fn is_blank(line: &[u8]) -> bool {
    strip_controls(&String::from_utf8_lossy(line)).is_empty()
}

/// A line as a terminal leaves it, without colours and what else moves it.
fn strip_controls(line: &str) -> String {
    let mut shown = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            // A control sequence (ECMA-48, 5.4) goes to its final byte.
            '\u{1b}' if characters.as_str().starts_with('[') => {
                characters.next();
                characters.find(|c| ('\u{40}'..='\u{7e}').contains(c));
            }
            '\t' => shown.push(' '),
            character if is_unsafe_to_show(character) => {}
            character => shown.push(character),
        }
    }
    shown.trim().to_owned()
}

/// Cuts a text to at most so many bytes, between two characters.
fn cut_text(text: &mut String, most: usize) {
    while text.len() > most {
        text.pop();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn last(chunks: &[&[u8]]) -> String {
        let mut line = ErrorLine::default();
        chunks.iter().for_each(|chunk| line.add_chunk(chunk));
        line.display_text(&NodeSecrets::new(["s3cr3tw0rd"]))
    }

    #[test]
    fn it_is_the_last_line_that_says_something() {
        // A bar stands where one chunk ends.
        for (chunks, expected) in [
            (&b""[..], ""),
            (b"\n \n", ""),
            (b"one", "one"),
            (b"one\ntwo", "two"),
            (b"one\ntwo\n\n \n", "two"),
            (b"one\nt|w|o\n", "two"),
            (b"one\n|\n|\t\n", "one"),
            (b"o|ne\n|two\nthree\n| ", "three"),
            (b"10 %\r20 %\rdone\r\n", "done"),
            (
                b"\x1b[1;31merror:\x1b[0m\tno \x07disk\x1b[K\n",
                "error: no disk",
            ),
            (b"\xe2\x80\xaeoff\xff\n", "off\u{fffd}"),
            (b"fine\n\x1b[0m\n", "fine"),
            (b"pw \x1b[31ms3cr3t\x1b[0mw0rd\n", "pw ***"),
            (b"s3c\0r3tw|0rd\x07", "***"),
        ] {
            let parts: Vec<&[u8]> = chunks.split(|byte| *byte == b'|').collect();
            assert_eq!(last(&parts), expected, "{chunks:?}");
        }
    }

    #[test]
    fn a_secret_is_not_cut_in_two() {
        for before in 900..1100 {
            let text = format!("{}s3\x1b[mcr3tw0rd!", "\x07".repeat(before));
            let line = last(&[text.as_bytes()]);
            assert!(["***!", ""].contains(&line.as_str()), "{before}: {line}");
        }
        let progress = "\r downloading  12% of image".repeat(99);
        let end = format!("{progress}\rerror: checksum wrong  \r\n");
        assert_eq!(last(&[end.as_bytes()]), "error: checksum wrong");
    }

    #[test]
    fn it_is_short() {
        let long = "\u{e9}".repeat(5000);
        assert_eq!(last(&[long.as_bytes(), b"x\n"]), "\u{e9}".repeat(128));
        assert_eq!(last(&[format!("x{long}").as_bytes()]).len(), 255);
    }

    proptest! {
        /// However the output is cut into chunks, and always safe to show.
        #[test]
        fn it_does_not_depend_on_chunks(
            parts in prop::collection::vec("[a-c \n\r\t\u{1b}\\[m\u{e9}\u{85}]{0,8}", 0..8),
        ) {
            let whole = parts.concat();
            let chunks: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
            let line = last(&chunks);
            prop_assert_eq!(&line, &last(&[whole.as_bytes()]));
            let mut lines = whole.split(['\n', '\r']).map(strip_controls);
            prop_assert_eq!(&line, &lines.rfind(|line| !line.is_empty()).unwrap_or_default());
            prop_assert!(!line.chars().any(is_unsafe_to_show));
        }
    }
}
