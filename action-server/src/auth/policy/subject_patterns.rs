//! What patterns of subjects say of the subjects that tokens can have: whether there is one, one that
//! stands for all of a pattern, and whether two patterns share one. Pure.

use std::iter::successors;

use crate::auth::names::{LONGEST_SUBJECT, is_subject};

/// The lengths that are tried for the text of a `*`, beside the longest that fits.
const LENGTHS: [usize; 3] = [2, 1, 0];
/// How many `*` of a pattern get lengths of their own; the others get that of the last.
const FREE_STARS: usize = 3;

/// True if some token can have a subject that matches the pattern.
pub(super) fn can_be_subject(pattern: &str) -> bool {
    let text = pattern.replace('?', "a");
    let shortest = text.replace('*', "");
    is_subject(&shortest) || (text.starts_with('*') && is_subject(&format!("a{shortest}")))
}

/// Subjects that match a pattern and as few others as possible: `*` is a text of several lengths, the
/// longest first, and it and `?` are made of a character that no pattern names.
pub(super) fn stand_ins(pattern: &str, unnamed: char) -> Vec<String> {
    let parts: Vec<&str> = pattern.split('*').collect();
    let stars = parts.len() - 1;
    let fixed: usize = parts.iter().map(|part| part.len()).sum();
    let longest = LONGEST_SUBJECT.saturating_sub(fixed) / stars.max(1);
    let lengths: Vec<usize> = [longest].into_iter().chain(LENGTHS).collect();
    let free = stars.min(FREE_STARS);
    // Each choice of lengths is a number of so many digits.
    let choices = successors(Some(1), |count| Some(count * lengths.len())).nth(free);
    let choose = |choice: usize| {
        let digits = successors(Some(choice), |rest| Some(rest / lengths.len()));
        let digits = digits.map(|rest| lengths[rest % lengths.len()]);
        let free: Vec<usize> = digits.take(free).collect();
        let last = free.last().copied().unwrap_or(0);
        let mut texts = free.into_iter().chain(std::iter::repeat(last));
        let mut subject = String::new();
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                subject.extend(std::iter::repeat_n('?', texts.next().unwrap_or(0)));
            }
            subject += part;
        }
        subject
    };
    (0..choices.unwrap_or(1))
        .map(choose)
        .filter(|subject| is_subject(&subject.replace('?', "a")))
        .map(|subject| subject.replace('?', &unnamed.to_string()))
        .collect()
}

/// True if some token can have a subject that both patterns match.
pub(super) fn share_subject(a: &str, b: &str) -> bool {
    let literal = |pattern: &str| pattern.find(['*', '?']).unwrap_or(pattern.len());
    let begins = literal(a).min(literal(b));
    // Most patterns differ at once.
    a.as_bytes()[..begins] == b.as_bytes()[..begins]
        && can_be_subject(a)
        && can_be_subject(b)
        && shortest_shared(a.as_bytes(), b.as_bytes()).is_some_and(|it| it <= LONGEST_SUBJECT)
}

/// The length of the shortest subject that both patterns match.
fn shortest_shared(a: &[u8], b: &[u8]) -> Option<usize> {
    // For the ends of both patterns: of the texts that both match, and of those that can begin a subject.
    let mut any = vec![vec![None; b.len() + 1]; a.len() + 1];
    let mut first = any.clone();
    for i in (0..=a.len()).rev() {
        for j in (0..=b.len()).rev() {
            let (x, y) = (a.get(i).copied(), b.get(j).copied());
            let (is_star, is_other_star) = (x == Some(b'*'), y == Some(b'*'));
            // Where the patterns go on after a character that both take.
            let next = (i + usize::from(!is_star), j + usize::from(!is_other_star));
            let taken = x.zip(y).and_then(|(x, y)| shared_byte(x, y));
            any[i][j] = if x.is_none() && y.is_none() {
                Some(0)
            } else {
                let after = taken.filter(|_| next != (i, j));
                let after = after.and_then(|_| any[next.0][next.1]).map(|it| it + 1);
                least_length([
                    is_star.then(|| any[i + 1][j]).flatten(),
                    is_other_star.then(|| any[i][j + 1]).flatten(),
                    after,
                ])
            };
            let begins = taken.filter(|byte| is_subject(&char::from(*byte).to_string()));
            let after = begins.and_then(|_| any[next.0][next.1]).map(|it| it + 1);
            first[i][j] = least_length([
                is_star.then(|| first[i + 1][j]).flatten(),
                is_other_star.then(|| first[i][j + 1]).flatten(),
                after,
            ]);
        }
    }
    first[0][0]
}

/// A character that both of these match: a letter where either would do.
fn shared_byte(x: u8, y: u8) -> Option<u8> {
    let is_wild = |byte| matches!(byte, b'*' | b'?');
    match (is_wild(x), is_wild(y)) {
        (true, true) => Some(b'a'),
        (true, false) => Some(y),
        (false, _) => (is_wild(y) || x == y).then_some(x),
    }
}

fn least_length(lengths: [Option<usize>; 3]) -> Option<usize> {
    lengths.into_iter().flatten().min()
}

#[cfg(test)]
mod tests;
