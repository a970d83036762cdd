//! Patterns of names: `*` is any text, `?` one character, `[1-3,05]` a number of a list, and every
//! other character stands for itself. Owns their grammar, which is no library's.
//!
//! Brackets mean what they mean to ClusterShell. May be called from anywhere; does no I/O.

mod number_list;

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
            match piece.as_bytes().last() {
                Some(b'?') => self.parts.push(PatternPart::AnyCharacter),
                // Several in a row match the same as one.
                Some(b'*') if !matches!(self.parts.last(), Some(PatternPart::AnyText)) => {
                    self.parts.push(PatternPart::AnyText);
                }
                _ => {}
            }
        }
    }

    /// True if the pattern has a `*` or `?`, so that only known names tell what it stands for.
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
        let mut reached = vec![0];
        let mut after_any_text = false;
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            if matches!(part, PatternPart::AnyText) {
                after_any_text = true;
                continue;
            }
            let first_is_enough = matches!(parts.peek(), Some(PatternPart::AnyText));
            reached = match after_any_text {
                true => part.ends(text, reached[0]..=text.len(), first_is_enough),
                false => part.ends(text, reached, first_is_enough),
            };
            after_any_text = false;
            if reached.is_empty() {
                return false;
            }
        }
        after_any_text || reached.last() == Some(&text.len())
    }

    fn lists(&self) -> impl Iterator<Item = &NumberList> {
        self.parts.iter().filter_map(|part| match part {
            PatternPart::Number(list) => Some(list),
            _ => None,
        })
    }
}

impl PatternPart {
    /// Where in `text` this part can end when it begins at one of `starts`: ascending, each once.
    /// With `first_is_enough` the lowest of these places.
    fn ends(
        &self,
        text: &str,
        starts: impl IntoIterator<Item = usize>,
        first_is_enough: bool,
    ) -> Vec<usize> {
        let mut ends = Vec::new();
        for start in starts {
            let rest = text.as_bytes().get(start..).unwrap_or_default();
            match self {
                PatternPart::Text(literal) if rest.starts_with(literal.as_bytes()) => {
                    ends.push(start + literal.len());
                }
                PatternPart::AnyCharacter => {
                    let character = text.get(start..).and_then(|rest| rest.chars().next());
                    ends.extend(character.map(|character| start + character.len_utf8()));
                }
                PatternPart::Number(list) => {
                    ends.extend(list.lengths(rest).map(|length| start + length));
                    // A later start may end earlier.
                    continue;
                }
                PatternPart::Text(_) | PatternPart::AnyText => {}
            }
            if first_is_enough && !ends.is_empty() {
                break;
            }
        }
        ends.sort_unstable();
        ends.dedup();
        ends
    }
}

#[cfg(test)]
pub(crate) mod tests;
