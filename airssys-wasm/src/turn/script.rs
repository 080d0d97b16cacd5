//! What a turn asked of the mesh and what it was told: written down while a release serves, and read back to another
//! one that is shown the same message. Nothing that is asked while a script is read gets out.

use std::time::Duration;

use super::awaited::Names;
use super::host_call::{HostCall, Kind, Reply, Scope};
use super::identity::Identity;
use super::outside::{self, Asked, NOT_PERMITTED, UNKNOWN};
use super::replaying::Replaying;
use super::sheet::Sheet;
use super::told::{Frame, Frames, Line, Scripted};
use crate::capability::HttpTarget;
use crate::error::{CallError, Denied, SendError};
use crate::limits::{OVERHEAD_BYTES, REASON_BYTES, SCRIPT_BYTES, cut};
use crate::middleware::Authorize;
use crate::operation::Operation;

/// How many differences of one turn are told; that there are more is.
const MOST_DIFFERENCES: usize = 16;

/// The script of one turn.
#[derive(Debug)]
pub(crate) enum Script {
    Written(Writing),
    Read(Reading),
    /// It is told to the same release again, all of it, in its order.
    Replayed(Replaying),
}

impl Script {
    /// What is to be done about a call of this guest. What a guest has from itself alone is in no script. What it waits
    /// for becomes ready in the order in which it did for the live one, where that waited for the same; to wait
    /// otherwise is no difference.
    #[inline(never)]
    pub(super) fn ask(&mut self, call: &HostCall, who: &Identity) -> Scripted {
        match (self, call.scope()) {
            (Self::Replayed(replaying), _) => replaying.tell(call),
            (Self::Written(writing), _) if writing.of_all => writing.begin(call),
            (Self::Read(reading), Scope::Own) if reading.recorded.is_some() => reading.remember(call, who),
            (Self::Read(reading), Scope::Outside) => reading.look_outside(call, who),
            (_, Scope::Own | Scope::Outside) => Scripted::Nobody,
            (Self::Written(_), _) => Scripted::Writes(Box::new(call.clone())),
            // Nobody waits again for what is long over.
            (Self::Read(reading), Scope::Order) if reading.recorded.is_some() => {
                reading.find(call).map_or(Scripted::Nobody, Scripted::Instead)
            }
            (Self::Read(reading), Scope::Order) => reading.find(call).map_or(Scripted::Nobody, Scripted::Told),
            (Self::Read(reading), Scope::Mesh) => {
                if let Some(recorded) = &mut reading.recorded {
                    recorded.note(call);
                }
                let is_judged = reading.recorded.as_ref().is_none_or(|recorded| recorded.is_judged);
                let denial = if is_judged { denial(call, who) } else { None };
                Scripted::Told(match denial {
                    Some(denial) => reading.deny(call, denial),
                    None => reading.tell(call),
                })
            }
        }
    }

    /// How this turn names what it waits for.
    pub(super) fn names(&mut self) -> &mut Names {
        match self {
            Self::Written(writing) => &mut writing.names,
            Self::Read(reading) => &mut reading.names,
            Self::Replayed(replaying) => &mut replaying.names,
        }
    }

    /// See [`Names::numbered`].
    pub(crate) fn numbered(&mut self, called: String) -> String {
        self.names().numbered(called)
    }

    /// A request of HTTP was let on, or not.
    pub(crate) fn request_was(&mut self, is_let: bool) {
        let is_read = matches!(self, Self::Read(_));
        self.names().was_denied = is_read && !is_let;
    }

    /// Whether it knows what came of the last request of HTTP, or is to know it.
    pub(crate) fn knows_request(&mut self) -> bool {
        !std::mem::take(&mut self.names().was_denied)
    }

    /// Whether it has what was said of what is outside, so that nothing of that is done.
    pub(crate) fn is_read_back(&self) -> bool {
        match self {
            Self::Written(_) => false,
            Self::Read(reading) => reading.recorded.is_some(),
            Self::Replayed(_) => true,
        }
    }

    /// Whether it has how the response was written to the request that is handled, or is to have it.
    pub(crate) fn has_response(&self) -> bool {
        match self {
            Self::Written(writing) => writing.of_all,
            // It is compared.
            Self::Read(_) => false,
            Self::Replayed(_) => true,
        }
    }

    /// Whether it has what was read of the request that is handled, or is to have it.
    pub(crate) fn has_request_body(&self) -> bool {
        match self {
            Self::Written(writing) => writing.of_all,
            Self::Read(reading) => reading.recorded.as_ref().is_some_and(|recorded| recorded.has_request_body),
            Self::Replayed(_) => true,
        }
    }

    /// Where the turn was when it crashed.
    #[cold]
    pub(crate) fn note_frames(&self, frames: impl FnOnce() -> Vec<Frame>) {
        match self {
            Self::Written(Writing { frames: noted, .. }) | Self::Replayed(Replaying { frames: noted, .. }) => {
                noted.0.get_or_init(frames);
            }
            Self::Read(_) => {}
        }
    }
}

/// Why this guest may not do this; none where it may. Nobody audits it: nothing would happen.
fn denial(call: &HostCall, who: &Identity) -> Option<SendError> {
    let (policy, address) = (&who.terms.policy, who.address());
    let denied = match call {
        HostCall::Invoke { to, function, .. } => Authorize::no_function(address, policy, to, function),
        HostCall::Http { method, scheme, authority, path } => {
            let target = HttpTarget::of(method, scheme, authority, path)?;
            let missing = (!policy.lets_http(&target)).then(|| policy.http_missing(address.service(), &target))?;
            let (who, target) = (address.service().to_owned(), target.to_string());
            Some(Denied { who, operation: Operation::Http, target, missing })
        }
        _ => {
            let (operation, target) = call.permission()?;
            Authorize::nothing(address, policy, operation, &target)
        }
    };
    Some(SendError::Denied(Box::new(denied?)))
}

/// A script that is written.
#[derive(Debug, Default)]
pub(crate) struct Writing {
    lines: Vec<Line>,
    /// Where nobody but a recorder has to do with it: the lines, and how many there are.
    sheet: Sheet,
    on_sheet: usize,
    bytes: usize,
    names: Names,
    /// Whether what a guest has from itself stands there too: for a recorder.
    of_all: bool,
    /// How many bytes a recorder keeps of it.
    most: usize,
    /// Whether there was more.
    is_cut: bool,
    /// Whether another release is to be shown it as well.
    is_shown: bool,
    frames: Frames,
}

/// What a recorder has of a turn: its lines stand on a sheet of their own.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) bytes: usize,
    pub(super) is_cut: bool,
    pub(super) frames: Vec<Frame>,
}

impl Writing {
    /// Adds a line. Beyond [`SCRIPT_BYTES`] there is no script of this turn: a guest may ask as often as it likes, also
    /// for what it is refused.
    pub(super) fn push(&mut self, asked: HostCall, told: Reply) {
        self.bytes = self.bytes.saturating_add(asked.bytes() + told.bytes() + OVERHEAD_BYTES);
        if self.bytes > SCRIPT_BYTES {
            self.lines = Vec::new();
        } else {
            self.lines.push((asked, told));
        }
    }

    /// Begins again, for a recorder, which keeps so many bytes of it, with the room that this sheet has.
    pub(super) fn begin_again(&mut self, most: usize, mut sheet: Sheet) {
        self.names.forget_all();
        sheet.clear();
        self.sheet = sheet;
        self.lines.clear();
        (self.on_sheet, self.bytes, self.most) = (0, 0, most);
        (self.of_all, self.is_cut, self.is_shown) = (true, false, false);
        self.frames = Frames::default();
    }

    /// It is for a recorder, too.
    pub(super) fn and_all(&mut self, most: usize) {
        (self.of_all, self.most, self.is_shown) = (true, most, true);
    }

    /// Writes down what is asked before it is done: the turn may end over it. What is beyond the bound is not kept, nor
    /// anything after it.
    fn begin(&mut self, call: &HostCall) -> Scripted {
        let bytes = self.bytes + call.bytes() + OVERHEAD_BYTES;
        if self.is_cut || bytes > self.most.max(if self.is_shown { SCRIPT_BYTES } else { 0 }) {
            self.is_cut = true;
            // What is shown to another release has an end there, too.
            self.bytes = if self.is_shown { usize::MAX } else { self.bytes };
            return Scripted::Nobody;
        }
        self.bytes = bytes;
        if self.is_shown {
            self.lines.push((call.clone(), Reply::Unanswered));
            return Scripted::Completes(self.lines.len() - 1);
        }
        self.sheet.asked(call);
        self.on_sheet += 1;
        Scripted::Completes(self.on_sheet - 1)
    }

    pub(super) fn complete(&mut self, line: usize, told: &Reply) {
        self.bytes = self.bytes.saturating_add(told.bytes());
        if !self.is_shown {
            self.sheet.told(line, self.on_sheet, told);
        } else if let Some((_, reply)) = self.lines.get_mut(line) {
            *reply = told.clone();
        }
    }

    /// What the recorder has of it, with its lines on this sheet. Whoever is shown it keeps what it would have had
    /// without.
    pub(super) fn recorded(&mut self, sheet: &mut Sheet) -> Recorded {
        if self.is_shown {
            sheet.clear();
            for (at, (asked, told)) in self.lines.iter().enumerate() {
                sheet.asked(asked);
                sheet.told(at, at + 1, told);
            }
            self.lines.retain(|(asked, _)| asked.scope() != Scope::Own);
        } else {
            std::mem::swap(sheet, &mut self.sheet);
        }
        Recorded { bytes: self.bytes.min(SCRIPT_BYTES), is_cut: self.is_cut, frames: self.frames.take() }
    }

    /// Whether anybody but the recorder has to do with it.
    pub(super) fn is_shown(&self) -> bool {
        self.is_shown
    }

    /// The lines, and their bytes; none where there are too many.
    pub(crate) fn finish(self) -> Option<(Vec<Line>, usize)> {
        (self.bytes <= SCRIPT_BYTES).then_some((self.lines, self.bytes))
    }
}

/// A script that is read back.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Those that were not read back yet.
    lines: Vec<Option<Line>>,
    /// Where those of the mesh stood that were, in the order in which they were.
    used: Vec<usize>,
    differences: Vec<String>,
    /// Those that are not told.
    more: usize,
    names: Names,
    /// Where it is read back from a recording: what a guest has from itself is as it was then, too. Boxed, since that
    /// is seldom.
    recorded: Option<Box<Remembered>>,
}

/// What is read back of a recording beside its lines.
#[derive(Debug, Default)]
struct Remembered {
    /// Who did it.
    actor: String,
    /// Whether it is denied what it may not do.
    is_judged: bool,
    /// The folders that it was granted.
    folders: Vec<String>,
    /// Whether the request that it handles came without all of its body, which is what was read of it.
    has_request_body: bool,
    /// What its clocks said last.
    wall: Option<Duration>,
    monotonic: Option<u64>,
    /// What this one asks of others, as it is told.
    effects: Vec<String>,
    /// What was said of files and other things outside of the mesh, and what it changes there.
    outside: outside::Remembered,
}

impl Remembered {
    fn note(&mut self, call: &HostCall) {
        if self.effects.len() < MOST_DIFFERENCES {
            self.effects.push(cut(call.to_string(), REASON_BYTES));
        }
    }
}

impl Reading {
    pub(crate) fn new(lines: Vec<Line>) -> Self {
        Self { lines: lines.into_iter().map(Some).collect(), ..Self::default() }
    }

    /// One of a recording of this actor, which had these folders, and is asked about its grants or not.
    pub(crate) fn of_recording(lines: Vec<Line>, actor: &str, folders: &[String], is_judged: bool) -> Self {
        let (actor, folders) = (actor.to_owned(), folders.to_owned());
        let mut recorded = Remembered { actor, folders, is_judged, ..Remembered::default() };
        // Who asks for the time and did not then finds it as it was at the beginning of the turn.
        for (asked, told) in &lines {
            match (asked, told) {
                (HostCall::Look { at, look }, Reply::Said(said)) => {
                    recorded.outside.looked(at.clone(), look.clone(), said.clone());
                }
                (HostCall::Change { at, change }, Reply::Said(said)) => {
                    recorded.outside.changed(at.clone(), change.clone(), said.clone());
                }
                (_, Reply::Time(wall)) if recorded.wall.is_none() => recorded.wall = Some(*wall),
                (_, Reply::Nanoseconds(monotonic)) if recorded.monotonic.is_none() => {
                    recorded.monotonic = Some(*monotonic);
                }
                _ => {}
            }
        }
        Self { recorded: Some(Box::new(recorded)), ..Self::new(lines) }
    }

    /// It handles a request that came without all of its body.
    pub(crate) fn with_request_body(mut self) -> Self {
        if let Some(recorded) = &mut self.recorded {
            recorded.has_request_body = true;
        }
        self
    }

    /// What a guest has from itself: its time, chance and configuration are those of the recording, as far as it has
    /// them, and its state is one of its own.
    fn remember(&mut self, call: &HostCall, who: &Identity) -> Scripted {
        if let HostCall::Folders = call {
            return Scripted::Instead(Reply::Names(self.folders(who)));
        }
        let is_of_the_world = matches!(
            call,
            HostCall::WallClock
                | HostCall::MonotonicClock
                | HostCall::RandomBytes { .. }
                | HostCall::RandomNumber
                | HostCall::Config { .. }
                | HostCall::AllConfig
                | HostCall::Environment
        );
        let told = if is_of_the_world { self.find(call) } else { None };
        let Some(recorded) = &mut self.recorded else { return Scripted::Nobody };
        match (call, told) {
            (_, Some(told)) => {
                match &told {
                    Reply::Time(wall) => recorded.wall = Some(*wall),
                    Reply::Nanoseconds(monotonic) => recorded.monotonic = Some(*monotonic),
                    _ => {}
                }
                Scripted::Instead(told)
            }
            (HostCall::WallClock, None) => {
                recorded.wall.map_or(Scripted::Nobody, |wall| Scripted::Instead(Reply::Time(wall)))
            }
            (HostCall::MonotonicClock, None) => {
                recorded.monotonic.map_or(Scripted::Nobody, |passed| Scripted::Instead(Reply::Nanoseconds(passed)))
            }
            (HostCall::SelfAddress, None) => Scripted::Instead(Reply::Text(Some(recorded.actor.clone()))),
            (HostCall::Log { .. }, None) => Scripted::Instead(Reply::Nothing(())),
            _ => Scripted::Nobody,
        }
    }

    /// The folders that it has: its own, or where nobody knows of what it is granted, those of the recorded one.
    fn folders(&mut self, who: &Identity) -> Vec<String> {
        match &self.recorded {
            Some(recorded) if recorded.is_judged => who.terms.policy.files().map(|(name, _)| name.to_owned()).collect(),
            Some(recorded) => match recorded.folders.is_empty() {
                true => self.find(&HostCall::Folders).and_then(|told| told.names().ok()).unwrap_or_default(),
                false => recorded.folders.clone(),
            },
            None => Vec::new(),
        }
    }

    /// What it is told that asks for something outside of the mesh, or changes something there, of a recording.
    fn look_outside(&mut self, call: &HostCall, who: &Identity) -> Scripted {
        let Some(recorded) = &mut self.recorded else { return Scripted::Nobody };
        let (at, asked) = match call {
            HostCall::Look { at, look } => (at, Asked::Look(look)),
            HostCall::Change { at, change } => (at, Asked::Change(change)),
            _ => return Scripted::Nobody,
        };
        if let Asked::Change(_) = asked {
            recorded.note(call);
        }
        let missing = if recorded.is_judged { who.missing_of(at, asked.right()) } else { None };
        let (said, differs) = match (asked, missing) {
            (_, Some(missing)) => (Err(NOT_PERMITTED.to_owned()), Some(format!("it may not {call}: {missing}"))),
            (Asked::Change(change), None) => (recorded.outside.change(at, change), None),
            (Asked::Look(look), None) => match recorded.outside.look(at, look) {
                Some(said) => (said, None),
                None => {
                    let why = "it alone would ".to_owned() + &call.to_string() + ", and what is there was not recorded";
                    (Err(UNKNOWN.to_owned()), Some(why))
                }
            },
        };
        if let Some(differs) = differs {
            self.differ(differs);
        }
        Scripted::Instead(Reply::Said(said))
    }

    /// What it asks of others, as it is told; of a recording only.
    pub(crate) fn effects(&mut self) -> Vec<String> {
        self.recorded.as_mut().map(|recorded| std::mem::take(&mut recorded.effects)).unwrap_or_default()
    }

    fn differ(&mut self, what: String) {
        if self.differences.len() < MOST_DIFFERENCES {
            self.differences.push(cut(what, REASON_BYTES));
        } else {
            self.more += 1;
        }
    }

    /// What the live turn was told when it asked this; none where it did not ask it.
    fn find(&mut self, call: &HostCall) -> Option<Reply> {
        self.find_told(call, |_| true)
    }

    /// The same, where it was told so.
    fn find_told(&mut self, call: &HostCall, so: impl Fn(&Reply) -> bool) -> Option<Reply> {
        let is_it =
            |line: &Option<Line>| line.as_ref().is_some_and(|(asked, told)| asked.asks_the_same(call) && so(told));
        let at = self.lines.iter().position(is_it)?;
        if call.scope() == Scope::Mesh {
            self.used.push(at);
        }
        let (asked, told) = self.lines.get_mut(at)?.take()?;
        Some(told.in_words_of(call, &asked))
    }

    /// What it is told that it may not do.
    fn deny(&mut self, call: &HostCall, denial: SendError) -> Reply {
        // What both may not is no difference.
        if let Some(told) = self.find_told(call, Reply::is_denied) {
            return told;
        }
        self.differ(format!("it may not {call}"));
        match call.kind() {
            Kind::Answer => Reply::Answer(Err(denial.into())),
            Kind::Child => Reply::Child(Err(denial.into())),
            Kind::Allowed => Reply::Allowed(false),
            _ => Reply::Sent(Err(denial)),
        }
    }

    /// What the live turn was told, or what a turn is told that nobody answers.
    fn tell(&mut self, call: &HostCall) -> Reply {
        if let Some(told) = self.find(call) {
            return told;
        }
        self.differ(format!("it alone would {call}"));
        // Nobody knows what it would have been told.
        match call.kind() {
            Kind::Answer => Reply::Answer(Err(CallError::Dropped(
                "the live release did not make this call, and only what it was answered is known".to_owned(),
            ))),
            Kind::Timer => Reply::Timer(Ok(0)),
            Kind::Cancelled => Reply::Cancelled(false),
            Kind::Allowed => Reply::Allowed(false),
            Kind::Child => Reply::Child(Ok(call.permission().map(|(_, child)| child.into_owned()).unwrap_or_default())),
            _ => Reply::Sent(Ok(())),
        }
    }

    /// In what it differs from the live turn.
    pub(crate) fn differences(mut self) -> Vec<String> {
        if let Some(recorded) = &self.recorded {
            recorded.outside.differences().into_iter().for_each(|what| self.differ(what));
        }
        for (asked, _) in std::mem::take(&mut self.lines).into_iter().flatten() {
            if asked.scope() == Scope::Mesh {
                self.differ(format!("it would not {asked}"));
            }
        }
        if self.differences.is_empty() && !self.used.is_sorted() {
            self.differences.push("it asks the same of the mesh in another order".to_owned());
        }
        if self.more > 0 {
            self.differences.push(format!("and {} more", self.more));
        }
        self.differences
    }
}

#[cfg(test)]
mod tests {
    use super::super::awaited::{Awaited, Maker};
    use super::{HostCall, Reading, Reply};

    fn poll(of: &[u32]) -> HostCall {
        HostCall::Poll { of: of.iter().map(|number| Awaited { made_by: Maker::Duration, number: *number }).collect() }
    }

    fn ready(places: &[u32]) -> Reply {
        Reply::Ready(places.to_vec())
    }

    fn send() -> HostCall {
        HostCall::Send { to: "a".to_owned(), key: None, body: bytes::Bytes::new() }
    }

    #[test]
    fn waiting_otherwise_is_no_difference() {
        let lines = vec![
            (poll(&[0, 1]), ready(&[1])),
            (send(), Reply::Sent(Ok(()))),
            (poll(&[0, 1]), ready(&[0, 1])),
            (HostCall::Block { on: Awaited { made_by: Maker::Duration, number: 0 } }, Reply::Nothing(())),
        ];
        let mut reading = Reading::new(lines);
        let mut polled = |of: &[u32]| reading.find(&poll(of)).and_then(|told| told.ready().ok());
        assert_eq!((polled(&[0, 1]), polled(&[0, 1, 2])), (Some(vec![1]), None));
        assert_eq!((polled(&[0, 2]), polled(&[0, 0])), (None, None), "as many, and not the same");
        assert_eq!((polled(&[0, 1]), polled(&[0, 1])), (Some(vec![0, 1]), None), "each is read back once");
        assert!(reading.find(&send()).is_some());
        assert_eq!(reading.differences(), Vec::<String>::new(), "nor is to wait less often, or at another time");
    }

    #[test]
    fn what_is_ready_is_told_by_its_name_wherever_it_stands() {
        let polled = |of: &[u32], places: &[u32], asks: &[u32]| {
            let told = Reading::new(vec![(poll(of), ready(places))]).find(&poll(asks));
            told.and_then(|told| told.ready().ok())
        };
        assert_eq!(polled(&[0, 1], &[0], &[1, 0]), Some(vec![1]));
        assert_eq!(polled(&[3, 1, 2], &[0, 2], &[1, 2, 3]), Some(vec![1, 2]));
        // What stands there twice is ready twice.
        assert_eq!(polled(&[0, 1, 0], &[0, 2], &[1, 0, 0]), Some(vec![1, 2]));
        // No release can say what is not there; if it does, nothing is ready by it.
        assert_eq!(polled(&[0, 1], &[7], &[1, 0]), Some(vec![]));
    }
}
