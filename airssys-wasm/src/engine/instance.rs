//! One instance in its store: what the actor calls.
//!
//! # Hot path
//!
//! [`Instance::handle`]: set the epoch deadline, lower the message, run, lift the answer. In the async lane the turn's
//! deadline costs nothing until the guest first yields; only then a timer is made.
//!
//! Invariant: after a crash nothing of the store is used again.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wasmtime::component::Func;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi_http::WasiHttpCtx;

use super::abi::{self, Given, Taken};
use super::bindings::async_lane::airssys::actor::types as wit;
use super::class::Engines;
use super::crash::classify;
use super::foreign::Foreign;
use super::functions::Functions;
use super::guest::Guest;
use super::handles::Handles;
use super::host::file_names::FileNames;
use super::host::listings::Listings;
use super::host::messaging::fault_from_wit;
use super::host::outside_names::Outside;
use super::host::resources::{self, Wear};
use super::http::Handle;
use super::lanes::{Calls, Exports};
use super::limiter::Limiter;
use super::mappings::{InstancePermit, TooManyInstances};
use super::p3;
use super::pool::HOST_STACK;
use super::program::Program;
use super::stdio::Stdio;
use super::template::Template;
use super::wasi::Wasi;
use crate::error::{Crash, Fault, Stage};
use crate::hint::Coded;
use crate::message::{Delivery, Down, DownReason, Envelope};
use crate::seeded::Moment;
use crate::turn::cut::Cut;
use crate::turn::{Clock, Identity, Script, Tape, Turn, What};
use crate::typed::{FunctionType, ValueType};

use airssys_rt_shim::child::StopReason;
use airssys_rt_shim::pulse::{Early, Pulse};

mod command;
mod http;
mod recorded;
mod seeded;
mod typed;

/// How a call of a guest ended.
#[derive(Debug)]
pub(crate) enum Ran<T> {
    /// It returned.
    Done(T),
    /// It returned a fault.
    Fault(Fault),
    /// It did not return. The instance is not to be used any more.
    Crashed(Crash),
}

/// What a guest answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    /// The answer itself, which may be empty.
    pub(crate) body: Option<Bytes>,
    /// Whether what the turn did is to happen: not where a function of its own type returned an error.
    pub(crate) commits: bool,
}

impl Ran<Answered> {
    /// Whether what the turn did is to happen.
    pub(crate) fn commits(&self) -> bool {
        matches!(self, Self::Done(Answered { commits: true, .. }))
    }
}

/// What is called by its own type.
#[derive(Clone, Copy)]
enum Called {
    Function(Func),
    /// What handles HTTP.
    Http(Handle),
    /// One that may be async, as those of WASI 0.3.
    Task(Func),
    /// What drops a handle.
    Drop,
}

/// A live instance.
pub(crate) struct Instance {
    store: Store<Guest>,
    pulse: Arc<Pulse>,
    clock: Clock,
    cut: Arc<Cut>,
    calls: Calls,
    /// Its exports, for those that are called by their own types.
    exports: wasmtime::component::Instance,
    functions: Functions,
    /// Those that were called, by the types of those that call them.
    found: Vec<(Arc<FunctionType>, Called)>,
    /// Where it is a command.
    program: Option<Box<Program>>,
    /// What requests of HTTP leave behind.
    wear: Wear,
    budget_ticks: u64,
    /// Where what it does is written down; none where it is not. Boxed: most have none, and it is large.
    tape: Option<Box<Tape>>,
}

/// Calls an optional export in whichever lane the instance is, with a fresh budget; where the lane can be cut off,
/// until the deadline. None where there is no such export. The bindings of the lanes have other types, so the one text
/// is compiled for each; `name = convert!(value)` makes a value of the lane's own type.
macro_rules! call {
    ($self:ident, $deadline:expr, $export:ident,
     ($found:ident, $store:ident $(, $argument:ident = $convert:ident!($value:expr))?) => $call:expr) => {
        match &$self.calls {
            Calls::Async(calls) => match &calls.$export {
                Some($found) => {
                    $(let $argument = $convert!(async_lane, $value);)?
                    renew(&mut $self.store, $self.budget_ticks);
                    let $store = &mut $self.store;
                    Some(bounded(&$self.pulse, &$self.clock, &$self.cut, $call, $deadline).await)
                }
                None => None,
            },
            Calls::Tasks(calls) => match &calls.$export {
                Some($found) => {
                    $(let $argument = $convert!(async_lane, $value);)?
                    renew(&mut $self.store, $self.budget_ticks);
                    let store = &mut $self.store;
                    let whole = async {
                        let $store = &mut *store;
                        let ended = $call.await?;
                        p3::settle(store).await?;
                        wasmtime::Result::Ok(ended)
                    };
                    Some(bounded(&$self.pulse, &$self.clock, &$self.cut, whole, $deadline).await)
                }
                None => None,
            },
            Calls::Sync(calls) => match &calls.$export {
                Some($found) => {
                    $(let $argument = $convert!(sync_lane, $value);)?
                    renew_sync(&mut $self.store);
                    let $store = &mut $self.store;
                    Some(Ok($call))
                }
                None => None,
            },
        }
    };
}

/// Why a guest is to stop, as the types of one lane say it.
macro_rules! stop_reason {
    ($lane:ident, $reason:expr) => {{
        use super::bindings::$lane::lifecycle::exports::airssys::actor::lifecycle as wit;
        match $reason {
            StopReason::Shutdown => wit::StopReason::Shutdown,
            StopReason::Restart => wit::StopReason::Restart,
            StopReason::Idle => wit::StopReason::Idle,
        }
    }};
}

/// A notice as the types of one lane say it.
macro_rules! notice {
    ($lane:ident, $down:expr) => {{
        use super::bindings::$lane::monitoring::exports::airssys::actor::monitoring as wit;
        wit::DownNotice {
            child: $down.child.as_str().to_owned(),
            reason: match &$down.reason {
                DownReason::Normal => wit::DownReason::Normal,
                DownReason::Stopped => wit::DownReason::Stopped,
                DownReason::Killed => wit::DownReason::Killed,
                DownReason::Crashed(crash) => {
                    wit::DownReason::Crashed(wit::Crash { code: crash.code().to_owned(), detail: crash.to_string() })
                }
                DownReason::NoChild => wit::DownReason::NoChild,
            },
            restarted: $down.restarted,
        }
    }};
}

impl Instance {
    /// Makes an instance. Its start function, if it has one, runs under the turn's budget.
    pub(crate) async fn new(
        engines: &Engines,
        template: &Arc<Template>,
        identity: Arc<Identity>,
    ) -> Result<Self, Crash> {
        Self::scripted(engines, template, identity, None).await.map_err(|(crash, _)| crash)
    }

    /// [`Instance::new`], which goes by this script. Where it fails, the script comes back.
    pub(crate) async fn scripted(
        engines: &Engines,
        template: &Arc<Template>,
        identity: Arc<Identity>,
        script: Option<Box<Script>>,
    ) -> Result<Self, (Crash, Option<Box<Script>>)> {
        let limits = &identity.terms.limits;
        let full = |full: TooManyInstances| (Crash::NoInstance { detail: full.to_string() }, None);
        let permit = engines.permit(&template.engine, limits).map_err(full)?;
        let budget_ticks = limits.budget_ticks();
        let program = Program::of(template, &identity);
        let mut tape = if script.is_none() { Tape::begin(&identity, template.digest()) } else { None };
        let mut turn = Turn::new(identity, template.is_async(), template.exports.monitoring());
        turn.has_tasks = template.has_tasks();
        turn.script = script;
        if let Some(tape) = &mut tape {
            tape.step(&mut turn, &What::Made);
        }
        let stdio = program.as_deref().and_then(Program::stdio);
        let mut store = make_store(template, turn, stdio, permit).map_err(|crash| (crash, None))?;
        let (calls, exports) = match instantiate(template, &mut store).await {
            Ok(made) => made,
            Err(crash) => {
                let turn = &mut store.data_mut().turn;
                if let Some(tape) = tape {
                    tape.crashed(turn, &crash);
                }
                return Err((crash, turn.script.take()));
            }
        };
        if let Some(tape) = &mut tape {
            tape.end(&mut store.data_mut().turn);
        }
        engines.settle(&template.engine).map_err(full)?;
        let clock = store.data().turn.clock.clone();
        let cut = Arc::clone(&store.data().turn.identity.cut);
        let (pulse, functions) = (Arc::clone(engines.pulse()), template.functions.clone());
        let found = Vec::new();
        let mut wear = Wear::default();
        if store.data().turn.identity.mesh.seeded.is_some() {
            wear.watch();
        }
        Ok(Self { store, pulse, clock, cut, calls, exports, functions, found, program, wear, budget_ticks, tape })
    }

    /// Goes on under other rules, between two turns. What an instance is made with stays as it was: memory, WASI,
    /// randomness.
    pub(crate) fn retune(&mut self, identity: &Arc<Identity>) {
        let limits = &identity.terms.limits;
        self.budget_ticks = limits.budget_ticks();
        self.store.set_hostcall_fuel(limits.boundary_bytes);
        self.turn().identity = Arc::clone(identity);
    }

    /// The stack that a call of the guest takes of the thread which makes it, in bytes. In the async lane it has one of
    /// its own.
    pub(crate) fn stack(&self) -> usize {
        match self.calls {
            Calls::Async { .. } | Calls::Tasks { .. } => 0,
            Calls::Sync { .. } => self.store.data().turn.identity.terms.limits.stack_bytes.saturating_add(HOST_STACK),
        }
    }

    /// The turn that runs, or is about to.
    pub(crate) fn turn(&mut self) -> &mut Turn {
        &mut self.store.data_mut().turn
    }

    /// Hands a message to the guest, which has `deadline` for it, waiting included. Whoever waits for the answer does
    /// so for `left`.
    pub(crate) async fn handle(&mut self, envelope: &Envelope, left: Duration, deadline: Duration) -> Ran<Answered> {
        if let Some(ty) = &envelope.function {
            if ty.mentions_handles() {
                // Boxed: one without handles does not carry this future around.
                return Box::pin(self.handle_with_handles(ty, &envelope.body, deadline)).await;
            }
            let function = match self.find(ty) {
                Some(Called::Function(function)) => function,
                // Boxed, as above.
                Some(Called::Http(handle)) => return self.handle_http(handle, envelope, deadline).await,
                Some(Called::Task(function)) => {
                    return Box::pin(self.handle_task(function, ty, &envelope.body, deadline)).await;
                }
                Some(Called::Drop) | None => return Ran::Fault(no_such_function(ty)),
            };
            let function = abi::typed(function);
            let ended = match &self.calls {
                Calls::Async(_) => {
                    renew(&mut self.store, self.budget_ticks);
                    // Pinned here, as below.
                    let called = pin!(function.call_async(&mut self.store, Given(&*envelope.body, Vec::new())));
                    bounded(&self.pulse, &self.clock, &self.cut, called, deadline).await
                }
                Calls::Sync(_) => {
                    renew_sync(&mut self.store);
                    Ok(function.call(&mut self.store, Given(&*envelope.body, Vec::new())))
                }
                // Of these all are found as tasks.
                Calls::Tasks(_) => return Ran::Fault(no_such_function(ty)),
            };
            return self.ran(ended.map(|ended| ended.map(Ok)), deadline, |Taken(block, _)| answered(ty, block));
        }
        let delivery = match &envelope.delivery {
            Delivery::Send => wit::Delivery::Send,
            Delivery::Call(_) => wit::Delivery::Call(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
            Delivery::Publish(topic) => wit::Delivery::Publish(topic),
            Delivery::Timer(id) => wit::Delivery::Timer(id.0),
            // Boxed: a message does not carry the future of a notice around.
            Delivery::Down(down) => return Box::pin(self.down(down, deadline)).await,
        };
        let message = wit::Message {
            id: envelope.id,
            sender: envelope.sender.as_ref().map(crate::address::Address::as_str),
            key: envelope.partition(),
            delivery,
            attempt: envelope.attempt,
            body: &envelope.body,
        };
        let ended = match &self.calls {
            Calls::Async(calls) => {
                // Boxed, as above.
                let Some(handler) = &calls.handler else { return Box::pin(self.run(envelope, deadline)).await };
                renew(&mut self.store, self.budget_ticks);
                // Pinned here, so that the large future is not moved from hand to hand.
                let handled = pin!(handler.airssys_actor_handler().call_handle(&mut self.store, message));
                bounded(&self.pulse, &self.clock, &self.cut, handled, deadline).await
            }
            Calls::Tasks(calls) => {
                let Some(handler) = &calls.handler else { return Box::pin(self.run(envelope, deadline)).await };
                renew(&mut self.store, self.budget_ticks);
                let store = &mut self.store;
                // Boxed: a message to others does not carry this future around.
                let handled = Box::pin(async {
                    let answer = handler.airssys_actor_handler().call_handle(&mut *store, message).await?;
                    p3::settle(store).await?;
                    wasmtime::Result::Ok(answer)
                });
                bounded(&self.pulse, &self.clock, &self.cut, handled, deadline).await
            }
            Calls::Sync(calls) => {
                // Boxed, as above.
                let Some(handler) = &calls.handler else { return Box::pin(self.run(envelope, deadline)).await };
                renew_sync(&mut self.store);
                Ok(handler.airssys_actor_handler().call_handle(&mut self.store, message))
            }
        };
        self.ran(ended, deadline, |answer| Answered { body: answer.map(Bytes::from), commits: true })
    }

    /// Why a message of bytes is not for this guest.
    #[cold]
    fn handles_none(&self) -> Fault {
        if self.program.is_some() {
            return Fault::Refused(
                "it runs by itself, by `run = \"service\"` of the topology, and takes no messages".to_owned(),
            );
        }
        let functions: Vec<String> = self.functions.iter().map(|function| function.ty.path()).collect();
        Fault::Invalid(format!("it handles no messages of bytes, and is called by {}", functions.join(", ")))
    }

    /// Tells the guest that a child ended which it monitors.
    async fn down(&mut self, down: &Down, deadline: Duration) -> Ran<Answered> {
        let told = call!(self, deadline, monitoring, (found, store, notice = notice!(down)) =>
            found.airssys_actor_monitoring().call_down(store, &notice));
        match told {
            Some(ended) => self.ran(ended, deadline, |()| Answered { body: None, commits: true }),
            None => {
                let deaf = format!("{} ended, and this release exports no `monitoring` to be told by", down.child);
                Ran::Fault(Fault::Unavailable(deaf))
            }
        }
    }

    /// Runs the guest's `init`, where it has one.
    pub(crate) async fn init(&mut self, deadline: Duration) -> Ran<()> {
        let planned = self.life(Moment::Init);
        self.record(|| What::Init);
        let ran = match call!(self, deadline, lifecycle, (found, store) => found.airssys_actor_lifecycle().call_init(store))
        {
            Some(ended) => self.ran(ended, deadline, |()| ()),
            None => Ran::Done(()),
        };
        let ran = self.lived(planned, ran);
        self.recorded(&ran);
        ran
    }

    /// Asks the guest how it is, where it says so.
    pub(crate) async fn check(&mut self, deadline: Duration) -> Ran<()> {
        self.record(|| What::Check);
        let ran = match call!(self, deadline, health, (found, store) => found.airssys_actor_health().call_check(store))
        {
            Some(ended) => self.ran(ended, deadline, |()| ()),
            None => Ran::Done(()),
        };
        self.recorded(&ran);
        ran
    }

    /// Lets the guest say good-bye, where it wants to.
    pub(crate) async fn stop(&mut self, reason: StopReason, deadline: Duration) -> Ran<()> {
        let planned = self.life(Moment::Stop);
        self.record(|| What::stop(reason));
        let stopped = call!(self, deadline, lifecycle, (found, store, reason = stop_reason!(reason)) =>
            found.airssys_actor_lifecycle().call_stop(store, reason));
        let ran = match stopped {
            Some(ended) => self.ran(ended.map(|ran| ran.map(Ok)), deadline, |()| ()),
            None => Ran::Done(()),
        };
        let ran = self.lived(planned, ran);
        self.recorded(&ran);
        ran
    }

    /// What the guest hands over, where it does.
    pub(crate) async fn snapshot(&mut self, deadline: Duration) -> Ran<Option<Bytes>> {
        let planned = self.life(Moment::Snapshot);
        self.record(|| What::Snapshot);
        let ran = match call!(self, deadline, upgrade, (found, store) => found.airssys_actor_upgrade().call_snapshot(store))
        {
            Some(ended) => self.ran(ended, deadline, |taken| taken.map(Bytes::from)),
            None => Ran::Done(None),
        };
        let ran = self.lived(planned, ran);
        self.recorded(&ran);
        ran
    }

    /// Gives the guest what was handed over, where it takes it.
    pub(crate) async fn restore(&mut self, snapshot: &[u8], deadline: Duration) -> Ran<()> {
        let planned = self.life(Moment::Restore);
        self.record(|| What::Restore { memory: Bytes::copy_from_slice(snapshot) });
        let restored = call!(self, deadline, upgrade, (found, store) =>
            found.airssys_actor_upgrade().call_restore(store, snapshot));
        let ran = match restored {
            Some(ended) => self.ran(ended, deadline, |()| ()),
            None => Ran::Done(()),
        };
        let ran = self.lived(planned, ran);
        self.recorded(&ran);
        ran
    }

    /// Lets the guest bring the state of its turn over from another schema; none where it does not do that.
    pub(crate) async fn migrate(&mut self, from: u32, deadline: Duration) -> Option<Ran<()>> {
        let planned = self.life(Moment::Migrate);
        self.record(|| What::Migrate { from });
        let migrated =
            call!(self, deadline, upgrade, (found, store) => found.airssys_actor_upgrade().call_migrate(store, from));
        let ran = self.ran(migrated?, deadline, |()| ());
        let ran = self.lived(planned, ran);
        self.recorded(&ran);
        Some(ran)
    }

    fn ran<T, U>(
        &self,
        ended: Result<wasmtime::Result<Result<T, wit::Fault>>, Early<String>>,
        deadline: Duration,
        done: impl FnOnce(T) -> U,
    ) -> Ran<U> {
        if let (Ok(Ok(_)), Some(limit)) = (&ended, self.store.data().limiter.refused_limit()) {
            // One that ends for it says so itself.
            self.store.data().turn.identity.reach(limit, "was refused more, and went on");
        }
        match ended {
            Ok(Ok(Ok(value))) => Ran::Done(done(value)),
            Ok(Ok(Err(fault))) => Ran::Fault(fault_from_wit(fault)),
            Ok(Err(error)) => Ran::Crashed(match (classify(&error, self.store.data()), &self.calls) {
                // There a turn has one tick, whatever its budget is.
                (Crash::Budget { .. }, Calls::Sync(_)) => Crash::Tick,
                (crash, _) => crash,
            }),
            Err(Early::Elapsed) => Ran::Crashed(self.late(deadline)),
            Err(Early::Interrupted(by)) => Ran::Crashed(Crash::CutOff { by }),
        }
    }

    /// The turn's own deadline, unless it had less time: there is an end to a handover as well.
    fn late(&self, had: Duration) -> Crash {
        let deadline = self.store.data().turn.identity.terms.limits.turn_deadline;
        if had >= deadline {
            return Crash::Deadline { deadline };
        }
        let fault = Fault::Unavailable("it was not over at the handover deadline".to_owned());
        Crash::Start { during: Stage::Handover, fault }
    }
}

/// What an instance lives in. Where it is a command, with what it reads and writes.
fn make_store(
    template: &Template,
    turn: Turn,
    stdio: Option<&Arc<Stdio>>,
    permit: InstancePermit,
) -> Result<Store<Guest>, Crash> {
    let limits = &turn.identity.terms.limits;
    let (limiter, ticks, boundary_bytes) = (Limiter::new(limits), limits.budget_ticks(), limits.boundary_bytes);
    let table = resources::table(limits.resources);
    let wasi = Wasi::new(&turn.identity, turn.time(), stdio.cloned())?;
    let guest = Guest {
        turn,
        limiter,
        ticks,
        wasi,
        http: WasiHttpCtx::default(),
        table,
        handles: Handles::default(),
        foreign: Foreign::default(),
        listings: Listings::default(),
        expected: Arc::default(),
        quotas: HashMap::new(),
        names: FileNames::default(),
        outside: Outside::default(),
        permit: Some(permit),
        planned: None,
    };
    let mut store = Store::new(&template.engine, guest);
    store.limiter(|guest| &mut guest.limiter);
    store.set_hostcall_fuel(boundary_bytes);
    if store.data().turn.identity.mesh.seeded.is_some() {
        seeded::meter(&mut store, template.is_async())?;
    }
    if template.is_async() {
        let has_tasks = template.has_tasks();
        store.epoch_deadline_callback(move |mut context| {
            if has_tasks {
                p3::check_tasks(&mut context)?;
            }
            let guest = context.data_mut();
            match guest.ticks.checked_sub(1) {
                Some(left) => {
                    guest.ticks = left;
                    Ok(UpdateDeadline::Yield(1))
                }
                None => Ok(UpdateDeadline::Interrupt),
            }
        });
    }
    Ok(store)
}

/// Makes an instance in its store.
async fn instantiate(
    template: &Template,
    store: &mut Store<Guest>,
) -> Result<(Calls, wasmtime::component::Instance), Crash> {
    let limits = &store.data().turn.identity.terms.limits;
    let (budget_ticks, start_ticks) = (limits.budget_ticks(), limits.start_ticks());
    let made = match &template.exports {
        Exports::Async(found) | Exports::Tasks(found) => {
            store.set_epoch_deadline(1);
            let instance = template.pre.instantiate_async(&mut *store).await;
            instance.and_then(|instance| {
                let loaded = found.load(store, &instance)?;
                Ok((if template.has_tasks() { Calls::Tasks(loaded) } else { Calls::Async(loaded) }, instance))
            })
        }
        Exports::Sync(found) => {
            // Nobody else can end it: it does not give its thread back.
            store.set_epoch_deadline(budget_ticks.min(start_ticks).saturating_add(1));
            let instance = template.pre.instantiate(&mut *store);
            instance.and_then(|instance| Ok((Calls::Sync(found.load(store, &instance)?), instance)))
        }
    };
    made.map_err(|error| match (classify(&error, store.data()), &template.exports) {
        (Crash::Budget { .. }, Exports::Sync(_)) if start_ticks < budget_ticks => {
            Crash::late_start(store.data().turn.identity.terms.limits.start_timeout)
        }
        (crash, _) => crash,
    })
}

/// Runs a future, for `limit` at most, and until it is cut off. The clock starts when it first has to wait, which a
/// busy guest does within a tick: a turn that neither waits nor takes a tick looks at no clock, and one that does not
/// wait for longer than a tick sets no timer.
async fn bounded<T>(
    pulse: &Pulse,
    clock: &Clock,
    cut: &Cut,
    future: impl Future<Output = T>,
    limit: Duration,
) -> Result<T, Early<String>> {
    let mut waited = false;
    let deadline = || {
        waited = true;
        clock.start() + limit
    };
    let ended = pulse.timeout_or(future, deadline, || cut.asked()).await;
    if waited {
        clock.reset();
    }
    ended
}

/// What a function that is called by its own type answers.
fn answered(ty: &FunctionType, block: Bytes) -> Answered {
    match &ty.result {
        // The case of a result stands at its begin, and 1 is an error.
        Some(laid) => {
            let commits = !(matches!(laid.ty, ValueType::Result(..)) && block.first() == Some(&1));
            Answered { body: Some(block), commits }
        }
        None => Answered { body: None, commits: true },
    }
}

#[cold]
fn no_such_function(ty: &FunctionType) -> Fault {
    Fault::Invalid(format!("this release has no function {} of the type {ty}", ty.path()))
}

fn renew(store: &mut Store<Guest>, ticks: u64) {
    store.data_mut().ticks = ticks;
    store.data_mut().limiter.refused = None;
    store.set_epoch_deadline(1);
}

/// One whole tick: the one that is under way does not count.
fn renew_sync(store: &mut Store<Guest>) {
    store.data_mut().limiter.refused = None;
    store.set_epoch_deadline(2);
}
