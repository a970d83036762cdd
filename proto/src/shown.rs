//! Characters that must not reach a terminal or a log as they are.

use std::borrow::Cow;

/// True for what drives a terminal (C0, DEL and C1 controls), ends a line for some readers, or changes
/// the order in which text is shown (Unicode's bidirectional controls).
pub fn is_unsafe_to_show(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// True for a hyphen and for the dashes that editors and chat programs make of it (Unicode's Pd, and
/// the minus sign).
pub fn is_dash(c: char) -> bool {
    matches!(
        c,
        '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
    )
}

/// A text for a terminal or a log with such characters as `\u{1b}`, but for those of `kept`.
pub fn escape_unsafe<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let is_escaped = |character: char| is_unsafe_to_show(character) && !kept.contains(&character);
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match is_escaped(character) {
            true => escaped.extend(character.escape_unicode()),
            false => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// A JSON text whose strings hold such characters as escapes. JSON itself (RFC 8259, section 7) asks for
/// escapes only below U+0020, and outside of strings allows none of the others. Line breaks between
/// texts stay.
pub fn escape_in_json(json: &str) -> Cow<'_, str> {
    let is_safe = |byte: &u8| byte.is_ascii() && *byte != 0x7f;
    if json.as_bytes().iter().all(is_safe) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        match is_unsafe_to_show(character) && !character.is_ascii_whitespace() {
            true => escaped += &format!("\\u{:04x}", u32::from(character)),
            false => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn controls_and_what_reorders_text_are_escaped() {
        for (json, expected) in [
            ("{\"a\":\"b c\"}\n", "{\"a\":\"b c\"}\n"),
            ("\"\u{7f}\u{9b}31m\"", "\"\\u007f\\u009b31m\""),
            ("\"\u{202e}\u{2066}\u{61c}\"", "\"\\u202e\\u2066\\u061c\""),
            ("\"\u{2028}\u{2029}\u{85}\"", "\"\\u2028\\u2029\\u0085\""),
            ("\"\u{e9}\u{1f600}\"", "\"\u{e9}\u{1f600}\""),
        ] {
            assert_eq!(escape_in_json(json), expected, "{json:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_unsafe_is_left(text in "\\PC*[\u{80}-\u{9f}\u{200b}-\u{206f}]*\\PC*") {
            let escaped = escape_in_json(&text);
            prop_assert!(!escaped.chars().any(is_unsafe_to_show));
            let next_line = '\u{85}';
            let escaped = escape_unsafe(&text, &[next_line]);
            let is_left = escaped.chars().any(|it| is_unsafe_to_show(it) && it != next_line);
            prop_assert!(!is_left);
        }
    }
}
