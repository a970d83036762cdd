//! The `syntax` of a command, as in `NAME TYPE [SIZE]`: which arguments are required. Pure.

/// One word of a syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SyntaxWord {
    text: String,
    optional: bool,
}

/// A command's arguments as its admin wrote them, without the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Syntax {
    words: Vec<SyntaxWord>,
    /// The word for the node; None for a command that takes none.
    node: Option<String>,
}

impl Syntax {
    /// Reads a syntax. For a command on nodes the first word is the node, when it says so.
    pub(crate) fn parse(text: &str, has_context: bool) -> Self {
        let mut words = Vec::new();
        let mut depth = 0_usize;
        for text in text.split_whitespace() {
            let opened = text.matches('[').count();
            let optional = depth > 0 || text.starts_with('[');
            depth = (depth + opened).saturating_sub(text.matches(']').count());
            let repeats_only = text
                .chars()
                .all(|c| matches!(c, '.' | '\u{2026}' | '[' | ']'));
            words.push(SyntaxWord {
                text: text.to_owned(),
                optional: optional || repeats_only,
            });
        }
        let node = has_context.then(|| {
            let is_node = |word: &SyntaxWord| {
                let bare = word.text.trim_matches(['[', ']', '<', '>', '.']);
                ["NAME", "NODE", "NODES"].contains(&bare.to_ascii_uppercase().as_str())
            };
            if words.first().is_some_and(is_node) {
                words.remove(0).text
            } else {
                "NODE".into()
            }
        });
        Self { words, node }
    }

    /// The first required argument that is missing when only this many are given.
    pub(crate) fn missing_argument(&self, given: usize) -> Option<&str> {
        let required = self.words.iter().filter(|word| !word.optional);
        required
            .map(|word| word.text.trim_matches(['<', '>', '.', '\u{2026}']))
            .nth(given)
    }

    /// The arguments on a command line, with the node in its place.
    pub(crate) fn with_node(&self) -> String {
        let words = self.words.iter().map(|word| word.text.as_str());
        self.node
            .as_deref()
            .into_iter()
            .chain(words)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The arguments on a command line with `-g`.
    pub(crate) fn with_set(&self) -> String {
        let words = self.words.iter().map(|word| word.text.as_str());
        std::iter::once("-g NODES")
            .chain(words)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_arguments_are_known() {
        let table = [
            // syntax, has_context, given, missing
            ("NAME TYPE", true, 0, Some("TYPE")),
            ("NAME TYPE", true, 1, None),
            ("NAME", true, 0, None),
            ("", true, 0, None),
            ("TYPE", true, 0, Some("TYPE")),
            ("NAME TYPE", false, 1, Some("TYPE")),
            ("NAME [TYPE]", true, 0, None),
            ("NAME [TYPE [SIZE]]", true, 0, None),
            ("NAME [TYPE SIZE] COLOUR", true, 0, Some("COLOUR")),
            ("NAME FILE..", true, 0, Some("FILE")),
            ("NAME FILE...", true, 2, None),
            ("NAME FILE ...", true, 1, None),
            ("NAME [FILE]..", true, 0, None),
            ("<NAME> <TYPE>", true, 0, Some("TYPE")),
            ("NAME A B", true, 1, Some("B")),
        ];
        for (text, has_context, given, missing) in table {
            let syntax = Syntax::parse(text, has_context);
            assert_eq!(syntax.missing_argument(given), missing, "{text}");
        }
    }

    #[test]
    fn usage_lines_have_the_node_or_the_set() {
        let syntax = Syntax::parse("NAME TYPE [SIZE]", true);
        assert_eq!(syntax.with_node(), "NAME TYPE [SIZE]");
        assert_eq!(syntax.with_set(), "-g NODES TYPE [SIZE]");
        assert_eq!(Syntax::parse("", true).with_node(), "NODE");
        assert_eq!(Syntax::parse("WHAT", false).with_node(), "WHAT");
        assert_eq!(Syntax::parse("]] [", false).missing_argument(0), None);
    }
}
