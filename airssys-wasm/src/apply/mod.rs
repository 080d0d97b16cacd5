//! What is to run, what runs, and how the one becomes the other: a start is an apply from nothing.
//!
//! What is in force is written down in the data folder, so that it outlives the process ([`in_force`]). It becomes
//! another one in one step, when all of it has come about: whoever is cut off before is back at the old one at the next
//! start, whoever is cut off after has the new one.
//!
//! `difference` compares, without I/O; `desired` is what is to run, and `record` and `stopped` write it down, with what
//! was deployed, in one log; `actual` is what runs. `prepare` finds what is wrong with an apply, and `start` with a
//! start; `steps` carries either out, and undoes what it did where a step fails. `deployments` lets another release
//! take a service over, and `stops` stops one, with nothing else changed. `judge` asks whoever may refuse a change, of
//! a mesh that runs by `judging`.
//!
//! # Example
//!
//! What is in force in a data folder, while no host runs on it:
//!
//! ```
//! use std::collections::HashMap;
//!
//! use airssys_wasm::command;
//! use airssys_wasm::command::{ApplyPlan, InForce};
//! use airssys_wasm::topology::Topology;
//!
//! # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
//! # let folder = doc::folder()?;
//! # let folder = folder.path();
//! let data = folder.join("data");
//! let text = "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n";
//! let topology = Topology::parse(text, folder)?;
//! let plan = ApplyPlan::at_rest(None, &topology, true);
//! assert!(plan.refusals.is_empty());
//!
//! command::put_in_force(&data, &topology, &HashMap::new())?;
//! let Some(InForce { topology, cut_off, .. }) = command::in_force(&data)? else { panic!("it is in force") };
//! assert_eq!((topology.name(), cut_off), ("example", None));
//! assert!(command::damage(&data)?.is_empty());
//! assert!(command::needed(&data)?.is_empty(), "no published release is needed");
//!
//! command::forget(&data, Some("topology"))?;
//! assert!(command::in_force(&data)?.is_none());
//! command::forget(&data, None)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod acts;
mod actual;
mod against;
mod change;
mod check;
mod compile;
mod counting;
mod deployments;
mod desired;
mod difference;
mod durable;
mod earlier;
mod error;
mod grants;
mod hosted;
mod in_force;
mod invoke;
mod judge;
mod judging;
mod learned;
mod logs;
mod offline;
mod plan;
mod prepare;
mod record;
mod recordings;
mod recover;
mod releases;
mod replay;
mod start;
mod steps;
mod stopped;
mod stops;
mod supervisors;
mod tiers;
mod tree;
mod verify;

pub use crate::schema::ChangeMode;
pub(crate) use acts::Act;
pub use against::Comparison;
pub use difference::{ChangedKey, Difference, Fate, Subject};
pub use error::{ApplyError, RuntimeError};
pub use grants::{Capability, GrantError};
pub(crate) use hosted::Hosted;
pub use in_force::{InForce, forget, in_force, needed, put_in_force};
pub use invoke::{Function, InvokeError, Written};
pub use judge::{Objection, Proposal};
pub use learned::{Learned, Unused};
pub use logs::LogError;
pub use offline::{recorded_release, verify_release};
pub use plan::{Applied, ApplyPlan};
pub use record::CutOff;
pub use replay::{ReplayError, Replayed, Replayer, release_of, replay};
pub use start::Checked;
pub(crate) use start::{StartOptions, check, start};
pub use stops::StopError;
pub use verify::damage;
