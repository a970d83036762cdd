//! Folds node names into the sets that people read and that `-g` accepts.

use nodeset::{IdRangeList, NodeSet, Parser};

/// Folds names into one node set, as `cnode01`, `cnode02` into `cnode[01-02]`.
///
/// The set expands to the same names again. Names that the bracket grammar cannot hold
/// stay as they are, after the folded ones.
pub fn fold<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut set = NodeSet::<IdRangeList>::new();
    let mut rest = Vec::new();
    let mut batch: Vec<&str> = Vec::new();
    for name in names {
        match parse(name) {
            Some(_) => batch.push(name),
            None => rest.push(name),
        }
    }
    if let Some(folded) = parse(&batch.join(",")) {
        set = folded;
    }
    let mut text = set.to_string();
    for name in rest {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
    }
    text
}

/// Parses without groups: the parser has no resolver, so no file is read and no shell run.
fn parse(text: &str) -> Option<NodeSet> {
    Parser::default().parse(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_fold_to_sets() {
        assert_eq!(fold(["cnode01", "cnode02", "cnode04"]), "cnode[01-02,04]");
        assert_eq!(fold(["login", "gpu1", "gpu2"]), "gpu[1-2],login");
        assert_eq!(fold(["n1", "n01"]), "n[1,01]");
        assert_eq!(fold([]), "");
    }

    proptest! {
        #[test]
        fn a_folded_set_expands_to_its_names(
            names in proptest::collection::btree_set("[a-c]{0,2}[0-9]{1,3}([.-][a-b][0-9]{0,2})?", 0..20)
        ) {
            let text = fold(names.iter().map(String::as_str));
            let back: BTreeSet<String> = parse(&text).map(|set| set.iter().collect()).unwrap_or_default();
            prop_assert_eq!(back, names, "{}", text);
        }
    }
}
