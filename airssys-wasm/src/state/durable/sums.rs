//! The checksums that are stored with the values of a service, and how both are written.
//!
//! The sum of a value is over the service, the actor, the key and the value, so that one that got to another place is
//! not taken for that place's. The record of a state says how many values there are, and adds up their sums: a value
//! that is missing, too much or from another time is noticed too. These sums are against damage and not against people:
//! XXH3, 64 bits.

use redb::{StorageError, Table};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::layout::{self, RowKey};

/// Of a sum, in bytes.
pub(super) const SUM: usize = 8;
/// Of a record without its sum: commits, schema, how many values there are, and what their sums come to.
const RECORD: usize = 28;
/// What is no longer than this, in bytes, is summed in one piece: that takes a fraction of the time. Most records and
/// values are.
const SHORT: usize = 512;

/// What the values of a state come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::state) struct Sums {
    values: u64,
    all: u64,
}

impl Sums {
    /// With a value of this sum.
    pub(super) fn add(&mut self, sum: u64) {
        self.values += 1;
        self.all = self.all.wrapping_add(sum);
    }

    /// Without a value of this sum, which it had.
    pub(super) fn remove(&mut self, sum: u64) {
        self.values = self.values.wrapping_sub(1);
        self.all = self.all.wrapping_sub(sum);
    }

    /// How many there are.
    pub(super) fn values(&self) -> u64 {
        self.values
    }
}

/// The record of a state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) commits: u64,
    pub(super) schema: u32,
    pub(super) sums: Sums,
}

impl Record {
    /// What it says of a state, for who compares it with another one; none where nobody has written to it.
    pub(in crate::state) fn told(self) -> Option<String> {
        let Self { commits, schema, sums: Sums { values, all } } = self;
        (commits > 0).then(|| format!("commit {commits} in schema {schema} with {values} values of {all:016x}"))
    }

    /// As it is written.
    fn to_bytes(self, service: &str, actor: &str) -> [u8; RECORD + SUM] {
        let mut bytes = [0; RECORD + SUM];
        let sums = self.sums;
        let body = self.commits.to_le_bytes().into_iter().chain(self.schema.to_le_bytes());
        let body = body.chain(sums.values.to_le_bytes()).chain(sums.all.to_le_bytes());
        bytes.iter_mut().zip(body).for_each(|(byte, said)| *byte = said);
        let (body, sum) = bytes.split_at_mut(RECORD);
        sum.copy_from_slice(&sum_of(b"record", service, actor, "", body).to_le_bytes());
        bytes
    }

    /// Writes it, or takes it away where nobody has written to the state.
    pub(super) fn put(
        self,
        table: &mut Table<'_, RowKey<'static>, &'static [u8]>,
        service: &str,
        actor: &str,
    ) -> Result<(), StorageError> {
        let place = (service, actor, layout::RECORD);
        if self.commits == 0 {
            return table.remove(place).map(drop);
        }
        table.insert(place, &self.to_bytes(service, actor)[..]).map(drop)
    }

    /// None where it is damaged.
    pub(super) fn of_bytes(service: &str, actor: &str, bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<SUM>()?;
        if sum_of(b"record", service, actor, "", body) != u64::from_le_bytes(*sum) {
            return None;
        }
        let (commits, body) = body.split_first_chunk()?;
        let (schema, body) = body.split_first_chunk()?;
        let (values, body) = body.split_first_chunk()?;
        let (commits, schema) = (u64::from_le_bytes(*commits), u32::from_le_bytes(*schema));
        let sums = Sums { values: u64::from_le_bytes(*values), all: u64::from_le_bytes(body.try_into().ok()?) };
        Some(Self { commits, schema, sums })
    }

    /// The same of a file of format 1, which has no sums: 8 and 4 bytes.
    pub(super) fn of_old_bytes(bytes: &[u8]) -> Option<Self> {
        let (commits, schema) = bytes.split_first_chunk()?;
        let (commits, schema) = (u64::from_le_bytes(*commits), u32::from_le_bytes(schema.try_into().ok()?));
        Some(Self { commits, schema, sums: Sums::default() })
    }
}

/// The sum of a value.
pub(super) fn of_value(service: &str, actor: &str, key: &str, value: &[u8]) -> u64 {
    sum_of(b"value", service, actor, key, value)
}

/// Writes a value with its sum after it.
pub(super) fn write_value(value: &[u8], sum: u64, into: &mut Vec<u8>) {
    into.clear();
    into.extend_from_slice(value);
    into.extend_from_slice(&sum.to_le_bytes());
}

/// The value and its sum; none where it is damaged.
pub(super) fn read_value<'a>(service: &str, actor: &str, key: &str, bytes: &'a [u8]) -> Option<(&'a [u8], u64)> {
    let (value, sum) = bytes.split_last_chunk::<SUM>()?;
    let found = of_value(service, actor, key, value);
    (found == u64::from_le_bytes(*sum)).then_some((value, found))
}

fn sum_of(what: &[u8], service: &str, actor: &str, key: &str, body: &[u8]) -> u64 {
    // With its length each part ends where it does, and none can be taken for a part of the next.
    let lengths = [service, actor, key].map(|part| (part.len() as u64).to_le_bytes());
    let [of_service, of_actor, of_key] = &lengths;
    let (service, actor, key) = (service.as_bytes(), actor.as_bytes(), key.as_bytes());
    let parts = [what, of_service, service, of_actor, actor, of_key, key, body];
    if parts.iter().map(|part| part.len()).sum::<usize>() > SHORT {
        let mut sum = Xxh3::new();
        parts.iter().for_each(|part| sum.update(part));
        return sum.digest();
    }
    let mut all = [0; SHORT];
    let mut length = 0;
    for part in parts {
        all[length..length + part.len()].copy_from_slice(part);
        length += part.len();
    }
    xxh3_64(&all[..length])
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::Xxh3;

    use super::{SHORT, of_value};

    #[test]
    fn a_sum_is_the_same_whether_it_is_made_in_one_piece_or_in_several() {
        for length in (0..2 * SHORT).step_by(7).chain([65_536]) {
            let value = vec![7; length];
            let mut pieces = Xxh3::new();
            for part in [&b"value"[..], &[6, 0, 0, 0, 0, 0, 0, 0], b"ledger", &[3, 0, 0, 0, 0, 0, 0, 0], b"a/b"] {
                pieces.update(part);
            }
            pieces.update(&[1, 0, 0, 0, 0, 0, 0, 0]);
            pieces.update(b"k");
            pieces.update(&value);
            assert_eq!(of_value("ledger", "a/b", "k", &value), pieces.digest(), "{length}");
        }
    }
}
