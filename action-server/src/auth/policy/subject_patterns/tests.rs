//! What patterns say of subjects, against every short subject.

use proptest::prelude::*;

use super::*;
use crate::pattern::NamePattern;

/// Every subject of up to four of these characters.
fn subjects() -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..4 {
        let longer = last.iter().flat_map(|text| {
            let letters = ["a", "b", "-", "x"];
            letters.map(|letter| format!("{text}{letter}"))
        });
        last = longer.collect();
        all.extend(last.iter().cloned());
    }
    all.retain(|text| is_subject(text));
    all
}

fn matching<'a>(pattern: &str, subjects: &'a [String]) -> Vec<&'a String> {
    let pattern = NamePattern::wildcards(pattern);
    let all = subjects.iter();
    all.filter(|text| pattern.matches(text)).collect()
}

#[test]
fn what_can_be_a_subject() {
    let long = "a".repeat(64);
    for (pattern, expected) in [
        ("*", true),
        ("?", true),
        ("*-", true),
        ("**.a", true),
        ("-*", false),
        ("", false),
        ("a b*", false),
        (&format!("{long}*"), true),
        (&format!("*{long}*"), true),
        (&format!("{long}?"), false),
        (&format!("{long}a*"), false),
        (&format!("*-{}", &long[1..]), false),
        (&format!("*-{}", &long[2..]), true),
    ] {
        assert_eq!(can_be_subject(pattern), expected, "{pattern}");
    }
    let (a, b) = ("a".repeat(40), "b".repeat(25));
    assert!(!share_subject(&format!("{a}*"), &format!("*{b}")));
    assert!(share_subject(&format!("{a}*"), &format!("*{}", &b[1..])));
    assert!(!share_subject("?a", "*-a"));
    assert_eq!(stand_ins(&format!("{long}*"), '+'), vec![long.clone(); 2]);
    assert_eq!(stand_ins(&format!("{long}?"), '+'), [""; 0]);
}

proptest! {
    #[test]
    fn as_every_short_subject_has_it(a in "[ab*?-]{1,4}", b in "[ab*?-]{1,4}") {
        let all = subjects();
        let (of_a, of_b) = (matching(&a, &all), matching(&b, &all));
        prop_assert_eq!(can_be_subject(&a), !of_a.is_empty());
        let shared = of_a.iter().any(|text| of_b.contains(text));
        // Two of these may share only longer ones.
        prop_assert!(share_subject(&a, &b) || !shared);
        if share_subject(&a, &b) && !shared {
            prop_assert!(a.contains('*') && b.contains('*'));
        }
        let stand_ins = stand_ins(&a, 'x');
        prop_assert_eq!(stand_ins.is_empty(), of_a.is_empty());
        let (pattern, other) = (NamePattern::wildcards(&a), NamePattern::wildcards(&b));
        for subject in &stand_ins {
            prop_assert!(is_subject(subject) && pattern.matches(subject));
        }
        // A pattern that names all of another's names each of its stand-ins; one that names none, none.
        if of_a.iter().all(|text| of_b.contains(text)) && !b.contains('?') {
            prop_assert!(stand_ins.iter().all(|subject| other.matches(subject)));
        }
        if stand_ins.iter().any(|subject| other.matches(subject)) {
            prop_assert!(share_subject(&a, &b));
        }
        if stand_ins.iter().all(|subject| other.matches(subject)) {
            prop_assert!(of_a.iter().all(|text| of_b.contains(text)), "{:?}", stand_ins);
        }
    }
}
