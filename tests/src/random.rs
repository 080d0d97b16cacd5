//! Numbers that look random, from a seed that is told: whoever gives it again gets the same ones.

use std::time::{SystemTime, UNIX_EPOCH};

/// The variable that names a seed.
const SEED: &str = "AIRSSYS_SEED";

/// SplitMix64, by Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014).
#[derive(Debug)]
pub struct Random(u64);

/// The seed that `AIRSSYS_SEED` says; none where it says none.
///
/// # Panics
///
/// It says something that is no number: a seed that is not obeyed would be worse.
#[must_use]
pub fn given() -> Option<u64> {
    std::env::var(SEED).ok().map(|seed| seed.parse().unwrap_or_else(|_| panic!("{SEED}={seed} is no number")))
}

/// A seed that nobody gave.
///
/// # Panics
///
/// The clock is before 1970.
#[must_use]
pub fn any() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").subsec_nanos().into()
}

impl Random {
    /// From the seed that is given, or any; it is printed.
    #[allow(clippy::print_stdout, reason = "a seed that failed must be seen")]
    #[must_use]
    pub fn told() -> Self {
        let seed = given().unwrap_or_else(any);
        println!("{SEED}={seed}");
        Self(seed)
    }

    /// From this seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below this one; 0 below 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound.max(1)
    }

    /// [`Random::below`] for what is counted in memory.
    ///
    /// # Panics
    ///
    /// Never: what is below a `usize` is one.
    pub fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).expect("it is below a usize")
    }
}
