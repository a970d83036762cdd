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
    let joined = || names.iter().copied().collect::<Vec<_>>().join(",");
    let folded = fold_last(names).filter(|folded| holds(folded, names));
    let folded = folded.or_else(|| match names.len() <= MOST {
        true => Some(parse(&joined())?.to_string()),
        false => None,
    });
    // Where the grammar cannot hold them they stay as they are.
    let folded = folded.filter(|folded| holds(folded, names));
    folded.unwrap_or_else(joined)
}

/// Whether a set expands to exactly these names.
fn holds(folded: &str, names: &BTreeSet<&str>) -> bool {
    let expanded: BTreeSet<String> = parse(folded).iter().flat_map(NodeSet::iter).collect();
    let expanded = expanded.iter().map(String::as_str);
    expanded.eq(names.iter().copied())
}

/// The most terms that are parsed: it takes a time that grows with the square of their number.
const MOST: usize = 1000;

/// Folds several names along the last number of each, and what comes of that along the others.
fn fold_last(names: &BTreeSet<&str>) -> Option<String> {
    let is_digit = |c: char| c.is_ascii_digit();
    let mut groups: BTreeMap<(&str, &str), Vec<(u64, &str)>> = BTreeMap::new();
    for name in names {
        let (number, rest) = name.split_at(name.rfind(is_digit)? + 1);
        let head = number.trim_end_matches(is_digit);
        let number = &number[head.len()..];
        let group = groups.entry((head, rest)).or_default();
        group.push((number.parse().ok()?, number));
    }
    let folded = groups.iter_mut().map(|((head, rest), numbers)| {
        numbers.sort_unstable();
        match numbers.as_slice() {
            [(_, only)] => format!("{head}{only}{rest}"),
            several => format!("{head}[{}]{rest}", ranges(several)),
        }
    });
    let mut folded: Vec<String> = folded.collect();
    match folded.len() {
        1 => folded.pop(),
        2..=MOST => Some(parse(&folded.join(","))?.to_string()),
        _ => None,
    }
}

/// Sorted numbers as ranges.
fn ranges(numbers: &[(u64, &str)]) -> String {
    let ranges = numbers.chunk_by(|(one, _), (next, _)| one.checked_add(1) == Some(*next));
    let ranges = ranges.filter_map(|range| match range {
        [(_, only)] => Some((*only).to_owned()),
        [(_, first), .., (_, last)] => Some(format!("{first}-{last}")),
        [] => None,
    });
    ranges.collect::<Vec<_>>().join(",")
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

    #[test]
    fn many_names_fold_too() {
        let names: Vec<String> = (1..=100_000).map(|number| format!("n{number}.a")).collect();
        assert_eq!(fold(names.iter().map(String::as_str)), "n[1-100000].a");
    }

    #[test]
    fn names_with_several_numbers_fold_along_each_and_else_along_the_last() {
        let grid = (1..=80).flat_map(|rack| (1..=100).map(move |node| format!("r{rack}n{node}")));
        let grid: Vec<String> = grid.collect();
        assert_eq!(fold(grid.iter().map(String::as_str)), "r[1-80]n[1-100]");
        // Too many different ones to look for more.
        let scattered: Vec<String> = (1..=8000_u64)
            .map(|number| format!("r{number}n{}", number * 7919 % 100_003))
            .collect();
        let folded = fold(scattered.iter().map(String::as_str));
        assert_eq!(folded.split(',').count(), 8000);
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
