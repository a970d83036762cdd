//! Tests of patterns: what they match and expand to, what is not a pattern, and what they cost.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> NamePattern {
    NamePattern::parse(text).unwrap()
}

fn names(text: &str) -> String {
    parse(text).expand().join(" ")
}

#[test]
fn brackets_are_lists_of_numbers() {
    for (pattern, expected) in [
        ("n", "n"),
        ("n[1]", "n1"),
        ("n[2,1]", "n1 n2"),
        ("n[01-03]x", "n01x n02x n03x"),
        ("n[8-11]", "n8 n9 n10 n11"),
        ("n[98-101/3]", "n98 n101"),
        ("n[5-14/4]", "n5 n9 n13"),
        ("n[1-3/1,2]", "n1 n2 n3"),
        ("n[007,7,07]", "n7 n07 n007"),
        ("n[0]", "n0"),
        ("n[000-001]", "n000 n001"),
        ("n[ 1 - 2 , 4 ]", "n1 n2 n4"),
        ("n[1-5 / 2]", "n1 n3 n5"),
        ("[1-2]", "1 2"),
        ("r[1-2]n[3-4]", "r1n3 r1n4 r2n3 r2n4"),
        ("n1[0-2]", "n10 n11 n12"),
        ("n1[09-10]", "n109 n110"),
        ("n[1-2]0", "n10 n20"),
        ("n1[9-10]0", "n190 n1100"),
        ("n[1-2]*", "n1* n2*"),
        ("n[99999999999999999999]", "n99999999999999999999"),
    ] {
        assert_eq!(names(pattern), expected, "{pattern}");
    }
}

#[test]
fn what_is_not_a_pattern_is_told_exactly() {
    for (pattern, expected) in [
        ("n[]", "a number is missing between the brackets"),
        ("n[1,]", "a number is missing between the brackets"),
        ("n[a]", "\"a\" is not a number"),
        ("n[!0]", "\"!0\" is not a number"),
        ("n[^0]", "\"^0\" is not a number"),
        ("n[a-c]", "\"a\" is not a number"),
        ("n[+1]", "\"+1\" is not a number"),
        ("n[1_0]", "\"1_0\" is not a number"),
        ("n[\u{0661}]", "\"\u{0661}\" is not a number"),
        ("n[*]", "\"*\" is not a number"),
        ("n[1-*]", "\"*\" is not a number"),
        ("n[1-2-3]", "\"2-3\" is not a number"),
        ("n[-5]", "-5: a range needs a number on each side of the -"),
        ("n[5-]", "5-: a range needs a number on each side of the -"),
        ("n[5-1]", "5-1: the smaller number comes first"),
        (
            "n[1-010]",
            "1-010: pad both numbers alike: write 001-010 or 1-10",
        ),
        (
            "n[01-100]",
            "01-100: pad both numbers alike: write 001-100 or 1-100",
        ),
        ("n[1-3/0]", "1-3/0: the step must be 1 or more"),
        ("n[1-3/]", "\"\" is not a number"),
        ("n[5/2]", "5/2: a step needs a range"),
        (
            "n[0-1][1-2]",
            "two brackets form one number; write one list, such as [01-02,11-12]",
        ),
        (
            "n[0-1]5[1-2]",
            "two brackets form one number; write one list, such as [01-02,11-12]",
        ),
        (
            "n2[10-320]",
            "[10-320]: after a digit all numbers need the same number of digits; \
             write those up to 99 and those from 100 as two terms",
        ),
        (
            "0[7-9,10]",
            "[7-9,10]: after a digit all numbers need the same number of digits; \
             write those up to 9 and those from 10 as two terms",
        ),
        (
            "n[0-4/2]1",
            "0-4/2: a step cannot stand before a digit; list the numbers",
        ),
        (
            "n[0-10]0",
            "0-10: before a digit a range from 0 ends at 9; write 0-9 and the rest as two ranges",
        ),
        ("n]", "] without ["),
        ("n[1]]", "] without ["),
        ("n[1", "[ without ]"),
        ("n[[1]]", "\"[1\" is not a number"),
        (
            "n[123456789012345678901234567890123456789]",
            "a number has at most 38 digits, and not 39",
        ),
    ] {
        let error = NamePattern::parse(pattern).unwrap_err().to_string();
        assert_eq!(error, expected, "{pattern}");
    }
}

#[test]
fn only_stars_and_question_marks_are_wildcards() {
    for (pattern, text) in [
        ("n[10-11]*", "n10"),
        ("n[10-11]*", "n11-ib0"),
        ("n[1-2]*", "n10"),
        ("*[1-2]", "n1"),
        ("*[1,12]*[3]", "x123"),
        ("*[2,123]*3", "123"),
        ("n[1,12]3", "n123"),
        ("*[08-11]*", "n09x"),
        ("n?[1-2]", "nx1"),
        ("?", "\u{e4}"),
        ("*?", "\u{e4}"),
        ("a*?", "a\u{e4}\u{e4}"),
        ("*??b*?", "aabaa"),
        ("{a,b}", "{a,b}"),
        ("a\\*", "a\\b"),
        ("b{2}", "b{2}"),
        ("a.c+", "a.c+"),
        ("*a*b*", "xaxbx"),
        ("*", ""),
    ] {
        assert!(parse(pattern).matches(text), "{pattern} {text}");
    }
    for (pattern, text) in [
        ("n[10-11]*", "n1"),
        ("n[1-2]", "n01"),
        ("n[01-02]*", "n1"),
        ("*[08-11]", "n9"),
        ("n[8-11]", "n08"),
        ("n[1-10/3]*", "n2"),
        ("n[1-2]*", "n"),
        ("{a,b}", "a"),
        ("b{2}", "bb"),
        ("a\\*", "a*"),
        ("?", ""),
        ("*?", ""),
        ("a*??", "aa"),
        ("", "a"),
    ] {
        assert!(!parse(pattern).matches(text), "{pattern} {text}");
    }
    assert!(NamePattern::wildcards("[1-2]*").matches("[1-2]x"));
    assert!(!NamePattern::wildcards("[1-2]*").matches("1x"));
}

#[test]
fn wide_ranges_cost_nothing_until_they_are_expanded() {
    let wide = parse("n[1-99999999999999999999999999999999999999]x[0-9999999999]*");
    assert_eq!(wide.count(), usize::MAX);
    assert!(wide.matches("n12345678901234567890x77y") && !wide.matches("n0x77"));
    assert_eq!(parse("n[1-4294967295/2]").count(), 2_147_483_648);
    assert_eq!(parse("n[1-100]x[1-99]").count(), 9900);
}

/// A part of a pattern as the model has it: its text, and the texts that it stands for.
type ModelPart = (String, Vec<String>);

fn part() -> impl Strategy<Value = ModelPart> {
    let number = (0_u32..25, 0_u32..12, 1_u32..4, 1_usize..4);
    let item = number.prop_map(|(first, more, step, width)| {
        let last = first + more;
        let width = if last.to_string().len() > width {
            1
        } else {
            width
        };
        let texts = (first..=last).step_by(step as usize);
        let texts: Vec<String> = texts.map(|number| format!("{number:0width$}")).collect();
        (format!("{first:0width$}-{last:0width$}/{step}"), texts)
    });
    let list = proptest::collection::vec(item, 1..3).prop_map(|items| {
        let texts: Vec<String> = items.iter().map(|(text, _)| text.clone()).collect();
        let names = items.into_iter().flat_map(|(_, names)| names);
        (format!("[{}]", texts.join(",")), names.collect())
    });
    let text = "[a-b*?.]{1,2}".prop_map(|text: String| (text.clone(), vec![text]));
    prop_oneof![list, text]
}

fn join(parts: &[ModelPart]) -> ModelPart {
    let text = parts.iter().map(|(text, _)| text.as_str()).collect();
    let names = parts.iter().fold(vec![String::new()], |names, (_, texts)| {
        let joined = |name: &String| {
            let name = name.clone();
            texts.iter().map(move |text| format!("{name}{text}"))
        };
        names.iter().flat_map(joined).collect()
    });
    (text, names)
}

/// Whether wildcards match, tried in every way.
pub(crate) fn model_matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], rest) => rest.is_empty(),
        ([b'*', more @ ..], _) => (0..=text.len()).any(|at| model_matches(more, &text[at..])),
        ([b'?', more @ ..], [_, rest @ ..]) => model_matches(more, rest),
        ([one, more @ ..], [other, rest @ ..]) => one == other && model_matches(more, rest),
        _ => false,
    }
}

proptest! {
    /// Every pattern is the names that the model makes of it, and matches what one of them does.
    #[test]
    fn a_pattern_is_what_the_model_takes_it_for(
        parts in proptest::collection::vec(part(), 1..4),
        texts in proptest::collection::vec("[ab0-9.]{0,6}", 8),
    ) {
        let (text, expected) = join(&parts);
        let Ok(pattern) = NamePattern::parse(&text) else {
            // Two brackets side by side.
            prop_assert!(text.contains("]["), "{text}");
            return Ok(());
        };
        let names = pattern.expand();
        prop_assert!(pattern.count() == expected.len(), "{text}");
        prop_assert!(names.iter().all(|name| name.len() <= pattern.longest()));
        let distinct: BTreeSet<&String> = names.iter().collect();
        prop_assert_eq!(distinct.len(), names.len(), "{}", text);
        if !pattern.has_wildcards() {
            prop_assert_eq!(distinct, expected.iter().collect(), "{}", text);
        }
        for candidate in texts.iter().chain(&expected) {
            let is_meant = |name: &String| model_matches(name.as_bytes(), candidate.as_bytes());
            prop_assert_eq!(
                pattern.matches(candidate), expected.iter().any(is_meant), "{} {}", text, candidate
            );
        }
    }

    #[test]
    fn no_text_is_a_panic(text in "[n0-9\\[\\],*?/ a-]{0,24}", name in "[n0-9a-]{0,12}") {
        if let Ok(pattern) = NamePattern::parse(&text) {
            _ = pattern.matches(&name);
            if pattern.count() < 1000 {
                prop_assert!(pattern.expand().len() <= pattern.count());
            }
        }
    }
}
