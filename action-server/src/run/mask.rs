//! Hides a node's secrets in what its script prints, before anything of it is recorded.
//!
//! Each secret becomes `***`, also where it is cut by the border of two chunks: the end of a
//! chunk that may be the beginning of a secret waits for what follows.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use bytes::{Bytes, BytesMut};

/// What stands in place of a secret.
const MASK: &[u8] = b"***";
/// Shorter values are not hidden: they would be found everywhere, and hiding them tells more of
/// them than it hides.
const LEAST: usize = 4;

/// The secrets of a node, ready to be looked for.
#[derive(Debug, Clone)]
pub(super) struct Secrets {
    values: Arc<[Vec<u8>]>,
    finder: Option<AhoCorasick>,
}

impl Secrets {
    /// Secrets from their values, in any order.
    pub(super) fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Secrets {
        let long = values.into_iter().filter(|value| value.len() >= LEAST);
        let mut values: Vec<Vec<u8>> = long.map(|value| value.as_bytes().to_vec()).collect();
        values.sort();
        values.dedup();
        let finder = (!values.is_empty()).then(|| {
            AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(&values)
        });
        // Building fails only past limits that the bound on values keeps away.
        Secrets {
            values: values.into(),
            finder: finder.and_then(Result::ok),
        }
    }

    /// Where the bytes begin that may be the beginning of a secret; their length when none do.
    fn tail(&self, bytes: &[u8]) -> usize {
        let longest = self.values.iter().map(Vec::len).max().unwrap_or(0);
        let start = bytes.len().saturating_sub(longest.saturating_sub(1));
        let begins = |at: &usize| {
            let rest = &bytes[*at..];
            self.values
                .iter()
                .any(|secret| secret.len() > rest.len() && secret.starts_with(rest))
        };
        (start..bytes.len()).find(begins).unwrap_or(bytes.len())
    }
}

/// Hides secrets in one stream.
#[derive(Debug)]
pub(super) struct Mask {
    secrets: Secrets,
    held: BytesMut,
}

impl Mask {
    pub(super) fn new(secrets: Secrets) -> Mask {
        Mask {
            secrets,
            held: BytesMut::new(),
        }
    }

    /// The next chunk without secrets. Its end may be held back.
    pub(super) fn pass(&mut self, chunk: Bytes) -> Bytes {
        let Some(finder) = &self.secrets.finder else {
            return chunk;
        };
        let whole = match self.held.is_empty() {
            true => chunk,
            false => {
                self.held.extend_from_slice(&chunk);
                self.held.split().freeze()
            }
        };
        let tail = self.secrets.tail(&whole);
        let mut shown = BytesMut::new();
        let mut done = 0;
        for found in finder.find_iter(&whole[..]) {
            // What begins in the tail may yet turn out to be a longer one.
            if found.start() >= tail {
                break;
            }
            shown.extend_from_slice(&whole[done..found.start()]);
            shown.extend_from_slice(MASK);
            done = found.end();
        }
        let tail = tail.max(done);
        self.held.extend_from_slice(&whole[tail..]);
        if done == 0 {
            // Nothing was hidden: no byte needs to be copied.
            return whole.slice(..tail);
        }
        shown.extend_from_slice(&whole[done..tail]);
        shown.freeze()
    }

    /// What was held back, at the end of the stream.
    pub(super) fn finish(&mut self) -> Bytes {
        let rest = self.held.split().freeze();
        let Some(finder) = &self.secrets.finder else {
            return rest;
        };
        // A whole secret may be held where a longer one begins with it.
        let mut shown = Vec::new();
        finder.replace_all_with_bytes(&rest, &mut shown, |_, _, out| {
            out.extend_from_slice(MASK);
            true
        });
        shown.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(secrets: &[&str], chunks: &[&[u8]]) -> Vec<u8> {
        let mut mask = Mask::new(Secrets::new(secrets.iter().copied()));
        let mut shown = Vec::new();
        for chunk in chunks {
            shown.extend_from_slice(&mask.pass(Bytes::copy_from_slice(chunk)));
        }
        shown.extend_from_slice(&mask.finish());
        shown
    }

    #[test]
    fn secrets_are_hidden_also_across_borders() {
        let secrets = ["hunter2", "hunter2-long", "short", "abc"];
        for (chunks, expected) in [
            (&[&b"pw=hunter2\n"[..]][..], &b"pw=***\n"[..]),
            (&[b"pw=hun", b"ter", b"2\n"], b"pw=***\n"),
            (&[b"hunter2", b"-long!"], b"***!"),
            (&[b"hunter2", b"-lon"], b"***-lon"),
            (&[b"hunter"], b"hunter"),
            (&[b"abc hunterhunter2"], b"abc hunter***"),
            (&[b"", b"\xff\x00hunter2\xff"], b"\xff\x00***\xff"),
        ] {
            assert_eq!(masked(&secrets, chunks), expected, "{chunks:?}");
        }
        assert_eq!(masked(&[], &[b"anything"]), b"anything");
    }

    #[test]
    fn nothing_waits_that_cannot_be_a_secret() {
        let mut mask = Mask::new(Secrets::new(["hunter2"]));
        assert_eq!(
            &mask.pass(Bytes::from_static(b"Password: "))[..],
            b"Password: "
        );
        assert_eq!(&mask.pass(Bytes::from_static(b"a h"))[..], b"a ");
        assert_eq!(&mask.finish()[..], b"h");
    }

    /// From left to right, the longest secret that begins there.
    fn model(secrets: &[String], text: &[u8]) -> Vec<u8> {
        let mut shown = Vec::new();
        let mut rest = text;
        while let Some((first, others)) = rest.split_first() {
            let here = secrets.iter().map(String::as_bytes);
            let here = here.filter(|secret| secret.len() >= LEAST && rest.starts_with(secret));
            match here.map(<[u8]>::len).max() {
                Some(length) => {
                    shown.extend_from_slice(MASK);
                    rest = &rest[length..];
                }
                None => {
                    shown.push(*first);
                    rest = others;
                }
            }
        }
        shown
    }

    fn check(secrets: &[String], text: &[u8], is_cut: impl Fn(usize) -> bool) {
        let longest = secrets.iter().map(String::len).max().unwrap_or(0);
        let mut mask = Mask::new(Secrets::new(secrets.iter().map(String::as_str)));
        let mut shown = Vec::new();
        let mut from = 0;
        for to in (1..=text.len()).filter(|&to| to == text.len() || is_cut(to)) {
            shown.extend_from_slice(&mask.pass(Bytes::copy_from_slice(&text[from..to])));
            assert!(
                mask.held.len() < longest.max(1),
                "more waits than may be a secret"
            );
            from = to;
        }
        shown.extend_from_slice(&mask.finish());
        assert_eq!(shown, model(secrets, text), "{secrets:?} in {text:?}");
    }

    proptest! {
        #[test]
        fn short_texts_at_every_chunking(
            text in "[abx]{0,9}",
            secrets in proptest::collection::vec("[ab]{3,6}", 0..4),
        ) {
            for cuts in 0u32..1 << text.len().saturating_sub(1) {
                check(&secrets, text.as_bytes(), |at| cuts >> (at - 1) & 1 == 1);
            }
        }

        #[test]
        fn any_bytes_and_secrets_of_any_characters(
            secrets in proptest::collection::vec(".{0,12}", 1..5),
            parts in proptest::collection::vec((any::<proptest::sample::Index>(), 0usize..14,
                proptest::collection::vec(any::<u8>(), 0..6)), 0..8),
            cuts in proptest::collection::vec(any::<bool>(), 300),
        ) {
            // Secrets and beginnings of secrets among other bytes.
            let mut text = Vec::new();
            for (which, length, bytes) in parts {
                let secret = which.get(&secrets).as_bytes();
                text.extend_from_slice(&secret[..length.min(secret.len())]);
                text.extend(bytes);
            }
            check(&secrets, &text, |at| cuts[at % cuts.len()]);
        }
    }
}
