//! Completion of node sets: the last name, also after an operator and in brackets. Pure.

use std::collections::BTreeSet;

/// The whole words that a set which begins like this may become.
pub(super) fn complete_set(set: &str, nodes: &[String], groups: &[String]) -> Vec<String> {
    let (head, term) = set.split_at(last_term(set));
    if let Some(open) = unclosed_bracket(term) {
        return bracket_numbers(head, term, open, nodes);
    }
    let groups = groups.iter().map(|group| format!("@{group}"));
    let groups = groups.chain(["@*".to_owned()]);
    nodes
        .iter()
        .cloned()
        .chain(groups)
        .filter(|name| name.starts_with(term))
        .map(|name| format!("{head}{name}"))
        .collect()
}

/// Where the last term begins: behind the last operator that is not inside brackets.
fn last_term(set: &str) -> usize {
    let mut depth = 0_usize;
    let mut start = 0;
    for (at, c) in set.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ',' | '!' | '&' | '^' if depth == 0 => start = at + 1,
            _ => {}
        }
    }
    start
}

fn unclosed_bracket(term: &str) -> Option<usize> {
    let open = term.rfind('[')?;
    (!term[open..].contains(']')).then_some(open)
}

/// The numbers that nodes have where the bracket stands.
fn bracket_numbers(head: &str, term: &str, open: usize, nodes: &[String]) -> Vec<String> {
    let stem = &term[..open];
    let start = term[open..]
        .rfind(['[', ',', '-'])
        .map_or(open, |at| open + at)
        + 1;
    let (before, typed) = term.split_at(start);
    let digits = |node: &String| {
        let rest = node.strip_prefix(stem)?;
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let digits = &rest[..end];
        (!digits.is_empty() && digits.starts_with(typed)).then(|| digits.to_owned())
    };
    let found: BTreeSet<String> = nodes.iter().filter_map(digits).collect();
    found
        .into_iter()
        .map(|digits| format!("{head}{before}{digits}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn complete_it(set: &str) -> Vec<String> {
        let nodes = ["cnode01", "cnode02", "cnode12", "cnode01-ib", "gpu1"].map(str::to_owned);
        complete_set(set, &nodes, &["compute".to_owned()])
    }

    #[test]
    fn the_last_name_is_completed() {
        let table: &[(&str, &[&str])] = &[
            ("g", &["gpu1"]),
            ("cnode01,g", &["cnode01,gpu1"]),
            ("cnode[01,02],gp", &["cnode[01,02],gpu1"]),
            ("@*!g", &["@*!gpu1"]),
            ("@*&@", &["@*&@compute", "@*&@*"]),
            ("cnode[", &["cnode[01", "cnode[02", "cnode[12"]),
            ("cnode[0", &["cnode[01", "cnode[02"]),
            ("cnode[01-", &["cnode[01-01", "cnode[01-02", "cnode[01-12"]),
            ("gpu1,cnode[01,1", &["gpu1,cnode[01,12"]),
            ("cnode[01-02]", &[]),
            ("x[", &[]),
            ("[", &[]),
        ];
        for (set, expected) in table {
            assert_eq!(complete_it(set), *expected, "{set}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_offered_begins_as_it_was_typed(set in "[a-z0-9\\[\\],!&^@*=/\u{e9}-]{0,12}") {
            for word in complete_it(&set) {
                prop_assert!(word.starts_with(&set));
            }
        }
    }
}
