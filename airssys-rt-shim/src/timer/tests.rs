#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says so by panicking")]

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Timers;

fn running() -> (Arc<Timers<&'static str>>, mpsc::UnboundedReceiver<(u64, &'static str)>) {
    let timers = Arc::new(Timers::new(3));
    let (fired, seen) = mpsc::unbounded_channel();
    let runner = Arc::clone(&timers);
    tokio::spawn(async move { runner.run(|id, load| fired.send((id.0, load)).unwrap()).await });
    (timers, seen)
}

#[tokio::test(start_paused = true)]
async fn timers_fire_in_the_order_in_which_they_run_out() {
    let (timers, mut seen) = running();
    let late = timers.reserve().unwrap();
    timers.arm(late, Duration::from_secs(60), "late");
    // The runner sleeps until `late` by now, and has to be told of an earlier one.
    tokio::task::yield_now().await;
    let soon = timers.reserve().unwrap();
    timers.arm(soon, Duration::from_millis(5), "soon");
    assert_eq!(seen.recv().await.unwrap(), (soon.0, "soon"));
    assert_eq!(seen.recv().await.unwrap(), (late.0, "late"));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_timer_never_fires_and_is_never_claimed() {
    let (timers, mut seen) = running();
    let (armed, queued, kept) = (timers.reserve().unwrap(), timers.reserve().unwrap(), timers.reserve().unwrap());
    timers.arm(queued, Duration::from_millis(1), "queued");
    assert_eq!(seen.recv().await.unwrap().1, "queued");
    timers.arm(armed, Duration::from_millis(5), "armed");
    timers.arm(kept, Duration::from_millis(9), "kept");

    assert!(timers.cancel(armed));
    assert!(timers.cancel(queued), "its message waits in a mailbox, and is not handled yet");
    assert!(!timers.claim(queued));
    assert_eq!(seen.recv().await.unwrap().1, "kept");
    assert!(timers.claim(kept));
    assert!(!timers.cancel(kept), "it was handled");
}

#[tokio::test(start_paused = true)]
async fn a_reserved_timer_counts_and_can_be_given_up() {
    let timers: Timers<()> = Timers::new(1);
    let held = timers.reserve().unwrap();
    assert_eq!(timers.reserve().unwrap_err().bound, 1);
    assert!(timers.cancel(held));
    let again = timers.reserve().unwrap();
    assert!(timers.cancel(again));
    timers.arm(again, Duration::ZERO, ());
    assert_eq!(timers.armed(), 0, "cancelled before it was armed");
}

#[tokio::test(start_paused = true)]
async fn a_delay_that_no_clock_can_hold_is_for_ever() {
    let timers: Timers<()> = Timers::new(1);
    let id = timers.reserve().unwrap();
    timers.arm(id, Duration::MAX, ());
    assert_eq!(timers.armed(), 1);
}
