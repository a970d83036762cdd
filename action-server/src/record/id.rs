//! The name of a run: short enough to type, never the same twice.

use std::{fmt, str::FromStr};

use rand::RngExt as _;

/// Digits and lower-case letters without those that look alike (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LEN: usize = 16;

/// A run's id: 16 characters of Crockford's base 32, 80 random bits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId([u8; LEN]);

impl RunId {
    /// The first of all in their order.
    pub const LEAST: RunId = RunId([b'0'; LEN]);

    /// A new id.
    pub fn random() -> RunId {
        let mut rng = rand::rng();
        RunId(std::array::from_fn(|_| {
            ALPHABET[rng.random_range(0..ALPHABET.len())]
        }))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // It holds characters of the alphabet only.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The first id, in their order, that could begin with `prefix`.
    pub(super) fn first_with(prefix: &str) -> RunId {
        let mut bytes = [0; LEN];
        for (byte, letter) in bytes.iter_mut().zip(prefix.bytes()) {
            *byte = letter;
        }
        RunId(bytes)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RunId {
    type Err = ();

    fn from_str(text: &str) -> Result<RunId, ()> {
        let bytes: [u8; LEN] = text.as_bytes().try_into().map_err(|_| ())?;
        let good = bytes.iter().all(|byte| ALPHABET.contains(byte));
        good.then_some(RunId(bytes)).ok_or(())
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
