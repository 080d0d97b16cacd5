#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Full, IncrementError, State, Transaction};

const MOST: usize = 1 << 20;

#[test]
fn a_turn_reads_its_own_writes_and_nobody_else_does() {
    let state = State::default();
    let mut turn = Transaction::default();
    turn.set(&state, "a", "1".into(), MOST).unwrap();
    assert_eq!(turn.get(&state, "a"), Some("1".into()));
    assert_eq!(Transaction::default().get(&state, "a"), None);
    turn.commit(&state, 0);
    assert_eq!(Transaction::default().get(&state, "a"), Some("1".into()));
}

#[test]
fn only_numbers_are_incremented() {
    let state = State::default();
    let mut turn = Transaction::default();
    assert_eq!(turn.increment(&state, "n", 5, MOST), Ok(5));
    assert_eq!(turn.increment(&state, "n", 2, MOST), Ok(7));
    assert_eq!(turn.increment(&state, "n", u64::MAX, MOST), Err(IncrementError::Overflow));
    turn.set(&state, "text", "abc".into(), MOST).unwrap();
    assert_eq!(turn.increment(&state, "text", 1, MOST), Err(IncrementError::NotANumber { length: 3 }));
    assert_eq!(turn.get(&state, "n"), Some(Bytes::copy_from_slice(&7_u64.to_le_bytes())));
}

#[test]
fn a_state_never_grows_beyond_its_bound() {
    let (state, mut turn) = (State::default(), Transaction::default());
    turn.set(&state, "a", "1234".into(), 10).unwrap();
    assert_eq!(turn.set(&state, "b", "12345".into(), 10), Err(Full::State { bytes: 11, most: 10 }));
    turn.set(&state, "b", "1234".into(), 10).unwrap();
    turn.set(&state, "b", "4321".into(), 10).unwrap();
    assert_eq!(turn.increment(&state, "n", 1, 10), Err(IncrementError::Full(Full::State { bytes: 19, most: 10 })));
    turn.commit(&state, 0);
    assert!(turn.set(&state, "c", Bytes::new(), 10).is_err(), "what is committed counts");
    turn.set(&state, "a", "12".into(), 5).unwrap();
    turn.delete(&state, "b");
    turn.delete(&state, "never there");
    turn.set(&state, "c", "123456".into(), 10).unwrap();
    turn.discard();
    assert!(turn.set(&state, "c", Bytes::new(), 10).is_err(), "what was taken back counts again");
}

#[test]
fn a_listing_comes_in_pages() {
    let state = State::default();
    let mut turn = Transaction::default();
    for n in 0..2_500 {
        turn.set(&state, &format!("{n:05}"), Bytes::new(), MOST).unwrap();
    }
    let (mut seen, mut cursor) = (Vec::new(), Some(0));
    while let Some(at) = cursor {
        let (page, next) = turn.keys(&state, at);
        seen.extend(page);
        cursor = next;
    }
    assert_eq!(seen, (0..2_500).map(|n| format!("{n:05}")).collect::<Vec<_>>());
}

#[derive(Debug, Clone)]
enum Step {
    Set(u8, u8),
    Delete(u8),
    Commit,
    Discard,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_u8, any::<u8>()).prop_map(|(key, value)| Step::Set(key, value)),
        2 => (0..6_u8).prop_map(Step::Delete),
        1 => Just(Step::Commit),
        1 => Just(Step::Discard),
    ]
}

proptest! {
    /// Against two plain maps: what is committed, and what the turn sees.
    #[test]
    fn a_transaction_is_a_map_that_can_be_taken_back(steps in proptest::collection::vec(step(), 0..40)) {
        let (state, mut turn) = (State::default(), Transaction::default());
        let (mut committed, mut seen) = (BTreeMap::new(), BTreeMap::new());
        for step in steps {
            match step {
                Step::Set(key, value) => {
                    turn.set(&state, &key.to_string(), Bytes::copy_from_slice(&[value]), MOST).unwrap();
                    seen.insert(key.to_string(), value);
                }
                Step::Delete(key) => {
                    turn.delete(&state, &key.to_string());
                    seen.remove(&key.to_string());
                }
                Step::Commit => {
                    turn.commit(&state, 0);
                    committed = seen.clone();
                }
                Step::Discard => {
                    turn.discard();
                    seen = committed.clone();
                }
            }
            prop_assert_eq!(turn.keys(&state, 0).0, seen.keys().cloned().collect::<Vec<_>>());
            for key in 0..6_u8 {
                let key = key.to_string();
                prop_assert_eq!(turn.get(&state, &key).map(|value| value[0]), seen.get(&key).copied());
            }
            let stored: BTreeMap<String, u8> = state.snapshot().into_iter().map(|(key, value)| (key.into(), value[0])).collect();
            prop_assert_eq!(&stored, &committed);
            let bytes = |map: &BTreeMap<String, u8>| 2 * map.len();
            prop_assert_eq!(state.lock().bytes, bytes(&committed));
            prop_assert_eq!(state.lock().bytes + turn.added - turn.removed, bytes(&seen));
        }
    }
}
