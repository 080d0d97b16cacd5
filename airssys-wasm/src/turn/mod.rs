//! A turn, and the one door between a guest and its host: all that a guest asks for comes here as a [`HostCall`], and
//! is answered with a [`Reply`].
//!
//! [`Turn::perform`] asks the script first, where two releases are compared or a turn is recorded: it is read back to
//! the one that is only shown its message, and written down for it by the other one. Then the call is carried out:
//! through the layers, and as an effect that is held back until the turn commits where it is one.
//!
//! It knows nothing of wasmtime: `engine/` makes these values of what a guest says, and the other way round.
//!
//! # Hot path
//!
//! A turn that is not compared looks at one flag and one pointer, and moves what the guest handed over. What a guest
//! has for itself, such as its state and its clocks, costs one test of a set where no layer applies to it. Nothing is
//! allocated but what is held back.
//!
//! Invariant: what a turn did is all seen or none. Dropped, it was not.

mod awaited;
mod capsule;
mod carry_out;
mod chance;
mod clock;
pub(crate) mod cut;
mod effect;
pub(crate) mod files;
mod host_call;
mod http;
mod identity;
mod log;
mod messaging;
pub(crate) mod names;
mod octets;
pub(crate) mod outside;
mod own;
mod packed;
pub(crate) mod passing;
pub(crate) mod programs;
mod query;
mod recording;
mod replaying;

mod script;
mod sheet;
mod spool;
mod state;
mod step;
mod supervision;
mod tape;
mod time;
mod told;

use std::sync::Arc;

use airssys_rt_shim::planted;
use bytes::Bytes;
use tokio::time::Instant;

pub(crate) use self::awaited::Maker;
pub use self::capsule::Capsule;
pub(crate) use self::chance::NoRandomness;
pub(crate) use self::clock::Clock;
pub(crate) use self::host_call::{HostCall, Level, Reply, StateRefused, WrongKind};
pub(crate) use self::identity::Identity;
pub(crate) use self::log::write_line;
pub use self::recording::Recording;
pub(crate) use self::recording::Reel;
pub(crate) use self::replaying::{Replaying, Slack};
pub(crate) use self::script::{Reading, Script, Writing};
pub(crate) use self::step::{End, Handed, Message, Step, Values, What, stop_reason};
pub(crate) use self::tape::Tape;
pub(crate) use self::time::Time;
pub use self::told::Frame;
pub(crate) use self::told::{Line, Scripted};

use self::awaited::Names;
use self::chance::Chance;
use self::effect::{Effect, HeldEffects, forget, leave};
use crate::capability::{Operation, Randomness};
use crate::error::{CallError, SendError};
use crate::limits::OVERHEAD_BYTES;
use crate::middleware::{Entry, Outcome};
use crate::seeded::Seeded;
use crate::settings::Terms;
use crate::state::{Saving, State, Transaction};

/// The turn that runs now, of a guest that stays the same from turn to turn.
pub(crate) struct Turn {
    pub(crate) identity: Arc<Identity>,
    /// The message from outside that it serves; 0 for none.
    pub(crate) trace: u64,
    /// When whoever waits for it stops waiting.
    pub(crate) deadline: Option<Instant>,
    /// The state it reads and writes; none in a stateless pool.
    pub(crate) state: Option<Arc<State>>,
    pub(crate) writes: Transaction,
    /// The partition key of the message, where the key chooses the state.
    pub(crate) key: Option<Box<str>>,
    /// What it asks and is told, where two releases are compared: boxed, since that is seldom.
    pub(crate) script: Option<Box<Script>>,
    /// When its clock was started. The one who runs the turn starts it, outside of the store.
    pub(crate) clock: Clock,
    effects: Vec<Effect>,
    /// What those have together, in bytes.
    effect_bytes: usize,
    /// What was put aside, while something else is asked of the guest.
    aside: Option<Box<(Transaction, Vec<Effect>)>>,
    /// The guest's clocks, randomness and environment: as the instance was made with, also where the rules change.
    time: Time,
    chance: Chance,
    environment: Vec<(String, String)>,
    /// Whether it may have no effects.
    is_query: bool,
    /// Whether its sends may wait for room.
    may_wait: bool,
    /// Whether the guest exports `monitoring`.
    hears: bool,
    /// Whether the guest has tasks, within which nobody else is run.
    pub(crate) has_tasks: bool,
}

impl Turn {
    /// A guest that has not done anything. It may wait or not, and may be told of the ends of those it monitors or not.
    pub(crate) fn new(identity: Arc<Identity>, may_wait: bool, hears: bool) -> Self {
        let Terms { baseline, policy, config, .. } = &*identity.terms;
        let service = identity.address().service();
        let each = policy
            .environment()
            .filter_map(|(name, written)| Some((name.to_owned(), config.variable(service, written)?.into_owned())));
        let environment = each.collect();
        let seeded = identity.mesh.seeded.as_ref();
        let randomness = match (baseline.randomness, seeded) {
            (Randomness::Real, Some(seeded)) => Randomness::Seeded(seeded.for_guest()),
            (randomness, _) => randomness,
        };
        Self {
            time: Time::new(baseline.clocks, seeded.map(Seeded::wall)),
            chance: Chance::new(randomness, identity.address().as_str()),
            environment,
            identity,
            trace: 0,
            deadline: None,
            state: None,
            writes: Transaction::default(),
            key: None,
            script: None,
            clock: Clock::default(),
            effects: Vec::new(),
            effect_bytes: 0,
            aside: None,
            is_query: false,
            may_wait,
            hears,
            has_tasks: false,
        }
    }

    /// The door, for what may have to wait.
    #[inline]
    pub(crate) async fn perform(&mut self, call: HostCall) -> Reply {
        if self.is_query
            && let Some(refused) = self.refused_to_a_query(&call)
        {
            return refused;
        }
        let asked = match self.ask_script(&call) {
            Scripted::Nobody => None,
            Scripted::Told(told) | Scripted::Instead(told) => return told,
            Scripted::Never => return std::future::pending().await,
            asked => Some(asked),
        };
        let reply = match self.identity.mesh.stack.wants(call.of_its_own()) {
            false => self.carry_out(call).await,
            true => self.pass(call),
        };
        if let Some(asked) = asked {
            self.write_down(asked, &reply);
        }
        reply
    }

    /// The door, where nothing waits: what would have to is not done, and the reply says so.
    #[inline]
    pub(crate) fn perform_now(&mut self, call: HostCall) -> Reply {
        if self.is_query
            && let Some(refused) = self.refused_to_a_query(&call)
        {
            return refused;
        }
        let asked = match self.ask_script(&call) {
            Scripted::Nobody => None,
            Scripted::Told(told) | Scripted::Instead(told) => return told,
            // Nobody cuts off what does not wait.
            Scripted::Never => return Reply::Unanswered,
            asked => Some(asked),
        };
        let reply = match self.identity.mesh.stack.wants(call.of_its_own()) {
            false => self.carry_out_now(call),
            true => self.pass(call),
        };
        if let Some(asked) = asked {
            self.write_down(asked, &reply);
        }
        reply
    }

    /// The door, for what is done elsewhere, before it is done: to be followed by [`Turn::told_elsewhere`]. Where it is
    /// read back it is done as well, so that what is compared takes as long as it takes.
    #[inline]
    pub(crate) fn ask_elsewhere(&mut self, call: impl FnOnce(&mut Names) -> HostCall) -> Scripted {
        match self.script.as_deref_mut() {
            None => Scripted::Nobody,
            Some(script) => {
                let call = call(script.names());
                script.ask(&call, &self.identity)
            }
        }
    }

    /// What a guest is told, where this is what came of it.
    #[inline]
    pub(crate) fn told_elsewhere(&mut self, asked: Scripted, found: Reply) -> Reply {
        match asked {
            Scripted::Nobody | Scripted::Never => found,
            Scripted::Told(told) | Scripted::Instead(told) => told,
            asked => {
                self.write_down(asked, &found);
                found
            }
        }
    }

    /// Something that no recorder has is used: what comes of it will not be known again.
    #[inline]
    pub(crate) fn uses_unrecorded(&mut self, what: &str) {
        if self.script.is_some() {
            let asked = self.ask_elsewhere(|_| HostCall::Unrecorded { what: what.to_owned() });
            let _nothing = self.told_elsewhere(asked, Reply::Nothing(()));
        }
    }

    /// Names what was made to be waited for, by its number in the guest's table.
    #[inline]
    pub(crate) fn name_pollable(&mut self, pollable: u32, made_by: Maker) {
        if let Some(script) = self.script.as_deref_mut() {
            script.names().made(pollable, made_by);
        }
    }

    /// It is gone.
    #[inline]
    pub(crate) fn forget_pollable(&mut self, pollable: u32) {
        if let Some(script) = self.script.as_deref_mut() {
            script.names().forget(pollable);
        }
    }

    #[inline]
    fn ask_script(&mut self, call: &HostCall) -> Scripted {
        match self.script.as_deref_mut() {
            None => Scripted::Nobody,
            Some(script) => script.ask(call, &self.identity),
        }
    }

    #[inline(never)]
    fn write_down(&mut self, asked: Scripted, reply: &Reply) {
        let Some(Script::Written(writing)) = self.script.as_deref_mut() else { return };
        match asked {
            Scripted::Writes(asked) => writing.push(*asked, reply.clone()),
            Scripted::Completes(line) => writing.complete(line, reply),
            Scripted::Nobody | Scripted::Told(_) | Scripted::Instead(_) | Scripted::Never => {}
        }
    }

    fn read_environment(&self) -> Vec<(String, String)> {
        self.identity.terms.policy.note_environment();
        self.environment.clone()
    }

    fn all_config(&self) -> Vec<(String, String)> {
        self.identity.terms.config.all_given(self.identity.address().service())
    }

    /// Whether there is room for one more effect, which has so many bytes.
    fn room_for_effect(&self, bytes: usize) -> Result<(), SendError> {
        let limits = &self.identity.terms.limits;
        let alone = bytes.saturating_add(OVERHEAD_BYTES);
        if alone > limits.effect_bytes {
            // No turn has room for it, however often that is tried.
            let (size_bytes, limit_bytes) = (bytes as u64, limits.effect_bytes as u64);
            self.identity.reach("effect_bytes", format_args!("asks for an effect of {bytes} bytes in a turn"));
            return Err(SendError::TooLarge { size_bytes, limit_bytes });
        }
        let held = self.effect_bytes.saturating_add(alone);
        if self.effects.len() < limits.effects && held <= limits.effect_bytes {
            Ok(())
        } else {
            let (count, bytes) = (self.effects.len(), self.effect_bytes);
            let limit = if count < limits.effects { "effect_bytes" } else { "effects" };
            let detail = format_args!("a turn holds back {count} effects of {bytes} bytes, and asks for another one");
            self.identity.reach(limit, detail);
            Err(SendError::Overloaded { what: "the set of effects of this turn".to_owned() })
        }
    }

    /// Holds an effect back for which there is room.
    fn hold_back(&mut self, effect: Effect, bytes: usize) {
        self.effects.push(effect);
        self.effect_bytes += bytes + OVERHEAD_BYTES;
    }

    /// The guest's clocks.
    pub(crate) fn time(&self) -> Time {
        self.time
    }

    /// Asks the stack for a topic or a child. With none it goes no further.
    fn permit(&self, operation: Operation, target: &str, body: &mut Bytes) -> Result<Option<Entry>, SendError> {
        self.identity.mesh.permit(self.identity.origin(self.trace), operation, target, body)
    }

    /// Tells the stack that what it let on cannot be held back, and gives what it makes of that: it may make another
    /// error of it, or none.
    fn refuse(&self, target: &str, entry: Entry, error: impl Into<CallError>) -> Outcome {
        self.identity.mesh.settle(self.identity.origin(self.trace), target, entry, Err(error.into()))
    }

    /// Whether [`Turn::save`] has something to do.
    #[inline]
    pub(crate) fn has_to_save(&self) -> bool {
        !self.writes.is_empty() && self.state.as_ref().is_some_and(|state| state.is_durable())
    }

    /// Begins to save what the turn over the message `id` wrote, where its state is durable and it wrote something. The
    /// other effects go along: they leave when it is saved, also where nobody waits for that any more. Nothing is left
    /// to commit then.
    pub(crate) fn save(&mut self, id: u64) -> Option<Saving> {
        if !self.has_to_save() {
            return None;
        }
        if planted::is_nth("acknowledged-and-not-saved", 8) {
            self.discard();
            return None;
        }
        self.effect_bytes = 0;
        let effects = std::mem::take(&mut self.effects);
        // Allocates, which nobody notices who waits for a disk.
        let held =
            HeldEffects { identity: Arc::clone(&self.identity), trace: self.trace, key: self.key.clone(), effects };
        let schema = self.identity.terms.schema;
        self.state.as_ref()?.save(&mut self.writes, id, schema, Box::new(move || held.leave()))
    }

    /// Makes what the turn did happen: state first, then the rest in order. Where there is something to save,
    /// [`Turn::save`] has done that.
    pub(crate) fn commit(&mut self) {
        self.effect_bytes = 0;
        if let Some(state) = &self.state {
            self.writes.commit(state, self.identity.terms.schema);
        }
        if !self.effects.is_empty() {
            leave(&self.identity, self.trace, self.key.as_deref(), &mut self.effects);
        }
    }

    /// Puts aside what the turn holds back, until [`Turn::take_up`]. Its writes stay to be read as well.
    pub(crate) fn put_aside(&mut self) {
        self.aside = Some(Box::new((self.writes.clone(), std::mem::take(&mut self.effects))));
    }

    /// Discards what the turn holds back, and takes up what was put aside.
    pub(crate) fn take_up(&mut self) {
        self.discard();
        if let Some(aside) = self.aside.take() {
            (self.writes, self.effects) = *aside;
        }
    }

    /// Makes as if the turn had not been. Room that its sends held is given back.
    pub(crate) fn discard(&mut self) {
        if planted::is("effects-leave-on-a-fault") {
            leave(&self.identity, self.trace, self.key.as_deref(), &mut self.effects);
        }
        if planted::is("writes-of-a-discarded-turn")
            && let Some(state) = &self.state
        {
            self.writes.commit(state, self.identity.terms.schema);
        }
        self.writes.discard();
        self.effect_bytes = 0;
        forget(&self.identity, self.trace, &mut self.effects);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // A turn that was cut off: its timers must not hold room for ever, and the layers are to hear of it.
        self.discard();
        self.take_up();
        self.discard();
    }
}

/// The output of a future that does not wait; none where it does.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}
