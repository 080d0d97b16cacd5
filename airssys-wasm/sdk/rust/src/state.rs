//! The state of this service: a private key-value store that survives restarts and upgrades.
//!
//! Transactional by turn: what a turn writes, it reads back at once, and everybody else sees it when the turn commits,
//! or never. Values are JSON; a value of type [`Payload`](crate::Payload) is raw bytes. A stateless pool has no state:
//! [`StateError::NoState`].

use std::cell::RefCell;
use std::fmt;

use crate::bindings::actor::wasi::keyvalue::{atomics, batch, store};
use crate::{Decode, DecodeError, Encode, EncodeError};

/// The name under which the host offers a service its own state.
const OWN: &str = "default";

thread_local! {
    /// Opened at the first use, kept for the life of the instance: opening costs a call of the host.
    static BUCKET: RefCell<Option<store::Bucket>> = const { RefCell::new(None) };
}

/// A value; none where the key has none.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// let stock: u32 = state::get("apple")?.unwrap_or(0);
/// let image: Option<Payload> = state::get("image")?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Where the store cannot be read, or the value is not of this type.
pub fn get<T: Decode>(key: &str) -> Result<Option<T>, StateError> {
    with(|bucket| bucket.get(key))?.map(|bytes| decode(key, bytes)).transpose()
}

/// Writes a value, in place of what was there.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// state::set("apple", &7)?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Where the store cannot be written, or the value has no JSON form.
pub fn set(key: &str, value: &(impl Encode + ?Sized)) -> Result<(), StateError> {
    let value = value.encode()?;
    with(|bucket| bucket.set(key, &value))
}

/// Deletes a key. Nothing happens where there is none.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// state::delete("apple")?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Where the store cannot be written.
pub fn delete(key: &str) -> Result<(), StateError> {
    with(|bucket| bucket.delete(key))
}

/// Whether a key has a value.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// if !state::exists("apple")? {
///     return Err(Fault::refused("no such article"));
/// }
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Where the store cannot be read.
pub fn exists(key: &str) -> Result<bool, StateError> {
    with(|bucket| bucket.exists(key))
}

/// Adds to a counter and returns what it is then. A key without a value counts from 0.
///
/// A counter is not kept as JSON, but as eight bytes, the lowest first (a little-endian `u64`). So what [`set`] has
/// written is no counter, and [`get`] does not read one: `increment(key, 0)` does.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// let orders = state::increment("orders", 1)?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Where the store cannot be written, the value is no counter, or the sum is more than a `u64` holds; the text names
/// the key. The value is as it was then.
pub fn increment(key: &str, delta: u64) -> Result<u64, StateError> {
    with(|bucket| atomics::increment(bucket, key, delta))
}

/// All keys, in no particular order.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// info!("{} keys", state::keys()?.len());
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Where the store cannot be read.
pub fn keys() -> Result<Vec<String>, StateError> {
    let mut keys = Vec::new();
    for_each_key(|key| {
        keys.push(key);
        Ok(())
    })?;
    Ok(keys)
}

/// Does something with each key, in order, a page of keys in memory at a time. Keys may be set and deleted meanwhile:
/// one that is there all the time is neither left out nor seen twice.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// state::for_each_key(|key| if key.starts_with("draft ") { state::delete(&key) } else { Ok(()) })?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Where the store cannot be read, and those of what is done, after which no more is done.
pub fn for_each_key(mut act: impl FnMut(String) -> Result<(), StateError>) -> Result<(), StateError> {
    let mut cursor = None;
    loop {
        let page = with(|bucket| bucket.list_keys(cursor))?;
        page.keys.into_iter().try_for_each(&mut act)?;
        match page.cursor {
            // A cursor that does not move would never end.
            Some(next) if page.cursor != cursor => cursor = Some(next),
            _ => return Ok(()),
        }
    }
}

/// The values of many keys by one call of the host, in the order of the keys; none where a key has none.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// let stock: Vec<Option<u32>> = state::get_many(&["apple", "pear"])?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Where the store cannot be read, or a value is not of this type.
pub fn get_many<T: Decode>(keys: &[&str]) -> Result<Vec<Option<T>>, StateError> {
    let found = with(|bucket| batch::get_many(bucket, &owned(keys)))?;
    found.into_iter().map(|pair| pair.map(|(key, bytes)| decode(&key, bytes)).transpose()).collect()
}

/// Writes many values by one call of the host.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// state::set_many(&[("apple", 7), ("pear", 3)])?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Where the store cannot be written, or a value has no JSON form.
pub fn set_many(values: &[(&str, impl Encode)]) -> Result<(), StateError> {
    let pairs = values.iter().map(|(key, value)| Ok(((*key).to_owned(), value.encode()?.into_owned())));
    let pairs = pairs.collect::<Result<Vec<_>, EncodeError>>()?;
    with(|bucket| batch::set_many(bucket, &pairs))
}

/// Deletes many keys by one call of the host. Nothing happens where there is none.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// state::delete_many(&["apple", "pear"])?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Where the store cannot be written.
pub fn delete_many(keys: &[&str]) -> Result<(), StateError> {
    with(|bucket| batch::delete_many(bucket, &owned(keys)))
}

fn with<T>(ask: impl FnOnce(&store::Bucket) -> Result<T, store::Error>) -> Result<T, StateError> {
    BUCKET.with_borrow_mut(|slot| {
        let bucket = match slot.take() {
            Some(open) => open,
            None => store::open(OWN)?,
        };
        Ok(ask(slot.insert(bucket))?)
    })
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn decode<T: Decode>(key: &str, bytes: Vec<u8>) -> Result<T, StateError> {
    T::decode(bytes).map_err(|source| StateError::Unreadable { key: key.to_owned(), source })
}

/// Why the state could not be read or written.
///
/// # Example
///
/// ```
/// use airssys_sdk::state::StateError;
///
/// assert_eq!(StateError::NoState.to_string(), "this service has no state");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum StateError {
    /// This service has no state, as those of a stateless pool.
    NoState,
    /// This service may not use it.
    Denied,
    /// The store failed, or a limit is reached; it says why.
    Store(String),
    /// The value has no JSON form.
    Unwritable(EncodeError),
    /// What is kept is not of the type that was asked for.
    Unreadable {
        /// Under which key.
        key: String,
        /// What is wrong with it.
        source: DecodeError,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoState => write!(f, "this service has no state"),
            Self::Denied => write!(f, "this service may not use its state"),
            Self::Store(why) => write!(f, "state: {why}"),
            Self::Unwritable(error) => write!(f, "state: a value {error}"),
            Self::Unreadable { key, source } => write!(f, "state: the value of `{key}` {source}"),
        }
    }
}

impl std::error::Error for StateError {}

impl From<EncodeError> for StateError {
    fn from(error: EncodeError) -> Self {
        Self::Unwritable(error)
    }
}

impl From<store::Error> for StateError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NoSuchStore => Self::NoState,
            store::Error::AccessDenied => Self::Denied,
            store::Error::Other(why) => Self::Store(why),
        }
    }
}
