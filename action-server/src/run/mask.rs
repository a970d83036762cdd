//! Hides a node's secrets in what its script prints, before anything of it is recorded.
//!
//! Each secret becomes `***`, also where it is cut by the border of two chunks: the end of a chunk
//! waits for what follows. How much waits must not depend on what the secrets are: a caller who can
//! have a script print a guess would read them from the sizes of the events. So as much waits as could
//! be the beginning of any secret of these lengths, until the output ends or pauses.

use std::{io, sync::Arc, time::Duration};

use aho_corasick::{AhoCorasick, MatchKind};
use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, sleep_until};

use crate::process::OutputPipe;

/// The replacement of a secret.
const MASK: &[u8] = b"***";
/// Shorter values are not hidden: they would be found everywhere, and hiding them tells more of
/// them than it hides.
const LEAST: usize = 4;
/// After such a pause the held bytes are passed on. A script that writes a secret in parts rarely pauses
/// longer.
const PAUSE: Duration = Duration::from_millis(250);

/// The secrets of a node, ready to be looked for.
#[derive(Debug, Clone)]
pub(super) struct NodeSecrets {
    finder: Option<Arc<AhoCorasick>>,
    /// The length of the longest secret.
    longest: usize,
    /// The length of the longest secret that has a line break; 0 where none has.
    longest_of_lines: usize,
}

impl NodeSecrets {
    /// Secrets from their values, in any order. Line breaks at a value's end are no part of it: scripts
    /// print it without them.
    pub(super) fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> NodeSecrets {
        let values = values.into_iter();
        let values = values.map(|value| value.trim_end_matches(['\r', '\n']).as_bytes());
        let values: Vec<&[u8]> = values.filter(|value| value.len() >= LEAST).collect();
        let longest = |values: &mut dyn Iterator<Item = &&[u8]>| values.map(|it| it.len()).max();
        let of_lines = &mut values.iter().filter(|value| value.contains(&b'\n'));
        let finder = (!values.is_empty()).then(|| {
            AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .build(&values)
        });
        NodeSecrets {
            longest: longest(&mut values.iter()).unwrap_or(0),
            longest_of_lines: longest(of_lines).unwrap_or(0),
            // Building fails only past limits that the bound on values keeps away.
            finder: finder.and_then(Result::ok).map(Arc::new),
        }
    }

    /// Where secrets begin and end. Those that overlap are one.
    fn find_secrets(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        let finder = self.finder.as_deref().into_iter();
        // They come in the order of their ends.
        for next in finder.flat_map(|finder| finder.find_overlapping_iter(bytes)) {
            let mut start = next.start();
            while let Some(last) = found.pop_if(|last| last.1 > start) {
                start = start.min(last.0);
            }
            found.push((start, next.end()));
        }
        found
    }

    /// The length of the longest; 0 for none.
    pub(super) fn longest_secret(&self) -> usize {
        self.longest
    }

    /// A text with the secrets in it hidden.
    pub(super) fn hidden_in(&self, text: &str) -> String {
        let mut hidden = Vec::new();
        let mut from = 0;
        for (start, end) in self.find_secrets(text.as_bytes()) {
            hidden.extend_from_slice(&text.as_bytes()[from..start]);
            hidden.extend_from_slice(MASK);
            from = end;
        }
        hidden.extend_from_slice(&text.as_bytes()[from..]);
        String::from_utf8_lossy(&hidden).into_owned()
    }

    /// Where the bytes begin that may be the beginning of a secret. This depends on the lengths of the
    /// secrets only, and on the line breaks of the bytes: most secrets cannot go on behind one.
    fn tail_start(&self, bytes: &[u8]) -> usize {
        let before = |length: usize| bytes.len().saturating_sub(length.saturating_sub(1));
        let line = bytes.iter().rposition(|&byte| byte == b'\n');
        let line = line.map_or(0, |at| at + 1);
        before(self.longest)
            .max(line)
            .min(before(self.longest_of_lines))
    }
}

/// Hides secrets in one stream.
#[derive(Debug)]
pub(super) struct SecretMask {
    secrets: NodeSecrets,
    /// The end of what came, which may be the beginning of a secret.
    held: BytesMut,
    /// How much of it has been shown or hidden.
    shown: usize,
    /// True where that ends with a secret.
    ends_hidden: bool,
    last_read: Instant,
}

impl SecretMask {
    pub(super) fn new(secrets: NodeSecrets) -> SecretMask {
        SecretMask {
            last_read: Instant::now(),
            secrets,
            held: BytesMut::new(),
            shown: 0,
            ends_hidden: false,
        }
    }

    /// The next chunk of an output without secrets; empty where there is nothing to show. What is held
    /// back comes once the output pauses or ends.
    ///
    /// Cancel safe, as [`OutputPipe::next`].
    ///
    /// # Errors
    /// The read's.
    pub(super) async fn read_masked(&mut self, output: &mut OutputPipe) -> io::Result<Bytes> {
        let pause = self.last_read + PAUSE;
        tokio::select! {
            // What is there to be read comes first, also after the server was held up.
            biased;
            chunk = output.next_chunk() => {
                self.last_read = Instant::now();
                Ok(match chunk? {
                    Some(chunk) => self.mask_chunk(chunk),
                    None => self.flush_held(),
                })
            }
            () = sleep_until(pause), if self.holds_back() => Ok(self.flush_held()),
        }
    }

    /// A chunk without secrets. Its end may be held back.
    fn mask_chunk(&mut self, chunk: Bytes) -> Bytes {
        if self.secrets.finder.is_none() {
            return chunk;
        }
        let whole = if self.held.is_empty() {
            chunk
        } else {
            self.held.extend_from_slice(&chunk);
            self.held.split().freeze()
        };
        let tail = self.secrets.tail_start(&whole);
        self.hide_secrets(&whole, tail, tail)
    }

    /// What it hides.
    pub(super) fn secrets(&self) -> &NodeSecrets {
        &self.secrets
    }

    /// When output came last, or when the mask was made.
    pub(super) fn last_read(&self) -> Instant {
        self.last_read
    }

    fn holds_back(&self) -> bool {
        self.held.len() > self.shown
    }

    /// What is held back, where the output pauses or ends. Of a secret that goes on behind a pause only
    /// the rest is hidden.
    pub(super) fn flush_held(&mut self) -> Bytes {
        let whole = self.held.split().freeze();
        let tail = self.secrets.tail_start(&whole);
        self.hide_secrets(&whole, whole.len(), tail)
    }

    /// What was not shown yet of the bytes before `show`, without secrets. Keeps those from `keep` on,
    /// which may go on as a secret.
    fn hide_secrets(&mut self, whole: &Bytes, show: usize, keep: usize) -> Bytes {
        let before = std::mem::take(&mut self.shown);
        let was_hidden = std::mem::take(&mut self.ends_hidden);
        let mut shown = BytesMut::new();
        let mut done = before;
        let mut is_hidden = false;
        for (start, end) in self.secrets.find_secrets(whole) {
            // What begins behind may yet turn out to be longer.
            if start >= show {
                break;
            }
            if end <= before {
                continue;
            }
            if start > done {
                shown.extend_from_slice(&whole[done..start]);
            }
            // One that begins in what was hidden before goes on there.
            if start >= before || !was_hidden {
                shown.extend_from_slice(MASK);
            }
            done = end;
            is_hidden = true;
        }
        let end = show.max(done);
        self.held.extend_from_slice(&whole[keep..]);
        self.shown = end - keep;
        self.ends_hidden = end == done && (is_hidden || was_hidden);
        if !is_hidden {
            // No byte needs to be copied.
            return whole.slice(done..end);
        }
        shown.extend_from_slice(&whole[done..end]);
        shown.freeze()
    }
}

#[cfg(test)]
mod tests;
