//! Tests of the mask: tables, a model, and what the sizes of chunks depend on.

use proptest::prelude::*;

use super::*;

fn masked(secrets: &[&str], chunks: &[&[u8]]) -> Vec<u8> {
    let mut mask = SecretMask::new(NodeSecrets::new(secrets.iter().copied()));
    let mut shown = Vec::new();
    for chunk in chunks {
        shown.extend_from_slice(&mask.mask_chunk(Bytes::copy_from_slice(chunk)));
    }
    shown.extend_from_slice(&mask.flush_held());
    shown
}

#[test]
fn secrets_are_hidden_also_across_borders() {
    let secrets = [
        "hunter2",
        "hunter2-long",
        "short",
        "abc",
        "overlap",
        "laplap2",
    ];
    for (chunks, expected) in [
        (&[&b"pw=hunter2\n"[..]][..], &b"pw=***\n"[..]),
        (&[b"pw=hun", b"ter", b"2\n"], b"pw=***\n"),
        (&[b"hunter2", b"-long!"], b"***!"),
        (&[b"hunter2", b"-lon"], b"***-lon"),
        (&[b"hunter"], b"hunter"),
        (&[b"abc hunterhunter2"], b"abc hunter***"),
        (&[b"", b"\xff\x00hunter2\xff"], b"\xff\x00***\xff"),
    ] {
        assert_eq!(masked(&secrets, chunks), expected, "{chunks:?}");
    }
    assert_eq!(masked(&[], &[b"anything"]), b"anything");
}

#[test]
fn what_waits_depends_on_lengths_and_line_breaks_only() {
    for (secrets, chunks) in [
        // Lines go on at once, and of what stands behind them what could be a beginning waits.
        (
            &["hunter2"][..],
            &[("a line\n", "a line\n"), ("hunter", ""), ("Passw", "hunte")][..],
        ),
        (
            &["hunter2"],
            &[("Password: ", "Pass"), ("", ""), ("x", "w")],
        ),
        // Secrets with line breaks go on behind a line.
        (&["one\ntwo"], &[("a line\n", "a"), ("two\n", " lin")]),
        (
            &["one\ntwo", "longer than"],
            &[("a line\nx", "a "), ("yz", "li")],
        ),
        // One at the end of a value is no part of it.
        (
            &["hunter2\r\n\n"],
            &[("a line\n", "a line\n"), ("hunter2\n", "***\n")],
        ),
    ] {
        let mut mask = SecretMask::new(NodeSecrets::new(secrets.iter().copied()));
        for (chunk, expected) in chunks {
            let shown = mask.mask_chunk(Bytes::copy_from_slice(chunk.as_bytes()));
            assert_eq!(&shown[..], expected.as_bytes(), "{secrets:?}: {chunk:?}");
        }
    }
}

#[test]
fn a_pause_shows_what_waits_and_hides_what_goes_on() {
    let mut mask = SecretMask::new(NodeSecrets::new(["hunter2", "hunter2-long"]));
    let mut pass = |chunk: &'static str| {
        let shown = mask.mask_chunk(Bytes::from_static(chunk.as_bytes()));
        (shown, mask.flush_held(), mask.flush_held().len())
    };
    assert_eq!(pass("pw: hun"), ("".into(), "pw: hun".into(), 0));
    assert_eq!(pass("ter"), ("".into(), "ter".into(), 0));
    assert_eq!(pass("2 is it"), ("***".into(), " is it".into(), 0));
    assert_eq!(pass("hunter2"), ("".into(), "***".into(), 0));
    assert_eq!(pass("-long\n"), ("\n".into(), "".into(), 0));
    assert_eq!(pass("hunter2-lo"), ("".into(), "***-lo".into(), 0));
    assert_eq!(pass("ng\n"), ("***\n".into(), "".into(), 0));
    assert_eq!(pass("hunter"), ("".into(), "hunter".into(), 0));
    assert_eq!(pass(" 2\n"), (" 2\n".into(), "".into(), 0));
}

/// The sizes of the chunks that are shown of an output that comes in parts, with a pause behind some.
fn sizes(secrets: &[String], parts: &[(Vec<u8>, bool)]) -> Vec<usize> {
    let mut mask = SecretMask::new(NodeSecrets::new(secrets.iter().map(String::as_str)));
    let mut sizes = Vec::new();
    for (part, pauses) in parts {
        sizes.push(mask.mask_chunk(Bytes::copy_from_slice(part)).len());
        if *pauses {
            sizes.push(mask.flush_held().len());
        }
    }
    sizes.push(mask.flush_held().len());
    sizes
}

/// Every byte of a secret is hidden, and what overlaps is hidden as one.
fn model(secrets: &[String], text: &[u8]) -> Vec<u8> {
    let secrets = secrets
        .iter()
        .map(|it| it.trim_end_matches(['\r', '\n']).as_bytes());
    let secrets: Vec<&[u8]> = secrets.filter(|it| it.len() >= LEAST).collect();
    let mut shown = Vec::new();
    let mut hidden_to = 0;
    for (at, byte) in text.iter().enumerate() {
        let here = secrets
            .iter()
            .filter(|secret| text[at..].starts_with(secret));
        if let Some(longest) = here.map(|secret| secret.len()).max() {
            if at >= hidden_to {
                shown.extend_from_slice(MASK);
            }
            hidden_to = hidden_to.max(at + longest);
        }
        if at >= hidden_to {
            shown.push(*byte);
        }
    }
    shown
}

fn check(secrets: &[String], text: &[u8], is_cut: impl Fn(usize) -> bool) {
    let longest = secrets.iter().map(String::len).max().unwrap_or(0);
    let mut mask = SecretMask::new(NodeSecrets::new(secrets.iter().map(String::as_str)));
    let mut shown = Vec::new();
    let mut from = 0;
    for to in (1..=text.len()).filter(|&to| to == text.len() || is_cut(to)) {
        shown.extend_from_slice(&mask.mask_chunk(Bytes::copy_from_slice(&text[from..to])));
        assert!(
            mask.held.len() < longest.max(1),
            "more waits than may be a secret"
        );
        from = to;
    }
    shown.extend_from_slice(&mask.flush_held());
    assert_eq!(shown, model(secrets, text), "{secrets:?} in {text:?}");
}

proptest! {
    #[test]
    fn short_texts_at_every_chunking(
        text in "[abx]{0,9}",
        secrets in proptest::collection::vec("[ab]{3,6}", 0..4),
    ) {
        for cuts in 0u32..1 << text.len().saturating_sub(1) {
            check(&secrets, text.as_bytes(), |at| cuts >> (at - 1) & 1 == 1);
        }
    }

    #[test]
    fn any_bytes_and_secrets_of_any_characters(
        secrets in proptest::collection::vec(".{0,12}", 1..5),
        parts in proptest::collection::vec((any::<proptest::sample::Index>(), 0usize..14,
            proptest::collection::vec(any::<u8>(), 0..6)), 0..8),
        cuts in proptest::collection::vec(any::<bool>(), 300),
    ) {
        // Secrets and beginnings of secrets among other bytes.
        let mut text = Vec::new();
        for (which, length, bytes) in parts {
            let secret = which.get(&secrets).as_bytes();
            text.extend_from_slice(&secret[..length.min(secret.len())]);
            text.extend(bytes);
        }
        check(&secrets, &text, |at| cuts[at % cuts.len()]);
    }

    /// Whoever has a script print a guess learns nothing from sizes, unless the guess is the secret.
    #[test]
    fn sizes_do_not_depend_on_a_secret_that_does_not_occur(
        pairs in proptest::collection::vec(("[ab]{4,9}", any::<proptest::sample::Index>()), 1..4),
        parts in proptest::collection::vec((proptest::collection::vec(0u8..4, 0..12), any::<bool>()), 0..8),
    ) {
        let letters = |part: &[u8]| part.iter().map(|&at| b"ab\nx"[usize::from(at)]).collect();
        let parts: Vec<(Vec<u8>, bool)> = parts.iter().map(|(part, pauses)| (letters(part), *pauses)).collect();
        let whole: Vec<u8> = parts.iter().flat_map(|(part, _)| part.clone()).collect();
        let occurs = |secret: &str| whole.windows(secret.len()).any(|it| it == secret.as_bytes());
        // Guesses that are right for a part of the secret, and such as are wrong from the start.
        let near: Vec<String> = pairs.iter().map(|(secret, _)| secret.clone()).collect();
        let other: Vec<String> = pairs.iter().map(|(secret, at)| {
            let at = at.index(secret.len());
            format!("{}{}", "\u{1}".repeat(at), &secret[at..])
        }).collect();
        prop_assume!(!near.iter().chain(&other).any(|it| occurs(it)));
        prop_assert_eq!(sizes(&near, &parts), sizes(&other, &parts));
    }
}
