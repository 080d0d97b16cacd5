//! What the command `airssys` shares with the library; no promise is made of it.
//!
//! The tools for a data folder that no host has, what a plan and a status are as data, what a release is made of, and
//! the errors below those that the rest of the crate documents.

pub use crate::actor::Rehearsed;
pub use crate::apply::{
    ApplyPlan, Capability, ChangeMode, ChangedKey, Checked, Comparison, CutOff, Difference, Fate, GrantError, InForce,
    Learned, LogError, ReplayError, Replayed, Replayer, Subject, Unused, damage, forget, in_force, needed,
    put_in_force, recorded_release, release_of, replay, verify_release,
};
pub use crate::audit::{
    AuditError, AuditFault, AuditHead, AuditKind, AuditLine, AuditLines, AuditStatus, NoSuchAuditKind, RawLine, Record,
    Unrecorded, Verified, VerifyAudit, acting_for, audit_files, verify_audit,
};
pub use crate::blocking::spawn as spawn_blocking;
pub use crate::capability::asked::{CapabilityRequest, Granted};
pub use crate::capability::kind::NoLine;
pub use crate::capability::why::Why;
pub use crate::capability::{Decision, Requests};
pub use crate::capsules::{CapsuleError, Repeats, capsules};
pub use crate::deploy::bad_choice::BadChoice;
pub use crate::deploy::intent::Step;
pub use crate::deploy::plan::{ChangedItem, Changes, MemoryFate, Party, Plan, PlanRefusal, Reach, Schemas, StateFate};
pub use crate::deploy::record::Ended;
pub use crate::deploy::record_error::RecordError;
pub use crate::deploy::recovery::Recovery;
pub use crate::deploy::rollout::Rollout;
pub use crate::deploy::settings::ChangedSetting;
pub use crate::deploy::source::Source;
pub use crate::deploy::ungranted::Ungranted;
pub use crate::deploy::wires::BrokenWire;
pub use crate::engine::{
    Absence, DebugImage, EngineError, Lane, Needs, NoCall, NotAdapted, Obstacle, TemplateError, Tier, adapt,
    plain_engine,
};
pub use crate::error::handle::{DeadHandle, HandleDeath};
pub use crate::events::event::NoSuchKind;
pub use crate::hint::act::Act;
pub use crate::limits::{Amount, Limits, OutOfRange};
pub use crate::lines::{Lines, Taken, write_patiently};
pub use crate::listener::ListenError;
pub use crate::logger::{LogLevel, LogStatus, LogTo, guests_are_on_console};
pub use crate::registry::adapt::Adapted;
pub use crate::registry::fuse::Part;
pub use crate::registry::inspected::Inspected;
pub use crate::registry::keys::{Seal, Untrusted};
pub use crate::registry::manifest::Memory;
pub use crate::registry::reference::Reference;
pub use crate::runtime::{ForgetError, Forgotten};
pub use crate::secrets::{hidden, hide_in};
pub use crate::state::{Damage, KeptState, StateError, StateFile, Survey};
pub use crate::topology::declared::{Actors, DeclaredListener, Intensity};
pub use crate::topology::folders::FolderError;
pub use crate::topology::keys::reference;
pub use crate::turn::{Capsule, Frame, Recording};
pub use crate::typed::Misfit;
pub use crate::unique::map as unique_map;
