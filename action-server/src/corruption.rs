//! For tests: damaged bytes, and bytes that never were good.

use std::ops::Range;

use proptest::{collection::vec, prelude::*, sample::Index};

/// One thing that can happen to bytes.
#[derive(Debug, Clone)]
pub(crate) enum DamageStep {
    Flip(Index, u8),
    Cut(Index, Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index, Index),
    CutLine(Index),
}

impl DamageStep {
    fn done_to(&self, bytes: &mut Vec<u8>) {
        let at = |index: &Index| index.index(bytes.len() + 1);
        let range = |a: &Index, b: &Index| -> Range<usize> { at(a).min(at(b))..at(a).max(at(b)) };
        match self {
            DamageStep::Flip(..) if bytes.is_empty() => {}
            DamageStep::Flip(place, bit) => {
                let place = place.index(bytes.len());
                bytes[place] ^= 1 << bit;
            }
            DamageStep::Cut(from, to) => drop(bytes.drain(range(from, to))),
            DamageStep::Insert(place, new) => {
                let place = at(place);
                bytes.splice(place..place, new.iter().copied());
            }
            DamageStep::Repeat(from, to, place) => {
                let (place, copied) = (at(place), bytes[range(from, to)].to_vec());
                bytes.splice(place..place, copied);
            }
            DamageStep::CutLine(which) => {
                let lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
                let which = which.index(lines.len().max(1));
                *bytes = [&lines[..which], lines.get(which + 1..).unwrap_or_default()]
                    .concat()
                    .concat();
            }
        }
    }
}

fn damage() -> impl Strategy<Value = DamageStep> {
    let place = any::<Index>;
    prop_oneof![
        (place(), 0u8..8).prop_map(|(place, bit)| DamageStep::Flip(place, bit)),
        (place(), place()).prop_map(|(from, to)| DamageStep::Cut(from, to)),
        (place(), vec(any::<u8>(), 1..4)).prop_map(|(place, new)| DamageStep::Insert(place, new)),
        (place(), place(), place()).prop_map(|(from, to, at)| DamageStep::Repeat(from, to, at)),
        place().prop_map(DamageStep::CutLine),
    ]
}

/// What was done to good bytes, of whatever length: apply it with [`apply`].
pub(crate) fn damages() -> impl Strategy<Value = Vec<DamageStep>> {
    vec(damage(), 1..4)
}

/// Good bytes after all of that.
pub(crate) fn apply(damages: &[DamageStep], good: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    damages.iter().for_each(|damage| damage.done_to(&mut bytes));
    bytes
}

/// A corrupt file: a good one after damage, words of its language in any order, or
/// any bytes.
pub(crate) fn file(
    good: &'static str,
    words: &'static [&'static str],
) -> impl Strategy<Value = Vec<u8>> {
    let words = vec(proptest::sample::select(words), 0..40);
    prop_oneof![
        4 => damages().prop_map(|damages| apply(&damages, good.as_bytes())),
        4 => words.prop_map(|words| words.concat().into_bytes()),
        1 => vec(any::<u8>(), 0..200),
    ]
}
