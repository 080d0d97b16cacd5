//! A seeded host: one in which everything that is not a guest's own choice follows from a number, so that a run is
//! repeated step by step.
//!
//! [`Seeded::run`] gives it a thread, a runtime that has no other, and a clock that stands still while anybody has
//! something to do, and then goes on to when the next one wants to. What would take a thread of its own is done on this
//! one. A host that is started there with [`RuntimeBuilder::seeded`](crate::RuntimeBuilder::seeded) asks in three
//! places: who goes on and when before each turn, what goes wrong in it, and what random numbers a guest is given. The
//! guests themselves run as ever, but that what they compute is counted in instructions and not in time.
//!
//! What is done is written down as a [trace](Report): where two runs have the same digest, all of it came in the same
//! order. It refuses to judge what it sees beyond what holds for each mesh: that no message is handled twice, that one
//! sender's messages to one actor are handled in order, and that supervisors do what OTP's would.
//!
//! A host that is not seeded has none of this: it looks at no clock, draws nothing and writes nothing down for it.

mod choices;
mod disk;
mod draw;
mod fault;
mod host;
mod kept;
mod trace;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::future::poll_fn;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;
use std::{fmt, io, panic, thread};

use airssys_rt_shim::planted::Planted;
use airssys_rt_shim::supervisor::Judge;
use foldhash::fast::RandomState;
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::choices::{Choices, Pause, Reached, Wait};
pub(crate) use self::fault::InTurn;
pub use self::fault::{Fault, FaultKind, Moment};
pub(crate) use self::host::Disk;

use self::choices::{Counts, Written};
use self::disk::Platter;
use self::draw::{Draw, Purpose};
use self::fault::Plan;
use self::kept::Kept;
use self::trace::{Trace, push_number};
use crate::{blocking, hex};

/// What its guests' wall clocks show when a run begins: the first moment of 2026, in seconds since 1970.
const BEGIN: Duration = Duration::from_secs(1_767_225_600);
/// The stack of its thread, in bytes: as much as is left of it decides what is done in place.
const STACK: usize = 16 << 20;
/// The longest that a message is late by itself.
const LATEST: Duration = Duration::from_millis(20);
/// What a turn is taken to compute before anybody knows how much it does, in instructions.
const USUAL: u64 = 20_000;

/// A run that follows from a seed. Clones are the same run.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use airssys_wasm::Runtime;
/// use airssys_wasm::seeded::Seeded;
/// use airssys_wasm::topology::Topology;
///
/// # let folder = tempfile::tempdir()?;
/// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
/// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
/// # let text = "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n";
/// let topology = Topology::parse(text, folder.path())?;
/// let digest = || -> Result<String, Box<dyn std::error::Error>> {
///     let seeded = Seeded::new(7);
///     seeded.run(async || {
///         let runtime = Runtime::builder().seeded(&seeded).start(&topology).await.map_err(|error| error.to_string())?;
///         // A day passes as soon as nobody has anything to do.
///         tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
///         runtime.call("echo", "hello", Duration::from_secs(5)).await.map_err(|error| error.to_string())?;
///         runtime.shutdown().await;
///         Ok::<_, String>(())
///     })??;
///     Ok(seeded.report().digest)
/// };
/// assert_eq!(digest()?, digest()?);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Seeded(Arc<Inner>);

struct Inner {
    seed: u64,
    time: Mutex<Time>,
    state: Mutex<State>,
    /// Who compares what supervisors do with what OTP's would.
    judge: Judge,
    /// The bug that a test has planted in it.
    planted: Planted,
    /// What says what its host has forgotten, where nobody has anything to do.
    at_rest: Mutex<Option<Look>>,
    /// The disk; none where what is durable is in files of the machine.
    disk: Mutex<Option<Arc<Mutex<Platter>>>>,
    /// Told where a fault kills the host.
    kill: Notify,
    /// Who looks at what is committed.
    commits: Mutex<Option<AfterCommit>>,
}

/// What is done after each commit: of which actor, and over which message, where it was over one.
pub(crate) type AfterCommit = Arc<dyn Fn(&str, Option<u64>) + Send + Sync>;

/// A run that whoever looks at it does not keep.
pub(crate) struct Weakly(Weak<Inner>);

impl Weakly {
    pub(crate) fn upgrade(&self) -> Option<Seeded> {
        self.0.upgrade().map(Seeded)
    }
}

/// What has passed in the runs before, and when the one began that goes on.
#[derive(Default)]
struct Time {
    before: Duration,
    began: Option<Instant>,
}

struct State {
    order: Draw,
    faults: Draw,
    guests: Draw,
    asked: Draw,
    others: Draw,
    plan: Plan,
    /// The waits of turns, where they are written and not drawn.
    waits: Option<Written>,
    /// What comes as soon as its time has come, and there is a turn or message that it is about.
    due: Choices,
    counts: Counts,
    /// What was drawn, where somebody wants to know.
    choices: Option<Choices>,
    reached: BTreeSet<Reached>,
    trace: Trace,
    turns: u64,
    /// What the turns of each service computed last, in instructions.
    computed: HashMap<Box<str>, u64, RandomState>,
    /// The messages whose turns happened.
    handled: HashSet<u64, RandomState>,
    /// The messages whose last turn has begun and not handled them, as far as that is known: of which service, by its
    /// hash, and when that turn began. There are as many as turns are under way, and some that crashed.
    tried: Vec<Try>,
    /// The last message of each sender that each actor has handled, for each key.
    last: HashMap<(String, String, Option<String>), u64>,
    /// The dead letters of each service that had no turn which is counted.
    buried: HashMap<Box<str>, u64>,
    /// What is durable.
    kept: Kept,
    /// The files that guests have asked about, as the machine knows them, in the order in which they did.
    files: HashMap<(u64, u64), u64>,
    /// Until when the disk is full.
    full_until: Duration,
    /// How often a fault has killed the host.
    kills: u64,
    /// What was forgotten, and told.
    forgotten: BTreeSet<String>,
    /// The service of each actor of this host that came up for the first time, in order.
    started: Vec<Box<str>>,
    broken: Vec<String>,
}

/// A message whose turn has begun.
struct Try {
    message: u64,
    service: u64,
    begun: Duration,
}

/// Says what is forgotten.
type Look = Box<dyn Fn() -> Vec<String> + Send>;

/// A turn that is about to begin.
pub(crate) struct Turn<'a> {
    pub(crate) actor: &'a str,
    pub(crate) id: u64,
    pub(crate) sender: Option<&'a str>,
    pub(crate) key: Option<&'a str>,
    /// How the message came, such as `call`.
    pub(crate) delivery: &'static str,
    pub(crate) attempt: u32,
    pub(crate) body: &'a [u8],
}

/// A turn that has begun. Where it is dropped before [`Seeded::ended`], the turn was cut off, or the message met its
/// fate before the guest had it.
pub(crate) struct UnderWay {
    run: Seeded,
    message: u64,
    is_over: bool,
}

impl UnderWay {
    pub(crate) fn is_over(&mut self) {
        self.is_over = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.is_over {
            self.run.lock().has_fate(self.message);
        }
    }
}

impl State {
    /// The turn over this message is under way no more, and is not known to be tried again.
    fn has_fate(&mut self, message: u64) {
        if let Some(at) = self.tried.iter().rposition(|tried| tried.message == message) {
            self.tried.swap_remove(at);
        }
    }
}

/// What a seed says of a turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said {
    wait: Option<Wait>,
    /// What goes wrong in it.
    pub(crate) fault: Option<InTurn>,
    /// After so many instructions, where that is within the turn.
    pub(crate) instructions: u64,
}

/// What became of a turn.
pub(crate) struct Ended<'a> {
    pub(crate) turn: Turn<'a>,
    pub(crate) outcome: &'a str,
    /// Whether what it did happens.
    pub(crate) happens: bool,
    /// Whether it may be tried again.
    pub(crate) has_crashed: bool,
    /// Whether others handle messages of the same mailbox beside it.
    pub(crate) shared: bool,
    /// What it computed.
    pub(crate) instructions: u64,
}

/// What was done in a run.
///
/// # Example
///
/// ```
/// use airssys_wasm::seeded::Seeded;
///
/// let seeded = Seeded::new(7);
/// seeded.run(async || ())?;
/// let report = seeded.report();
/// assert_eq!((report.seed, report.turns, report.broken.len()), (7, 0, 0));
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What it follows from.
    pub seed: u64,
    /// The SHA-256 of all steps.
    pub digest: String,
    /// How many steps were written down.
    pub steps: u64,
    /// The time that passed in it.
    pub passed: Duration,
    /// How many turns began.
    pub turns: u64,
    /// How often each fault came, such as `crash during the turn`.
    pub faults: BTreeMap<String, u64>,
    /// How many turns each service had.
    pub turns_of: BTreeMap<String, u64>,
    /// What came, and where: faults, and what supervisors and other parts of the host did.
    pub reached: BTreeSet<Reached>,
    /// What did not hold of what holds for each mesh.
    pub broken: Vec<String>,
    /// The steps as text, where that was asked for: the time of the run, and what was done. A million at most.
    pub lines: Vec<String>,
}

impl Seeded {
    /// A run in which nothing goes wrong by itself.
    ///
    /// # Example
    ///
    /// ```
    /// let seeded = airssys_wasm::seeded::Seeded::new(7);
    /// assert_eq!(seeded.report().seed, 7);
    /// ```
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_faults(seed, Vec::new())
    }

    /// A run in which these faults are injected. One that says too little never happens: see [`Fault::check`].
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::seeded::{Fault, FaultKind, Seeded};
    ///
    /// let seeded = Seeded::with_faults(7, vec![Fault { rate: Some(0.1), ..Fault::new(FaultKind::Crash) }]);
    /// assert!(seeded.report().faults.is_empty(), "nothing has happened yet");
    /// ```
    #[must_use]
    pub fn with_faults(seed: u64, faults: Vec<Fault>) -> Self {
        let state = State {
            order: Draw::new(seed, Purpose::Order),
            faults: Draw::new(seed, Purpose::Faults),
            guests: Draw::new(seed, Purpose::Guests),
            asked: Draw::new(seed, Purpose::Asked),
            others: Draw::new(seed, Purpose::Others),
            plan: Plan::new(faults),
            waits: None,
            due: Choices::default(),
            counts: Counts::default(),
            choices: None,
            reached: BTreeSet::new(),
            trace: Trace::default(),
            turns: 0,
            computed: HashMap::default(),
            handled: HashSet::default(),
            tried: Vec::new(),
            last: HashMap::new(),
            buried: HashMap::new(),
            kept: Kept::default(),
            files: HashMap::new(),
            full_until: Duration::ZERO,
            kills: 0,
            forgotten: BTreeSet::new(),
            started: Vec::new(),
            broken: Vec::new(),
        };
        Self(Arc::new(Inner {
            seed,
            time: Mutex::default(),
            state: Mutex::new(state),
            judge: Judge::default(),
            planted: Planted::here().anew(),
            at_rest: Mutex::default(),
            disk: Mutex::default(),
            kill: Notify::new(),
            commits: Mutex::default(),
        }))
    }

    /// Keeps the steps as text as well, from now on.
    ///
    /// # Example
    ///
    /// ```
    /// let seeded = airssys_wasm::seeded::Seeded::new(7).keep_text();
    /// assert!(seeded.report().lines.is_empty());
    /// ```
    #[must_use]
    pub fn keep_text(self) -> Self {
        self.lock().trace.keep_text();
        self
    }

    /// Keeps what chance decides as data, from now on.
    ///
    /// # Example
    ///
    /// ```
    /// let seeded = airssys_wasm::seeded::Seeded::new(7).keep_choices();
    /// assert!(seeded.choices().faults.is_empty());
    /// ```
    #[must_use]
    pub fn keep_choices(self) -> Self {
        self.lock().choices.get_or_insert_default();
        self
    }

    /// Has no turn wait but these, in the place of what would be drawn.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::seeded::{Pause, Seeded, Wait};
    ///
    /// let second = Pause { service: "ledger".to_owned(), nth: 2, wait: Wait::Others(1) };
    /// assert_eq!(Seeded::new(7).with_pauses(vec![second]).report().turns, 0);
    /// ```
    #[must_use]
    pub fn with_pauses(self, pauses: Vec<Pause>) -> Self {
        self.lock().waits = Some(Written::new(pauses));
        self
    }

    /// What chance decided so far, where that is [kept](Self::keep_choices): a run with these faults, these pauses and
    /// the same seed is the same one.
    ///
    /// # Example
    ///
    /// ```
    /// assert!(airssys_wasm::seeded::Seeded::new(7).choices().pauses.is_empty());
    /// ```
    #[must_use]
    pub fn choices(&self) -> Choices {
        self.lock().choices.clone().unwrap_or_default()
    }

    /// Has the same happen about as it did in another run: each fault and each pause comes at the first turn or message
    /// that it is about when its time has come, whichever that is by number.
    pub(crate) fn following(self, choices: Choices) -> Self {
        let mut state = self.lock();
        state.waits = Some(Written::default());
        state.due = choices;
        drop(state);
        self
    }

    /// Runs something on a thread and a runtime of its own, with a clock that stands still while anybody has something
    /// to do; waits for it. When it is over, all that was started there is dropped as it is. What is run after that
    /// goes on from there: it draws the next numbers, and its time is later.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use tokio::time::Instant;
    ///
    /// let passed = airssys_wasm::seeded::Seeded::new(7).run(async || {
    ///     let begun = Instant::now();
    ///     tokio::time::sleep(Duration::from_secs(3600)).await;
    ///     begun.elapsed()
    /// })?;
    /// assert_eq!(passed, Duration::from_secs(3600));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// There is no thread, or no runtime.
    ///
    /// # Panics
    ///
    /// Where what is run panics.
    pub fn run<T: Send>(&self, run: impl AsyncFnOnce() -> T + Send) -> io::Result<T> {
        thread::scope(|threads| {
            let thread = thread::Builder::new().name("airssys-seeded".to_owned()).stack_size(STACK);
            let running = thread.spawn_scoped(threads, || {
                blocking::in_place();
                self.0.planted.clone().plant();
                let mut runtime = Builder::new_current_thread();
                let at_rest = self.clone();
                // Before the clock goes on, among other times.
                runtime.enable_all().start_paused(true).on_thread_park(move || at_rest.look_at_rest());
                let runtime = runtime.build()?;
                Ok(runtime.block_on(async {
                    let _passes = Passing::begin(self);
                    let done = run().await;
                    self.0.judge.settle().into_iter().for_each(|what| self.breaks(what));
                    done
                }))
            })?;
            running.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
        })
    }

    /// What was done so far.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::seeded::Seeded;
    ///
    /// assert_eq!(Seeded::new(7).report().digest, Seeded::new(8).report().digest, "nothing was done in either");
    /// ```
    #[must_use]
    pub fn report(&self) -> Report {
        let state = self.lock();
        Report {
            seed: self.0.seed,
            digest: state.trace.digest(),
            steps: state.trace.steps(),
            passed: self.time().before,
            turns: state.turns,
            faults: state.plan.done(),
            turns_of: state.counts.of_services(),
            reached: state.reached.clone(),
            broken: state.broken.clone(),
            lines: state.trace.lines(),
        }
    }

    /// A number below this one, of those that are drawn for what is asked of the mesh; 0 where there is none.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.lock().asked.below(end)
    }

    /// A host begins: it counts its messages anew.
    pub(crate) fn begin(&self) {
        self.note(format_args!("a host begins"));
        let mut state = self.lock();
        state.handled.clear();
        state.tried.clear();
        state.last.clear();
        state.buried.clear();
        state.started.clear();
    }

    /// Has this asked, in the place of what was before, whenever nobody has anything to do: it says what was forgotten
    /// by then.
    pub(crate) fn looks_at_rest(&self, look: impl Fn() -> Vec<String> + Send + 'static) {
        *self.at_rest() = Some(Box::new(look));
    }

    fn look_at_rest(&self) {
        if self.time().began.is_none() {
            return;
        }
        let forgotten = self.at_rest().as_ref().map(|look| look()).unwrap_or_default();
        for what in forgotten {
            // It is so until somebody comes by.
            if self.lock().forgotten.insert(what.clone()) {
                self.breaks(what);
            }
        }
    }

    fn at_rest(&self) -> MutexGuard<'_, Option<Look>> {
        self.0.at_rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before whose eyes supervisors decide.
    pub(crate) fn judge(&self) -> &Judge {
        &self.0.judge
    }

    /// A number for what else is drawn: what retries are spread by, and handles.
    pub(crate) fn other(&self) -> u64 {
        self.lock().others.next()
    }

    /// What the randomness of one instance follows from.
    pub(crate) fn for_guest(&self) -> u64 {
        self.lock().guests.next()
    }

    /// The time since 1970 that a guest is shown now.
    pub(crate) fn wall(&self) -> Duration {
        BEGIN + self.elapsed()
    }

    /// The time that a guest is told of each file: when it was written to is the machine's to know.
    pub(crate) fn file_time(&self) -> Duration {
        BEGIN
    }

    /// What a file is called that the machine knows by this.
    pub(crate) fn file_number(&self, known_by: (u64, u64)) -> u64 {
        let files = &mut self.lock().files;
        let next = files.len() as u64 + 1;
        *files.entry(known_by).or_insert(next)
    }

    /// Something of this kind came, with a word that says more, at a service or at none.
    pub(crate) fn reaches(&self, what: &str, more: Option<&str>, service: Option<&str>) {
        let what = more.map_or_else(|| what.to_owned(), |more| format!("{what}: {more}"));
        self.lock().reached.insert(Reached { what, at: service.unwrap_or("-").to_owned() });
    }

    /// Writes down what was done.
    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        // What is dropped when a run is over is dropped in no order.
        if self.time().began.is_some() {
            let at = self.elapsed();
            self.lock().trace.note(at, what);
        }
    }

    /// Leaves this folder out of what is written down: where a test lies changes nothing of its steps.
    pub(crate) fn hide(&self, folder: &Path) {
        let folder = format!("{}/", folder.display());
        if folder != "/" {
            self.lock().trace.hide(folder);
        }
    }

    /// Keeps a line beside the steps, for who reads them: it is no part of the digest.
    pub(crate) fn beside(&self, what: fmt::Arguments<'_>) {
        let at = self.elapsed();
        self.lock().trace.beside(at, what);
    }

    /// Has something done after each commit from now on, or nothing.
    pub(crate) fn after_commits(&self, look: Option<AfterCommit>) {
        *self.0.commits.lock().unwrap_or_else(PoisonError::into_inner) = look;
    }

    /// A turn of an actor is committed, over this message or over none.
    pub(crate) fn committed(&self, actor: &str, message: Option<u64>) {
        let look = self.0.commits.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(look) = look {
            look(actor, message);
        }
    }

    pub(crate) fn downgrade(&self) -> Weakly {
        Weakly(Arc::downgrade(&self.0))
    }

    /// Says what did not hold.
    pub(crate) fn breaks(&self, what: String) {
        self.note(format_args!("BROKEN {what}"));
        let broken = &mut self.lock().broken;
        // What is asked again and again is told once.
        if !broken.contains(&what) {
            broken.push(what);
        }
    }

    /// This message to this actor is a dead letter, for that reason.
    pub(crate) fn buries(&self, message: u64, actor: &str, reason: &str) {
        let mut state = self.lock();
        state.has_fate(message);
        // These are counted elsewhere, or were not accepted.
        if !matches!(reason, "late-answer" | "fault" | "subscriber-full" | "rejected") {
            *state.buried.entry(service(actor).into()).or_default() += 1;
        }
    }

    /// An actor of this service came up that had not been there before.
    pub(crate) fn starts(&self, service: &str) {
        self.lock().started.push(service.into());
    }

    /// The service of each actor of this host that came up for the first time, in order.
    pub(crate) fn started(&self) -> Vec<Box<str>> {
        self.lock().started.clone()
    }

    /// How many there were.
    pub(crate) fn buried(&self, service: &str) -> u64 {
        self.lock().buried.get(service).copied().unwrap_or_default()
    }

    /// How many messages of a service are in a turn that has begun since then, or crashed and may be tried again.
    pub(crate) fn tried_since(&self, name: &str, since: Duration) -> u64 {
        let hash = hash(name);
        let state = self.lock();
        let tried = state.tried.iter().filter(|tried| tried.service == hash && tried.begun >= since);
        tried.count() as u64
    }

    /// Whether this goes wrong with a message to an address, or with a request to a peer.
    pub(crate) fn message(&self, address: &str, kind: FaultKind) -> bool {
        let mut state = self.lock();
        let State { plan, faults, trace, due, counts, choices, reached, .. } = &mut *state;
        let (nth, now) = (counts.message(kind, address), self.elapsed());
        let mut hit = plan.message(address, faults, kind);
        if !hit && due.take_fault((now, address), |other| other.kind == kind).is_some() {
            plan.came(kind);
            hit = true;
        }
        if hit {
            let what = if kind.is_of_peers() { "peer" } else { "message to" };
            trace.note(now, format_args!("{what} {address} FAULT {kind}"));
            reached.insert(Reached { what: kind.to_string(), at: service(address).to_owned() });
            if let Some(choices) = choices {
                let fault = Fault { nth: Some(nth), ..Fault::new(kind) };
                choices.faults.push((now, fault.placed(address)));
            }
        }
        hit
    }

    /// Nothing goes wrong from now on.
    pub(crate) fn end_faults(&self) {
        let mut state = self.lock();
        state.plan.end();
        state.due.faults.clear();
        drop(state);
        self.note(format_args!("no fault from now on"));
    }

    /// What the seed says of a turn that is about to begin, and what is kept until it is over.
    pub(crate) fn turn(&self, turn: &Turn<'_>) -> (Said, UnderWay) {
        let Turn { actor, id, sender, key, delivery, attempt, body } = turn;
        let mut state = self.lock();
        state.turns += 1;
        state.has_fate(*id);
        let begun = self.elapsed();
        state.tried.push(Try { message: *id, service: hash(service(actor)), begun });
        let State { order, plan, faults, waits, due, counts, choices, reached, computed, trace, .. } = &mut *state;
        let (nth, now) = (counts.turn(actor), begun);
        let wait = match waits {
            Some(written) => written.wait(actor, counts).or_else(|| due.take_wait(now, actor)),
            None => drawn_wait(order),
        };
        let most = computed.get(service(actor)).copied().unwrap_or(USUAL);
        let drawn = 1 + faults.below(most.max(1));
        let fault = plan.turn(actor, faults).or_else(|| {
            let fault = due.take_fault((now, actor), Fault::is_of_turns)?;
            let wrong = InTurn::of(&fault);
            plan.came(wrong);
            Some((wrong, fault.instruction))
        });
        let instructions = match fault {
            Some((InTurn::Crash(Moment::Before), _)) => 1,
            Some((_, Some(written))) => written,
            _ => drawn,
        };
        let fault = fault.map(|(wrong, _)| wrong);
        let came = fault.map(|wrong| Reached { what: wrong.to_string(), at: service(actor).to_owned() });
        reached.extend(came);
        if let Some(choices) = choices {
            let pause = wait.map(|wait| Pause { service: actor.to_string(), nth, wait });
            choices.pauses.extend(pause.map(|pause| (now, pause)));
            choices.faults.extend(fault.map(|wrong| (now, wrong.at(actor, nth, instructions))));
        }
        trace.write(now, |line| {
            ["turn ", actor, " #"].into_iter().for_each(|part| line.push_str(part));
            push_number(line, *id);
            let (sender, key) = (sender.unwrap_or("-"), key.unwrap_or("-"));
            let parts = [" ", delivery, " from ", sender, " key ", key, " try "];
            parts.into_iter().for_each(|part| line.push_str(part));
            push_number(line, u64::from(*attempt));
            line.push_str(" body ");
            push_sum(line, body);
            if let Some(wrong) = fault {
                // Writing to a string cannot fail.
                let _ = write!(line, " FAULT {wrong}");
            }
        });
        drop(state);
        (Said { wait, fault, instructions }, UnderWay { run: self.clone(), message: *id, is_over: false })
    }

    /// A turn is over, and has not happened yet.
    pub(crate) fn ended(&self, Ended { turn, outcome, happens, has_crashed, shared, instructions }: Ended<'_>) {
        let Turn { actor, id, sender, key, delivery, .. } = turn;
        let mut broken = Vec::new();
        let mut state = self.lock();
        if !has_crashed {
            state.has_fate(id);
        }
        state.trace.write(self.elapsed(), |line| {
            ["over ", actor, " #"].into_iter().for_each(|part| line.push_str(part));
            push_number(line, id);
            [" ", outcome, " after "].into_iter().for_each(|part| line.push_str(part));
            push_number(line, instructions);
        });
        if happens {
            match state.computed.get_mut(service(actor)) {
                Some(known) => *known = instructions,
                None => {
                    state.computed.insert(service(actor).into(), instructions);
                }
            }
            if !state.handled.insert(id) {
                broken.push(format!("message {id} was handled twice, the second time by {actor}"));
            }
            if let Some(sender) = sender.filter(|_| delivery == "send" && !shared) {
                let way = (sender.to_owned(), actor.to_owned(), key.map(str::to_owned));
                let before = state.last.insert(way, id).filter(|before| *before > id);
                broken.extend(before.map(|before| format!("{actor} handled message {id} of {sender} after {before}")));
            }
        }
        drop(state);
        broken.into_iter().for_each(|what| self.breaks(what));
    }

    /// The turn over this message is not known to be on the disk: another one over it is in order.
    pub(crate) fn may_happen_again(&self, message: u64) {
        self.lock().handled.remove(&message);
    }

    /// The time of the run.
    pub(crate) fn elapsed(&self) -> Duration {
        let time = self.time();
        time.before + time.began.as_ref().map(Instant::elapsed).unwrap_or_default()
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.0.time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Time that passes in a run. It ends with what is run, also where that panics: what is dropped after that is dropped
/// in no order, and nothing of it is written down.
struct Passing<'a>(&'a Seeded);

impl<'a> Passing<'a> {
    fn begin(seeded: &'a Seeded) -> Self {
        seeded.time().began = Some(Instant::now());
        Self(seeded)
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        let mut time = self.0.time();
        let passed = time.began.take().as_ref().map(Instant::elapsed).unwrap_or_default();
        time.before += passed;
    }
}

impl fmt::Debug for Seeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seeded").field("seed", &self.0.seed).finish_non_exhaustive()
    }
}

impl Said {
    /// Whether others go on first.
    pub(crate) fn waits(&self) -> bool {
        self.wait.is_some()
    }

    /// Lets others go on first, as the seed says.
    pub(crate) async fn wait(self) {
        match self.wait {
            None => {}
            Some(Wait::Others(times)) => {
                for _ in 0..times {
                    step_aside().await;
                }
            }
            Some(Wait::For(time)) => tokio::time::sleep(time).await,
        }
    }
}

/// Lets those go on who can now. What yields to tokio goes on when nobody else has anything to do, and the kernel was
/// asked whether there is news: that takes longer than a turn, and each such wait would be one until all others sleep.
async fn step_aside() {
    let mut is_back = false;
    poll_fn(|context| {
        if std::mem::replace(&mut is_back, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// How a turn waits where nobody has written it: half of them do not.
fn drawn_wait(order: &mut Draw) -> Option<Wait> {
    match order.below(16) {
        0..8 => None,
        8..14 => Some(Wait::Others(1 + order.below(4))),
        _ => Some(Wait::For(Duration::from_micros(1 + order.below(LATEST.as_micros() as u64)))),
    }
}

/// The service of an actor.
fn service(actor: &str) -> &str {
    actor.split('/').next().unwrap_or(actor)
}

/// By what a service is known where that is looked up with each turn.
fn hash(service: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(service.as_bytes())
}

/// What bytes are called in a trace, at the end of a text.
pub(crate) fn push_sum(text: &mut String, bytes: &[u8]) {
    hex::push(text, &xxhash_rust::xxh3::xxh3_64(bytes).to_be_bytes());
}
