//! Patterns of names: `*` is any text, `?` one character, and everything else is itself.

use std::fmt;

use regex::{RegexSet, RegexSetBuilder};

/// So much memory at most for the patterns of one list.
const SIZE_LIMIT: usize = 1 << 20;

/// Some patterns, of which one is to match.
#[derive(Clone)]
pub(super) struct Patterns {
    texts: Vec<String>,
    set: RegexSet,
}

impl Patterns {
    /// # Errors
    /// They are too long, all together.
    pub(super) fn new(texts: Vec<String>) -> Result<Patterns, String> {
        let set = RegexSetBuilder::new(texts.iter().map(|text| expression(text)))
            .dot_matches_new_line(true)
            .size_limit(SIZE_LIMIT)
            .build()
            .map_err(|_| "the patterns are too long".to_owned())?;
        Ok(Patterns { texts, set })
    }

    pub(super) fn match_any(&self, text: &str) -> bool {
        self.set.is_match(text)
    }

    /// True when everything matches.
    pub(super) fn match_all(&self) -> bool {
        self.texts.iter().any(|text| text == "*")
    }

    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }
}

fn expression(pattern: &str) -> String {
    let parts = pattern.chars().map(|c| match c {
        '*' => ".*".to_owned(),
        '?' => ".".to_owned(),
        other => regex::escape(other.encode_utf8(&mut [0; 4])),
    });
    format!("^(?:{})$", parts.collect::<String>())
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.texts.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Patterns::new(vec![pattern.to_owned()])
            .unwrap()
            .match_any(text)
    }

    #[test]
    fn a_star_is_any_text_and_nothing_else_is_special() {
        for (pattern, text) in [
            ("*", ""),
            ("power-*", "power-on"),
            ("*/..", "a/b/.."),
            ("*", "a\nb"),
            ("?", "\u{e4}"),
            ("[a]{b}.\\", "[a]{b}.\\"),
            ("*.", ".."),
        ] {
            assert!(matches(pattern, text), "{pattern:?} {text:?}");
        }
        for (pattern, text) in [
            ("power-*", "xpower-on"),
            ("on", "on\n"),
            ("?", ""),
            ("?", "ab"),
            ("[ab]", "a"),
            ("a.c", "abc"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, text), "{pattern:?} {text:?}");
        }
        let two = Patterns::new(vec!["a".into(), "b*".into()]).unwrap();
        assert!(two.match_any("bc") && !two.match_any("ab") && !two.match_all());
        assert!(!Patterns::new(Vec::new()).unwrap().match_any(""));
    }

    /// Whether a pattern matches, tried in every way.
    fn model(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], rest) => rest.is_empty(),
            (['*', more @ ..], _) => (0..=text.len()).any(|at| model(more, &text[at..])),
            (['?', more @ ..], [_, rest @ ..]) => model(more, rest),
            ([c, more @ ..], [d, rest @ ..]) => c == d && model(more, rest),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_matches_what_the_model_does(pattern in "[ab*?.]{0,6}", text in "[ab.\\n]{0,6}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), model(&chars(&pattern), &chars(&text)));
        }
    }
}
