//! Faults as data: what is to go wrong, where, and how often.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::draw::Draw;

/// The moment in which a component crashes: of a turn, or of the rest of its life.
///
/// # Example
///
/// ```
/// use airssys_wasm::seeded::Moment;
///
/// assert_eq!(Moment::During.to_string(), "during the turn");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Moment {
    /// As it begins, before the component has done anything.
    Before,
    /// At some instruction of the component's, or of what it was compiled from. What it did before that is discarded.
    During,
    /// When the component has returned, and nothing of what it did has happened yet.
    After,
    /// While what a turn wrote is on its way to the disk, and nothing was delivered: its actor ends, as by a kill.
    Commit,
    /// In its `init`.
    Init,
    /// In its `stop`.
    Stop,
    /// While it hands its memory over.
    Snapshot,
    /// While it takes the memory of the one before over.
    Restore,
    /// While it brings the state over to its own schema.
    Migrate,
}

impl Moment {
    /// Whether it is one of a turn, of which one is drawn where none is named.
    pub(crate) fn is_of_turns(self) -> bool {
        matches!(self, Self::Before | Self::During | Self::After)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before the turn",
            Self::During => "during the turn",
            Self::After => "after the turn",
            Self::Commit => "between commit and delivery",
            Self::Init => "in init",
            Self::Stop => "in stop",
            Self::Snapshot => "in snapshot",
            Self::Restore => "in restore",
            Self::Migrate => "in migrate",
        })
    }
}

/// What goes wrong.
///
/// # Example
///
/// ```
/// use airssys_wasm::seeded::FaultKind;
///
/// assert_eq!(FaultKind::Crash.to_string(), "crash");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FaultKind {
    /// The component that runs a turn ends, as by a trap.
    Crash,
    /// A turn does all that it does, and then never returns: it ends at the turn deadline.
    Hang,
    /// There is no room for a message in the mailbox that it goes to, whoever sends it.
    Full,
    /// A turn gets no more memory than it has: whatever asks for more is refused it, as at the limit.
    Memory,
    /// A message from outside of the mesh gets lost on its way to it, and its client waits for nothing.
    Drop,
    /// A message from outside of the mesh comes twice. Its client hears the answer to the first.
    Double,
    /// A message from outside of the mesh comes late, within the patience of its client.
    Late,
    /// Commits take long to get to the disk: up to a second.
    DiskSlow,
    /// The disk is full for a while, of up to a second.
    DiskFull,
    /// A write or a sync fails. What was to be synced then is there or is not, and no later sync cares for it.
    DiskFail,
    /// The host is killed, with the power of the machine, at a write or a sync; and started again.
    Kill,
    /// A peer takes long to answer a request: up to ten seconds more than it takes otherwise.
    PeerSlow,
    /// A peer answers with the status of an error of its own, from 500 on.
    PeerError,
    /// A peer takes no connection.
    PeerRefused,
    /// The connection to a peer ends somewhere in its answer.
    PeerCut,
}

/// What is done to a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DiskWork {
    Write,
    Sync,
    /// All of a group of commits.
    Group,
}

impl FaultKind {
    /// Those that are about the host as a whole and its disk.
    pub(super) const OF_THE_DISK: [Self; 4] = [Self::DiskSlow, Self::DiskFull, Self::DiskFail, Self::Kill];

    /// Whether it is one of them.
    pub(crate) fn is_of_the_disk(self) -> bool {
        Self::OF_THE_DISK.contains(&self)
    }

    /// Whether it is about those whom services ask by HTTP.
    pub(crate) fn is_of_peers(self) -> bool {
        matches!(self, Self::PeerSlow | Self::PeerError | Self::PeerRefused | Self::PeerCut)
    }

    pub(super) fn can_come_of(self, work: DiskWork) -> bool {
        match work {
            DiskWork::Write => matches!(self, Self::DiskFull | Self::DiskFail | Self::Kill),
            DiskWork::Sync => matches!(self, Self::DiskFail | Self::Kill),
            DiskWork::Group => self == Self::DiskSlow,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crash => "crash",
            Self::Hang => "hang",
            Self::Full => "full",
            Self::Memory => "memory",
            Self::Drop => "drop",
            Self::Double => "double",
            Self::Late => "late",
            Self::DiskSlow => "disk-slow",
            Self::DiskFull => "disk-full",
            Self::DiskFail => "disk-fail",
            Self::Kill => "kill",
            Self::PeerSlow => "peer-slow",
            Self::PeerError => "peer-error",
            Self::PeerRefused => "peer-refused",
            Self::PeerCut => "peer-cut",
        })
    }
}

/// A fault that a test injects: with [`Fault::nth`] at one turn or message, with [`Fault::rate`] at some.
///
/// # Example
///
/// The third turn of `ledger` crashes when it is over, and one turn in a hundred of any service whenever it likes:
///
/// ```
/// use airssys_wasm::seeded::{Fault, FaultKind, Moment};
///
/// let third = Fault {
///     at: Some(Moment::After),
///     service: Some("ledger".to_owned()),
///     nth: Some(3),
///     ..Fault::new(FaultKind::Crash)
/// };
/// let some = Fault { rate: Some(0.01), ..Fault::new(FaultKind::Crash) };
/// assert!(third.check().is_ok() && some.check().is_ok());
/// assert!(Fault::new(FaultKind::Crash).check().is_err(), "it says neither which turn nor how many");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Of a crash: in which moment of the turn; by default one is drawn each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// Where: a service by its name, or one actor of it by its address, such as `cart/alice`. By default everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Of what is about a peer: which, by its host and the port where that is not the usual one. By default each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// At which of the turns, messages, writes or requests that are meant, counted from 1 over all incarnations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// At what part of the turns or messages that are meant, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Of a crash during the `nth` turn: after so many instructions of it, from 1; by default that is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction: Option<u64>,
    /// How often at most; by default as often as it is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

impl Fault {
    /// One of which the rest is to be said.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::seeded::{Fault, FaultKind};
    ///
    /// let every_tenth = Fault { rate: Some(0.1), count: Some(3), ..Fault::new(FaultKind::Crash) };
    /// assert!(every_tenth.check().is_ok());
    /// ```
    #[must_use]
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, at: None, service: None, peer: None, nth: None, rate: None, instruction: None, count: None }
    }

    /// The same at one place: a service, an actor, or a peer where the kind is about these.
    pub(super) fn placed(self, place: &str) -> Self {
        let place = Some(place.to_owned());
        if self.kind.is_of_peers() { Self { peer: place, ..self } } else { Self { service: place, ..self } }
    }

    /// Whether it says all that is needed.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::seeded::{Fault, FaultKind};
    ///
    /// let wrong = Fault { rate: Some(1.5), ..Fault::new(FaultKind::Crash) }.check().unwrap_err();
    /// assert!(wrong.contains("from 0 to 1"), "{wrong}");
    /// ```
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        match (self.nth, self.rate) {
            (None, None) => return Err("a fault has `nth` or `rate`: it says neither".to_owned()),
            (Some(_), Some(_)) => return Err("a fault has `nth` or `rate`: it says both".to_owned()),
            (Some(0), _) => return Err("`nth` is 0, and turns and messages are counted from 1".to_owned()),
            (_, Some(rate)) if !(0.0..=1.0).contains(&rate) => {
                return Err(format!("`rate` is {rate}, and is a part of the turns or messages: from 0 to 1"));
            }
            _ => {}
        }
        if self.nth.is_some() && self.count.is_some() {
            return Err("`count` goes with `rate`: the `nth` comes once".to_owned());
        }
        if self.count == Some(0) {
            return Err("`count` is 0, so it never happens".to_owned());
        }
        if self.at.is_some() && self.kind != FaultKind::Crash {
            return Err(format!("`at` is about a crash, and this is `{}`", self.kind));
        }
        if self.service.is_some() && self.kind.is_of_the_disk() {
            return Err(format!("`{}` is about the host and its disk, and no `service` has one of its own", self.kind));
        }
        if self.service.is_some() && self.kind.is_of_peers() {
            return Err(format!(
                "`{}` is about a peer, which is named by `peer`, and not about a `service`",
                self.kind
            ));
        }
        if self.peer.is_some() && !self.kind.is_of_peers() {
            return Err(format!("`peer` is about what a peer does, and this is `{}`", self.kind));
        }
        let is_during = self.at == Some(Moment::During) && self.nth.is_some();
        if self.instruction.is_some_and(|at| at == 0 || !is_during) {
            return Err("`instruction` is counted from 1, and goes with `nth` and `at = \"during\"`".to_owned());
        }
        Ok(())
    }

    /// Whether it may come in a turn.
    pub(super) fn is_of_turns(&self) -> bool {
        match self.kind {
            FaultKind::Crash => self.at.is_none_or(Moment::is_of_turns),
            FaultKind::Hang | FaultKind::Memory => true,
            _ => false,
        }
    }

    /// Whether a turn of this actor, or a request to this peer, is meant.
    pub(super) fn is_about(&self, address: &str) -> bool {
        match &self.peer {
            Some(peer) => peer == address,
            None => self.service.as_deref().is_none_or(|place| is_at(place, address)),
        }
    }
}

/// Whether an address is this place: the one address, or one of the service.
pub(super) fn is_at(place: &str, address: &str) -> bool {
    place == address || address.split('/').next() == Some(place)
}

/// What goes wrong in one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InTurn {
    Crash(Moment),
    Hang,
    /// It gets no more memory.
    Memory,
}

impl fmt::Display for InTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crash(moment) => write!(f, "crash {moment}"),
            Self::Hang => f.write_str("hang"),
            Self::Memory => f.write_str("memory"),
        }
    }
}

impl InTurn {
    /// What a fault is in a turn, where it is of turns.
    pub(super) fn of(fault: &Fault) -> Self {
        match fault.kind {
            FaultKind::Hang => Self::Hang,
            FaultKind::Memory => Self::Memory,
            _ => Self::Crash(fault.at.unwrap_or(Moment::After)),
        }
    }

    /// The fault by which it comes at the `nth` turn of an actor again, where it came after so many instructions.
    pub(super) fn at(self, actor: &str, nth: u64, instructions: u64) -> Fault {
        let (kind, at) = match self {
            Self::Crash(moment) => (FaultKind::Crash, Some(moment)),
            Self::Hang => (FaultKind::Hang, None),
            Self::Memory => (FaultKind::Memory, None),
        };
        let instruction = (at == Some(Moment::During)).then_some(instructions);
        Fault { at, service: Some(actor.to_owned()), nth: Some(nth), instruction, ..Fault::new(kind) }
    }
}

/// A fault, and how far it came.
#[derive(Debug)]
struct Counted {
    fault: Fault,
    seen: u64,
    times: u64,
}

/// The faults of a run.
#[derive(Debug, Default)]
pub(super) struct Plan {
    faults: Vec<Counted>,
    /// How often each kind came.
    done: BTreeMap<String, u64>,
}

impl Plan {
    pub(super) fn new(faults: Vec<Fault>) -> Self {
        let faults = faults.into_iter().map(|fault| Counted { fault, seen: 0, times: 0 }).collect();
        Self { faults, done: BTreeMap::new() }
    }

    /// Nothing goes wrong from now on.
    pub(super) fn end(&mut self) {
        self.faults.clear();
    }

    /// What goes wrong in the turn that an actor begins now, and after how many instructions where that is written;
    /// none where nothing does.
    pub(super) fn turn(&mut self, address: &str, draw: &mut Draw) -> Option<(InTurn, Option<u64>)> {
        let (kind, at, instruction) = self.hit(address, draw, Fault::is_of_turns)?;
        let wrong = match kind {
            FaultKind::Hang => InTurn::Hang,
            FaultKind::Memory => InTurn::Memory,
            _ => InTurn::Crash(at),
        };
        self.came(wrong);
        Some((wrong, instruction))
    }

    /// This came.
    pub(super) fn came(&mut self, what: impl fmt::Display) {
        *self.done.entry(what.to_string()).or_default() += 1;
    }

    /// Whether an actor crashes in this moment of its life.
    pub(super) fn life(&mut self, address: &str, moment: Moment, draw: &mut Draw) -> bool {
        let is_meant = |fault: &Fault| fault.kind == FaultKind::Crash && fault.at == Some(moment);
        let hit = self.hit(address, draw, is_meant).is_some();
        if hit {
            self.came(InTurn::Crash(moment));
        }
        hit
    }

    /// What goes wrong with the disk.
    pub(super) fn disk(&mut self, work: DiskWork, draw: &mut Draw) -> Option<FaultKind> {
        let (kind, ..) = self.hit("", draw, |fault| fault.kind.can_come_of(work))?;
        self.came(kind);
        Some(kind)
    }

    /// The host is not killed any more.
    pub(super) fn spare(&mut self) {
        self.faults.retain(|counted| counted.fault.kind != FaultKind::Kill);
    }

    /// Whether this goes wrong with a message to an address.
    pub(super) fn message(&mut self, address: &str, draw: &mut Draw, kind: FaultKind) -> bool {
        let hit = self.hit(address, draw, |fault| fault.kind == kind).is_some();
        if hit {
            self.came(kind);
        }
        hit
    }

    /// Each fault counts and draws, also where another one hits: what one does changes nothing for the others.
    fn hit(
        &mut self,
        address: &str,
        draw: &mut Draw,
        is_meant: impl Fn(&Fault) -> bool,
    ) -> Option<(FaultKind, Moment, Option<u64>)> {
        let mut hit = None;
        for Counted { fault, seen, times } in &mut self.faults {
            if !is_meant(fault) || !fault.is_about(address) {
                continue;
            }
            *seen += 1;
            let happens = match (fault.nth, fault.rate) {
                (Some(nth), _) => nth == *seen,
                (None, Some(rate)) => draw.happens(rate),
                (None, None) => false,
            };
            let moment = match (fault.at, fault.kind) {
                (Some(at), _) => at,
                // What is at one turn alone draws nothing that another one would draw otherwise.
                (None, FaultKind::Crash) => {
                    let moments = [Moment::Before, Moment::During, Moment::After];
                    moments[usize::try_from(draw.below(3)).unwrap_or_default()]
                }
                (None, _) => Moment::After,
            };
            if happens && hit.is_none() && fault.count.is_none_or(|most| *times < most) {
                *times += 1;
                hit = Some((fault.kind, moment, fault.instruction));
            }
        }
        hit
    }

    /// How often each came.
    pub(super) fn done(&self) -> BTreeMap<String, u64> {
        self.done.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::super::draw::{Draw, Purpose};
    use super::{DiskWork, Fault, FaultKind, InTurn, Moment, Plan};

    fn crash() -> Fault {
        Fault::new(FaultKind::Crash)
    }

    fn hits(faults: Vec<Fault>, addresses: &[&str]) -> Vec<Option<InTurn>> {
        let (mut plan, mut draw) = (Plan::new(faults), Draw::new(1, Purpose::Faults));
        addresses.iter().map(|address| plan.turn(address, &mut draw).map(|(wrong, _)| wrong)).collect()
    }

    #[test]
    fn a_turn_is_counted_where_it_is_meant_and_hit_once() {
        let second = Fault { at: Some(Moment::After), service: Some("cart".to_owned()), nth: Some(2), ..crash() };
        let after = Some(InTurn::Crash(Moment::After));
        assert_eq!(
            hits(vec![second], &["cart/a", "shop", "cart/b", "carts", "cart/a"]),
            [None, None, after, None, None]
        );
    }

    #[test]
    fn an_address_means_one_actor_and_a_count_ends_it() {
        let always = Fault {
            service: Some("cart/a".to_owned()),
            rate: Some(1.0),
            count: Some(2),
            at: Some(Moment::Before),
            ..crash()
        };
        let before = Some(InTurn::Crash(Moment::Before));
        assert_eq!(
            hits(vec![always], &["cart/a", "cart/b", "cart", "cart/a", "cart/a"]),
            [before, None, None, before, None]
        );
    }

    #[test]
    fn what_one_fault_does_changes_nothing_for_another() {
        let some = Fault { rate: Some(0.3), service: Some("b".to_owned()), ..crash() };
        let places: Vec<&str> = (0..100).map(|at| if at % 2 == 0 { "a" } else { "b" }).collect();
        let never = Fault { nth: Some(1_000), service: Some("c".to_owned()), ..crash() };
        assert_eq!(hits(vec![some.clone()], &places), hits(vec![never, some], &places));
    }

    #[test]
    fn what_says_too_little_or_too_much_is_told() {
        for (fault, says) in [
            (crash(), "says neither"),
            (Fault { nth: Some(1), rate: Some(0.5), ..crash() }, "says both"),
            (Fault { nth: Some(0), ..crash() }, "counted from 1"),
            (Fault { rate: Some(f64::NAN), ..crash() }, "from 0 to 1"),
            (Fault { nth: Some(1), count: Some(2), ..crash() }, "comes once"),
            (Fault { rate: Some(0.5), count: Some(0), ..crash() }, "never happens"),
            (Fault { nth: Some(1), at: Some(Moment::After), ..Fault::new(FaultKind::Hang) }, "about a crash"),
            (Fault { nth: Some(1), service: Some("a".to_owned()), ..Fault::new(FaultKind::Kill) }, "about the host"),
            (Fault { rate: Some(0.5), instruction: Some(3), ..crash() }, "goes with `nth`"),
            (Fault { nth: Some(1), peer: Some("a".to_owned()), ..crash() }, "about what a peer does"),
            (
                Fault { nth: Some(1), service: Some("a".to_owned()), ..Fault::new(FaultKind::PeerCut) },
                "named by `peer`",
            ),
        ] {
            let wrong = fault.check().unwrap_err();
            assert!(wrong.contains(says), "{wrong}");
        }
    }

    #[test]
    fn moments_of_a_life_are_apart_from_turns_and_from_each_other() {
        let init = Fault { at: Some(Moment::Init), nth: Some(2), ..crash() };
        let (mut plan, mut draw) = (Plan::new(vec![init]), Draw::new(1, Purpose::Faults));
        assert!(!plan.life("a", Moment::Init, &mut draw));
        assert_eq!(plan.turn("a", &mut draw), None);
        assert!(!plan.life("a", Moment::Stop, &mut draw));
        assert!(plan.life("a", Moment::Init, &mut draw) && !plan.life("a", Moment::Init, &mut draw));
        assert_eq!(plan.done().into_iter().collect::<Vec<_>>(), [("crash in init".to_owned(), 1)]);
    }

    #[test]
    fn what_a_disk_does_is_counted_where_it_can_go_wrong() {
        let full = Fault { nth: Some(1), ..Fault::new(FaultKind::DiskFull) };
        let (mut plan, mut draw) = (Plan::new(vec![full]), Draw::new(1, Purpose::Faults));
        assert_eq!(plan.disk(DiskWork::Sync, &mut draw), None, "a sync needs no room");
        assert_eq!(plan.disk(DiskWork::Write, &mut draw), Some(FaultKind::DiskFull));
        assert_eq!(plan.disk(DiskWork::Write, &mut draw), None);
    }

    #[test]
    fn faults_of_messages_and_of_turns_do_not_count_each_other() {
        let full = Fault { nth: Some(2), ..Fault::new(FaultKind::Full) };
        let hang = Fault { nth: Some(1), ..Fault::new(FaultKind::Hang) };
        let (mut plan, mut draw) = (Plan::new(vec![full, hang]), Draw::new(1, Purpose::Faults));
        assert!(!plan.message("a", &mut draw, FaultKind::Full));
        assert_eq!(plan.turn("a", &mut draw), Some((InTurn::Hang, None)));
        assert!(!plan.message("a", &mut draw, FaultKind::Drop));
        assert!(plan.message("a", &mut draw, FaultKind::Full));
        assert_eq!(plan.done().into_iter().collect::<Vec<_>>(), [("full".to_owned(), 1), ("hang".to_owned(), 1)]);
    }
}
