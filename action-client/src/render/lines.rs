//! Cuts output into lines: one assembler for each node and stream. Pure.

use memchr::memchr;

/// The longest line that is kept until it ends; a longer one is passed on in pieces.
pub(crate) const LIMIT: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// The script wrote a newline, which is not part of the piece.
    Newline,
    /// The line is longer than `LIMIT` and goes on in the next piece.
    Cut,
    /// The stream ended without a newline.
    Stream,
}

/// Cuts one stream of one node into lines.
#[derive(Debug, Default)]
pub(crate) struct LineAssembler {
    pending: Vec<u8>,
}

impl LineAssembler {
    /// Takes the next bytes and gives every piece that they complete to `emit`.
    pub(crate) fn push<E>(
        &mut self,
        mut data: &[u8],
        mut emit: impl FnMut(&[u8], LineEnd) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(position) = memchr(b'\n', data) {
            let (line, rest) = data.split_at(position);
            data = &rest[1..];
            if self.pending.is_empty() {
                self.cut_and_emit(line, &mut emit)?;
            } else {
                self.pending.extend_from_slice(line);
                let line = std::mem::take(&mut self.pending);
                self.cut_and_emit(&line, &mut emit)?;
                // The room is kept for the next line.
                self.pending = line;
                self.pending.clear();
            }
        }
        self.pending.extend_from_slice(data);
        while self.pending.len() > LIMIT {
            let cut = cut_of(&self.pending);
            let rest = self.pending.split_off(cut);
            let piece = std::mem::replace(&mut self.pending, rest);
            emit(&piece, LineEnd::Cut)?;
        }
        Ok(())
    }

    /// A whole line, in pieces if it is too long.
    fn cut_and_emit<E>(
        &self,
        mut line: &[u8],
        emit: &mut impl FnMut(&[u8], LineEnd) -> Result<(), E>,
    ) -> Result<(), E> {
        while line.len() > LIMIT {
            let (piece, rest) = line.split_at(cut_of(line));
            emit(piece, LineEnd::Cut)?;
            line = rest;
        }
        emit(line, LineEnd::Newline)
    }

    /// The last line, when the stream ended without a newline.
    pub(crate) fn finish<E>(
        &mut self,
        emit: impl FnOnce(&[u8], LineEnd) -> Result<(), E>,
    ) -> Result<(), E> {
        let last = std::mem::take(&mut self.pending);
        if last.is_empty() {
            Ok(())
        } else {
            emit(&last, LineEnd::Stream)
        }
    }
}

/// The place to cut a long line: at the limit, or before the UTF-8 character across it.
fn cut_of(line: &[u8]) -> usize {
    let is_continuation = |at: usize| line.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    let back = (0..4)
        .find(|&back| !is_continuation(LIMIT - back))
        .unwrap_or(0);
    LIMIT - back
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn cut(chunks: &[&[u8]]) -> Vec<(Vec<u8>, LineEnd)> {
        let mut assembler = LineAssembler::default();
        let mut pieces = Vec::new();
        let mut emit = |text: &[u8], end| {
            pieces.push((text.to_vec(), end));
            Ok::<(), Infallible>(())
        };
        for chunk in chunks {
            let Ok(()) = assembler.push(chunk, &mut emit);
        }
        let Ok(()) = assembler.finish(&mut emit);
        pieces
    }

    #[test]
    fn lines_come_whole() {
        let pieces = cut(&[b"one\ntw", b"o", b"\n\nthr", b"ee"]);
        let expected = [
            (b"one".to_vec(), LineEnd::Newline),
            (b"two".to_vec(), LineEnd::Newline),
            (Vec::new(), LineEnd::Newline),
            (b"three".to_vec(), LineEnd::Stream),
        ];
        assert_eq!(pieces, expected);
        assert_eq!(cut(&[b"a\n", b""]), [(b"a".to_vec(), LineEnd::Newline)]);
    }

    #[test]
    fn a_line_past_the_limit_is_cut_between_characters() {
        let mut line = vec![b'x'; LIMIT - 1];
        line.extend("\u{e9}yz\n".bytes());
        let (head, tail) = line.split_at(500_000);
        for chunks in [vec![line.as_slice()], vec![head, tail]] {
            let pieces = cut(&chunks);
            assert_eq!(pieces.len(), 2);
            assert_eq!(pieces[0], (vec![b'x'; LIMIT - 1], LineEnd::Cut));
            assert_eq!(
                pieces[1],
                ("\u{e9}yz".as_bytes().to_vec(), LineEnd::Newline)
            );
        }
    }

    #[test]
    fn bytes_without_end_do_not_pile_up() {
        let mut assembler = LineAssembler::default();
        let mut seen = 0;
        for _ in 0..100 {
            let result = assembler.push(&[0x80; 100_000], |piece, _| {
                seen += piece.len();
                Ok::<(), Infallible>(())
            });
            assert_eq!(result, Ok(()));
            assert!(assembler.pending.len() <= LIMIT);
        }
        assert!(seen >= 9_000_000);
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            chunks in proptest::collection::vec(proptest::collection::vec(
                prop_oneof![Just(b'\n'), any::<u8>()], 0..8), 0..8)
        ) {
            let whole = chunks.concat();
            let slices: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let pieces = cut(&slices);
            prop_assert_eq!(&pieces, &cut(&[&whole]));
            let mut back = Vec::new();
            for (text, end) in pieces {
                back.extend(text);
                if end == LineEnd::Newline { back.push(b'\n'); }
            }
            prop_assert_eq!(back, whole);
        }
    }
}
