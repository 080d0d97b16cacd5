#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says so by panicking")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Mailbox, Near, NoRoom, NotSent, Overflow, Sent, Size};

fn mailbox(capacity: usize, overflow: Overflow) -> Arc<Mailbox<u32>> {
    Arc::new(Mailbox::new(capacity, overflow, 1))
}

fn rest(mailbox: &Mailbox<u32>) -> Vec<u32> {
    std::iter::from_fn(|| mailbox.take(0).map(super::InHand::done)).collect()
}

#[test]
fn a_full_mailbox_does_what_its_policy_says() {
    for (overflow, third, left) in [
        (Overflow::Wait, Err(NotSent::Full(3)), vec![1, 2]),
        (Overflow::Refuse, Err(NotSent::Full(3)), vec![1, 2]),
        (Overflow::DropNewest, Ok(Sent::Dropped(3)), vec![1, 2]),
        (Overflow::DropOldest, Ok(Sent::Evicted(vec![1])), vec![2, 3]),
    ] {
        let mailbox = mailbox(2, overflow);
        assert_eq!(mailbox.try_send(1), Ok(Sent::Queued));
        assert_eq!(mailbox.try_send(2), Ok(Sent::Queued));
        assert_eq!(mailbox.try_send(3), third, "{overflow:?}");
        assert_eq!(rest(&mailbox), left, "{overflow:?}");
    }
}

#[tokio::test]
async fn a_waiting_sender_gets_the_room_that_a_take_makes() {
    let mailbox = mailbox(1, Overflow::Wait);
    mailbox.try_send(1).unwrap();
    let sender = tokio::spawn({
        let mailbox = Arc::clone(&mailbox);
        async move { mailbox.send(2).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(mailbox.take(0).unwrap().done(), 1);
    assert_eq!(sender.await.unwrap(), Ok(Sent::Queued));
    assert_eq!(rest(&mailbox), [2]);
}

/// A sender that waits for room in a full mailbox of eight, from which one message is taken: too little room for a
/// batch.
async fn waiting_for_a_batch() -> (Arc<Mailbox<u32>>, tokio::task::JoinHandle<bool>) {
    let mailbox = mailbox(8, Overflow::Wait);
    (0..8).for_each(|n| drop(mailbox.try_send(n)));
    let sender = tokio::spawn({
        let mailbox = Arc::clone(&mailbox);
        async move { mailbox.send(8).await == Ok(Sent::Queued) }
    });
    tokio::task::yield_now().await;
    (mailbox, sender)
}

#[tokio::test]
async fn room_is_kept_back_from_those_who_wait_and_from_nobody_else() {
    let (mailbox, sender) = waiting_for_a_batch().await;
    let _ = mailbox.take(0).unwrap().done();
    tokio::task::yield_now().await;
    assert_eq!(mailbox.len(), 7, "one message is no batch");
    mailbox.let_go();
    assert!(sender.await.unwrap());
    let _ = mailbox.take(0).unwrap().done();
    assert_eq!(mailbox.try_send(9), Ok(Sent::Queued), "who asks for room finds all there is");
    assert_eq!(mailbox.try_send(10), Err(NotSent::Full(10)));
}

#[tokio::test]
async fn a_turn_that_is_cut_off_lets_go_of_the_room_it_kept_back() {
    let (mailbox, sender) = waiting_for_a_batch().await;
    drop(mailbox.take(0).unwrap());
    assert!(sender.await.unwrap());
}

#[test]
fn room_that_a_turn_holds_is_nobody_elses() {
    let mailbox = mailbox(1, Overflow::Refuse);
    let held = mailbox.try_reserve(0).unwrap();
    assert_eq!(mailbox.try_send(1), Err(NotSent::Full(1)));
    assert_eq!(mailbox.try_reserve(0).err(), Some(NoRoom::Full));
    drop(held);
    let held = mailbox.try_reserve(0).unwrap();
    assert_eq!(held.send(2), Ok(Sent::Queued));
    assert_eq!(rest(&mailbox), [2]);
    assert_eq!(mailbox.try_send(3), Ok(Sent::Queued));
}

#[test]
fn what_a_cut_off_turn_held_comes_first_again() {
    let mailbox = mailbox(4, Overflow::Refuse);
    for n in 1..=3 {
        mailbox.try_send(n).unwrap();
    }
    let cut_off = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _hand = mailbox.take(0).unwrap();
        std::panic::resume_unwind(Box::new("the host's own bug"));
    }));
    assert!(cut_off.is_err());
    let hand = mailbox.take(0).unwrap();
    assert!(hand.adopted());
    assert_eq!(hand.done(), 1);
    assert_eq!(rest(&mailbox), [2, 3]);
}

#[test]
fn a_closed_mailbox_hands_back_everything_and_takes_nothing() {
    let mailbox = mailbox(4, Overflow::Refuse);
    let held = mailbox.try_reserve(0).unwrap();
    for n in 1..=3 {
        mailbox.try_send(n).unwrap();
    }
    drop(mailbox.take(0));
    assert_eq!(mailbox.close(), [1, 2, 3]);
    assert_eq!(mailbox.try_send(4), Err(NotSent::Closed(4)));
    assert_eq!(held.send(5), Ok(Sent::Stranded(vec![5])));
    assert!(mailbox.is_empty());
}

#[test]
fn compacting_loses_nothing_and_refuses_while_in_use() {
    let mailbox = mailbox(2, Overflow::Refuse);
    assert!(mailbox.compact());
    mailbox.try_send(1).unwrap();
    assert!(!mailbox.compact(), "a message is queued");
    assert_eq!(rest(&mailbox), [1]);
    let held = mailbox.try_reserve(0).unwrap();
    assert!(!mailbox.compact(), "room is held");
    drop(held);
    assert!(mailbox.compact());
    assert_eq!(mailbox.try_send(2), Ok(Sent::Queued));
    assert_eq!(rest(&mailbox), [2]);
}

#[test]
fn a_consumer_finds_what_comes_after_its_queue_was_put_away() {
    let (mailbox, mut near) = (mailbox(2, Overflow::Refuse), Near::default());
    for message in 0..3 {
        assert_eq!(mailbox.try_send(message), Ok(Sent::Queued));
        assert_eq!(mailbox.take_near(0, &mut near).map(super::InHand::done), Some(message));
        assert!(mailbox.take_near(0, &mut near).is_none());
        assert!(mailbox.compact());
    }
}

/// Many senders, a consumer that now and then drops what it holds, a compactor: every message arrives once, each
/// sender's in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_senders_lose_repeat_and_reorder_nothing() {
    const SENDERS: u64 = 8;
    const EACH: u64 = 5_000;
    let mailbox: Arc<Mailbox<(u64, u64)>> = Arc::new(Mailbox::new(16, Overflow::Wait, 1));
    let over = Arc::new(AtomicBool::new(false));
    let compactor = tokio::spawn({
        let (mailbox, over) = (Arc::clone(&mailbox), Arc::clone(&over));
        async move {
            while !over.load(Ordering::Relaxed) {
                mailbox.compact();
                tokio::task::yield_now().await;
            }
        }
    });
    for sender in 0..SENDERS {
        let mailbox = Arc::clone(&mailbox);
        tokio::spawn(async move {
            for n in 0..EACH {
                assert!(matches!(mailbox.send((sender, n)).await, Ok(Sent::Queued)));
            }
        });
    }
    let (mut next, mut near) = (HashMap::new(), Near::default());
    for taken in 0..SENDERS * EACH {
        let hand = loop {
            // As often over a queue that the compactor has put away.
            if let Some(hand) = mailbox.take_near(0, &mut near) {
                break hand;
            }
            mailbox.wait(0, || false).await;
        };
        let (sender, n) = *hand;
        if taken % 97 == 0 {
            drop(hand);
            let again = mailbox.take(0).unwrap();
            assert_eq!((*again, again.adopted()), ((sender, n), true));
            let _ = again.done();
        } else {
            let _ = hand.done();
        }
        let expected = next.entry(sender).or_insert(0);
        assert_eq!(n, *expected, "sender {sender}");
        *expected += 1;
    }
    assert!(mailbox.is_empty());
    over.store(true, Ordering::Relaxed);
    compactor.await.unwrap();
}

/// Four consumers of one mailbox: every message is handled once, and all consumers work.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shared_mailbox_keeps_all_its_consumers_busy() {
    const MESSAGES: u32 = 400;
    let mailbox: Arc<Mailbox<u32>> = Arc::new(Mailbox::new(1_000, Overflow::Wait, 4));
    let seen = Arc::new(AtomicUsize::new(0));
    let busy = Arc::new(tokio::sync::Barrier::new(4));
    let consumers: Vec<_> = (0..4)
        .map(|consumer| {
            let (mailbox, seen, busy) = (Arc::clone(&mailbox), Arc::clone(&seen), Arc::clone(&busy));
            tokio::spawn(async move {
                loop {
                    let Some(hand) = mailbox.take(consumer) else {
                        if mailbox.is_closed() {
                            return;
                        }
                        mailbox.wait(consumer, || mailbox.is_closed()).await;
                        continue;
                    };
                    let message = hand.done();
                    if message < 4 {
                        // Only passes when all four hold one of the first four messages at the same time.
                        busy.wait().await;
                    }
                    seen.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for n in 0..MESSAGES {
        mailbox.send(n).await.unwrap();
    }
    while seen.load(Ordering::SeqCst) < MESSAGES as usize {
        tokio::task::yield_now().await;
    }
    assert_eq!(mailbox.close(), Vec::<u32>::new());
    for (consumer, task) in consumers.into_iter().enumerate() {
        mailbox.bell(consumer).ring();
        task.await.unwrap();
    }
}

/// A close that races with senders: each message is refused, stranded, or was in the mailbox; none is nowhere.
#[test]
fn a_close_in_the_middle_of_sends_accounts_for_every_message() {
    for _ in 0..200 {
        let mailbox: Arc<Mailbox<u32>> = Arc::new(Mailbox::new(1_000, Overflow::Refuse, 1));
        let accounted: usize = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        (0..50)
                            .map(|n| match mailbox.try_send(n) {
                                Ok(Sent::Stranded(rest)) => rest.len(),
                                Err(NotSent::Closed(_)) => 1,
                                _queued => 0,
                            })
                            .sum::<usize>()
                    })
                })
                .collect();
            let left = mailbox.close().len();
            left + senders.into_iter().map(|sender| sender.join().unwrap()).sum::<usize>()
        });
        assert_eq!(accounted, 150);
    }
}

#[test]
fn one_that_is_opened_again_has_all_its_room() {
    let mailbox = mailbox(3, Overflow::Refuse);
    for round in 0..3 {
        // Some of the room is queued, some is held when it closes, and given up or used after that.
        mailbox.try_send(round).unwrap();
        let (given_up, used) = (mailbox.try_reserve(0).unwrap(), mailbox.try_reserve(0).unwrap());
        assert_eq!(mailbox.close(), [round]);
        assert_eq!(mailbox.close(), [], "once more changes nothing");
        if round == 0 {
            mailbox.reopen();
        }
        drop(given_up);
        let sent = used.send(round);
        mailbox.reopen();
        match sent {
            Ok(Sent::Queued) => assert_eq!(rest(&mailbox), [round]),
            stranded => assert_eq!(stranded, Ok(Sent::Stranded(vec![round]))),
        }
        for n in 0..3 {
            assert_eq!(mailbox.try_send(n), Ok(Sent::Queued), "{n} in round {round}");
        }
        assert_eq!(mailbox.try_send(3), Err(NotSent::Full(3)), "round {round}");
        assert_eq!(rest(&mailbox), [0, 1, 2]);
        assert!(mailbox.compact(), "round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_sends_all_away_who_wait_for_room() {
    let mailbox = mailbox(2, Overflow::Wait);
    let _held = (mailbox.try_reserve(0).unwrap(), mailbox.try_reserve(0).unwrap());
    let waiting: Vec<_> = (0..5)
        .map(|n| {
            let mailbox = Arc::clone(&mailbox);
            tokio::spawn(async move { mailbox.send(n).await })
        })
        .collect();
    while mailbox.room.waiting.load(Ordering::SeqCst) < 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!(mailbox.close(), []);
    for (n, waiting) in (0..).zip(waiting) {
        assert_eq!(waiting.await.unwrap(), Err(NotSent::Closed(n)), "its room is held by others still");
    }
}

#[test]
fn closing_and_opening_in_the_middle_of_sends_accounts_for_every_message() {
    const SENDERS: u32 = 3;
    const EACH: u32 = 200;
    for _ in 0..100 {
        let mailbox: Arc<Mailbox<u32>> = Arc::new(Mailbox::new(1_000, Overflow::Refuse, 1));
        let (mut seen, mut refused) = (Vec::new(), 0);
        std::thread::scope(|scope| {
            let senders: Vec<_> = (0..SENDERS)
                .map(|sender| {
                    let mailbox = &mailbox;
                    scope.spawn(move || {
                        let (mut stranded, mut refused) = (Vec::new(), 0);
                        for n in 0..EACH {
                            match mailbox.try_send(sender * EACH + n) {
                                Ok(Sent::Stranded(rest)) => stranded.extend(rest),
                                Err(NotSent::Closed(_)) => refused += 1,
                                queued => assert_eq!(queued, Ok(Sent::Queued)),
                            }
                        }
                        (stranded, refused)
                    })
                })
                .collect();
            for _ in 0..20 {
                seen.extend(mailbox.close());
                mailbox.reopen();
                seen.extend(rest(&mailbox));
            }
            for sender in senders {
                let (stranded, more) = sender.join().unwrap();
                seen.extend(stranded);
                refused += more;
            }
        });
        seen.extend(rest(&mailbox));
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all, "one came twice");
        assert_eq!(u32::try_from(all).unwrap() + refused, SENDERS * EACH);
        assert!(mailbox.compact(), "all of its room is there");
    }
}

#[test]
fn whatever_its_size_becomes_it_takes_as_much_as_that_and_loses_nothing() {
    for seed in 1_u64..200 {
        let (mut random, mut capacity) = (seed, 4);
        let mailbox = mailbox(capacity, Overflow::Refuse);
        let (mut queued, mut held, mut sent) = (std::collections::VecDeque::new(), Vec::new(), 0);
        for step in 0..500 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let fits = queued.len() + held.len() < capacity;
            match (random >> 33) % 6 {
                0 | 1 => {
                    sent += 1;
                    assert_eq!(mailbox.try_send(sent).is_ok(), fits, "seed {seed}, step {step}");
                    queued.extend(fits.then_some(sent));
                }
                2 => {
                    assert_eq!(mailbox.take(0).map(super::InHand::done), queued.pop_front(), "seed {seed}, step {step}")
                }
                3 => {
                    let reserved = mailbox.try_reserve(0);
                    assert_eq!(reserved.is_ok(), fits, "seed {seed}, step {step}");
                    held.extend(reserved);
                }
                4 => match held.pop() {
                    Some(room) if random % 2 == 0 => {
                        sent += 1;
                        assert_eq!(room.send(sent), Ok(Sent::Queued));
                        queued.push_back(sent);
                    }
                    given_back => drop(given_back),
                },
                _ => {
                    capacity = 1 + (random >> 40) as usize % 9;
                    mailbox.resize(capacity, usize::MAX, Overflow::Refuse);
                    let empty = queued.is_empty() && held.is_empty();
                    assert_eq!(mailbox.compact(), empty, "seed {seed}, step {step}");
                }
            }
        }
    }
}

#[tokio::test]
async fn one_that_grows_lets_those_in_who_wait() {
    let mailbox = mailbox(1, Overflow::Wait);
    mailbox.try_send(1).unwrap();
    let sender = tokio::spawn({
        let mailbox = Arc::clone(&mailbox);
        async move { mailbox.send(2).await }
    });
    tokio::task::yield_now().await;
    mailbox.resize(2, usize::MAX, Overflow::DropOldest);
    assert_eq!(sender.await.unwrap(), Ok(Sent::Queued));
    assert_eq!(mailbox.try_send(3), Ok(Sent::Evicted(vec![1])), "the policy is the new one");
    assert_eq!(rest(&mailbox), [2, 3]);
}

/// A message of so many bytes, and the places that it took.
#[derive(Debug, PartialEq, Eq)]
struct Weighty(usize, u32);

fn weighty(bytes: usize, overflow: Overflow) -> Arc<Mailbox<Weighty>> {
    let size =
        Size { bytes: |message: &Weighty| message.0, keep: |message, places| message.1 = places, places: |m| m.1 };
    Arc::new(Mailbox::sized(4, bytes, overflow, 1, size))
}

#[test]
fn a_message_with_many_bytes_takes_the_places_of_several() {
    let mailbox = weighty(40, Overflow::Refuse);
    for (bytes, places) in [(0, 1), (10, 1), (11, 2), (40, 4), (1_000, 4)] {
        mailbox.try_send(Weighty(bytes, 0)).unwrap();
        let left = (4 - places) as usize;
        assert!(mailbox.try_send(Weighty(10 * left + 1, 0)).is_err(), "{bytes}");
        (0..left).for_each(|_| assert!(mailbox.try_send(Weighty(10, 0)).is_ok(), "{bytes}"));
        assert!(mailbox.try_send(Weighty(0, 0)).is_err(), "{bytes}");
        assert_eq!(mailbox.take(0).unwrap().done(), Weighty(bytes, places));
        while mailbox.take(0).is_some_and(|hand| hand.done().1 > 0) {}
        assert!(mailbox.compact(), "all places are free again");
    }
    let (held, small) = (mailbox.try_reserve(25).unwrap(), mailbox.try_reserve(1).unwrap());
    assert_eq!(mailbox.try_reserve(0).err(), Some(NoRoom::Full));
    drop(small);
    assert_eq!(held.send(Weighty(25, 0)), Ok(Sent::Queued));
    assert_eq!(mailbox.try_send(Weighty(20, 0)), Err(NotSent::Full(Weighty(20, 0))));
    assert_eq!(mailbox.close(), [Weighty(25, 3)]);
    assert!(mailbox.compact());
}

#[test]
fn a_large_one_drops_as_many_of_the_oldest_as_it_needs() {
    let mailbox = weighty(40, Overflow::DropOldest);
    for bytes in [1, 2, 15] {
        mailbox.try_send(Weighty(bytes, 0)).unwrap();
    }
    assert_eq!(mailbox.try_send(Weighty(20, 0)), Ok(Sent::Evicted(vec![Weighty(1, 1), Weighty(2, 1)])));
    assert_eq!(mailbox.take(0).unwrap().done(), Weighty(15, 2));
    assert_eq!(mailbox.take(0).unwrap().done(), Weighty(20, 2));
    assert!(mailbox.compact());
}

#[test]
fn senders_of_large_messages_that_drop_the_oldest_never_wait_for_each_other() {
    let mailbox = weighty(40, Overflow::DropOldest);
    std::thread::scope(|scope| {
        for bytes in [40, 35, 25, 1] {
            let mailbox = &mailbox;
            scope.spawn(move || (0..5_000).for_each(|_| drop(mailbox.try_send(Weighty(bytes, 0)))));
        }
    });
    while mailbox.take(0).is_some_and(|hand| hand.done().1 > 0) {}
    assert!(mailbox.compact(), "no place is lost");
}

#[test]
fn who_drops_the_oldest_does_not_wait_for_room_that_turns_hold() {
    let mailbox = mailbox(2, Overflow::Refuse);
    let _held = (mailbox.try_reserve(0).unwrap(), mailbox.try_reserve(0).unwrap());
    mailbox.resize(2, usize::MAX, Overflow::DropOldest);
    assert_eq!(mailbox.try_send(1), Ok(Sent::Dropped(1)));
}

#[tokio::test]
async fn who_waits_with_a_large_message_gets_in_when_the_mailbox_becomes_smaller_than_that() {
    let mailbox = weighty(40, Overflow::Wait);
    mailbox.try_send(Weighty(1, 0)).unwrap();
    let sender = tokio::spawn({
        let mailbox = Arc::clone(&mailbox);
        async move { mailbox.send(Weighty(40, 0)).await }
    });
    tokio::task::yield_now().await;
    mailbox.resize(2, 20, Overflow::Wait);
    assert_eq!(mailbox.take(0).unwrap().done(), Weighty(1, 1));
    assert!(mailbox.take(0).is_none(), "the consumer lets go of what it kept back");
    assert_eq!(sender.await.unwrap(), Ok(Sent::Queued));
    assert_eq!(mailbox.take(0).unwrap().done(), Weighty(40, 2));
    assert!(mailbox.compact());
}

#[test]
fn senders_get_by_where_a_turn_holds_all_room_and_the_policy_becomes_to_drop_the_oldest() {
    let mailbox = mailbox(2, Overflow::Wait);
    let held: Vec<_> = (0..2).map(|_| mailbox.try_reserve(0).unwrap()).collect();
    mailbox.resize(2, usize::MAX, Overflow::DropOldest);
    // On threads of their own, so that one that never comes back fails the test instead of keeping it.
    let (done, heard) = std::sync::mpsc::channel();
    const SENDERS: u32 = 4;
    for sender in 0..SENDERS {
        let (mailbox, done) = (Arc::clone(&mailbox), done.clone());
        std::thread::spawn(move || {
            for n in 0..100 {
                let message = sender * 100 + n;
                assert_eq!(mailbox.try_send(message), Ok(Sent::Dropped(message)), "there is no older one");
            }
            done.send(()).unwrap();
        });
    }
    for _ in 0..SENDERS {
        let came_back = heard.recv_timeout(std::time::Duration::from_secs(60));
        assert_eq!(came_back, Ok(()), "a sender spins for as long as the turn lasts");
    }
    for (n, room) in (1..).zip(held) {
        assert_eq!(room.send(n), Ok(Sent::Queued), "what the turn holds is its own all the same");
    }
    assert_eq!(rest(&mailbox), [1, 2]);
    assert!(mailbox.compact(), "nobody holds anything");
}

/// It waits for who held it, and who else reads here sleeps meanwhile: awake, they would take the threads that it
/// needs.
#[tokio::test]
async fn what_one_consumer_was_cut_off_over_wakes_no_other_one() {
    let mailbox: Mailbox<u32> = Mailbox::new(8, Overflow::Wait, 2);
    mailbox.try_send(1).unwrap();
    drop(mailbox.take(0).unwrap());
    let mut other = polled_once(mailbox.wait(1, || false));
    assert!(other.is_pending(), "there is nothing for it");
    other = polled_once(mailbox.wait(0, || false));
    assert!(other.is_ready());
    assert_eq!(mailbox.take(0).unwrap().done(), 1);
    mailbox.try_send(2).unwrap();
    other = polled_once(mailbox.wait(1, || false));
    assert!(other.is_ready());
}

/// What a future says when it is polled once.
fn polled_once<T>(future: impl Future<Output = T>) -> std::task::Poll<T> {
    std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}
