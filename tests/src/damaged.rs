//! Durable states that are damaged before a host starts with them.

use std::collections::BTreeMap;
use std::path::Path;

use airssys_wasm::command::{KeptState, StateFile};

/// Flips a bit wherever the file holds this.
///
/// # Panics
///
/// It does not hold it.
pub fn flip(file: &Path, needle: &str) {
    let mut bytes = std::fs::read(file).expect("the file of the states");
    let needle = needle.as_bytes();
    let found: Vec<usize> = (0..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
    assert!(!found.is_empty());
    found.into_iter().for_each(|at| bytes[at] ^= 1);
    std::fs::write(file, bytes).expect("the file of the states");
}

/// Leaves a state of these actors in a data folder, and damages that of one of them: a host has it suspended.
///
/// # Panics
///
/// The file cannot be written.
pub fn suspend(data: &Path, service: &str, actors: &[&str], damaged: &str) {
    let needle = |actor: &str| format!("needle of {service}/{actor} {}", "x".repeat(4_000));
    let kept = |actor: &&str| {
        let values = BTreeMap::from([("pad".into(), needle(actor).into())]);
        (Box::from(*actor), KeptState { values, commits: 1, schema: 0 })
    };
    let file = StateFile::open(data).expect("the data folder");
    file.replace(service, &actors.iter().map(kept).collect()).expect("a state");
    drop(file);
    flip(&StateFile::path(data), &needle(damaged)[..service.len() + damaged.len() + 11]);
}
