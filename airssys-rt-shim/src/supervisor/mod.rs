//! Supervisors: OTP's, as data, over ractor.
//!
//! A [`SupervisorSpec`] says what a supervisor is, a [`ChildSpec`](crate::child::ChildSpec) what a child is; both are
//! plain data with OTP's defaults: one-for-one, at most 1 restart in 5 s, permanent children, 5 s to stop for a worker
//! and all the time it needs for a supervisor. [`decide`] decides, without any I/O; one ractor actor a supervisor
//! carries it out.
//!
//! A supervisor never waits: not for a child's start, not for its stop, not for a back-off. It answers and can be
//! stopped meanwhile. It refuses to know what its children do.
//!
//! Where it differs from OTP on purpose: a start has a time-out; a killed child that does not go is given up after two
//! [`decide::KILL_GRACE`]s; killing a nested supervisor lets it kill its children first and end after them; children of
//! one-for-one supervisors are started again independently of each other; there is no `ignore`; a dynamic supervisor's
//! children have names and a spec each.

mod ask;
mod change;
mod child_context;
mod children;
mod command;
pub mod decide;
mod deed;
mod ending;
mod error;
mod event;
mod executor;
mod group;
mod handle;
mod info;
mod judge;
pub(crate) mod key;
mod live_actors;
mod message;
pub mod model;
mod news;
mod record;
mod replay;
mod report;
mod spec;
mod start;
mod steps;
mod window;

#[cfg(test)]
mod tests;

pub(crate) use self::message::{Msg, SupervisorMsg};
pub(crate) use self::record::ShutdownRecord;
pub(crate) use self::report::Up;
pub(crate) use self::start::{change, spawn};
pub use self::{
    ask::TreeNode,
    child_context::ChildContext,
    decide::{ChildKey, ChildStatus},
    error::{ChildError, StartError},
    handle::{Standing, SupervisorHandle},
    info::{ChildInfo, Counts},
    judge::Judge,
    news::{Listener, Named, News},
    spec::{AutoShutdown, Backoff, Beyond, SpecError, Strategy, SupervisorSpec},
    start::SupervisorStart,
};
