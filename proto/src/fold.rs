//! Folds node names into the sets that people read and that `-g` accepts.

use std::collections::{BTreeMap, BTreeSet};

use nodeset::{IdRangeList, NodeSet, Parser};

/// Folds names into one node set, as `cnode01`, `cnode02` into `cnode[01-02]`.
///
/// The set expands to the same names again, each once.
pub fn fold<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut forms: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for name in names {
        forms.entry(form(name, false)).or_default().insert(name);
    }
    let folded: Vec<String> = forms.into_values().map(fold_widths).collect();
    folded.join(",")
}

/// Folds names that differ in their numbers only. Where some are padded, numbers of one width
/// fold with each other and with no others: what is padded stays padded.
fn fold_widths(names: BTreeSet<&str>) -> String {
    if !names.iter().any(|name| has_padding(name)) {
        return fold_form(&names);
    }
    let mut widths: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for name in names {
        widths.entry(form(name, true)).or_default().insert(name);
    }
    let folded: Vec<String> = widths.values().map(fold_form).collect();
    folded.join(",")
}

fn has_padding(name: &str) -> bool {
    let mut numbers = name.split(|c: char| !c.is_ascii_digit());
    numbers.any(|number| number.len() > 1 && number.starts_with('0'))
}

/// A name with each number replaced by `#`, and its width where that matters.
fn form(name: &str, with_widths: bool) -> String {
    let mut form = String::with_capacity(name.len());
    let mut width = 0;
    // The end is read as one more letter, so that a number at the end is seen too.
    for c in name.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            width += 1;
            continue;
        }
        if width > 0 {
            form.push('#');
            if with_widths {
                form.push_str(&width.to_string());
            }
            width = 0;
        }
        form.push(c);
    }
    form
}

fn fold_form(names: &BTreeSet<&str>) -> String {
    let joined = names.iter().copied().collect::<Vec<_>>().join(",");
    let Some(set) = parse(&joined) else {
        return joined;
    };
    let folded = set.to_string();
    // Where the grammar cannot hold them they stay as they are.
    let expanded: BTreeSet<String> = parse(&folded).iter().flat_map(NodeSet::iter).collect();
    match expanded
        .iter()
        .map(String::as_str)
        .eq(names.iter().copied())
    {
        true => folded,
        false => joined,
    }
}

/// Parses without groups: the parser has no resolver, so no file is read and no shell run.
fn parse(text: &str) -> Option<NodeSet<IdRangeList>> {
    Parser::default().parse(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_fold_to_sets() {
        assert_eq!(fold(["cnode01", "cnode02", "cnode04"]), "cnode[01-02,04]");
        assert_eq!(fold(["cnode09", "cnode10", "cnode08"]), "cnode[08-10]");
        assert_eq!(fold(["n9", "n10", "n11"]), "n[9-11]");
        assert_eq!(fold(["n9", "n10", "n08"]), "n9,n[08,10]");
        assert_eq!(fold(["login", "gpu1", "gpu2"]), "gpu[1-2],login");
        assert_eq!(fold(["n1", "n01"]), "n1,n01");
        assert_eq!(fold(["a02.a", "a1.a"]), "a1.a,a02.a");
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
