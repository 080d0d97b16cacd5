//! `cargo xtask soak`: the test of isolation, with many more rounds than a test has time for; or the trials of the
//! sound host, for as long as somebody has time.
//!
//! The same guests and the same profile as `cargo xtask test`; only the number of rounds differs, and the seeds.

use std::time::{SystemTime, UNIX_EPOCH};

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

/// Tries the sound host for so many seconds, with the files of the tests and with meshes that are drawn, from a seed on
/// that is printed; what is said as one is taken.
pub(crate) fn tried(seconds: u64, seed: Option<u64>) -> Result<(), Error> {
    guests::build("dev")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = seed.unwrap_or(now.as_secs());
    progress::line(&format!("trials for {seconds} s, from seed {seed} on"));
    let most = ["test", "--workspace", "--exclude", "airssys-rt-shim", "--test", "promises", "--", "--nocapture"];
    let tests = [
        "mutants::nothing_is_found_in_the_sound_host",
        "random_trees::what_holds_for_each_mesh_holds_in_meshes_that_nobody_wrote",
        "digest::a_seed_means_the_same_run_however_often_and_whatever_compiles_it",
    ];
    let mut cargo = command(&[&most[..], &tests].concat())?;
    cargo.env("AIRSSYS_SOAK", seconds.to_string()).env("AIRSSYS_SEED", seed.to_string());
    show("soak", &mut cargo)
}
