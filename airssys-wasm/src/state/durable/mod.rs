//! State that lasts: one file for all durable services of a data folder, one thread that writes it.
//!
//! A turn's writes are on disk, and synced, before they are committed: `ServiceStates` gives out the states of a
//! service, `Journal` takes what their turns write to the thread, `Writer` is the thread, and [`StateFile`] the file.
//! Commits that wait at the same time share one sync.
//!
//! What else a turn did leaves with its writes, so that a turn whose actor was killed over the wait is there as a whole
//! or not at all.
//!
//! Invariants: memory and disk differ only by what the thread has in hand; it is the thread that changes both, the disk
//! first. Memory says what is true: it is what everybody was told. After a write that failed nobody knows what the disk
//! has, so nothing more is written until it has been looked at, and what it has too much is taken back.

mod bring_over;
mod budget;
mod damage;
mod error;
mod file;
mod journal;
mod kept;
mod layout;
mod location;
mod lost;
mod mark;
mod newest;
mod pages;
mod read;
mod salvage;
mod service_states;
mod storage;
mod sums;
mod survey;
mod writer;

pub(super) use budget::Budget;
pub use damage::Damage;
pub use error::StateError;
pub use file::StateFile;
pub(crate) use journal::Journal;
pub use kept::KeptState;
#[cfg(test)]
pub(crate) use kept::LoadedService;
pub(super) use lost::LostStates;
pub(crate) use lost::told;
pub(crate) use service_states::ServiceStates;
pub(super) use sums::Sums;
pub use survey::Survey;

#[cfg(test)]
mod tests;
