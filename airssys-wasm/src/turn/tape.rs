//! The recorder of one instance: what was done with it since it began, and all that it asked of its host and was told.
//!
//! # Hot path
//!
//! An instance without a recorder has none of this: each turn looks at one pointer. With one, a turn copies what names
//! its message, and each call of the host is copied with its reply, bodies by counting them; the oldest turn goes when
//! there are too many. Nothing is written to a disk but over a crash, and that by a thread of its own.
//!
//! Invariant: what is kept is bounded by turns and by bytes, and what was lost is counted.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::capsule::Capsule;
use super::host_call::octets;
use super::recording::{Recording, Reel};
use super::script::{Recorded, Script, Writing};
use super::step::{End, Step, Values, What, Write};
use super::told::{Frame, Line};
use super::{Identity, Turn};
use crate::capsules::Shelf;
use crate::error::{Crash, Fault};
use crate::hex;
use crate::hint::Coded;
use crate::schema::{Schema, Words};
use crate::settings::{self, Run};
use crate::state::State;

/// The recorder of one instance.
#[derive(Debug)]
pub(crate) struct Tape {
    recording: Arc<settings::Recording>,
    /// Where capsules go; none where the host has no folder for them.
    shelf: Option<Arc<Shelf>>,
    sha256: Box<str>,
    /// How it began: what came before its first message.
    begun: Vec<Step>,
    turns: VecDeque<Step>,
    /// What all of that takes.
    bytes: usize,
    lost: u64,
    /// What is under way.
    open: Option<What>,
    /// What came of it, where that is known already.
    end: Option<End>,
    /// What the last turn was written down with, for the next one; and the room of the oldest, which went.
    spare: Option<Box<Script>>,
    room: Vec<Line>,
}

impl Tape {
    /// For an instance of this release that is about to be made; none where nothing is recorded.
    pub(crate) fn begin(identity: &Identity, sha256: &str) -> Option<Box<Self>> {
        let recording = identity.terms.recording.as_ref().filter(|_| !identity.terms.silent)?;
        Some(Box::new(Self {
            recording: Arc::clone(recording),
            shelf: identity.mesh.capsules.get().cloned(),
            sha256: sha256.into(),
            begun: Vec::new(),
            turns: VecDeque::new(),
            bytes: 0,
            lost: 0,
            open: None,
            end: None,
            spare: None,
            room: Vec::new(),
        }))
    }

    /// Another instance comes in the place of the one before: a program has one for each message. What is under way
    /// goes on after it was made; this is to be given to [`Tape::made_anew`] then.
    pub(crate) fn begin_anew(&mut self, turn: &mut Turn) -> Option<(What, Option<Box<Script>>)> {
        self.begun.clear();
        self.turns.clear();
        (self.bytes, self.lost) = (0, 0);
        let open = self.open.take().map(|open| (open, turn.script.take()));
        self.step(turn, What::Made);
        open
    }

    /// It was made.
    pub(crate) fn made_anew(&mut self, turn: &mut Turn, open: Option<(What, Option<Box<Script>>)>) {
        self.end(turn);
        if let Some((what, script)) = open {
            (self.open, turn.script) = (Some(what), script);
        }
    }

    /// A step begins: from here on the turn is written down.
    #[cold]
    pub(crate) fn step(&mut self, turn: &mut Turn, mut what: What) {
        if let What::Message(message) = &mut what {
            message.is_query = turn.is_query;
        }
        self.open = Some(what);
        let most = self.recording.rules.bytes;
        match turn.script.as_deref_mut() {
            Some(Script::Written(writing)) => writing.and_all(most),
            Some(_) => {}
            None => {
                // A turn after another one allocates neither.
                let mut script = self.spare.take().unwrap_or_else(|| Box::new(Script::Written(Writing::default())));
                if let Script::Written(writing) = &mut *script {
                    writing.begin_again(most, std::mem::take(&mut self.room));
                }
                turn.script = Some(script);
            }
        }
    }

    fn take(&mut self, turn: &mut Turn) -> Option<(Step, Vec<Frame>)> {
        let what = self.open.take()?;
        let Some(Script::Written(writing)) = turn.script.as_deref_mut() else { return None };
        let Recorded { lines, bytes, is_cut, frames } = writing.recorded();
        if !writing.is_shown() {
            self.spare = turn.script.take();
        }
        let end = self.end.take();
        let bytes = bytes + what.bytes() + end.as_ref().map_or(0, End::bytes);
        Some((Step { what, lines, is_cut, end, bytes }, frames))
    }

    /// This came of the turn that is under way; it is not committed yet.
    #[cold]
    pub(crate) fn answered(&mut self, turn: &Turn, answer: Result<(Option<Bytes>, bool), Fault>) {
        let (answer, commits, fault) = match answer {
            Ok((answer, commits)) => (answer, commits, None),
            Err(fault) => (None, false, Some(fault)),
        };
        let mut end = End { answer, fault, commits, writes: Vec::new(), key: turn.key.clone() };
        if let Some(state) = turn.state.as_ref().filter(|_| commits) {
            let write = |(key, after): (&str, Option<&Bytes>)| Write {
                key: key.into(),
                before: state.get(key),
                after: after.cloned(),
            };
            end.writes = turn.writes.changes().map(write).collect();
        }
        self.end = Some(end);
    }

    /// What it has, to be looked at between two turns, by a service of this identity.
    #[cold]
    pub(crate) fn copy(&self, identity: &Identity) -> Recording {
        let settings::Recording { rules, release, description, wires } = &*self.recording;
        let (terms, service) = (&identity.terms, identity.address().service());
        let wires: toml::Table = wires.iter().map(|(import, wire)| (import.clone(), wire.table().into())).collect();
        let mut reels = Vec::new();
        if rules.bodies && !self.turns.is_empty() {
            let turns: Vec<Step> = self.turns.iter().cloned().collect();
            let keys: BTreeSet<Box<str>> =
                turns.iter().filter_map(|step| Some(step.end.as_ref()?.state_key())).collect();
            let per_key = identity.own.has_state_per_key();
            let values = |key: Box<str>| {
                let state = identity.own.states.state(per_key.then_some(&*key));
                let values: Values = state?.snapshot();
                Some((key, values))
            };
            let states = keys.into_iter().filter_map(values).collect();
            let (actor, begun) = (identity.address().to_string(), self.begun.clone());
            reels.push(Reel { actor, begun, lost: self.lost, turns, states });
        }
        Recording {
            at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            service: service.to_owned(),
            release: release.clone(),
            sha256: self.sha256.to_string(),
            description: description.as_deref().map(str::to_owned),
            schema: terms.schema,
            has_bodies: rules.bodies,
            limits: terms.limits.table().to_string(),
            run: run_word(terms.run),
            arguments: terms.arguments.clone(),
            wires: wires.to_string(),
            config: terms.config.all_given(service).into_iter().collect(),
            reels,
        }
    }

    /// The step is over, and it did not crash.
    #[cold]
    pub(crate) fn end(&mut self, turn: &mut Turn) {
        let Some((step, _)) = self.take(turn) else { return };
        self.bytes += step.bytes;
        if self.turns.is_empty() && !matches!(step.what, What::Message(_)) {
            self.begun.push(step);
        } else {
            self.turns.push_back(step);
        }
        let rules = self.recording.rules;
        while self.turns.len() > rules.turns || (self.bytes > rules.bytes && !self.turns.is_empty()) {
            if let Some(Step { mut lines, bytes, .. }) = self.turns.pop_front() {
                self.bytes -= bytes;
                lines.clear();
                self.room = lines;
            }
            self.lost += 1;
        }
    }

    /// It crashed: what is left of it is written down, where that is the guest's own doing.
    #[cold]
    pub(crate) fn crashed(mut self: Box<Self>, turn: &mut Turn, crash: &Crash) {
        let Some((step, frames)) = self.take(turn) else { return };
        if is_none_of_its_own(crash) {
            return;
        }
        let Some(shelf) = self.shelf.clone() else { return };
        let (at, crash) = (SystemTime::now(), crash.clone());
        let (identity, state) = (Arc::clone(&turn.identity), turn.state.as_ref().map(|state| state.copy()));
        let key = turn.key.as_deref().map(str::to_owned);
        let service = identity.address().service().to_owned();
        let same = self.same(&step, &crash, &frames);
        let left = Left { at, identity, key, state, crash, frames };
        shelf.put(&service, (at, same), move |tree| {
            self.turns.push_back(step);
            self.capsule(left, tree).written().map_err(|error| error.to_string())
        });
    }

    /// What is the same where a crash comes again: the release, the function that ran, the crash and the message.
    fn same(&self, step: &Step, crash: &Crash, frames: &[Frame]) -> String {
        let frame = frames.first().map(ToString::to_string).unwrap_or_default();
        let over = match &step.what {
            What::Message(message) => message.sum(),
            what => what.told(),
        };
        let all = [&*self.sha256, crash.code(), &crash.to_string(), &frame, &over].join("\n");
        hex::encode(&Sha256::digest(all.as_bytes()))
    }

    fn capsule(self, left: Left, tree: Option<String>) -> Capsule {
        let Left { at, identity, key, state, crash, frames } = left;
        let settings::Recording { rules, release, description, wires } = &*self.recording;
        let terms = &identity.terms;
        let steps: Vec<Step> = self.begun.into_iter().chain(self.turns).collect();
        let state = state.map(|state| {
            let each = |(key, value): (Box<str>, Bytes)| (String::from(key), octets::text(&value));
            state.snapshot().into_iter().map(each).collect()
        });
        let wires: toml::Table = wires.iter().map(|(import, wire)| (import.clone(), wire.table().into())).collect();
        Capsule {
            at: humantime::format_rfc3339_millis(at).to_string(),
            service: identity.address().service().to_owned(),
            actor: identity.address().to_string(),
            key,
            release: release.clone(),
            sha256: self.sha256.into(),
            description: description.as_deref().map(str::to_owned),
            code: crash.code().to_owned(),
            text: crash.to_string(),
            schema: terms.schema,
            frames,
            has_bodies: rules.bodies,
            state: state.filter(|_| rules.bodies),
            lost: self.lost,
            tree,
            limits: terms.limits.table().to_string(),
            run: run_word(terms.run),
            arguments: terms.arguments.clone(),
            wires: wires.to_string(),
            steps_told: steps.iter().map(Step::told).collect(),
            steps: if rules.bodies { steps } else { Vec::new() },
            crash,
        }
    }
}

fn run_word(run: Run) -> String {
    Run::ALL.iter().find(|(_, of)| *of == run).map_or("", |(word, _)| word).to_owned()
}

/// What is left of an instance beside its tape.
struct Left {
    at: SystemTime,
    identity: Arc<Identity>,
    key: Option<String>,
    state: Option<State>,
    crash: Crash,
    frames: Vec<Frame>,
}

/// Whether somebody else ended it, or there was no room for it; and an exit with status 0, which is no failure.
fn is_none_of_its_own(crash: &Crash) -> bool {
    matches!(crash, Crash::CutOff { .. } | Crash::NoInstance { .. } | Crash::Exit { status: 0 })
}
