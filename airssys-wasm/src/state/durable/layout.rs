//! The names in the file of durable states.

use redb::TableDefinition;

/// By service, key of the actor, and [`RECORD`] or [`VALUE`] and the key of the value.
pub(super) type Place<'a> = (&'a str, &'a str, &'a str);

/// What is true of the whole file: [`FORMAT`] and [`ID`].
pub(super) const ABOUT: &str = "about";
pub(super) const ABOUT_TABLE: TableDefinition<'_, &str, u64> = TableDefinition::new(ABOUT);
/// The number of the layout.
pub(super) const FORMAT: &str = "format";
/// Tells this file from others, such as one that is put in its place.
pub(super) const ID: &str = "id";
/// All states. What stands there ends with its sum.
pub(super) const STATES: &str = "summed";
pub(super) const STATES_TABLE: TableDefinition<'_, Place<'_>, &[u8]> = TableDefinition::new(STATES);
/// The same in format 1, without sums.
pub(super) const OLD_STATES: &str = "states";
pub(super) const OLD_STATES_TABLE: TableDefinition<'_, Place<'_>, &[u8]> = TableDefinition::new(OLD_STATES);
/// The key of a state's record.
pub(super) const RECORD: &str = "";
/// Stands before the key of a value.
pub(super) const VALUE: char = '=';
/// What is lost: see [`super::lost`]. In files of format 3 only.
pub(super) const LOST: &str = "lost";
pub(super) const LOST_TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new(LOST);
