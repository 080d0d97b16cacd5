#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says so by panicking")]

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Most, Timers, TooManyTimers};

fn most(timers: usize) -> Most {
    Most { timers, bytes: 100 }
}

type Named = Timers<&'static str, u8>;

fn running() -> (Arc<Named>, mpsc::UnboundedReceiver<(u64, &'static str)>) {
    let timers = Arc::new(Timers::new(most(3)));
    let (fired, seen) = mpsc::unbounded_channel();
    let runner = Arc::clone(&timers);
    tokio::spawn(async move { runner.run(|id, load| fired.send((id.0, load)).unwrap()).await });
    (timers, seen)
}

#[tokio::test(start_paused = true)]
async fn timers_fire_in_the_order_in_which_they_run_out() {
    let (timers, mut seen) = running();
    let late = timers.reserve(&0, 1, most(9)).unwrap();
    timers.arm(late, Duration::from_secs(60), "late");
    // The runner sleeps until `late` by now, and has to be told of an earlier one.
    tokio::task::yield_now().await;
    let soon = timers.reserve(&0, 1, most(9)).unwrap();
    timers.arm(soon, Duration::from_millis(5), "soon");
    assert_eq!(seen.recv().await.unwrap(), (soon.0, "soon"));
    assert_eq!(seen.recv().await.unwrap(), (late.0, "late"));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_timer_never_fires_and_is_never_claimed() {
    let (timers, mut seen) = running();
    let (armed, queued, kept) = (
        timers.reserve(&0, 1, most(9)).unwrap(),
        timers.reserve(&0, 1, most(9)).unwrap(),
        timers.reserve(&0, 1, most(9)).unwrap(),
    );
    timers.arm(queued, Duration::from_millis(1), "queued");
    assert_eq!(seen.recv().await.unwrap().1, "queued");
    timers.arm(armed, Duration::from_millis(5), "armed");
    timers.arm(kept, Duration::from_millis(9), "kept");

    assert!(timers.cancel(armed, &0));
    assert!(timers.cancel(queued, &0), "its message waits in a mailbox, and is not handled yet");
    assert!(!timers.claim(queued));
    assert_eq!(seen.recv().await.unwrap().1, "kept");
    assert!(timers.claim(kept));
    assert!(!timers.cancel(kept, &0), "it was handled");
}

#[tokio::test(start_paused = true)]
async fn a_reserved_timer_counts_and_can_be_given_up() {
    let timers: Timers<(), u8> = Timers::new(most(1));
    let held = timers.reserve(&0, 1, most(9)).unwrap();
    assert_eq!(timers.reserve(&0, 1, most(9)).unwrap_err(), TooManyTimers::Number { bound: 1 });
    assert!(timers.cancel(held, &0));
    let again = timers.reserve(&0, 1, most(9)).unwrap();
    assert!(timers.cancel(again, &0));
    timers.arm(again, Duration::ZERO, ());
    assert_eq!(timers.armed(), 0, "cancelled before it was armed");
}

#[tokio::test(start_paused = true)]
async fn a_delay_that_no_clock_can_hold_is_for_ever() {
    let timers: Timers<(), u8> = Timers::new(most(1));
    let id = timers.reserve(&0, 1, most(9)).unwrap();
    timers.arm(id, Duration::MAX, ());
    assert_eq!(timers.armed(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_timer_is_its_owners_alone() {
    let (timers, mut seen) = running();
    let reserved = timers.reserve(&1, 1, most(2)).unwrap();
    let armed = timers.reserve(&1, 1, most(2)).unwrap();
    timers.arm(armed, Duration::from_millis(1), "armed");
    assert_eq!(
        timers.reserve(&1, 1, most(2)).unwrap_err(),
        TooManyTimers::Number { bound: 2 },
        "as many as this one may have"
    );
    assert!(!timers.cancel(armed, &2) && !timers.cancel(reserved, &2), "somebody else's");
    assert_eq!(seen.recv().await.unwrap(), (armed.0, "armed"));
    assert!(!timers.cancel(armed, &2));
    assert!(timers.reserve(&1, 1, most(2)).is_err(), "one that is queued counts");
    assert!(timers.claim(armed) && timers.cancel(reserved, &1));
    for _ in 0..2 {
        timers.reserve(&1, 1, most(2)).unwrap();
    }
    assert_eq!(timers.reserve(&2, 1, most(0)).unwrap_err(), TooManyTimers::Number { bound: 0 });
    timers.reserve(&2, 1, most(1)).unwrap();
    assert_eq!(
        timers.reserve(&3, 1, most(1)).unwrap_err(),
        TooManyTimers::Number { bound: 3 },
        "as many as there may be"
    );
}

#[tokio::test(start_paused = true)]
async fn the_timers_of_an_owner_that_is_gone_are_none() {
    let (timers, mut seen) = running();
    for (owner, load) in [(0, "one"), (0, "two"), (1, "another's")] {
        timers.arm(timers.reserve(&owner, 1, most(9)).unwrap(), Duration::from_millis(1), load);
    }
    timers.cancel_all(&0);
    assert_eq!(seen.recv().await.unwrap().1, "another's");
    assert_eq!(timers.armed(), 0);
    assert!(timers.reserve(&0, 1, most(1)).is_ok(), "there is room again");
}

#[test]
fn what_timers_carry_is_bounded_for_each_and_for_all() {
    let timers: Timers<(), u8> = Timers::new(most(9));
    let of_one = Most { timers: 9, bytes: 60 };
    let first = timers.reserve(&1, 40, of_one).unwrap();
    assert_eq!(timers.reserve(&1, 21, of_one), Err(TooManyTimers::Bytes { bound: 60 }));
    let _second = timers.reserve(&2, 60, of_one).unwrap();
    assert_eq!(timers.reserve(&3, 1, of_one), Err(TooManyTimers::Bytes { bound: 100 }));
    assert!(timers.cancel(first, &1));
    timers.reserve(&1, 40, of_one).unwrap();
    timers.cancel_all(&1);
    timers.reserve(&3, 40, of_one).unwrap();
}
