//! Between the exports that wit-bindgen makes and the handler that a guest writes.
//!
//! # Hot path
//!
//! Every message of every Rust guest passes `turn`: take the message apart (moves, no copies), decode (JSON only where
//! the handler asks for a type), handle, encode. With `Payload` on both sides nothing is copied or allocated here.

use std::cell::RefCell;

pub use crate::bindings::actor::airssys::actor::types::{Fault as WitFault, Message};
pub use crate::bindings::actor::export_actor;
pub use crate::bindings::actor::exports::airssys::actor::handler::Guest as Handler;
pub use crate::bindings::health::export_health;
pub use crate::bindings::health::exports::airssys::actor::health::Guest as Health;
pub use crate::bindings::layer::export_layer;
pub use crate::bindings::layer::exports::airssys::actor::layer::{
    ErrorVerdict as WitErrorVerdict, Failure as WitFailure, Guest as Layer, Operation as WitOperation,
    Outcome as WitOutcome, Verdict as WitVerdict,
};
pub use crate::bindings::lifecycle::export_lifecycle;
pub use crate::bindings::lifecycle::exports::airssys::actor::lifecycle::{
    Guest as Lifecycle, StopReason as WitStopReason,
};
pub use crate::bindings::monitoring::export_monitoring;
pub use crate::bindings::monitoring::exports::airssys::actor::monitoring::{
    DownNotice as WitDown, Guest as Monitoring,
};
pub use crate::bindings::upgrade::export_upgrade;
pub use crate::bindings::upgrade::exports::airssys::actor::upgrade::Guest as Upgrade;
use crate::layer::{ErrorVerdict, Failure, Operation, Verdict, failed};
use crate::{Answer, Context, Decode, DecodeError, Down, Encode, Fault};

/// What the host gets for a message.
pub type Handled = Result<Option<Vec<u8>>, WitFault>;

/// Handles one message.
#[inline]
pub fn turn<M: Decode, A: Answer<Kind>, Kind>(message: Message, handle: impl FnOnce(M, &Context) -> A) -> Handled {
    tell_panics();
    let Message { id, sender, key, delivery, attempt, body } = message;
    let context = Context { id, sender, key, delivery: delivery.into(), attempt };
    let body = M::decode(body).map_err(Fault::from)?;
    Ok(handle(body, &context).answer()?.map(Vec::from))
}

/// The message of a handler that asks for none: not even looked at.
#[derive(Debug)]
pub struct Unread;

impl Decode for Unread {
    fn decode(_: Vec<u8>) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

/// What `init` may return.
pub trait Start<T> {
    /// The new instance.
    fn start(self) -> Result<T, Fault>;
}

impl<T> Start<T> for T {
    fn start(self) -> Result<T, Fault> {
        Ok(self)
    }
}

impl<T> Start<T> for Result<T, Fault> {
    fn start(self) -> Result<T, Fault> {
        self
    }
}

/// Where a component that is a struct lives between its turns.
#[derive(Debug)]
pub struct Slot<T>(RefCell<Option<T>>);

impl<T> Slot<T> {
    /// Nothing in it yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(RefCell::new(None))
    }

    /// Starts the component anew.
    pub fn start(&self, init: impl FnOnce() -> Result<T, Fault>) -> Result<(), WitFault> {
        tell_panics();
        let instance = init()?;
        *self.0.borrow_mut() = Some(instance);
        Ok(())
    }

    /// Hands the component out, started where it was not. The host runs one turn at a time, so it is never out already.
    #[inline]
    pub fn with<A>(&self, init: impl FnOnce() -> Result<T, Fault>, work: impl FnOnce(&mut T) -> A) -> Result<A, Fault> {
        let mut slot = self.0.borrow_mut();
        if let Some(instance) = slot.as_mut() {
            return Ok(work(instance));
        }
        Ok(work(slot.insert(init()?)))
    }

    /// Hands the component out for the last time; nothing happens where it was never started.
    pub fn stop(&self, work: impl FnOnce(&mut T)) {
        tell_panics();
        if let Some(mut instance) = self.0.take() {
            work(&mut instance);
        }
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Answers a health probe.
pub fn check(probe: impl FnOnce() -> Result<Result<(), Fault>, Fault>) -> Result<(), WitFault> {
    tell_panics();
    Ok(probe()??)
}

/// Tells a component that a child has ended.
pub fn down(notice: WitDown, hear: impl FnOnce(Down) -> Result<Result<(), Fault>, Fault>) -> Result<(), WitFault> {
    tell_panics();
    Ok(hear(notice.into())??)
}

/// Asks a layer about something; one that did not start rejects it.
pub fn before(what: WitOperation, ask: impl FnOnce(Operation) -> Result<Verdict, Fault>) -> WitVerdict {
    tell_panics();
    ask(what.into()).unwrap_or_else(|fault| Verdict::Reject(fault.to_string())).into()
}

/// Tells a layer what came of something.
pub fn after(
    what: WitOperation,
    outcome: WitOutcome,
    tell: impl FnOnce(Operation, Result<(), Failure>) -> Result<(), Fault>,
) {
    tell_panics();
    // Nobody waits for it: one that did not start has heard nothing.
    let _not_heard = tell(what.into(), failed(outcome));
}

/// Asks a layer what is to become of something that failed.
pub fn on_error(
    what: WitOperation,
    failure: WitFailure,
    ask: impl FnOnce(Operation, Failure) -> Result<ErrorVerdict, Fault>,
) -> WitErrorVerdict {
    tell_panics();
    ask(what.into(), failure.into()).unwrap_or(ErrorVerdict::Keep).into()
}

/// What `snapshot` may return.
pub trait Snapshot<Kind> {
    /// Its bytes.
    fn bytes(self) -> Result<Vec<u8>, Fault>;
}

/// A snapshot that cannot fail.
#[derive(Debug)]
pub struct Plain;

/// A snapshot that can.
#[derive(Debug)]
pub struct Fallible;

impl<S: Encode> Snapshot<Plain> for S {
    fn bytes(self) -> Result<Vec<u8>, Fault> {
        Ok(self.encode()?.into_owned())
    }
}

impl<S: Encode> Snapshot<Fallible> for Result<S, Fault> {
    fn bytes(self) -> Result<Vec<u8>, Fault> {
        Ok(self?.encode()?.into_owned())
    }
}

/// Hands over what a component wants to.
pub fn snapshot<S: Snapshot<Kind>, Kind>(taken: impl FnOnce() -> Result<S, Fault>) -> Handled {
    tell_panics();
    Ok(Some(taken()?.bytes()?))
}

/// Hands over nothing.
pub fn no_snapshot() -> Handled {
    Ok(None)
}

/// Takes over what the release before handed over.
pub fn restore<S: Decode>(
    bytes: Vec<u8>,
    take: impl FnOnce(S) -> Result<Result<(), Fault>, Fault>,
) -> Result<(), WitFault> {
    tell_panics();
    Ok(take(S::decode(bytes).map_err(Fault::from)?)??)
}

/// Brings the state over.
pub fn migrate(work: impl FnOnce() -> Result<(), Fault>) -> Result<(), WitFault> {
    tell_panics();
    Ok(work()?)
}

/// What a release without `migrate` says of a state that it does not know.
pub fn no_migrate(from: u32) -> Result<(), WitFault> {
    Err(Fault::refused(format!("this release has no `migrate` from the state schema {from}")).into())
}

/// Without WASI a panic's message goes nowhere: it is written to the log instead.
#[cfg(all(feature = "panic-log", target_family = "wasm", target_os = "unknown"))]
#[inline]
fn tell_panics() {
    use std::cell::Cell;

    thread_local! {
        static TOLD: Cell<bool> = const { Cell::new(false) };
    }
    if !TOLD.replace(true) {
        std::panic::set_hook(Box::new(|panic| crate::log::write(crate::log::Level::Error, format_args!("{panic}"))));
    }
}

/// With WASI it goes to stderr, which the host writes to the log.
#[cfg(not(all(feature = "panic-log", target_family = "wasm", target_os = "unknown")))]
#[inline]
fn tell_panics() {}
