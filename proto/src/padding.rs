//! Finds names that differ from a node set only in the zeros before their numbers: `n001` for `n1`.

/// A part of a name, or of a term of a node set.
#[derive(Debug, PartialEq)]
enum Part<'a> {
    Text(&'a str),
    /// Ranges of numbers, both ends included; of a name it is one number.
    Numbers(Vec<(u64, u64)>),
}

/// Those of `names` that `set` would name with other zeros before the numbers, as `n001` for `n1` and
/// for `n[1-4]`. `set` is a folded node set. Nothing is expanded, so its size does not matter.
pub fn names_with_other_padding<'a>(
    set: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Vec<&'a str> {
    let terms: Vec<Vec<Part<'_>>> = terms(set).into_iter().filter_map(parts).collect();
    let is_alike = |name: &&str| {
        let parts = parts(name).unwrap_or_default();
        terms.iter().any(|term| covers(term, &parts))
    };
    names.into_iter().filter(is_alike).collect()
}

/// The terms of a set, without the commas between them.
fn terms(set: &str) -> Vec<&str> {
    let mut is_inside = false;
    let is_border = |c: char| {
        is_inside = (is_inside || c == '[') && c != ']';
        c == ',' && !is_inside
    };
    set.split(is_border).collect()
}

/// The parts of a term or name; None where brackets do not hold ranges of numbers.
fn parts(term: &str) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut rest = term;
    while let Some(first) = rest.chars().next() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (list, behind) = inside.split_once(']')?;
            let ranges = list.split(',').map(range).collect::<Option<_>>()?;
            parts.push(Part::Numbers(ranges));
            rest = behind;
            continue;
        }
        let is_number = first.is_ascii_digit();
        let is_other = |c: char| c.is_ascii_digit() != is_number || c == '[';
        let (part, behind) = rest.split_at(rest.find(is_other).unwrap_or(rest.len()));
        parts.push(match is_number {
            true => Part::Numbers(vec![range(part)?]),
            false => Part::Text(part),
        });
        rest = behind;
    }
    Some(parts)
}

fn range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn covers(term: &[Part<'_>], name: &[Part<'_>]) -> bool {
    let is_covered = |(term, name): (&Part<'_>, &Part<'_>)| match (term, name) {
        (Part::Numbers(ranges), Part::Numbers(numbers)) => {
            let is_in = |number: u64| ranges.iter().any(|&(a, z)| (a..=z).contains(&number));
            numbers.iter().all(|&(number, _)| is_in(number))
        }
        (term, name) => term == name,
    };
    let has_number = term.iter().any(|part| matches!(part, Part::Numbers(_)));
    has_number && term.len() == name.len() && term.iter().zip(name).all(is_covered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_under_other_padding() {
        let nodes = ["n001", "n002", "n010", "login", "r01c03n1", "m7"];
        for (set, expected) in [
            ("n1", &["n001"][..]),
            ("n0001", &["n001"]),
            ("n[1-10]", &["n001", "n002", "n010"]),
            ("n[1-99999999999999]", &["n001", "n002", "n010"]),
            ("x,n[2,10],m07", &["n002", "n010", "m7"]),
            ("r1c[1-9]n001", &["r01c03n1"]),
            ("n[3-9]", &[]),
            ("n", &[]),
            ("login", &[]),
            ("n1x", &[]),
            ("", &[]),
            // As a message that is cut may end.
            ("n[1,2..", &[]),
            ("m07,n[1-", &["m7"]),
            ("n99999999999999999999999", &[]),
            ("n[a-b]", &[]),
        ] {
            assert_eq!(names_with_other_padding(set, nodes), expected, "{set}");
        }
    }
}
