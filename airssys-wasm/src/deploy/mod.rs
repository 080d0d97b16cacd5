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
mod asked;
mod bad_choice;
mod batch;
mod decide;
mod deployment;
pub(crate) mod earlier;
mod ends;
mod error;
mod gate;
mod health;
mod intent;
mod json;
mod look;
mod made;
mod met;
mod options;
mod order;
mod plan;
mod progress;
mod record;
mod record_error;
mod records;
mod recovery;
mod report;
mod rollout;
mod run;
mod running;
mod seats;
mod seen;
mod set;
mod setback;
mod settings;
mod source;
mod status;
mod strategy;
mod switch;
mod taken;
mod tier;
mod ungranted;
mod wires;

pub(crate) use anew::begin_anew;
pub use asked::{CapabilityRequest, Granted};
pub use bad_choice::BadChoice;
pub use deployment::Deployment;
pub(crate) use ends::End;
pub use error::DeployError;
pub use gate::{Gate, NoTraffic};
pub(crate) use intent::SetId;
pub use intent::Step;
pub(crate) use made::made as made_wires;
pub use met::Affected;
pub use options::DeployOptions;
pub(crate) use order::{Order, Posts, Restore};
pub use plan::{ChangedItem, Changes, MemoryFate, Party, Plan, PlanRefusal, Reach, Schemas, StateFate};
pub(crate) use plan::{Side, plan};
pub use progress::{Progress, TooFewTurns};
pub use record::Ended;
pub use record_error::RecordError;
pub(crate) use record_error::without_it;
pub(crate) use records::{Page, Records, damage, sources};
pub use recovery::Recovery;
pub use rollout::Rollout;
pub(crate) use run::begin;
pub(crate) use seats::seats;
pub use seen::{Compared, Seen};
pub(crate) use set::{Begun, callees_first, together, undo};
pub use setback::Setback;
pub use settings::ChangedSetting;
pub use source::Source;
pub use status::Status;
pub(crate) use strategy::Unfit;
pub use strategy::{Portion, Rolling, Strategy};
pub(crate) use tier::tier_up;
pub use ungranted::Ungranted;
pub(crate) use ungranted::ungranted;
pub use wires::BrokenWire;
pub(crate) use wires::broken as broken_wires;

pub use crate::actor::{MemoryHandover, Rehearsed};
