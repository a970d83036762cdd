//! Random moments that can be had again: the seed is printed, and `ACTION_TEST_SEED` sets it.

use std::{
    env,
    time::{SystemTime, UNIX_EPOCH},
};

/// A number from the environment.
fn variable(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

/// How often something random is tried: `ACTION_TEST_ROUNDS`, or else this many times.
pub fn rounds(modest: u64) -> u64 {
    variable("ACTION_TEST_ROUNDS").unwrap_or(modest)
}

/// A source of numbers: xorshift64*.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// A new source. Says its seed, which a failing test shows.
    pub fn new() -> Chance {
        let now = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            u64::from(since.subsec_nanos()) | 1
        };
        let seed = variable("ACTION_TEST_SEED").unwrap_or_else(now);
        announce(seed);
        Chance(seed.max(1))
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % limit
    }
}

impl Default for Chance {
    fn default() -> Chance {
        Chance::new()
    }
}

#[expect(clippy::print_stderr, reason = "a failing test shows it")]
fn announce(seed: u64) {
    eprintln!("ACTION_TEST_SEED={seed}");
}
