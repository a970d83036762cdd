//! Filters control sequences: scripts and names may change a terminal's colour only. Pure.

use std::borrow::Cow;

/// The longest colour sequence that is let through.
const LONGEST_SEQUENCE: usize = 64;
/// The most colour state that is carried from one line to the next.
const LONGEST_STYLE: usize = 256;

/// Makes control sequences visible, except colour. A state machine: chunks may be cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct TerminalFilter {
    state: FilterState,
    /// A sequence or character that has begun.
    held: Vec<u8>,
    /// The colour sequences in force: all since the last reset.
    style: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum FilterState {
    #[default]
    Ground,
    /// A carriage return, harmless only before a newline.
    Return,
    /// ESC.
    Escape,
    /// ESC [ and parameters of what may become a colour sequence.
    Sequence,
    /// A UTF-8 character of which this many bytes are still to come.
    Character(u8),
}

impl TerminalFilter {
    /// Takes the next bytes and appends what may be shown of them to `out`.
    pub(crate) fn push(&mut self, data: &[u8], out: &mut Vec<u8>) {
        for &byte in data {
            while !self.take_byte(byte, out) {}
        }
    }

    /// Shows what was held back, at the end of a stream or line.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        self.give_up(out);
    }

    /// The colour sequences that are in force; empty when there is nothing to reset.
    pub(crate) fn style(&self) -> &[u8] {
        &self.style
    }

    /// Takes one byte; false when it must be offered again because the state was left.
    fn take_byte(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        match self.state {
            FilterState::Ground => self.begin_byte(byte, out),
            FilterState::Return => {
                if byte == b'\n' {
                    out.push(b'\r');
                    self.reset_state();
                } else {
                    self.give_up(out);
                }
                return false;
            }
            FilterState::Escape if byte == b'[' => {
                self.held.push(byte);
                self.state = FilterState::Sequence;
            }
            FilterState::Sequence if byte == b'm' => {
                self.held.push(byte);
                self.take_colour(out);
            }
            FilterState::Sequence
                if matches!(byte, b'0'..=b'9' | b';' | b':')
                    && self.held.len() < LONGEST_SEQUENCE =>
            {
                self.held.push(byte);
            }
            FilterState::Character(missing) if byte & 0xC0 == 0x80 => {
                self.held.push(byte);
                if missing > 1 {
                    self.state = FilterState::Character(missing - 1);
                } else {
                    show_character(&self.held, out);
                    self.reset_state();
                }
            }
            FilterState::Escape | FilterState::Sequence | FilterState::Character(_) => {
                self.give_up(out);
                return false;
            }
        }
        true
    }

    fn begin_byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        let state = match byte {
            b'\n' | b'\t' | b' '..=b'~' => {
                out.push(byte);
                return;
            }
            b'\r' => FilterState::Return,
            0x1B => FilterState::Escape,
            0xC2..=0xDF => FilterState::Character(1),
            0xE0..=0xEF => FilterState::Character(2),
            0xF0..=0xF4 => FilterState::Character(3),
            _ => {
                show_byte(byte, out);
                return;
            }
        };
        self.held.push(byte);
        self.state = state;
    }

    fn take_colour(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.held);
        let parameters = &self.held[2..self.held.len() - 1];
        if parameters.iter().all(|byte| *byte == b'0') {
            self.style.clear();
        } else if self.style.len() + self.held.len() <= LONGEST_STYLE {
            self.style.extend_from_slice(&self.held);
        }
        self.reset_state();
    }

    /// What was held is not what it might have become: shows it byte for byte.
    fn give_up(&mut self, out: &mut Vec<u8>) {
        for &byte in &self.held {
            show_byte(byte, out);
        }
        self.reset_state();
    }

    fn reset_state(&mut self) {
        self.held.clear();
        self.state = FilterState::Ground;
    }
}

/// A byte outside of any character: as is, or in caret or hexadecimal notation.
fn show_byte(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b' '..=b'~' => out.push(byte),
        0..=0x1F => out.extend([b'^', byte + 0x40]),
        0x7F => out.extend(b"^?"),
        _ => out.extend(format!("\\x{byte:02x}").bytes()),
    }
}

/// A whole character. C1 controls act like ESC, and bidirectional ones reorder the text.
fn show_character(bytes: &[u8], out: &mut Vec<u8>) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        for &byte in bytes {
            show_byte(byte, out);
        }
        return;
    };
    for c in text.chars() {
        if action_proto::is_unsafe_to_show(c) {
            out.extend(format!("<U+{:04X}>", u32::from(c)).bytes());
        } else {
            out.extend(c.encode_utf8(&mut [0; 4]).bytes());
        }
    }
}

/// A name or a message from the server, made safe to show; newlines and tabs stay.
pub(crate) fn visible_text(text: &str) -> Cow<'_, str> {
    if text
        .chars()
        .all(|c| c == '\n' || c == '\t' || (' '..='~').contains(&c))
    {
        return Cow::Borrowed(text);
    }
    let mut filter = TerminalFilter::default();
    let mut out = Vec::with_capacity(text.len() + 8);
    for &byte in text.as_bytes() {
        // Names and messages have no business with colour either.
        if byte == 0x1B {
            filter.finish(&mut out);
            out.extend(b"^[");
        } else {
            filter.push(&[byte], &mut out);
        }
    }
    filter.finish(&mut out);
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(chunks: &[&[u8]]) -> String {
        let mut filter = TerminalFilter::default();
        let mut out = Vec::new();
        for chunk in chunks {
            filter.push(chunk, &mut out);
        }
        filter.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn colour_passes_and_the_rest_is_shown() {
        let table: &[(&[u8], &str)] = &[
            (b"plain\ttext\n", "plain\ttext\n"),
            (b"\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
            (b"\x1b[38:2::1:2:3m", "\x1b[38:2::1:2:3m"),
            (b"\x1b[2J", "^[[2J"),
            (b"\x1b[?25l", "^[[?25l"),
            (b"\x1b]0;title\x07", "^[]0;title^G"),
            (b"\x1b[1\x1b[m", "^[[1\x1b[m"),
            (b"\x1b", "^["),
            (b"\x1b[3", "^[[3"),
            (b"a\rb\r\n", "a^Mb\r\n"),
            (b"\x08\x7f\x00", "^H^?^@"),
            ("\u{9b}31m \u{202e}x".as_bytes(), "<U+009B>31m <U+202E>x"),
            (b"\x9b31m", "\\x9b31m"),
            ("h\u{e9} \u{1F600}\n".as_bytes(), "h\u{e9} \u{1F600}\n"),
            (b"\xff\xc3(", "\\xff\\xc3("),
            (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
        ];
        for (data, expected) in table {
            assert_eq!(shown(&[data]), *expected);
        }
        let long = [b"\x1b[".as_slice(), &[b'1'; 100], b"m"].concat();
        assert!(!shown(&[&long]).contains('\x1b'));
    }

    #[test]
    fn colours_in_force_are_known() {
        let mut filter = TerminalFilter::default();
        let mut out = Vec::new();
        filter.push(b"\x1b[1m\x1b[31mx", &mut out);
        assert_eq!(filter.style(), b"\x1b[1m\x1b[31m");
        filter.push(b"\x1b[0m", &mut out);
        assert_eq!(filter.style(), b"");
    }

    #[test]
    fn names_are_made_safe() {
        assert_eq!(visible_text("cnode01"), "cnode01");
        assert_eq!(visible_text("\x1b[31mh\u{e9}\x07"), "^[[31mh\u{e9}^G");
        assert_eq!(visible_text("a\nb"), "a\nb");
    }

    /// Bidi_Control of Unicode, and what ends a line for some terminals.
    const ACTING: &str = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\
                          \u{2066}\u{2067}\u{2068}\u{2069}\u{2028}\u{2029}";

    fn data() -> impl Strategy<Value = Vec<u8>> {
        let colours: &[&[u8]] = &[b"\x1b[1m", b"\x1b[38;2;1;2;3m", b"\x1b[0m", b"\r\n"];
        let acting: Vec<char> = ACTING.chars().collect();
        let part = prop_oneof![
            3 => any::<u8>().prop_map(|byte| vec![byte]),
            3 => proptest::sample::select(&b"\x1b[m1;:\r\n\xc2\x9b\xe2\x80\xae"[..]).prop_map(|byte| vec![byte]),
            2 => proptest::sample::select(colours).prop_map(<[u8]>::to_vec),
            1 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
            1 => proptest::sample::select(acting).prop_map(|c| c.to_string().into_bytes()),
            1 => (0usize..100).prop_map(|length| [b"\x1b[", &vec![b'1'; length][..], b"m"].concat()),
        ];
        proptest::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
    }

    /// What is left of a text when its colours are taken out.
    fn without_colours(text: &str) -> String {
        let mut parts = text.split("\x1b[");
        let mut rest = parts.next().unwrap().to_owned();
        for part in parts {
            let (parameters, text) = part.split_once('m').unwrap();
            assert!(parameters.len() <= LONGEST_SEQUENCE, "{part:?}");
            assert!(
                parameters
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b";:".contains(&b)),
                "{part:?}"
            );
            rest.push_str(text);
        }
        rest
    }

    fn is_harmless(c: char) -> bool {
        "\n\t".contains(c) || !c.is_control() && !ACTING.contains(c)
    }

    proptest! {
        #[test]
        fn no_bytes_at_any_chunking_act_on_the_terminal(
            data in data(),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
        ) {
            let text = shown(&[&data]);
            prop_assert!(without_colours(&text).replace("\r\n", "\n").chars().all(is_harmless), "{text:?}");

            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
            cuts.extend([0, data.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|ends| &data[ends[0]..ends[1]]).collect();
            prop_assert_eq!(&text, &shown(&chunks));
            let bytes: Vec<&[u8]> = data.chunks(1).collect();
            prop_assert_eq!(&text, &shown(&bytes));
        }

        #[test]
        fn what_is_kept_is_bounded_and_colour_only(data in data()) {
            let mut filter = TerminalFilter::default();
            for byte in &data {
                filter.push(&[*byte], &mut Vec::new());
                prop_assert!(filter.held.len() <= LONGEST_SEQUENCE && filter.style.len() <= LONGEST_STYLE);
                prop_assert_eq!(without_colours(std::str::from_utf8(filter.style()).unwrap()), "");
            }
        }

        #[test]
        fn no_name_has_even_a_colour(name in any::<String>(), data in data()) {
            for text in [name, String::from_utf8_lossy(&data).into_owned()] {
                let safe = visible_text(&text);
                prop_assert!(safe.replace("\r\n", "\n").chars().all(is_harmless), "{safe:?}");
            }
        }
    }
}
