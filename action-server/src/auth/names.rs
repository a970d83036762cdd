//! The syntax of subjects and token IDs.

/// True for a valid `jti` of a token.
pub(crate) fn is_token_id(jti: &str) -> bool {
    !jti.is_empty() && jti.len() <= 128 && jti.bytes().all(|b| b.is_ascii_graphic())
}

/// True for a whole `jti` as [`mint`] makes it.
pub(crate) fn is_own_token_id(jti: &str) -> bool {
    jti.len() == 32 && jti.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The longest subject, in bytes.
pub(crate) const LONGEST_SUBJECT: usize = 64;

/// True for a valid subject.
pub(crate) fn is_subject(subject: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    subject.len() <= LONGEST_SUBJECT
        && subject.bytes().next().is_some_and(word)
        && subject.bytes().all(|b| word(b) || b".@-".contains(&b))
}
