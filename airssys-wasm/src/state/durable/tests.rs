#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so by panicking")]
#![allow(clippy::print_stdout, reason = "a seed is told")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::time::Duration;

use bytes::Bytes;

use self::disk::{Disk, random};
use super::lost::Lost;
use super::writer::Pause;
use super::{Journal, KeptState, LoadedService, ServiceStates, StateError, StateFile};
use crate::error::Crash;
use crate::state::{Full, Saved, Saving, State, Transaction};

mod compact;
mod disk;
mod file;
mod forgotten;
mod lost;
mod writer;

const NAME: &str = "the disk";

/// Of random numbers; it is told, and can be given.
fn seed() -> u64 {
    let own = || std::process::id().into();
    let seed = std::env::var("AIRSSYS_SEED").map_or_else(|_| own(), |seed| seed.parse().unwrap());
    println!("AIRSSYS_SEED={seed}");
    seed
}

fn on(disk: &Disk) -> StateFile {
    StateFile::on(disk.clone(), Path::new(NAME)).unwrap()
}

fn service_states(file: StateFile) -> (ServiceStates, Journal) {
    service_states_with(file, |_| Duration::ZERO)
}

fn service_states_with(file: StateFile, pause: Pause) -> (ServiceStates, Journal) {
    let kept = file.load("counter").unwrap();
    let bytes = file.services().unwrap().iter().map(|service| file.bytes(service).unwrap()).sum();
    let journal = Journal::start_with(file, bytes, pause, None).unwrap();
    (ServiceStates::new(journal.clone(), "counter", kept), journal)
}

/// Two keys that are only ever written together.
async fn write(state: &Arc<State>, number: u64) -> Result<(), Crash> {
    let mut turn = Transaction::default();
    for key in ["left", "right"] {
        turn.set(state, key, Bytes::copy_from_slice(&number.to_le_bytes()), 1 << 20).unwrap();
    }
    state.save(&mut turn, number, 0, Box::new(|| ())).unwrap().done().await
}

/// The number that both keys have.
fn number(values: &BTreeMap<Box<str>, Bytes>) -> u64 {
    let read = |key| values.get(key).map_or(0, |value| u64::from_le_bytes(value.as_ref().try_into().unwrap()));
    assert_eq!(read("left"), read("right"), "a commit is there as a whole or not at all");
    read("left")
}

fn kept(values: &[(&str, &str)]) -> KeptState {
    let values = values.iter().map(|(key, value)| ((*key).into(), Bytes::copy_from_slice(value.as_bytes())));
    KeptState { values: values.collect(), commits: 7, schema: 3 }
}
