//! Deployments: another release takes a service over, in place, while messages keep flowing.
//!
//! The new release is compiled, linked, initialised and checked beside the old one, with its effects held back. Then
//! each actor of the service lets it take over between two turns: address, mailbox and state stay where they are, and
//! code, grants, limits and configuration switch together. For a while the new release is on probation: an actor that
//! crashes on it puts the old one back itself, before the next turn, with the message still in hand, and the others
//! follow.
//!
//! `decide` says what is next, `run` carries it out, and `records` writes it down. Invariant: what was reported as live
//! survives every later crash of the service; what was not is nowhere live.

mod anew;
pub(crate) mod bad_choice;
mod batch;
mod decide;
mod deployment;
pub(crate) mod earlier;
mod ends;
mod error;
mod gate;
mod health;
pub(crate) mod intent;
mod json;
mod look;
mod made;
mod met;
mod options;
mod order;
pub(crate) mod plan;
mod progress;
pub(crate) mod record;
pub(crate) mod record_error;
mod recorded;
mod records;
pub(crate) mod recovery;
mod report;
pub(crate) mod rollout;
mod run;
mod running;
mod seats;
mod seen;
mod set;
mod setback;
pub(crate) mod settings;
pub(crate) mod source;
mod status;
mod strategy;
mod switch;
mod taken;
mod tier;
pub(crate) mod ungranted;
pub(crate) mod wires;

pub(crate) use anew::begin_anew;
pub use deployment::Deployment;
pub(crate) use ends::End;
pub use error::DeployError;
pub use gate::{Gate, NoTraffic};
pub(crate) use intent::SetId;
pub(crate) use made::made as made_wires;
pub(crate) use met::Affected;
pub use options::DeployOptions;
pub(crate) use order::{Order, Posts, Restore};
pub(crate) use plan::{Plan, PlanRefusal, Reach, Side, StateFate, plan};
pub use progress::{Progress, TooFewTurns};
pub(crate) use record::Ended;
pub(crate) use record_error::{RecordError, without_it};
pub use recorded::{Deviation, Divergence, RecordedGate, RecordingError};
pub(crate) use records::{Page, Records, damage, sources};
pub(crate) use recovery::Recovery;
pub(crate) use run::begin;
pub(crate) use seats::seats;
pub use seen::{Compared, Seen};
pub(crate) use set::{Begun, callees_first, together, undo};
pub use setback::Setback;
pub(crate) use source::Source;
pub use status::Status;
pub(crate) use strategy::Unfit;
pub use strategy::{Portion, Rolling, Strategy};
pub(crate) use tier::tier_up;
pub(crate) use ungranted::{Ungranted, ungranted};
pub(crate) use wires::{BrokenWire, broken as broken_wires};

pub use crate::actor::MemoryHandover;
