//! Patterns of names: `*` is any text, `?` one character, `[1-3,05]` a number of a list, and every
//! other character stands for itself. Owns their grammar, which is no library's.
//!
//! Brackets mean what they mean to ClusterShell. May be called from anywhere; does no I/O.

mod number_list;

use std::{cell::Cell, iter::successors, mem::swap};

use thiserror::Error;

use self::number_list::NumberList;

/// Why a text is not a pattern: what is wrong, where, and what to write instead.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub(crate) struct PatternError(String);

/// A name, or a pattern that many names match, such as `n[01-16]*`.
#[derive(Debug, Clone, Default)]
pub(crate) struct NamePattern {
    parts: Vec<PatternPart>,
}

#[derive(Debug, Clone)]
enum PatternPart {
    Text(String),
    AnyCharacter,
    AnyText,
    Number(NumberList),
}

impl NamePattern {
    /// A pattern of `*` and `?` only: brackets stand for themselves.
    pub(crate) fn wildcards(text: &str) -> NamePattern {
        let mut pattern = NamePattern::default();
        pattern.push_wildcards(text);
        pattern
    }

    /// A pattern of brackets, `*` and `?`.
    ///
    /// # Errors
    /// A bracket that does not hold a list of numbers, or that forms one number with its neighbours
    /// in a way that people and ClusterShell read differently.
    pub(crate) fn parse(text: &str) -> Result<NamePattern, PatternError> {
        let mut pattern = NamePattern::default();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('[') {
            let Some((list, after)) = after.split_once(']') else {
                return Err(PatternError("[ without ]".into()));
            };
            if !pattern.parts.is_empty() && before.bytes().all(|b| b.is_ascii_digit()) {
                return Err(PatternError(
                    "two brackets form one number; write one list, such as [01-02,11-12]".into(),
                ));
            }
            pattern.push_text(before)?;
            let list = NumberList::parse(list, before, after)?;
            pattern.parts.push(PatternPart::Number(list));
            rest = after;
        }
        pattern.push_text(rest)?;
        Ok(pattern)
    }

    fn push_text(&mut self, text: &str) -> Result<(), PatternError> {
        if text.contains(']') {
            return Err(PatternError("] without [".into()));
        }
        self.push_wildcards(text);
        Ok(())
    }

    fn push_wildcards(&mut self, text: &str) {
        for piece in text.split_inclusive(['*', '?']) {
            let literal = piece.trim_end_matches(['*', '?']);
            if !literal.is_empty() {
                self.parts.push(PatternPart::Text(literal.to_owned()));
            }
            let follows_any_text = matches!(self.parts.last(), Some(PatternPart::AnyText));
            match piece.as_bytes().last() {
                // `*?` is `?*`, which is tried from fewer places.
                Some(b'?') => {
                    let place = self.parts.len() - usize::from(follows_any_text);
                    self.parts.insert(place, PatternPart::AnyCharacter);
                }
                Some(b'*') if !follows_any_text => self.parts.push(PatternPart::AnyText),
                _ => {}
            }
        }
    }

    /// True if the pattern has a `*` or `?`, so that what it stands for depends on the names there are.
    pub(crate) fn has_wildcards(&self) -> bool {
        let is_wildcard =
            |part: &PatternPart| matches!(part, PatternPart::AnyText | PatternPart::AnyCharacter);
        self.parts.iter().any(is_wildcard)
    }

    /// True if the pattern has a bracket.
    pub(crate) fn has_brackets(&self) -> bool {
        self.lists().next().is_some()
    }

    /// How many names the brackets stand for, or more where numbers repeat; `usize::MAX` for as many
    /// or more.
    pub(crate) fn count(&self) -> usize {
        self.lists()
            .fold(1, |count: usize, list| count.saturating_mul(list.count()))
    }

    /// The length of the longest name of [`NamePattern::expand`], in bytes.
    pub(crate) fn longest(&self) -> usize {
        let lengths = self.parts.iter().map(|part| match part {
            PatternPart::Text(text) => text.len(),
            PatternPart::Number(list) => list.longest(),
            PatternPart::AnyCharacter | PatternPart::AnyText => 1,
        });
        lengths.sum()
    }

    /// The names that the brackets stand for, each once. Wildcards stay as they are.
    ///
    /// Takes memory for each of them: see [`NamePattern::count`] and [`NamePattern::longest`].
    pub(crate) fn expand(&self) -> Vec<String> {
        let mut names = vec![String::new()];
        for part in &self.parts {
            match part {
                PatternPart::Text(text) => names.iter_mut().for_each(|name| name.push_str(text)),
                PatternPart::AnyCharacter => names.iter_mut().for_each(|name| name.push('?')),
                PatternPart::AnyText => names.iter_mut().for_each(|name| name.push('*')),
                PatternPart::Number(list) => {
                    let numbers = list.numbers();
                    let joined = |name: &String| {
                        let name = name.clone();
                        numbers.iter().map(move |number| format!("{name}{number}"))
                    };
                    names = names.iter().flat_map(joined).collect();
                }
            }
        }
        names
    }

    /// True if the whole text matches. Nothing is expanded: each part of the pattern is tried from
    /// each place in the text that the parts before it can reach.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.matches_counting(text, &Cell::new(0))
    }

    /// The same. Adds to `steps` from how many places of the text a part was tried.
    pub(crate) fn matches_counting(&self, text: &str, steps: &Cell<u64>) -> bool {
        // Most texts differ at once.
        if let Some(PatternPart::Text(first)) = self.parts.first()
            && !text.starts_with(first)
        {
            return false;
        }
        let mut reached = PlaceSet::new(text.len());
        let mut next = PlaceSet::new(text.len());
        reached.add(0);
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            if matches!(part, PatternPart::AnyText) {
                reached.add_all_above();
                continue;
            }
            let lowest_is_enough = matches!(parts.peek(), Some(PatternPart::AnyText));
            next.clear();
            for start in reached.places() {
                if lowest_is_enough && next.lowest <= start {
                    break;
                }
                steps.set(steps.get().saturating_add(1));
                part.lengths(text, start, |length| next.add(start + length));
            }
            if next.is_empty() {
                return false;
            }
            swap(&mut reached, &mut next);
        }
        reached.contains(text.len())
    }

    fn lists(&self) -> impl Iterator<Item = &NumberList> {
        self.parts.iter().filter_map(|part| match part {
            PatternPart::Number(list) => Some(list),
            _ => None,
        })
    }
}

impl PatternPart {
    /// Calls `found` with the length of each match of this part that begins at `start`.
    fn lengths(&self, text: &str, start: usize, mut found: impl FnMut(usize)) {
        let rest = text.as_bytes().get(start..).unwrap_or_default();
        match self {
            PatternPart::Text(literal) => {
                if rest.starts_with(literal.as_bytes()) {
                    found(literal.len());
                }
            }
            PatternPart::AnyCharacter => {
                let character = text.get(start..).and_then(|rest| rest.chars().next());
                if let Some(character) = character {
                    found(character.len_utf8());
                }
            }
            PatternPart::Number(list) => list.lengths(rest).for_each(found),
            PatternPart::AnyText => (0..=rest.len()).for_each(found),
        }
    }
}

/// Some of the places in a text, from 0 to its length: a bit for each.
struct PlaceSet {
    words: Vec<u64>,
    length: usize,
    /// The lowest place, or `usize::MAX` where there is none.
    lowest: usize,
}

impl PlaceSet {
    fn new(length: usize) -> PlaceSet {
        PlaceSet {
            words: vec![0; length / 64 + 1],
            length,
            lowest: usize::MAX,
        }
    }

    fn is_empty(&self) -> bool {
        self.lowest == usize::MAX
    }

    fn contains(&self, place: usize) -> bool {
        self.words[place / 64] & (1 << (place % 64)) != 0
    }

    /// The places, ascending.
    fn places(&self) -> impl Iterator<Item = usize> {
        let words = self.words.iter().enumerate().skip(self.lowest / 64);
        words.flat_map(|(at, &word)| {
            successors(Some(word), |word| Some(word & word.wrapping_sub(1)))
                .take_while(|word| *word != 0)
                .map(move |word| at * 64 + word.trailing_zeros() as usize)
        })
    }

    fn clear(&mut self) {
        self.words.fill(0);
        self.lowest = usize::MAX;
    }

    fn add(&mut self, place: usize) {
        self.words[place / 64] |= 1 << (place % 64);
        self.lowest = self.lowest.min(place);
    }

    /// Adds all places above the lowest.
    fn add_all_above(&mut self) {
        let first = self.lowest / 64;
        self.words[first..].fill(u64::MAX);
        self.words[first] <<= self.lowest % 64;
        self.words[self.length / 64] &= u64::MAX >> (63 - self.length % 64);
    }
}

#[cfg(test)]
pub(crate) mod tests;
