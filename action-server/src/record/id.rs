//! The name of a run: short enough to type, never the same twice.

use std::{fmt, str::FromStr};

use rand::RngExt as _;

/// Digits and lower-case letters without those that look alike (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LEN: usize = 16;

/// A run's id: 16 characters of Crockford's base 32, 80 random bits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(String);

impl RunId {
    /// A new id.
    pub fn random() -> RunId {
        let mut rng = rand::rng();
        let letters = (0..LEN).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
        RunId(letters.collect())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RunId {
    type Err = ();

    fn from_str(text: &str) -> Result<RunId, ()> {
        let good = text.len() == LEN && text.bytes().all(|byte| ALPHABET.contains(&byte));
        good.then(|| RunId(text.to_owned())).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_nothing_else_does() {
        let id = RunId::random();
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_ne!(id, RunId::random());
        for text in ["", "../../../etc/pass", "0123456789abcdeU", "0123"] {
            assert_eq!(text.parse::<RunId>(), Err(()), "{text}");
        }
    }
}
