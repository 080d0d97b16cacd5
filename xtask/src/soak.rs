//! `cargo xtask soak`: the test of isolation, with many more rounds than a test has time for.
//!
//! The same guests and the same profile as `cargo xtask test`; only the number of rounds differs.

use crate::error::Error;
use crate::test::{command, show};
use crate::{guests, progress};

/// How often each attack is made, where nobody says otherwise.
pub(crate) const ROUNDS: u32 = 10_000;

/// Makes each attack this often.
pub(crate) fn run(rounds: u32) -> Result<(), Error> {
    guests::build("dev")?;
    progress::line(&format!("each attack {rounds} times; a thousand take about two minutes"));
    let mut cargo = command(&["test", "--package", "airssys-tests", "--test", "isolation", "--", "--nocapture"])?;
    cargo.env("AIRSSYS_ROUNDS", rounds.to_string());
    show("soak", &mut cargo)
}
