#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Full, IncrementError, State, Transaction, UnknownCursor};

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
    let overflow = turn.increment(&state, "n", u64::MAX, MOST).unwrap_err();
    assert_eq!(overflow, IncrementError::Overflow { key: "n".into(), value: 7, delta: u64::MAX });
    assert!(overflow.to_string().contains("\"n\"") && overflow.to_string().contains('7'), "{overflow}");
    turn.set(&state, "text", "abc".into(), MOST).unwrap();
    let text = turn.increment(&state, "text", 1, MOST).unwrap_err();
    assert_eq!(text, IncrementError::NotANumber { key: "text".into(), length: 3 });
    assert!(text.to_string().contains("\"text\"") && text.to_string().contains("3 bytes"), "{text}");
    assert_eq!(turn.get(&state, "text"), Some("abc".into()), "it is as it was");
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
    assert_eq!(walk(&state, &mut turn, |_, _| ()), (0..2_500).map(|n| format!("{n:05}")).collect::<Vec<_>>());
    assert_eq!(turn.keys(&state, Some(0)), turn.keys(&state, None), "0 is the beginning");
    assert_eq!(turn.keys(&state, Some(7)), Err(UnknownCursor { cursor: 7 }));
}

/// All keys, page by page, with something done after each.
fn walk(state: &State, turn: &mut Transaction, mut then: impl FnMut(&mut Transaction, &[String])) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let (page, next) = turn.keys(state, cursor).unwrap();
        then(turn, &page);
        seen.extend(page);
        cursor = next;
        if cursor.is_none() {
            return seen;
        }
    }
}

/// `N` keys, of which those before `committed` are committed.
fn listed(committed: u32) -> (State, Transaction, Vec<String>) {
    let (state, mut turn) = (State::default(), Transaction::default());
    let all: Vec<String> = (0..3_500).map(|n| format!("{n:05}")).collect();
    for (n, key) in (0..).zip(&all) {
        if n == committed {
            turn.commit(&state, 0);
        }
        turn.set(&state, key, Bytes::new(), MOST).unwrap();
    }
    (state, turn, all)
}

#[test]
fn who_changes_keys_between_pages_misses_none_and_gets_none_twice() {
    // Keys that are committed, that the turn has made, and both.
    for committed in [0, 1_700, 3_499] {
        let (state, mut turn, all) = listed(committed);
        let seen = walk(&state, &mut turn, |turn, page| page.iter().for_each(|key| turn.delete(&state, key)));
        assert_eq!(seen, all, "each was deleted as it was seen");
        assert_eq!(turn.keys(&state, None), Ok((Vec::new(), None)));

        let (state, mut turn, all) = listed(committed);
        let seen = walk(&state, &mut turn, |turn, page| {
            // Before what was seen, where a listing by numbers would show what it has shown.
            turn.set(&state, &format!("!{}", page[0]), Bytes::new(), MOST).unwrap();
        });
        assert_eq!(seen, all, "one was made before each page");
    }
}

#[test]
fn a_listing_goes_on_in_later_turns_though_its_keys_are_gone() {
    let (state, mut turn, all) = listed(3_499);
    turn.commit(&state, 0);
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let mut turn = Transaction::default();
        let (page, next) = turn.keys(&state, cursor).unwrap();
        page.iter().for_each(|key| turn.delete(&state, key));
        turn.commit(&state, 0);
        seen.extend(page);
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, all);
    assert!(state.is_empty());
}

#[test]
fn a_cursor_that_is_forgotten_is_an_error_where_its_key_is_gone_and_is_found_where_it_is_there() {
    let (state, mut turn, _) = listed(0);
    let (first, cursor) = turn.keys(&state, None).unwrap();
    for n in 0..20 {
        turn.set(&state, &format!("!{n:02}"), Bytes::new(), MOST).unwrap();
        // Each page ends with another key.
        assert!(turn.keys(&state, None).unwrap().1.is_some());
    }
    assert_eq!(turn.keys(&state, cursor).unwrap().0[0], "01000", "found by its key");
    for n in 20..40 {
        turn.set(&state, &format!("!{n:02}"), Bytes::new(), MOST).unwrap();
        assert!(turn.keys(&state, None).unwrap().1.is_some());
    }
    turn.delete(&state, first.last().unwrap());
    assert_eq!(turn.keys(&state, cursor), Err(UnknownCursor { cursor: cursor.unwrap() }));
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
            prop_assert_eq!(turn.keys(&state, None).unwrap().0, seen.keys().cloned().collect::<Vec<_>>());
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
