//! The names of the tables and of the keys in the file of durable states.

use std::path::{Path, PathBuf};

use redb::TableDefinition;

/// By service, key of the actor, and [`RECORD`] or [`VALUE`] and the key of the value.
pub(super) type RowKey<'a> = (&'a str, &'a str, &'a str);

/// What is true of the whole file: [`FORMAT`] and [`ID`].
pub(super) const ABOUT: &str = "about";
pub(super) const ABOUT_TABLE: TableDefinition<'_, &str, u64> = TableDefinition::new(ABOUT);
/// The number of the layout.
pub(super) const FORMAT: &str = "format";
/// The layout that is written here. A file with a lower number is written anew when it is opened.
pub(super) const NEWEST: u64 = 2;
/// The same, with what is lost. A file with a higher number is not touched.
pub(super) const WITH_LOST: u64 = 3;
/// Tells this file from others, such as one that is put in its place.
pub(super) const ID: &str = "id";
/// All states. What stands there ends with its sum.
pub(super) const STATES: &str = "summed";
pub(super) const STATES_TABLE: TableDefinition<'_, RowKey<'_>, &[u8]> = TableDefinition::new(STATES);
/// The same in format 1, without sums.
pub(super) const OLD_STATES: &str = "states";
pub(super) const OLD_STATES_TABLE: TableDefinition<'_, RowKey<'_>, &[u8]> = TableDefinition::new(OLD_STATES);
/// The key of a state's record.
pub(super) const RECORD: &str = "";
/// Stands before the key of a value.
pub(super) const VALUE: char = '=';
/// What is lost: see [`super::lost`]. In files of format 3 only.
pub(super) const LOST: &str = "lost";
pub(super) const LOST_TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new(LOST);

/// Where the file is in a data folder.
pub(super) fn path(data_folder: &Path) -> PathBuf {
    data_folder.join("state").join("state.redb")
}
