//! The configuration values that the topology gives this service. Texts, read-only.

use std::fmt;
use std::str::FromStr;

use crate::bindings::actor::wasi::config::store as host;

/// A value; none where the topology gives none.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// let currency = config::get("currency")?.unwrap_or("EUR".into());
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Where the host cannot read it.
pub fn get(key: &str) -> Result<Option<String>, ConfigError> {
    host::get(key).map_err(|error| ConfigError::Unreadable(told(error)))
}

/// A value as a number, a truth value, or whatever else a text can be parsed to; none where the topology gives none.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// let retries: u32 = config::parse("retries")?.unwrap_or(3);
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Where the host cannot read it, or it does not parse.
pub fn parse<T: FromStr<Err: fmt::Display>>(key: &str) -> Result<Option<T>, ConfigError> {
    let Some(value) = get(key)? else {
        return Ok(None);
    };
    value.parse().map(Some).map_err(|error: T::Err| ConfigError::Malformed {
        key: key.to_owned(),
        reason: error.to_string(),
        value,
    })
}

/// All values, as (key, value).
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// for (key, value) in config::all()? {
///     info!("{key} = {value}");
/// }
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Where the host cannot read them.
pub fn all() -> Result<Vec<(String, String)>, ConfigError> {
    host::get_all().map_err(|error| ConfigError::Unreadable(told(error)))
}

fn told(error: host::Error) -> String {
    match error {
        host::Error::Upstream(text) | host::Error::Io(text) => text,
    }
}

/// Why there is no configuration value.
///
/// # Example
///
/// ```
/// use airssys_sdk::config::ConfigError;
///
/// let error = ConfigError::Malformed { key: "retries".into(), value: "many".into(), reason: "invalid digit".into() };
/// assert_eq!(error.to_string(), "configuration value `retries` = `many`: invalid digit");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The host cannot read it, and says why.
    Unreadable(String),
    /// It does not parse.
    Malformed {
        /// Which value.
        key: String,
        /// What it is.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "cannot read the configuration: {why}"),
            Self::Malformed { key, value, reason } => {
                write!(f, "configuration value `{key}` = `{value}`: {reason}")
            }
        }
    }
}

impl std::error::Error for ConfigError {}
