//! The recorder of one instance: what was done with it since it began, and all that it asked of its host and was told.
//!
//! # Hot path
//!
//! An instance without a recorder has none of this: each turn looks at one pointer. With one, a turn writes its
//! message down on a sheet, and so it does with each call of the host, its reply, and what comes of it; all of that is
//! copied to a ring when the turn is over, and the oldest turn goes when there are too many. None of it allocates once
//! ring and sheets have grown to what they hold. It is read back where somebody wants to see it: over a crash, by a
//! thread of its own, which writes it to a disk, and for a gate or a recording. The bench row is `recording/on`.
//!
//! Invariant: what is kept is bounded by turns and by bytes, and what was lost is counted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::capsule::Capsule;
use super::host_call::octets;
use super::recording::{Recording, Reel};
use super::script::{Recorded, Script, Writing};
use super::sheet::Sheet;
use super::spool::{Sheets, Spool};
use super::step::{Answering, End, Handed, Step, Values, What};
use super::told::Frame;
use super::{Identity, Turn};
use crate::capsules::Shelf;
use crate::error::Crash;
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
    begun: Spool,
    turns: Spool,
    /// What all of that takes.
    bytes: usize,
    lost: u64,
    /// What is under way.
    open: Option<Opened>,
    /// That, as it is written down; what was asked in the last step; and what came of the one that is under way.
    what: Sheet,
    lines: Sheet,
    end: Sheet,
    /// What the last turn was written down with, for the next one.
    spare: Option<Box<Script>>,
}

/// A step that is under way.
#[derive(Debug, Clone, Copy)]
struct Opened {
    is_message: bool,
    /// What it takes beside what it asks.
    bytes: usize,
    /// Whether it is known what came of it.
    has_end: bool,
}

/// A step that is over, and stands on the sheets of its tape.
#[derive(Debug)]
struct Closed {
    is_message: bool,
    bytes: usize,
    has_end: bool,
    is_cut: bool,
    frames: Vec<Frame>,
}

/// A step that was interrupted, for another instance to be made.
pub(crate) struct Interrupted {
    open: Opened,
    what: Sheet,
    script: Option<Box<Script>>,
}

impl Tape {
    /// For an instance of this release that is about to be made; none where nothing is recorded.
    pub(crate) fn begin(identity: &Identity, sha256: &str) -> Option<Box<Self>> {
        let recording = identity.terms.recording.as_ref().filter(|_| !identity.terms.silent)?;
        Some(Box::new(Self {
            recording: Arc::clone(recording),
            shelf: identity.mesh.capsules.get().cloned(),
            sha256: sha256.into(),
            begun: Spool::default(),
            turns: Spool::default(),
            bytes: 0,
            lost: 0,
            open: None,
            what: Sheet::default(),
            lines: Sheet::default(),
            end: Sheet::default(),
            spare: None,
        }))
    }

    /// Another instance comes in the place of the one before: a program has one for each message. What is under way
    /// goes on after it was made; this is to be given to [`Tape::made_anew`] then.
    pub(crate) fn begin_anew(&mut self, turn: &mut Turn) -> Option<Interrupted> {
        self.begun.clear();
        self.turns.clear();
        (self.bytes, self.lost) = (0, 0);
        let what = std::mem::take(&mut self.what);
        let open = self.open.take().map(|open| Interrupted { open, what, script: turn.script.take() });
        self.step(turn, &What::Made);
        open
    }

    /// It was made.
    pub(crate) fn made_anew(&mut self, turn: &mut Turn, interrupted: Option<Interrupted>) {
        self.end(turn);
        if let Some(Interrupted { open, what, script }) = interrupted {
            (self.open, self.what, turn.script) = (Some(open), what, script);
        }
    }

    /// A step begins: from here on the turn is written down.
    #[inline(never)]
    pub(crate) fn step(&mut self, turn: &mut Turn, what: &What<Handed<'_>>) {
        self.what.clear();
        what.pack(turn.is_query, &mut self.what);
        let is_message = matches!(what, What::Message(_));
        self.open = Some(Opened { is_message, bytes: what.bytes(), has_end: false });
        let most = self.recording.rules.bytes;
        match turn.script.as_deref_mut() {
            Some(Script::Written(writing)) => writing.and_all(most),
            Some(_) => {}
            None => {
                // A turn after another one allocates neither.
                let mut script = self.spare.take().unwrap_or_else(|| Box::new(Script::Written(Writing::default())));
                if let Script::Written(writing) = &mut *script {
                    writing.begin_again(most, std::mem::take(&mut self.lines));
                }
                turn.script = Some(script);
            }
        }
    }

    /// This came of the turn that is under way; it is not committed yet.
    #[inline(never)]
    pub(crate) fn answered(&mut self, turn: &Turn, came: Answering<'_>) {
        let Some(open) = &mut self.open else { return };
        self.end.clear();
        open.bytes += End::pack(came, (turn.state.as_deref(), &turn.writes), turn.key.as_deref(), &mut self.end);
        open.has_end = true;
    }

    /// The step that is under way is over; none where nobody wrote it down.
    fn take(&mut self, turn: &mut Turn) -> Option<Closed> {
        let Opened { is_message, bytes, has_end } = self.open.take()?;
        let Some(Script::Written(writing)) = turn.script.as_deref_mut() else { return None };
        let Recorded { bytes: asked, is_cut, frames } = writing.recorded(&mut self.lines);
        if !writing.is_shown() {
            self.spare = turn.script.take();
        }
        Some(Closed { is_message, bytes: bytes + asked, has_end, is_cut, frames })
    }

    /// What it has, to be looked at between two turns, by a service of this identity.
    #[cold]
    pub(crate) fn copy(&self, identity: &Identity) -> Recording {
        let settings::Recording { rules, release, description, wires } = &*self.recording;
        let (terms, service) = (&identity.terms, identity.address().service());
        let wires: toml::Table = wires.iter().map(|(import, wire)| (import.clone(), wire.table().into())).collect();
        let mut reels = Vec::new();
        if rules.bodies && !self.turns.is_empty() {
            let turns = self.turns.steps();
            let keys: BTreeSet<Box<str>> =
                turns.iter().filter_map(|step| Some(step.end.as_ref()?.state_key())).collect();
            let per_key = identity.own.has_state_per_key();
            let values = |key: Box<str>| {
                let state = identity.own.states.state(per_key.then_some(&*key));
                let values: Values = state?.snapshot();
                Some((key, values))
            };
            let states = keys.into_iter().filter_map(values).collect();
            let (actor, begun) = (identity.address().to_string(), self.begun.steps());
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
            folders: identity.folders(),
            reels,
        }
    }

    /// The step is over, and it did not crash.
    #[inline(never)]
    pub(crate) fn end(&mut self, turn: &mut Turn) {
        let Some(closed) = self.take(turn) else { return };
        if self.turns.is_empty() && !closed.is_message {
            self.bytes += closed.bytes;
            // No more comes that would need room for growth.
            self.begun.push(closed.sheets(&mut self.what, &mut self.lines, &mut self.end), 0);
            return;
        }
        let rules = self.recording.rules;
        loop {
            if self.turns.len() < rules.turns && self.bytes + closed.bytes <= rules.bytes {
                self.bytes += closed.bytes;
                self.turns.push(closed.sheets(&mut self.what, &mut self.lines, &mut self.end), rules.bytes);
                return;
            }
            self.lost += 1;
            match self.turns.pop() {
                Some(bytes) => self.bytes -= bytes,
                // It is too large by itself.
                None => return,
            }
        }
    }

    /// It crashed: what is left of it is written down, where that is the guest's own doing.
    #[cold]
    pub(crate) fn crashed(mut self: Box<Self>, turn: &mut Turn, crash: &Crash) {
        let Some(mut closed) = self.take(turn) else { return };
        if is_none_of_its_own(crash) {
            return;
        }
        let Some(shelf) = self.shelf.clone() else { return };
        let (at, crash) = (SystemTime::now(), crash.clone());
        let (identity, state) = (Arc::clone(&turn.identity), turn.state.as_ref().map(|state| state.copy()));
        let key = turn.key.as_deref().map(str::to_owned);
        let service = identity.address().service().to_owned();
        let frames = std::mem::take(&mut closed.frames);
        // By itself: it may be larger than all that is kept.
        let mut last = Spool::default();
        last.push(closed.sheets(&mut self.what, &mut self.lines, &mut self.end), 0);
        let Some(step) = last.steps().pop() else { return };
        let same = self.same(&step, &crash, &frames);
        let left = Left { at, identity, key, state, crash, frames };
        shelf.put(&service, (at, same), move |tree| {
            self.capsule(step, left, tree).written().map_err(|error| error.to_string())
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

    fn capsule(self, last: Step, left: Left, tree: Option<String>) -> Capsule {
        let Left { at, identity, key, state, crash, frames } = left;
        let settings::Recording { rules, release, description, wires } = &*self.recording;
        let terms = &identity.terms;
        let steps: Vec<Step> = [self.begun.steps(), self.turns.steps(), vec![last]].concat();
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
            folders: identity.folders(),
            steps_told: steps.iter().map(Step::told).collect(),
            steps: if rules.bodies { steps } else { Vec::new() },
            crash,
        }
    }
}

impl Closed {
    fn sheets<'a>(&self, what: &'a mut Sheet, lines: &'a mut Sheet, end: &'a mut Sheet) -> Sheets<'a> {
        Sheets { what, lines, end: self.has_end.then_some(end), is_cut: self.is_cut, bytes: self.bytes }
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
