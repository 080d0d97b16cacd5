//! A release that is played against a reel, alone: each recorded message again, in an instance of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::replay::alone;
use crate::actor::{Played, Serving, apart};
use crate::deploy::Deviation;
use crate::engine::{Answered, Engines, Instance, Ran, Template};
use crate::error::{Crash, Fault};
use crate::settings::Terms;
use crate::state::{State, Transaction};
use crate::topology::ServiceNode;
use crate::turn::{End, Line, Message, Reading, Recording, Reel, Script, Step, Values, What};

/// A release that is played, alone.
pub(in crate::apply) struct Contender {
    engines: Arc<Engines>,
    serving: Serving,
    /// Whether it is asked about its grants.
    is_judged: bool,
}

/// Why a release is not played.
pub(super) enum NotPlayed {
    /// Somebody else takes the room.
    NoRoom(String),
    /// It does not start.
    NotStarted(String),
}

impl From<Crash> for NotPlayed {
    fn from(crash: Crash) -> Self {
        match crash {
            Crash::NoInstance { detail } => Self::NoRoom(detail),
            crash => Self::NotStarted(format!("it does not start: {crash}")),
        }
    }
}

impl Contender {
    pub(in crate::apply) fn new(engines: &Arc<Engines>, node: &ServiceNode, template: &Arc<Template>) -> Option<Self> {
        let serving = alone(engines, node, template)?;
        let terms = Terms { silent: true, recording: None, ..(*serving.identity.terms).clone() };
        Some(Self { engines: Arc::clone(engines), serving: serving.with(template, &Arc::new(terms)), is_judged: true })
    }

    /// One whose grants nobody knows.
    pub(in crate::apply) fn unjudged(self) -> Self {
        Self { is_judged: false, ..self }
    }

    fn schema(&self) -> u32 {
        self.serving.identity.terms.schema
    }

    pub(super) fn play<'a>(&'a self, recording: &'a Recording, reel: &'a Reel, is_free: bool) -> Play<'a> {
        let (schema, folders) = (recording.schema, &*recording.folders);
        let states: BTreeMap<Box<str>, Arc<Values>> =
            reel.states.iter().map(|(key, values)| (key.clone(), Arc::new(values.clone()))).collect();
        let migrates = schema != self.schema();
        let foreign = states.iter().filter(|(_, values)| migrates && !values.is_empty());
        let foreign = foreign.map(|(key, _)| key.clone()).collect();
        let memory = reel.begun.iter().find_map(|step| match &step.what {
            What::Restore { memory } if reel.lost == 0 => Some(memory.clone()),
            _ => None,
        });
        Play { of: self, reel, folders, schema, is_free: is_free || migrates, states, foreign, instance: None, memory }
    }
}

/// A reel that is played.
pub(super) struct Play<'a> {
    of: &'a Contender,
    reel: &'a Reel,
    /// The folders that the release had which was recorded.
    folders: &'a [String],
    /// The schema of the release that was recorded.
    schema: u32,
    /// Whether it goes on with what it wrote itself.
    is_free: bool,
    /// What each state is before the next turn.
    states: BTreeMap<Box<str>, Arc<Values>>,
    /// Those that are to be brought over still.
    foreign: BTreeSet<Box<str>>,
    instance: Option<Instance>,
    /// What the first instance begins with, or the next one.
    memory: Option<bytes::Bytes>,
}

/// A turn that was played.
pub(super) struct Turned {
    pub(super) took: Duration,
    /// In what it differs; in which way, where it does not crash.
    pub(super) apart: Vec<(Option<Deviation>, String)>,
    pub(super) would_answer: String,
    pub(super) would_effects: Vec<String>,
}

impl Turned {
    /// Whether it differs in a way that is not allowed.
    pub(super) fn is_refused(&self, allow: &[Deviation]) -> bool {
        self.apart.iter().any(|(kind, _)| kind.is_none_or(|kind| !allow.contains(&kind)))
    }
}

impl Play<'_> {
    fn deadline(&self) -> Duration {
        self.of.serving.identity.terms.limits.turn_deadline
    }

    fn read(&self, lines: Vec<Line>) -> Reading {
        Reading::of_recording(lines, &self.reel.actor, self.folders, self.of.is_judged)
    }

    fn reading(&self, lines: Vec<Line>) -> Option<Box<Script>> {
        Some(Box::new(Script::Read(self.read(lines))))
    }

    /// What was asked in that step of its start.
    fn begun(&self, is: impl Fn(&What) -> bool) -> Vec<Line> {
        self.reel.begun.iter().find(|step| is(&step.what)).map(|step| step.lines.clone()).unwrap_or_default()
    }

    fn state(&self, key: &str) -> Option<Arc<State>> {
        let schema = if self.foreign.contains(key) { self.schema } else { self.of.schema() };
        self.states.get(key).map(|values| Arc::new(State::of(Arc::clone(values), schema)))
    }

    /// Makes of a state what was written to it.
    fn write(&mut self, key: &str, writes: &Transaction) {
        if let Some(values) = self.states.get_mut(key) {
            let values = Arc::make_mut(values);
            for (key, value) in writes.changes() {
                match value {
                    Some(value) => values.insert(key.into(), value.clone()),
                    None => values.remove(key),
                };
            }
        }
    }

    /// An instance that has started on the state that there is.
    async fn start(&mut self) -> Result<Instance, NotPlayed> {
        let Contender { engines, serving, .. } = self.of;
        let made = self.reading(self.begun(|what| matches!(what, What::Made)));
        let instance = Instance::scripted(engines, &serving.template, Arc::clone(&serving.identity), made).await;
        let mut instance = instance.map_err(|(crash, _)| crash)?;
        instance.turn().script = None;
        if self.states.contains_key("") {
            self.bring_over(&mut instance, "").await?;
            instance.turn().state = self.state("");
        }
        let deadline = self.deadline();
        instance.turn().script = self.reading(self.begun(|what| matches!(what, What::Init)));
        let started = match instance.init(deadline).await {
            Ran::Done(()) => match self.memory.take() {
                Some(memory) => instance.restore(&memory, deadline).await,
                None => Ran::Done(()),
            },
            ended => ended,
        };
        match started {
            Ran::Done(()) => {}
            Ran::Fault(fault) => return Err(NotPlayed::NotStarted(format!("it does not start: {fault}"))),
            Ran::Crashed(crash) => return Err(crash.into()),
        }
        // It finds what its own start wrote, as it would where it serves.
        let writes = std::mem::take(&mut instance.turn().writes);
        self.write("", &writes);
        instance.turn().script = None;
        instance.turn().discard();
        Ok(instance)
    }

    /// Brings a state over to the schema of the release, where it is in another one.
    async fn bring_over(&mut self, instance: &mut Instance, key: &str) -> Result<(), NotPlayed> {
        if !self.foreign.contains(key) {
            return Ok(());
        }
        let turn = instance.turn();
        (turn.state, turn.script) = (self.state(key), self.reading(Vec::new()));
        let wrong = match instance.migrate(self.schema, self.deadline()).await {
            Some(Ran::Done(())) => None,
            Some(Ran::Fault(fault)) => Some(format!("its migrate failed: {fault}")),
            Some(Ran::Crashed(crash)) => Some(format!("its migrate crashed: {crash}")),
            None => Some("it exports no upgrade, and cannot bring it over".to_owned()),
        };
        if let Some(wrong) = wrong {
            let (found, wanted) = (self.schema, self.of.schema());
            let why = format!("the state is in schema {found}, and it wants {wanted}: {wrong}");
            return Err(NotPlayed::NotStarted(why));
        }
        let writes = std::mem::take(&mut instance.turn().writes);
        self.foreign.remove(key);
        self.write(key, &writes);
        instance.turn().script = None;
        instance.turn().discard();
        Ok(())
    }

    /// The turn again.
    pub(super) async fn turn(
        &mut self,
        message: &Message,
        step: &Step,
        end: &End,
    ) -> Result<Option<Turned>, NotPlayed> {
        let Some((envelope, left)) = message.envelope() else { return Ok(None) };
        let key = end.state_key();
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.start().await?,
        };
        self.bring_over(&mut instance, &key).await?;
        let turn = instance.turn();
        (turn.trace, turn.deadline) = (envelope.trace, None);
        (turn.state, turn.key) = (self.state(&key), end.key.clone());
        turn.script = Some(Box::new(Script::Read(match message.is_whole {
            true => self.read(step.lines.clone()),
            false => self.read(step.lines.clone()).with_request_body(),
        })));
        let begun = Instant::now();
        let ran = instance.handle(&envelope, left, self.deadline()).await;
        let took = begun.elapsed();
        let turn = instance.turn();
        let writes = std::mem::take(&mut turn.writes);
        let (effects, differences) = match turn.script.take().map(|script| *script) {
            Some(Script::Read(mut reading)) => (reading.effects(), reading.differences()),
            _ => (Vec::new(), Vec::new()),
        };
        turn.discard();
        let commits = ran.commits();
        let answer = match ran {
            Ran::Done(answer) => Ok(answer),
            Ran::Fault(fault) => Err(fault),
            Ran::Crashed(crash) => {
                // The next one begins anew, on what there was before.
                self.go_on(&key, end, None);
                let told = format!("it crashes: {crash}");
                return Ok(Some(Turned {
                    took,
                    apart: vec![(None, told.clone())],
                    would_answer: told,
                    would_effects: effects,
                }));
            }
        };
        if !instance.is_short() {
            self.instance = Some(instance);
        } else if let Ran::Done(memory) = instance.snapshot(self.deadline()).await {
            self.memory = memory;
        }
        self.go_on(&key, end, commits.then_some(&writes));
        let function = envelope.function.as_deref();
        let would_answer = apart::said(function, &answer);
        let recorded = (self.schema == self.of.schema())
            .then(|| Transaction::of(end.writes.iter().map(|write| (write.key.clone(), write.after.clone()))));
        let differs = Played { answer, writes, differences }.differs(function, &answer_of(end), recorded.as_ref());
        let apart = differs.into_iter().map(|(kind, what)| (Some(deviation(kind)), what)).collect();
        Ok(Some(Turned { took, apart, would_answer, would_effects: effects }))
    }

    /// What the state is before the next turn.
    fn go_on(&mut self, key: &str, end: &End, own: Option<&Transaction>) {
        if self.is_free {
            own.into_iter().for_each(|own| self.write(key, own));
        } else {
            self.skip(end);
        }
    }

    /// Goes on as if it had done what was recorded. False where it cannot: it keeps its state in another way.
    pub(super) fn skip(&mut self, end: &End) -> bool {
        let recorded = Transaction::of(end.writes.iter().map(|write| (write.key.clone(), write.after.clone())));
        if self.schema == self.of.schema() {
            self.write(&end.state_key(), &recorded);
        }
        self.schema == self.of.schema() || recorded.is_empty()
    }
}

fn deviation(kind: apart::Apart) -> Deviation {
    match kind {
        apart::Apart::Answers => Deviation::Answers,
        apart::Apart::Errors => Deviation::Errors,
        apart::Apart::Effects => Deviation::Effects,
        apart::Apart::State => Deviation::State,
    }
}

pub(super) fn answer_of(end: &End) -> Result<Answered, Fault> {
    match &end.fault {
        Some(fault) => Err(fault.clone()),
        None => Ok(Answered { body: end.answer.clone(), commits: end.commits }),
    }
}

/// What of a step can be compared, or why nothing can.
pub(super) fn comparable(step: &Step) -> Result<(&Message, &End), &'static str> {
    let What::Message(message) = &step.what else { return Err("it is no message") };
    let Some(end) = &step.end else { return Err("what came of it was not recorded") };
    if step.is_cut {
        return Err("it asked for more than `bytes` of the recorder, which keeps no more of a turn");
    }
    if step.unrecorded().is_some() {
        return Err("it used sockets, programs or a watch, which no recorder has");
    }
    if !message.can_be_shown() {
        return Err("it is a notice, has handles, or came again after some of its body was read");
    }
    Ok((message, end))
}
