//! What happens in a mesh that is rare and worth knowing: actors that start and end, releases that take over, messages
//! that die, limits that are reached.
//!
//! Whoever publishes writes into a ring that is bounded in events and bytes. Where it is full, the oldest event gives
//! way of the kind that has most of it (`ring.rs`): keys that wake and sleep all day push out each other, and not the
//! deployment of the morning. Whoever reads has a place in it, and is told how many events of its kinds gave way before
//! that. Nobody waits for a reader, and no reader for another one.
//!
//! # What it costs
//!
//! A turn that goes well publishes nothing. Where something is published, the event is allocated, and one lock is taken
//! for a push, and for the drop of what has no room any more: the texts of an event are bounded, so that is little. A
//! reader holds the same lock while it looks at 64 events at most, and takes references out, never copies. So the lock
//! is held for about a microsecond, whoever holds it and whatever the reader does with what it read.
//!
//! # Order
//!
//! Numbers are given under that lock, without gaps: the order of the ring is the order in which events were published,
//! and times never run backwards as long as the clock does not. What one actor causes is published by that actor or by
//! its supervisor: it is `started` or `restarted` before its first turn, and has `ended` before the next incarnation
//! begins to start; what happens in its turns stands between. The states of one deployment stand in the order in which
//! they were reached. Of events of two actors nothing more is promised than of any two things that happen at once.

mod audited;
pub(crate) mod event;
mod reached;
mod ring;
mod tree;

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use event::text;
pub use event::{Event, Happening, Kind};
pub(crate) use reached::Full;
use reached::Reached;
use ring::{Found, Passed, Ring};

use crate::audit::Audit;
use crate::seeded::Seeded;

/// The events of one mesh.
#[derive(Debug)]
pub(crate) struct Events {
    ring: Mutex<Ring>,
    news: Notify,
    /// Limits that were reached a short while ago.
    reached: Mutex<Reached>,
    /// Where denials, grants and the like are on record; none where that is nowhere.
    audit: OnceLock<Arc<Audit>>,
    /// Where all of them are written down, in a seeded host.
    seeded: OnceLock<Seeded>,
}

impl Events {
    /// A ring for so many events of so many bytes together.
    pub(crate) fn new(most: usize, most_bytes: usize) -> Arc<Self> {
        let ring = Mutex::new(Ring::new(most, most_bytes));
        Arc::new(Self {
            ring,
            news: Notify::new(),
            reached: Mutex::default(),
            audit: OnceLock::new(),
            seeded: OnceLock::new(),
        })
    }

    /// Keeps so many and so much from now on.
    pub(crate) fn resize(&self, most: usize, most_bytes: usize) {
        self.lock().resize(most, most_bytes);
    }

    /// Records there what is to be on record, from now on.
    pub(crate) fn record_in(&self, audit: &Arc<Audit>) {
        // A mesh has one, from its start.
        let _there_is_none_yet = self.audit.set(Arc::clone(audit));
    }

    /// Writes all of them down there, from now on.
    pub(crate) fn trace_in(&self, seeded: &Seeded) {
        // A mesh has one, from its start.
        let _there_is_none_yet = self.seeded.set(seeded.clone());
    }

    /// Publishes what happened to a service, or to none, and records it where it is of that kind. Never waits.
    pub(crate) fn publish(&self, service: Option<&str>, what: Happening) {
        if let Some(audit) = self.audit.get()
            && let Some(record) = what.record(service)
        {
            audit.note(record);
        }
        if let Some(seeded) = self.seeded.get() {
            seeded.note(format_args!("event {what}"));
            seeded.reaches(what.kind().name(), what.state(), service);
            match (&what, service) {
                (Happening::DeadLetter { id, to, reason, .. }, _) => seeded.buries(*id, to, reason),
                (Happening::Started { .. }, Some(service)) => seeded.starts(service),
                _ => {}
            }
        }
        let service = service.map(str::to_owned);
        let mut event = Arc::new(Event { number: 0, at: SystemTime::UNIX_EPOCH, service, what });
        let mut ring = self.lock();
        if let Some(event) = Arc::get_mut(&mut event) {
            (event.number, event.at) = (ring.next, SystemTime::now());
        }
        ring.push(event);
        drop(ring);
        self.news.notify_waiters();
    }

    /// Publishes that a service has reached a limit, unless that was published less than a second ago: it is counted
    /// then. That costs no allocation, since whoever reaches a limit may do so again at once. Whether it was published.
    pub(crate) fn reach(&self, service: &str, limit: &'static str, detail: impl Display) -> bool {
        let times = self.reached.lock().unwrap_or_else(PoisonError::into_inner).count(service, limit, Instant::now());
        if let Some(times) = times {
            let (limit, detail) = (limit.to_owned(), text(detail));
            self.publish(Some(service), Happening::LimitReached { limit, detail, times });
        }
        times.is_some()
    }

    /// [`Events::reach`] of a listener, which belongs to no service.
    pub(crate) fn reach_at(&self, listener: &str, limit: &'static str, detail: impl Display) {
        let times = self.reached.lock().unwrap_or_else(PoisonError::into_inner).count(listener, limit, Instant::now());
        if let Some(times) = times {
            self.publish(None, Happening::LimitReached { limit: limit.to_owned(), detail: text(detail), times });
        }
    }

    /// Says that nothing comes any more: whoever reads is told so after the last event.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.news.notify_waiters();
    }

    /// Writes down what is on record, and lets go of where that is. Waits for the disk.
    pub(crate) fn end_record(&self) {
        self.audit.get().into_iter().for_each(|audit| audit.end());
    }

    /// Reads from the first event on.
    pub(crate) fn subscribe(self: &Arc<Self>) -> Subscription {
        Subscription { events: Arc::clone(self), passed: Passed::default(), service: None, kinds: Vec::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a reader of events is told.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::events::Heard;
///
/// match runtime.events().next().await {
///     Some(Heard::Event(event)) => println!("{}: {}", event.number, event.what),
///     Some(Heard::Lost(events)) => println!("{events} events were not read in time"),
///     None => println!("the mesh has ended"),
/// }
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// This happened.
    Event(Arc<Event>),
    /// So many events of the kinds that are read gave way before they were: whoever reads was too slow for them, or
    /// came too late. They count whichever service they were about. They stand before the next event that is told; some
    /// of them may stand before those that were told last.
    Lost(u64),
}

/// Reads the events of a mesh, from [`crate::Runtime::events`]. It holds up nobody, and keeps nothing alive but the
/// ring.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use airssys_wasm::Runtime;
/// use airssys_wasm::events::{Happening, Heard, Kind};
/// use airssys_wasm::topology::Topology;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
/// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
/// # let file = folder.path().join("airssys.toml");
/// # std::fs::write(&file, "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n")?;
/// # let topology = Topology::read(&file)?;
/// let runtime = Runtime::builder().start(&topology).await?;
/// let mut events = runtime.events().of_service("echo").of_kinds(&[Kind::Started, Kind::Ended]);
/// runtime.shutdown().await;
///
/// let mut told = Vec::new();
/// while let Some(heard) = events.next().await {
///     match heard {
///         Heard::Event(event) => told.push(event.what.kind().to_string()),
///         Heard::Lost(events) => panic!("{events} events are lost"),
///     }
/// }
/// assert_eq!(told, ["started", "ended"]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Subscription {
    events: Arc<Events>,
    passed: Passed,
    service: Option<String>,
    /// All where it is empty.
    kinds: Vec<Kind>,
}

impl Subscription {
    /// Only what is about this service, its actors and its children.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::events::Heard;
    ///
    /// let mut events = runtime.events().of_service("echo");
    /// let Some(Heard::Event(event)) = events.next().await else { panic!("it has started") };
    /// assert_eq!(event.service.as_deref(), Some("echo"));
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn of_service(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// Only events of these kinds; all, where there are none in it.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::events::Kind;
    ///
    /// let mut denied = runtime.events().of_kinds(&[Kind::Denied, Kind::LimitReached]);
    /// assert_eq!(denied.try_next(), None, "all went well so far");
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn of_kinds(mut self, kinds: &[Kind]) -> Self {
        self.kinds = kinds.to_vec();
        self
    }

    /// Only what comes from now on.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::events::{Heard, Kind};
    ///
    /// let mut events = runtime.events().of_kinds(&[Kind::Operator, Kind::Started]).from_now_on();
    /// runtime.stop_service("echo").await?;
    /// let Some(Heard::Event(event)) = events.next().await else { panic!("it was stopped") };
    /// assert_eq!(event.what.kind(), Kind::Operator);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn from_now_on(mut self) -> Self {
        self.passed.pass_all(&self.events.lock());
        self
    }

    /// The next event, or how many were lost; waits for it. None when the mesh has ended and all is read.
    ///
    /// Where it is dropped before it is ready, nothing is lost.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::events::{Heard, Kind};
    ///
    /// let mut ends = runtime.events().of_kinds(&[Kind::Ended]);
    /// runtime.stop_service("echo").await?;
    /// assert!(matches!(ends.next().await, Some(Heard::Event(_))));
    /// # Ok(()) });
    /// ```
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            let events = Arc::clone(&self.events);
            let mut news = std::pin::pin!(events.news.notified());
            // Before it is looked: what is published after that wakes it.
            news.as_mut().enable();
            if let Some(heard) = self.try_next() {
                return Some(heard);
            }
            if self.has_ended() {
                return None;
            }
            news.await;
        }
    }

    /// The next event that is there already, or how many were lost.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// let events = runtime.events().of_service("echo");
    /// let mut from_now_on = events.from_now_on();
    /// assert_eq!(from_now_on.try_next(), None);
    /// # Ok(()) });
    /// ```
    pub fn try_next(&mut self) -> Option<Heard> {
        let Self { events, passed, service, kinds } = self;
        let wants = |event: &Event| service.is_none() || event.service == *service;
        loop {
            match passed.next(&events.lock(), kinds, wants) {
                Found::Event(event) => return Some(Heard::Event(event)),
                Found::Lost(events) => return Some(Heard::Lost(events)),
                Found::Others => {}
                Found::Nothing => return None,
            }
        }
    }

    /// Whether nothing comes any more that is not read yet.
    fn has_ended(&self) -> bool {
        let ring = self.events.lock();
        ring.ended && self.passed.has_all(&ring, &self.kinds)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test")]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{Events, Happening, Heard, Kind};

    fn started(actor: &str) -> Happening {
        Happening::Started { actor: actor.to_owned(), incarnation: 1 }
    }

    fn number(heard: Option<Heard>) -> u64 {
        match heard {
            Some(Heard::Event(event)) => event.number,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_is_too_slow_is_told_how_many_are_lost_and_goes_on_with_the_oldest() {
        let events = Events::new(3, 1 << 20);
        let (mut slow, mut quick) = (events.subscribe(), events.subscribe());
        for at in 1..=5 {
            events.publish(Some("a"), started("a"));
            assert_eq!(number(quick.try_next()), at);
        }
        assert_eq!(slow.try_next(), Some(Heard::Lost(2)));
        assert_eq!([(); 3].map(|()| number(slow.try_next())), [3, 4, 5]);
        assert_eq!((slow.try_next(), quick.try_next()), (None, None));
        assert_eq!(events.subscribe().from_now_on().try_next(), None);
    }

    #[test]
    fn a_ring_is_bounded_in_bytes_and_takes_no_event_that_is_larger_than_it() {
        let events = Events::new(100, 2_000);
        for _ in 0..100 {
            events.publish(None, started(&"x".repeat(300)));
        }
        let (kept, bytes) = events.lock().taken();
        assert!(bytes <= 2_000 && (1..7).contains(&kept), "{kept} events of {bytes} bytes");
        events.resize(100, 10);
        events.publish(None, started("x"));
        assert_eq!(events.subscribe().try_next(), Some(Heard::Lost(101)));
        assert_eq!(events.lock().taken(), (0, 0));
    }

    #[tokio::test]
    async fn the_end_is_told_after_the_last_event() {
        let events = Events::new(10, 1 << 20);
        let mut reader = events.subscribe();
        let read = tokio::spawn(async move { (reader.next().await, reader.next().await) });
        tokio::task::yield_now().await;
        events.publish(None, started("a"));
        events.end();
        let (first, second) = read.await.unwrap();
        assert_eq!((number(first), second), (1, None));
    }

    proptest! {
        /// Whatever is published between two looks of a reader: what it is told and what it has lost are all events of
        /// its kind, once, in order.
        #[test]
        fn nothing_is_told_twice_or_left_out_unsaid(most in 1_usize..200, rounds in prop::collection::vec((0_usize..300, 0_usize..300), 1..8)) {
            let events = Events::new(most, 1 << 20);
            let mut all = events.subscribe();
            let mut some = events.subscribe().of_service("odd").of_kinds(&[Kind::Started]);
            let (mut told, mut lost, mut published) = (0, 0, 0);
            for (publish, read) in rounds {
                for _ in 0..publish {
                    published += 1;
                    events.publish(Some(if published % 2 == 1 { "odd" } else { "even" }), started("x"));
                }
                for _ in 0..read {
                    match all.try_next() {
                        Some(Heard::Event(event)) => {
                            told += 1;
                            prop_assert_eq!(event.number, told + lost);
                        }
                        Some(Heard::Lost(more)) => lost += more,
                        None => prop_assert_eq!(told + lost, published),
                    }
                }
            }
            let mut last = 0;
            while let Some(heard) = some.try_next() {
                match heard {
                    Heard::Event(event) => {
                        prop_assert!(event.number % 2 == 1 && event.number > last);
                        last = event.number;
                    }
                    Heard::Lost(more) => last += more,
                }
            }
            prop_assert!(last >= published.saturating_sub(1));
            prop_assert!(Arc::strong_count(&events) == 3);
        }
    }
}
