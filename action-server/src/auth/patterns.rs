//! Patterns of names: `*` is any text, `?` one character, and everything else is itself.

use std::fmt;

use crate::pattern::NamePattern;

/// Some patterns, of which one is to match.
#[derive(Clone)]
pub(super) struct PatternList {
    texts: Vec<String>,
    patterns: Vec<NamePattern>,
}

impl PatternList {
    pub(super) fn new(texts: Vec<String>) -> PatternList {
        let patterns = texts.iter().map(|text| NamePattern::wildcards(text));
        PatternList {
            patterns: patterns.collect(),
            texts,
        }
    }

    pub(super) fn match_any(&self, text: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(text))
    }

    /// True when everything matches.
    pub(super) fn match_all(&self) -> bool {
        self.texts.iter().any(|text| text == "*")
    }

    /// True for a list with the empty text, which stands for no text at all too.
    pub(super) fn match_absence(&self) -> bool {
        self.texts.iter().any(String::is_empty)
    }

    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Each pattern with its text.
    pub(super) fn each(&self) -> impl Iterator<Item = (&str, &NamePattern)> {
        self.texts.iter().map(String::as_str).zip(&self.patterns)
    }
}

impl fmt::Debug for PatternList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.texts.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pattern::tests::model_matches;

    fn matches(pattern: &str, text: &str) -> bool {
        PatternList::new(vec![pattern.to_owned()]).match_any(text)
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
            ("[1-2]", "1"),
            ("[!a]", "b"),
            ("{a,b}", "a"),
            ("b{2}", "bb"),
            ("a|b", "a"),
            ("(?i)a", "A"),
            ("\\w", "a"),
            ("\\*", "x"),
            ("a+", "aa"),
            ("^a$", "a"),
            ("a.c", "abc"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, text), "{pattern:?} {text:?}");
        }
        let two = PatternList::new(vec!["a".into(), "b*".into()]);
        assert!(two.match_any("bc") && !two.match_any("ab") && !two.match_all());
        assert!(!PatternList::new(Vec::new()).match_any(""));
    }

    proptest! {
        #[test]
        fn it_matches_what_the_model_does(
            pattern in "[ab*?.+(){}|^$\\[\\]\\\\#-]{0,6}",
            text in "[ab.+(){}|^$\\[\\]\\\\#\\n-]{0,6}",
        ) {
            let expected = model_matches(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(&pattern, &text), expected);
        }
    }
}
