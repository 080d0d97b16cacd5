//! The layers that are components: asks each of them that guards what is done, in the order of their priorities, as
//! calls of functions of their services. It decides nothing itself: one that is asked and gives no verdict rejects.
//!
//! It is one layer of the stack, behind the host's own, so that nothing is asked about what is denied anyway. Who
//! carries a question to a service stands above, and is put in by [`Guards::asked_by`].
//!
//! # Hot path
//!
//! Where the component is asleep and its turn ends in one go, it is run here, by who asks, and its verdict is known
//! without a future; bench row `layer/component`. Without such a layer nothing applies, and nothing of this runs.

use std::collections::HashSet;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::time::Instant;

use super::{Context, ErrorVerdict, Layer, Operations, Verdict};
use crate::address::{Address, split};
use crate::error::{CallError, SendError};
use crate::events::{Events, Happening, text};
use crate::guard::{self, Guard, Hook, Said, WhenDown};
use crate::hint::Coded;
use crate::message::Answer;
use crate::typed::FunctionType;

/// What is done with somebody who has an address.
const ADDRESSED: Operations = Operations::MESSAGES;

/// A question to a component.
pub(crate) struct Question<'a> {
    pub(crate) service: &'a str,
    pub(crate) function: &'static Arc<FunctionType>,
    pub(crate) block: Bytes,
    pub(crate) trace: u64,
    pub(crate) patience: For,
    /// The stack that there is for who answers, in bytes, with the time; none where nobody is to be run by who asks.
    pub(crate) run: Option<(usize, Instant)>,
}

/// For how long an answer is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum For {
    /// Nobody waits.
    Nobody,
    /// Until then, where somebody is there to answer.
    AtMost(Instant),
    /// Also until somebody is there: until then, or as long as a send waits for room.
    AsLongAsItTakes(Option<Instant>),
}

/// What came of a question.
#[derive(Debug)]
pub(crate) enum Heard {
    /// An answer; none of a function that has none.
    Answer(Option<Bytes>),
    /// Nobody is there to answer, or not in time.
    Down(String),
    /// It failed over it.
    Failed(String),
}

/// What came of a question, or what says so later.
pub(crate) enum Asked {
    Heard(Heard),
    Later(Pin<Box<dyn Future<Output = Heard> + Send>>),
}

type Ask = dyn Fn(Question<'_>) -> Asked + Send + Sync;

/// The layer.
#[derive(Default)]
pub(crate) struct Guards {
    all: ArcSwap<Vec<Arc<Guarding>>>,
    ask: OnceLock<Box<Ask>>,
    events: Arc<OnceLock<Arc<Events>>>,
}

/// A component that is asked.
struct Guarding {
    guard: Guard,
    about: Operations,
    /// The services that it guards.
    of: HashSet<Box<str>, foldhash::fast::RandomState>,
    /// Whether it is told of outcomes.
    is_told: bool,
    /// Whether it was said that it is down, and what it guards goes on.
    is_passed_by: AtomicBool,
    /// How much has gone on since.
    passed: AtomicU64,
    events: Arc<OnceLock<Arc<Events>>>,
}

/// How far the components are with what is done, where that is to be known later.
#[derive(Debug)]
pub(crate) struct Progress {
    all: Arc<Vec<Arc<Guarding>>>,
    /// Which one is next, where one keeps it waiting.
    next: Option<usize>,
    /// Which ones are to be told of its outcome.
    told: Vec<usize>,
    /// How many of those are still to be asked about an error, where one keeps it waiting. In an atomic, since who is
    /// asked about an error changes nothing else.
    over_error: AtomicUsize,
}

/// That nobody keeps an error waiting.
const NOBODY: usize = usize::MAX;

impl Progress {
    /// Whether those after the one that kept it waiting are still to be asked.
    pub(super) fn goes_on(&self) -> bool {
        self.next.is_some()
    }

    /// The same, about an error.
    pub(super) fn goes_on_over_error(&self) -> bool {
        self.over_error.load(Ordering::Relaxed) != NOBODY
    }
}

impl Guards {
    /// Puts these in force, the first ones first, each with the services that it guards; what they are about.
    pub(super) fn put<'a>(&self, guards: impl Iterator<Item = (&'a Guard, Vec<&'a str>)>) -> Operations {
        let guarding = |(guard, of): (&Guard, Vec<&str>)| {
            Arc::new(Guarding {
                guard: guard.clone(),
                about: guard.about(),
                of: of.into_iter().map(Into::into).collect(),
                is_told: guard.has(Hook::After) || guard.has(Hook::OnError),
                is_passed_by: AtomicBool::new(false),
                passed: AtomicU64::new(0),
                events: Arc::clone(&self.events),
            })
        };
        let mut all: Vec<Arc<Guarding>> = guards.map(guarding).collect();
        // Stable: of equal ones the first in the file.
        all.sort_by_key(|one| std::cmp::Reverse(one.guard.priority));
        let about = all.iter().fold(Operations::NONE, |about, one| about | one.about);
        self.all.store(Arc::new(all));
        about
    }

    /// Says who carries questions to the components, once, and where it is told that one is passed by.
    pub(crate) fn asked_by(&self, events: &Arc<Events>, ask: impl Fn(Question<'_>) -> Asked + Send + Sync + 'static) {
        let _it_is_there = self.ask.set(Box::new(ask));
        let _they_are_there = self.events.set(Arc::clone(events));
    }

    fn ask(&self, question: Question<'_>) -> Asked {
        match self.ask.get() {
            Some(ask) => ask(question),
            None => Asked::Heard(Heard::Down("the mesh has not started".to_owned())),
        }
    }

    /// Asks those from this one on.
    fn go(&self, all: &Arc<Vec<Arc<Guarding>>>, from: usize, context: &mut Context<'_>, body: &Bytes) -> Verdict {
        for (at, one) in all.iter().enumerate().skip(from) {
            if !one.applies_to(context) {
                continue;
            }
            if one.is_told {
                context.progress(all).told.push(at);
            }
            if !one.guard.has(Hook::Before) {
                continue;
            }
            match self.before(one, context, body) {
                Verdict::Continue => {}
                Verdict::Later(later) => {
                    context.progress(all).next = Some(at + 1);
                    return Verdict::Later(later);
                }
                verdict => return verdict,
            }
        }
        Verdict::Continue
    }

    fn before(&self, one: &Arc<Guarding>, context: &mut Context<'_>, body: &Bytes) -> Verdict {
        if !context.may_wait {
            return one.reject("it has to be waited for, and here nobody can wait");
        }
        let shown = one.guard.bodies && context.function.is_none();
        let size = (body.len() as u64).saturating_add(context.wants_bytes);
        let said = Said { size, body: shown.then_some(&**body).filter(|body| !body.is_empty()), ..said(context) };
        let Ok(block) = guard::write_before(&said) else {
            return one.reject("it is more than a layer can be shown");
        };
        let now = context.when();
        let patience = match one.guard.when_down {
            WhenDown::Wait => For::AsLongAsItTakes(context.deadline),
            WhenDown::Refuse | WhenDown::Allow => {
                let until = now + one.guard.timeout;
                For::AtMost(context.deadline.map_or(until, |deadline| deadline.min(until)))
            }
        };
        let question = Question {
            service: &one.guard.service,
            function: guard::before(),
            block,
            trace: context.trace,
            patience,
            run: context.runs_on.stack().map(|stack| (stack, now)),
        };
        match self.ask(question) {
            Asked::Heard(heard) => one.verdict(heard),
            Asked::Later(later) => {
                let one = Arc::clone(one);
                Verdict::Later(Box::pin(async move { one.verdict(later.await) }))
            }
        }
    }
}

impl Guards {
    fn over_error(&self, one: &Arc<Guarding>, context: &Context<'_>, error: &CallError) -> ErrorVerdict {
        let Ok(block) = guard::write_on_error(&said(context), error.code(), &error.to_string()) else {
            return ErrorVerdict::Continue;
        };
        let now = Instant::now();
        let asked = self.ask(Question {
            service: &one.guard.service,
            function: guard::on_error(),
            block,
            trace: context.trace,
            // Also of a call whose time is over: it is told a little later than that then.
            patience: For::AtMost(now + one.guard.timeout),
            run: context.runs_on.stack().map(|stack| (stack, now)),
        });
        match asked {
            Asked::Heard(heard) => one.error_verdict(&heard),
            Asked::Later(later) => {
                let one = Arc::clone(one);
                ErrorVerdict::Later(Box::pin(async move { one.error_verdict(&later.await) }))
            }
        }
    }

    /// Whether one of these is asked about errors.
    pub(super) fn are_asked_about_errors(&self) -> bool {
        self.all.load().iter().any(|one| one.guard.has(Hook::OnError))
    }
}

impl Guarding {
    /// Whether it guards this: it is done by a service that it guards, or with one.
    fn applies_to(&self, context: &Context<'_>) -> bool {
        if !self.about.intersects(context.needs) {
            return false;
        }
        let sender = context.sender.map(Address::service);
        // What it does itself, it would have to wait for.
        if sender == Some(self.guard.service.as_str()) {
            return false;
        }
        let is_target = || ADDRESSED.contains(context.operation) && self.of.contains(split(context.target).0);
        sender.is_some_and(|sender| self.of.contains(sender)) || is_target()
    }

    /// What comes of what it says, or does not say.
    fn verdict(&self, heard: Heard) -> Verdict {
        match heard {
            Heard::Answer(answer) => {
                if self.is_passed_by.load(Ordering::Relaxed) {
                    self.is_back();
                }
                match guard::read_verdict(answer.as_deref().unwrap_or_default()) {
                    Ok(None) => Verdict::Continue,
                    Ok(Some(reason)) => self.reject(reason),
                    Err(_) => self.reject("it has given no verdict"),
                }
            }
            Heard::Failed(why) => self.reject(&why),
            Heard::Down(why) if self.guard.when_down == WhenDown::Allow => {
                self.passed_by(&why);
                Verdict::Continue
            }
            Heard::Down(why) => self.reject(&format!("it is down: {why}")),
        }
    }

    fn reject(&self, reason: &str) -> Verdict {
        Verdict::Reject(self.rejected(reason.to_owned()))
    }

    fn rejected(&self, reason: String) -> CallError {
        SendError::Rejected { layer: self.guard.service.clone().into(), reason }.into()
    }

    /// What comes of what it says of an error. Where it says nothing, the error stays as it is.
    fn error_verdict(&self, heard: &Heard) -> ErrorVerdict {
        let Heard::Answer(Some(block)) = heard else { return ErrorVerdict::Continue };
        match guard::read_error_verdict(block) {
            Ok((1, instead)) => ErrorVerdict::Replace(self.rejected(instead.to_owned())),
            Ok((2, _)) => ErrorVerdict::Suppress,
            Ok((3, _)) => ErrorVerdict::Retry,
            Ok((4, _)) => ErrorVerdict::Stop,
            Ok(_) | Err(_) => ErrorVerdict::Continue,
        }
    }

    #[cold]
    fn passed_by(&self, why: &str) {
        self.passed.fetch_add(1, Ordering::Relaxed);
        if !self.is_passed_by.swap(true, Ordering::Relaxed) {
            let layer = self.guard.service.as_str();
            tracing::warn!(target: "airssys", layer, "it is down, and what it guards goes on: {why}");
            self.publish("down", text(why), 0);
        }
    }

    #[cold]
    fn is_back(&self) {
        if self.is_passed_by.swap(false, Ordering::Relaxed) {
            let passed = self.passed.swap(0, Ordering::Relaxed);
            tracing::info!(target: "airssys", layer = self.guard.service.as_str(), passed, "it is there again");
            self.publish("back", String::new(), passed);
        }
    }

    fn publish(&self, state: &str, reason: String, passed: u64) {
        if let Some(events) = self.events.get() {
            let what = Happening::PassedBy { state: state.to_owned(), reason, passed };
            events.publish(Some(&self.guard.service), what);
        }
    }
}

/// What is done, as a layer is told of it.
fn said<'a>(context: &Context<'a>) -> Said<'a> {
    Said {
        operation: context.operation,
        needs: context.needs,
        sender: context.sender.map(Address::as_str),
        target: context.target,
        also: context.also,
        function: context.function,
        size: 0,
        body: None,
    }
}

impl Context<'_> {
    fn progress(&mut self, all: &Arc<Vec<Arc<Guarding>>>) -> &mut Progress {
        let new =
            || Box::new(Progress { all: Arc::clone(all), next: None, told: Vec::new(), over_error: NOBODY.into() });
        self.guards.get_or_insert_with(new)
    }
}

impl Layer for Guards {
    fn name(&self) -> &'static str {
        "component"
    }

    fn priority(&self) -> i32 {
        600
    }

    fn applies_to(&self) -> Operations {
        Operations::NONE
    }

    fn before(&self, context: &mut Context<'_>, body: &mut Bytes) -> Verdict {
        let waited =
            context.guards.as_mut().and_then(|progress| Some((progress.next.take()?, Arc::clone(&progress.all))));
        match waited {
            Some((next, all)) => self.go(&all, next, context, body),
            None => self.go(&self.all.load(), 0, context, body),
        }
    }

    fn on_error(&self, context: &Context<'_>, error: &CallError) -> ErrorVerdict {
        let Some(Progress { all, told, over_error, .. }) = context.guards.as_deref() else {
            return ErrorVerdict::Continue;
        };
        if !context.settles_later {
            return ErrorVerdict::Continue;
        }
        let left = match over_error.swap(NOBODY, Ordering::Relaxed) {
            NOBODY => told.len(),
            left => left,
        };
        let mut left = told.get(..left).unwrap_or_default();
        while let Some((at, before)) = left.split_last() {
            left = before;
            let Some(one) = all.get(*at).filter(|one| one.guard.has(Hook::OnError)) else { continue };
            match self.over_error(one, context, error) {
                ErrorVerdict::Continue => {}
                ErrorVerdict::Later(later) => {
                    over_error.store(left.len(), Ordering::Relaxed);
                    return ErrorVerdict::Later(later);
                }
                verdict => {
                    // Those before it are asked about what it makes of the error.
                    if matches!(verdict, ErrorVerdict::Replace(_)) {
                        over_error.store(left.len(), Ordering::Relaxed);
                    }
                    return verdict;
                }
            }
        }
        ErrorVerdict::Continue
    }

    fn after(&self, context: &Context<'_>, outcome: &Answer) {
        let Some(Progress { all, told, .. }) = context.guards.as_deref() else { return };
        let failure = outcome.as_ref().err().map(|error| (error.code(), error.to_string()));
        let failure = failure.as_ref().map(|(code, detail)| (*code, detail.as_str()));
        let told = told.iter().rev().filter_map(|at| all.get(*at)).filter(|one| one.guard.has(Hook::After));
        for one in told {
            if let Ok(block) = guard::write_after(&said(context), failure) {
                let (service, function) = (one.guard.service.as_str(), guard::after());
                let _nobody_waits = self.ask(Question {
                    service,
                    function,
                    block,
                    trace: context.trace,
                    patience: For::Nobody,
                    run: None,
                });
            }
        }
    }
}

impl fmt::Debug for Guarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarding").field("guard", &self.guard).finish_non_exhaustive()
    }
}
