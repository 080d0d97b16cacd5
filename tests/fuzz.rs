//! What is fuzzed holds for what starts the fuzzing, and for some thousand damages of it from seeds that are always the
//! same. `AIRSSYS_ROUNDS=...` tries more of them, `AIRSSYS_SEED=...` one again.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test says so by panicking")]
#![allow(clippy::print_stderr, reason = "what failed must be seen")]

#[path = "fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use airssys_tests::random::{self, Random};

/// What starts the fuzzing of a target, in the same order each time.
pub(crate) fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 1, "{} has nothing to start with", folder.display());
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// One of them, changed in one to four places, also by parts of another one.
pub(crate) fn changed(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[random.index(corpus.len())].clone();
    for _ in 0..=random.index(4) {
        let at = random.index(bytes.len().max(1)).min(bytes.len());
        let to = (at + random.index(24)).min(bytes.len());
        let other = &corpus[random.index(corpus.len())];
        let from = random.index(other.len().max(1)).min(other.len());
        let part = other[from..(from + random.index(48)).min(other.len())].to_vec();
        match random.index(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.index(8),
            1 if at < bytes.len() => bytes[at] = u8::try_from(random.index(256)).unwrap(),
            2 => drop(bytes.drain(at..to)),
            3 => {
                let twice = bytes[at..to].to_vec();
                bytes.splice(at..at, twice);
            }
            4 => drop(bytes.splice(at..to, part)),
            5 => drop(bytes.splice(at..at, part)),
            6 => bytes.truncate(at),
            // What numbers and texts begin and end with.
            _ => {
                let odd: [&[u8]; 10] = [
                    b"\"",
                    b"\n",
                    b"\0",
                    b"-",
                    b"99999999999999999999",
                    b"*",
                    b"..",
                    b"[",
                    b"{",
                    "\u{202e}".as_bytes(),
                ];
                bytes.splice(at..at, odd[random.index(odd.len())].iter().copied());
            }
        }
    }
    bytes
}

/// The seeds to try: so many where nobody says otherwise.
pub(crate) fn rounds(most: u64) -> Range<u64> {
    let rounds = || std::env::var("AIRSSYS_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(most);
    random::given().map_or_else(|| 0..rounds(), |seed| seed..seed + 1)
}

fn run(name: &str) {
    let (_, target) = targets::TARGETS.iter().find(|(of, _)| *of == name).unwrap();
    let corpus = corpus(name);
    for (at, bytes) in corpus.iter().enumerate() {
        let _tried = catch_unwind(AssertUnwindSafe(|| target(bytes))).map_err(|panic| {
            eprintln!("the one at {at} of the corpus of {name}");
            resume_unwind(panic)
        });
    }
    for seed in rounds(2_000) {
        let bytes = changed(&mut Random::of(seed), &corpus);
        let _tried = catch_unwind(AssertUnwindSafe(|| target(&bytes))).map_err(|panic| {
            eprintln!("AIRSSYS_SEED={seed}: {name} of {:?}", String::from_utf8_lossy(&bytes));
            resume_unwind(panic)
        });
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        #[test]
        fn none_is_left_out() {
            assert_eq!(targets::TARGETS.map(|(name, _)| name), [$(stringify!($name)),*]);
        }
    };
}

targets! { patterns topology manifest component values durable }
