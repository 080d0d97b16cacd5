//! What was left to chance in a run, as data: which turns waited, and what went wrong where. A run that is told the
//! same is the same run.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use foldhash::fast::RandomState;
use serde::Serialize;

use super::fault::{DiskWork, Fault, FaultKind, Moment, is_at};

/// How a turn waits before it begins.
///
/// # Example
///
/// ```
/// use airssys_wasm::seeded::Wait;
///
/// assert_eq!(Wait::Others(3).to_string(), "until others went on 3 times");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// Others go on first that can, so many times.
    Others(u64),
    /// So long.
    For(Duration),
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Others(times) => write!(f, "until others went on {times} times"),
            Self::For(time) => write!(f, "for {}", humantime::format_duration(*time)),
        }
    }
}

/// A turn that waits before it begins.
///
/// # Example
///
/// The third turn of `ledger` begins 5 ms late:
///
/// ```
/// use std::time::Duration;
///
/// use airssys_wasm::seeded::{Pause, Wait};
///
/// let late = Pause { service: "ledger".to_owned(), nth: 3, wait: Wait::For(Duration::from_millis(5)) };
/// assert_eq!(late.nth, 3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Whose: a service by its name, or one actor of it by its address, such as `cart/alice`.
    pub service: String,
    /// Which of its turns, counted from 1 over all incarnations.
    pub nth: u64,
    /// How it waits.
    pub wait: Wait,
}

/// What chance decided in a run.
///
/// # Example
///
/// ```
/// use airssys_wasm::seeded::{Choices, Seeded};
///
/// let seeded = Seeded::new(7).keep_choices();
/// assert_eq!(seeded.choices(), Choices::default(), "nothing has happened yet");
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Choices {
    /// Each fault, as the one turn or message that it hit, and the time of the run at which it did.
    pub faults: Vec<(Duration, Fault)>,
    /// Each turn that waited, and the time of the run at which it began to.
    pub pauses: Vec<(Duration, Pause)>,
}

impl Choices {
    /// Takes the first fault of that kind that is due at an address by this time of the run.
    pub(super) fn take_fault(
        &mut self,
        (now, address): (Duration, &str),
        is_meant: impl Fn(&Fault) -> bool,
    ) -> Option<Fault> {
        let is_due = |(at, fault): &(Duration, Fault)| *at <= now && is_meant(fault) && fault.is_about(address);
        let at = self.faults.iter().position(is_due)?;
        Some(self.faults.remove(at).1)
    }

    /// Takes the first pause that is due at an address by this time of the run.
    pub(super) fn take_wait(&mut self, now: Duration, address: &str) -> Option<Wait> {
        let is_due = |(at, pause): &(Duration, Pause)| *at <= now && is_at(&pause.service, address);
        let at = self.pauses.iter().position(is_due)?;
        Some(self.pauses.remove(at).1.wait)
    }
}

/// Something that came in a run, and where.
///
/// # Example
///
/// ```
/// use airssys_wasm::seeded::Reached;
///
/// let crash = Reached { what: "crash after the turn".to_owned(), at: "ledger".to_owned() };
/// assert_eq!(crash.to_string(), "crash after the turn at ledger");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reached {
    /// A fault, or what a supervisor, a deployment or another part of the host did, such as `restarted`.
    pub what: String,
    /// The service; `-` for what is of none.
    pub at: String,
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.what, self.at)
    }
}

/// A number for each address. None of this goes by the order of a map.
type Numbers = HashMap<Box<str>, u64, RandomState>;

/// How many turns and messages there were of whom. A turn of `cart/alice` is one of `cart` too.
#[derive(Debug, Default)]
pub(super) struct Counts {
    turns: Numbers,
    messages: Vec<(FaultKind, Numbers)>,
    lives: Vec<(Moment, Numbers)>,
    /// How many steps of the disk there were at which it may come.
    disk: Vec<(FaultKind, u64)>,
}

impl Counts {
    /// The how manieth turn of this address now begins.
    pub(super) fn turn(&mut self, address: &str) -> u64 {
        count(&mut self.turns, address)
    }

    /// The how manieth message it is to this address, of those that a fault of this kind may hit.
    pub(super) fn message(&mut self, kind: FaultKind, address: &str) -> u64 {
        count(of(&mut self.messages, kind), address)
    }

    /// The how manieth time it is that an actor of this address is in this moment of its life.
    pub(super) fn life(&mut self, moment: Moment, address: &str) -> u64 {
        count(of(&mut self.lives, moment), address)
    }

    /// The disk does this.
    pub(super) fn disk(&mut self, work: DiskWork) {
        FaultKind::OF_THE_DISK.into_iter().filter(|kind| kind.can_come_of(work)).for_each(|kind| {
            *of(&mut self.disk, kind) += 1;
        });
    }

    /// How many steps of the disk there were at which this may come.
    pub(super) fn of_disk(&mut self, kind: FaultKind) -> u64 {
        *of(&mut self.disk, kind)
    }

    /// How many turns each service had.
    pub(super) fn of_services(&self) -> BTreeMap<String, u64> {
        let services = self.turns.iter().filter(|(address, _)| !address.contains('/'));
        services.map(|(service, turns)| (service.to_string(), *turns)).collect()
    }

    /// How many turns of this address have begun.
    fn turns(&self, address: &str) -> u64 {
        self.turns.get(address).copied().unwrap_or_default()
    }
}

/// What is counted of a kind: there are few.
fn of<K: PartialEq, V: Default>(all: &mut Vec<(K, V)>, kind: K) -> &mut V {
    let at = all.iter().position(|(of, _)| *of == kind).unwrap_or(all.len());
    if at == all.len() {
        all.push((kind, V::default()));
    }
    &mut all[at].1
}

/// Counts one for the address, and for its service where that is another one.
fn count(counts: &mut Numbers, address: &str) -> u64 {
    let mut add = |address: &str| match counts.get_mut(address) {
        Some(count) => {
            *count += 1;
            *count
        }
        None => {
            counts.insert(address.into(), 1);
            1
        }
    };
    if let Some((service, _)) = address.split_once('/') {
        add(service);
    }
    add(address)
}

/// Waits that are written, and are not drawn.
#[derive(Debug, Default)]
pub(super) struct Written(HashMap<String, HashMap<u64, Wait>>);

impl Written {
    pub(super) fn new(pauses: Vec<Pause>) -> Self {
        let mut written: HashMap<String, HashMap<u64, Wait>> = HashMap::new();
        for Pause { service, nth, wait } in pauses {
            written.entry(service).or_default().insert(nth, wait);
        }
        Self(written)
    }

    /// How the turn waits that was counted last.
    pub(super) fn wait(&self, address: &str, counts: &Counts) -> Option<Wait> {
        if self.0.is_empty() {
            return None;
        }
        let of = |place: &str| self.0.get(place).and_then(|turns| turns.get(&counts.turns(place)).copied());
        of(address).or_else(|| address.split_once('/').and_then(|(service, _)| of(service)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fault::{Fault, FaultKind};
    use super::{Choices, Counts, Pause, Wait, Written};

    #[test]
    fn turns_count_for_their_actor_and_for_their_service() {
        let mut counts = Counts::default();
        assert_eq!(["cart/a", "cart/b", "cart/a", "shop"].map(|address| counts.turn(address)), [1, 1, 2, 1]);
        assert_eq!([counts.turns("cart"), counts.turns("cart/a"), counts.turns("none")], [3, 2, 0]);
        assert_eq!([FaultKind::Full, FaultKind::Drop].map(|kind| counts.message(kind, "cart")), [1, 1]);
        assert_eq!(counts.message(FaultKind::Full, "cart"), 2);
    }

    #[test]
    fn what_is_due_comes_once_where_it_is_meant() {
        let ms = Duration::from_millis;
        let crash = Fault { service: Some("cart".to_owned()), nth: Some(1), ..Fault::new(FaultKind::Crash) };
        let mut due = Choices { faults: vec![(ms(5), crash.clone())], ..Choices::default() };
        let any = |_: &Fault| true;
        assert_eq!(due.take_fault((ms(4), "cart/a"), any), None);
        assert_eq!(due.take_fault((ms(6), "shop"), any), None);
        assert_eq!(due.take_fault((ms(6), "cart/a"), any), Some(crash));
        assert_eq!(due.take_fault((ms(7), "cart/a"), any), None);
    }

    #[test]
    fn a_written_wait_is_that_of_one_turn() {
        let pause = |service: &str, nth, wait| Pause { service: service.to_owned(), nth, wait };
        let late = Wait::For(Duration::from_millis(2));
        let written = Written::new(vec![pause("cart/a", 2, Wait::Others(1)), pause("cart", 1, late)]);
        let mut counts = Counts::default();
        let waits = ["cart/a", "cart/b", "cart/a", "cart/a"].map(|address| {
            counts.turn(address);
            written.wait(address, &counts)
        });
        assert_eq!(waits, [Some(late), None, Some(Wait::Others(1)), None]);
    }
}
