//! A release that is shown what another one does: each message that the live one handled, on the state that there was
//! before, in an instance of its own. What it says and would do is compared with what the live one said and did, and
//! thrown away.
//!
//! Invariant: nothing that it does is seen by anybody, and the live actor never waits for it. What comes faster than it
//! is shown is not shown, and counted. What it has to catch up with is bounded in bytes: where even the writes of the
//! turns that are not shown are too much, it is given up.

pub(crate) mod apart;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use airssys_rt_shim::call;
use airssys_rt_shim::mailbox::InHand;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use self::apart::{Played, asked};
use super::serving::Serving;
use super::tally::Tally;
use crate::engine::{Answered, Engines, Instance, Ran, Template};
use crate::error::Fault;
use crate::limits::{REASON_BYTES, SHADOW_BYTES};
use crate::message::{Answer, Delivery, Envelope};
use crate::settings::Terms;
use crate::state::{State, Transaction};
use crate::turn::{Line, Reading, Script, Turn};

/// How many turns wait to be shown to one shadow; what comes on top is not shown.
const WAITING: usize = 256;
/// How many actors of a service have a shadow at a time: each takes the room of an instance, of which those that serve
/// must not run short.
const SHADOWS: usize = 8;
/// How many differences are kept to be looked at.
const KEPT: usize = 16;

/// What comparing a release in the shadow with the live one has found so far.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Rehearsed;
/// use airssys_wasm::deploy::Status;
///
/// fn told(status: &Status) -> Option<String> {
///     let Rehearsed { compared, differing, .. } = status.rehearsed.as_ref()?;
///     Some(format!("{differing} of {compared} differ"))
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Rehearsed {
    /// The turns that were compared.
    pub compared: u64,
    /// Those that were not, because the shadow was behind, or because they are notices that a child ended. Those of
    /// actors that have no shadow do not count.
    pub skipped: u64,
    /// The actors whose shadow was given up, because it was too far behind.
    #[serde(default)]
    pub behind: u64,
    /// The turns over which the two differ.
    pub differing: u64,
    /// The first of them, at most 16: the message, its sender, and in what they differ.
    pub differences: Vec<String>,
}

/// A release in the shadow of another one, in all places of a service.
pub(crate) struct Rehearsal {
    pub(crate) engines: Arc<Engines>,
    pub(crate) template: Arc<Template>,
    pub(crate) terms: Arc<Terms>,
    room: Arc<Semaphore>,
    compared: AtomicU64,
    skipped: AtomicU64,
    behind: AtomicU64,
    differing: AtomicU64,
    differences: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rehearsal").finish_non_exhaustive()
    }
}

impl Rehearsal {
    pub(crate) fn new(engines: &Arc<Engines>, template: &Arc<Template>, terms: &Terms) -> Arc<Self> {
        Arc::new(Self {
            engines: Arc::clone(engines),
            template: Arc::clone(template),
            terms: Arc::new(Terms { silent: true, ..terms.clone() }),
            room: Arc::new(Semaphore::new(SHADOWS)),
            compared: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            behind: AtomicU64::new(0),
            differing: AtomicU64::new(0),
            differences: Mutex::default(),
        })
    }

    pub(crate) fn found(&self) -> Rehearsed {
        Rehearsed {
            compared: self.compared.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
            behind: self.behind.load(Ordering::Relaxed),
            differing: self.differing.load(Ordering::Relaxed),
            differences: self.differences.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn compared(&self, envelope: &Envelope, what: Vec<String>) {
        self.compared.fetch_add(1, Ordering::Relaxed);
        if what.is_empty() {
            return;
        }
        self.differing.fetch_add(1, Ordering::Relaxed);
        let mut differences = self.differences.lock().unwrap_or_else(PoisonError::into_inner);
        if differences.len() < KEPT {
            let sender = envelope.sender.as_ref().map_or_else(|| "the host".to_owned(), ToString::to_string);
            let (message, body, what) = (envelope.id, asked(envelope), what.join("; "));
            differences.push(format!("message {message} from {sender}, {body}: {what}"));
        }
    }
}

/// A turn of the live release.
struct Lived {
    envelope: Envelope,
    /// For how long somebody waited for the answer when it began.
    left: Duration,
    answer: Result<Answered, Fault>,
    writes: Transaction,
    asked: Vec<Line>,
    /// What was written before it by turns that are not shown.
    unseen: Vec<(Box<str>, Transaction)>,
    /// The state of its key, where it is the first that is shown of it.
    state: Option<Arc<State>>,
    /// What it takes of [`SHADOW_BYTES`].
    _room: OwnedSemaphorePermit,
}

/// The live actor's end of its shadow.
pub(super) struct Shadow {
    /// None where it is told no more: it has the live one's memory, and would miss what a turn did with it that is not
    /// shown.
    shown: Option<mpsc::Sender<Box<Lived>>>,
    /// Whether what it does depends on a memory that was handed over to it.
    has_memory: bool,
    /// None is left where it is over.
    stage: Weak<()>,
    rehearsal: Arc<Rehearsal>,
    /// Room for turns that wait to be shown: a permit for each byte.
    room: Arc<Semaphore>,
    /// What was written by turns that are not shown, by key.
    unseen: HashMap<Box<str>, Transaction>,
    /// What all of that takes.
    unseen_bytes: usize,
    /// The keys whose state the shadow has.
    known: HashSet<Box<str>>,
}

impl Shadow {
    /// A shadow of an actor that is between two turns, with what it hands over, where it does; none where there are as
    /// many as may be.
    pub(super) fn begin(
        rehearsal: &Arc<Rehearsal>,
        live: &Serving,
        tally: Arc<Tally>,
        memory: Option<Bytes>,
    ) -> Option<Self> {
        let room = Arc::clone(&rehearsal.room).try_acquire_owned().ok()?;
        let (shown, turns) = mpsc::channel(WAITING);
        let serving = live.with(&rehearsal.template, &rehearsal.terms);
        let (has_memory, is_there) = (memory.is_some(), Arc::new(()));
        let stage = Arc::downgrade(&is_there);
        let shadow = Stage {
            rehearsal: Arc::clone(rehearsal),
            serving,
            tally,
            memory,
            states: HashMap::new(),
            instance: None,
            _room: room,
            _is_there: is_there,
        };
        tokio::spawn(shadow.run(turns));
        Some(Self {
            shown: Some(shown),
            has_memory,
            stage,
            rehearsal: Arc::clone(rehearsal),
            room: Arc::new(Semaphore::new(SHADOW_BYTES)),
            unseen: HashMap::new(),
            unseen_bytes: 0,
            known: HashSet::new(),
        })
    }

    /// Whether another one is to begin in its place, with what the live one remembers now: it missed a turn, and has
    /// come to the end of what it was shown.
    pub(super) fn begins_again(&self) -> bool {
        self.shown.is_none() && self.stage.strong_count() == 0
    }

    /// Shows a turn that is over and not committed. False where the shadow is too far behind for that to go on.
    #[cold]
    pub(super) fn show(
        &mut self,
        hand: &InHand<'_, Box<Envelope>>,
        left: Duration,
        ran: &Ran<Answered>,
        turn: &mut Turn,
    ) -> bool {
        let Some(Script::Written(writing)) = turn.script.take().map(|script| *script) else { return true };
        let answer = match ran {
            Ran::Done(answer) => Ok(answer.clone()),
            Ran::Fault(fault) => Err(fault.clone()),
            // Whoever survives it is another incarnation, with another shadow.
            Ran::Crashed(_) => return true,
        };
        // What failed wrote nothing.
        let writes = if ran.commits() { turn.writes.clone() } else { Transaction::default() };
        let key: Box<str> = turn.key.clone().unwrap_or_default();
        let shown = writing.finish().zip(copy(hand)).and_then(|((asked, asked_bytes), envelope)| {
            let answered = answer.as_ref().map_or(REASON_BYTES, |answer| answer.body.as_ref().map_or(0, Bytes::len));
            let bytes = asked_bytes + envelope.bytes() + answered + writes.bytes() + self.unseen_bytes;
            Some((asked, envelope, self.place(bytes)?))
        });
        let Some((asked, envelope, (place, room))) = shown else {
            self.rehearsal.skipped.fetch_add(1, Ordering::Relaxed);
            return self.hide(key, writes);
        };
        let state = match self.known.insert(key) {
            true => turn.state.as_ref().map(|state| Arc::new(state.copy())),
            false => None,
        };
        self.unseen_bytes = 0;
        let unseen = std::mem::take(&mut self.unseen).into_iter().collect();
        place.send(Box::new(Lived { envelope, left, answer, writes, asked, unseen, state, _room: room }));
        true
    }

    /// A place for a turn that takes so many bytes; none where there is no room. One that is larger than all of the
    /// room waits alone.
    fn place(&self, bytes: usize) -> Option<(mpsc::OwnedPermit<Box<Lived>>, OwnedSemaphorePermit)> {
        let bytes = u32::try_from(bytes.min(SHADOW_BYTES)).ok()?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes).ok()?;
        Some((self.shown.clone()?.try_reserve_owned().ok()?, room))
    }

    /// Remembers what a turn wrote that is not shown. False where that is too much.
    fn hide(&mut self, key: Box<str>, writes: Transaction) -> bool {
        if self.has_memory {
            // State can be brought up to date, and memory cannot.
            (self.shown, self.unseen_bytes) = (None, 0);
            self.unseen.clear();
            self.known.clear();
            return true;
        }
        // A key that was never shown is taken as it is when it is.
        if self.known.contains(&key) && !writes.is_empty() {
            let more = self.unseen.entry(key).or_default().follow(writes);
            self.unseen_bytes = self.unseen_bytes.saturating_add_signed(more);
        }
        let holds = self.unseen_bytes <= SHADOW_BYTES;
        if !holds {
            self.rehearsal.behind.fetch_add(1, Ordering::Relaxed);
        }
        holds
    }
}

/// A message that nobody waits for an answer to. None of a notice that a child ended, which has a place of its own, nor
/// of a call with handles, which no other instance has, nor of a request whose message is not all of it.
fn copy(envelope: &Envelope) -> Option<Envelope> {
    if envelope.function.as_ref().is_some_and(|function| function.mentions_handles()) {
        return None;
    }
    if envelope.streams.as_ref().is_some_and(|streams| streams.has_rest() || streams.is_used()) {
        return None;
    }
    Some(Envelope {
        id: envelope.id,
        trace: envelope.trace,
        sender: envelope.sender.clone(),
        target: envelope.target.clone(),
        key: envelope.key.clone(),
        delivery: match &envelope.delivery {
            Delivery::Down(_) => return None,
            Delivery::Send => Delivery::Send,
            Delivery::Call(_) => Delivery::Call(call::call::<Answer>().0),
            Delivery::Publish(topic) => Delivery::Publish(topic.clone()),
            Delivery::Timer(id) => Delivery::Timer(*id),
        },
        deadline: None,
        attempt: envelope.attempt,
        is_forgiven: false,
        crashed: None,
        function: envelope.function.clone(),
        body: envelope.body.clone(),
        streams: None,
        places: 0,
        _room: None,
    })
}

/// Where a shadow plays.
struct Stage {
    rehearsal: Arc<Rehearsal>,
    serving: Serving,
    tally: Arc<Tally>,
    /// What the live instance handed over, for the first instance; then what each does, for the next one.
    memory: Option<Bytes>,
    /// What each key's state was before the turn that is to be shown next.
    states: HashMap<Box<str>, Arc<State>>,
    instance: Option<Instance>,
    _room: OwnedSemaphorePermit,
    /// Gone when its room is.
    _is_there: Arc<()>,
}

impl Stage {
    async fn run(mut self, mut turns: mpsc::Receiver<Box<Lived>>) {
        while let Some(lived) = turns.recv().await {
            let Lived { envelope, left, answer, writes, asked, unseen, state, _room } = *lived;
            let key: Box<str> = match self.serving.state_per_key() {
                true => envelope.partition().unwrap_or_default().into(),
                false => Box::default(),
            };
            let schema = self.serving.identity.terms.schema;
            for (key, mut unseen) in unseen {
                if let Some(state) = self.states.get(&key) {
                    unseen.commit(state, schema);
                }
            }
            if let Some(state) = state {
                self.states.insert(key.clone(), state);
            }
            let state = self.states.get(&key).cloned();
            let what = match self.play(&envelope, left, &key, state.as_ref(), asked).await {
                Ok(played) => {
                    let differs = played.differs(envelope.function.as_deref(), &answer, Some(&writes));
                    differs.into_iter().map(|(_, what)| what).collect()
                }
                Err(what) => vec![what],
            };
            self.rehearsal.compared(&envelope, what);
            if let Some(state) = &state {
                let mut writes = writes;
                writes.commit(state, schema);
            }
        }
    }

    async fn play(
        &mut self,
        envelope: &Envelope,
        left: Duration,
        key: &str,
        state: Option<&Arc<State>>,
        asked: Vec<Line>,
    ) -> Result<Played, String> {
        let deadline = self.serving.identity.terms.limits.turn_deadline;
        let per_key = self.serving.state_per_key();
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.start(state).await?,
        };
        let turn = instance.turn();
        turn.trace = envelope.trace;
        turn.state = state.cloned();
        turn.key = per_key.then(|| key.into());
        turn.script = Some(Box::new(Script::Read(Reading::new(asked))));
        let begun = tokio::time::Instant::now();
        let ran = instance.handle(envelope, left, deadline).await;
        self.tally.count(begun.elapsed(), !ran.commits());
        let turn = instance.turn();
        let writes = std::mem::take(&mut turn.writes);
        let differences = match turn.script.take().map(|script| *script) {
            Some(Script::Read(reading)) => reading.differences(),
            _ => Vec::new(),
        };
        turn.discard();
        let answer = match ran {
            Ran::Done(answer) => Ok(answer),
            Ran::Fault(fault) => Err(fault),
            Ran::Crashed(crash) => return Err(format!("it crashes: {crash}")),
        };
        // As where it serves; the next turn starts another one.
        if !instance.is_short() {
            self.instance = Some(instance);
        } else if let Ran::Done(memory) = instance.snapshot(deadline).await {
            self.memory = memory;
        }
        Ok(Played { answer, writes, differences })
    }

    /// An instance that has started, on the state that there is before the next turn.
    async fn start(&mut self, state: Option<&Arc<State>>) -> Result<Instance, String> {
        let Serving { template, identity } = &self.serving;
        let deadline = identity.terms.limits.turn_deadline;
        let made = Instance::new(&self.rehearsal.engines, template, Arc::clone(identity)).await;
        let mut instance = made.map_err(|crash| format!("it does not start: {crash}"))?;
        instance.turn().script = Some(Box::new(Script::Read(Reading::default())));
        if !self.serving.state_per_key() {
            instance.turn().state = state.cloned();
        }
        let ended = match instance.init(deadline).await {
            Ran::Done(()) => match self.memory.take() {
                Some(memory) => instance.restore(&memory, deadline).await,
                None => Ran::Done(()),
            },
            ended => ended,
        };
        match ended {
            Ran::Done(()) => {}
            Ran::Fault(fault) => return Err(format!("it does not start: {fault}")),
            Ran::Crashed(crash) => return Err(format!("it does not start: {crash}")),
        }
        // It finds what its own start wrote, as it would where it serves.
        let turn = instance.turn();
        if let Some(state) = &turn.state {
            turn.writes.commit(state, identity.terms.schema);
        }
        turn.script = None;
        turn.discard();
        Ok(instance)
    }
}
