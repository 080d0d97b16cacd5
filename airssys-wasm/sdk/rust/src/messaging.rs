//! Messages to other services: send, call, publish, and to oneself later.
//!
//! Everything but [`call`] and [`Timer::cancel`] is held back until the turn commits. Each is checked by the host
//! against what this service was granted.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bindings::actor::airssys::actor::{messaging as host, types as wit};
use crate::{Decode, DecodeError, Encode, EncodeError, Fault};

/// Where a message goes: an address (`"ledger"`, `"cart/alice"`), or an address with the key that chooses the lane of a
/// partitioned pool.
///
/// # Example
///
/// ```
/// use airssys_sdk::Target;
///
/// assert_eq!(Target::from("ledger"), Target { to: "ledger", key: None });
/// assert_eq!(Target::from(("pricing", "alice")), Target { to: "pricing", key: Some("alice") });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// `service`, or `service/key` for one actor of a keyed service.
    pub to: &'a str,
    /// The partition key.
    pub key: Option<&'a str>,
}

impl<'a> From<&'a str> for Target<'a> {
    fn from(to: &'a str) -> Self {
        Self { to, key: None }
    }
}

impl<'a> From<&'a String> for Target<'a> {
    fn from(to: &'a String) -> Self {
        Self { to, key: None }
    }
}

impl<'a> From<(&'a str, &'a str)> for Target<'a> {
    fn from((to, key): (&'a str, &'a str)) -> Self {
        Self { to, key: Some(key) }
    }
}

/// Sends a message that nobody waits for. It leaves when the turn commits; room in the receiver's mailbox is taken now.
///
/// # Example
///
/// ```no_run
/// use airssys_sdk::prelude::*;
///
/// #[derive(Serialize)]
/// struct Entry { cents: i64 }
///
/// fn book() -> Result<()> {
///     send("ledger", &Entry { cents: 250 })?;
///     send(("pricing", "alice"), "a text")?;
///     send("raw", &Payload::from(vec![0, 1]))?;
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// See [`SendError`]. Nothing is sent then.
pub fn send<'a>(to: impl Into<Target<'a>>, body: &(impl Encode + ?Sized)) -> Result<(), SendError> {
    let Target { to, key } = to.into();
    Ok(host::send(to, key, &body.encode()?)?)
}

/// Sends a message and waits for the answer, at most `timeout` (counted in milliseconds, rounded up) and never longer
/// than what is left of this turn. It leaves at once and is not undone when this turn fails.
///
/// # Example
///
/// ```no_run
/// use airssys_sdk::prelude::*;
///
/// fn quote() -> Result<u64> {
///     let cents: u64 = call("pricing", "apple", Duration::from_secs(1))?;
///     Ok(cents)
/// }
/// ```
///
/// # Errors
///
/// See [`CallError`].
pub fn call<'a, A: Decode>(
    to: impl Into<Target<'a>>,
    body: &(impl Encode + ?Sized),
    timeout: Duration,
) -> Result<A, CallError> {
    let Target { to, key } = to.into();
    let body = body.encode().map_err(SendError::from)?;
    let answer = host::call(to, key, &body, millis(timeout))?;
    A::decode(answer.unwrap_or_default()).map_err(CallError::Unreadable)
}

/// Publishes to all that subscribe to the topic, when the turn commits. Nobody subscribing is no error.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// publish("orders/accepted", &42)?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// See [`SendError`].
pub fn publish(topic: &str, body: &(impl Encode + ?Sized)) -> Result<(), SendError> {
    Ok(host::publish(topic, &body.encode()?)?)
}

/// Subscribes this service to the topics that match, when the turn commits. `*` stands for one segment, a last `**` for
/// one or more. It lasts until it is taken back, also across a restart; subscribing twice is subscribing once.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// subscribe("orders/*")?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// See [`SendError`].
pub fn subscribe(pattern: &str) -> Result<(), SendError> {
    Ok(host::subscribe(pattern)?)
}

/// Takes a subscription back, when the turn commits. Nothing happens where there is none.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// unsubscribe("orders/*")?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// See [`SendError`].
pub fn unsubscribe(pattern: &str) -> Result<(), SendError> {
    Ok(host::unsubscribe(pattern)?)
}

/// Sends a message to this service itself, `delay` (in milliseconds, rounded up) after the commit. The timer belongs to
/// the service: it outlives a restart.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// let timer = send_after(Duration::from_secs(30), "remind me")?;
/// state::set("reminder", &timer)?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// See [`SendError`].
pub fn send_after(delay: Duration, body: &(impl Encode + ?Sized)) -> Result<Timer, SendError> {
    Ok(Timer(host::send_after(millis(delay), &body.encode()?)?))
}

/// This service's own address, with the key where it has one.
///
/// # Example
///
/// ```no_run
/// let me = airssys_sdk::self_address();
/// ```
pub fn self_address() -> String {
    host::self_address()
}

/// A timer of this service. It can be kept in state, and is a plain number there.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// let timer = send_after(Duration::from_secs(30), "remind me")?;
/// let was_still_to_come = timer.cancel();
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timer(u64);

impl Timer {
    /// Cancels it at once, also when the turn fails later. Returns whether it was still to come; after that it never
    /// arrives.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # use airssys_sdk::prelude::*;
    /// # fn example() -> Result<()> {
    /// if let Some(timer) = state::get::<Timer>("reminder")? {
    ///     timer.cancel();
    /// }
    /// # Ok(()) }
    /// ```
    pub fn cancel(self) -> bool {
        host::cancel(self.0)
    }

    /// The timer's number: unique while the host runs.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_sdk::{Decode, Timer};
    ///
    /// assert_eq!(Timer::decode(b"7".to_vec())?.id(), 7);
    /// # Ok::<(), airssys_sdk::DecodeError>(())
    /// ```
    pub fn id(self) -> u64 {
        self.0
    }
}

/// The timer with this number; there may be none.
impl From<u64> for Timer {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

/// Rounded up: a time-out that is not zero never becomes zero.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Why a message was not sent. Nothing was sent then.
///
/// # Example
///
/// ```
/// use airssys_sdk::SendError;
///
/// assert_eq!(SendError::Overloaded.to_string(), "the receiver's mailbox is full");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The service was not granted this. The text names the grant that is missing. Trying again will not help.
    Denied(String),
    /// No service has this address, or the text is not an address.
    NoSuchService(String),
    /// The receiver's mailbox is full, or this turn holds as many effects, or this service as many timers or
    /// subscriptions, as it may.
    Overloaded,
    /// The body is larger than a message may be.
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// The service is known and does not take messages any more.
    Stopped,
    /// The value has no JSON form.
    Unwritable(EncodeError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(what) => write!(f, "not granted: {what}"),
            Self::NoSuchService(address) => write!(f, "no such service: {address}"),
            Self::Overloaded => write!(f, "the receiver's mailbox is full"),
            Self::TooLarge { limit_bytes } => {
                write!(f, "larger than a message may be: {limit_bytes} bytes")
            }
            Self::Stopped => write!(f, "the service is stopped"),
            Self::Unwritable(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SendError {}

impl From<EncodeError> for SendError {
    fn from(error: EncodeError) -> Self {
        Self::Unwritable(error)
    }
}

impl From<wit::SendError> for SendError {
    fn from(error: wit::SendError) -> Self {
        match error {
            wit::SendError::Denied(what) => Self::Denied(what),
            wit::SendError::NoSuchService(address) => Self::NoSuchService(address),
            wit::SendError::Overloaded => Self::Overloaded,
            wit::SendError::TooLarge(limit_bytes) => Self::TooLarge { limit_bytes },
            wit::SendError::Stopped => Self::Stopped,
        }
    }
}

/// Why a call has no answer.
///
/// # Example
///
/// ```
/// use airssys_sdk::{CallError, Fault};
///
/// let error = CallError::Fault(Fault::refused("out of stock"));
/// assert_eq!(Fault::from(error), Fault::refused("out of stock"));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// It never left. Nothing was done.
    NotSent(SendError),
    /// No answer came in time. Whether it was handled, is being handled or will be is not known.
    Timeout,
    /// The one called, or somebody it waits for, waits for this service. It never left.
    Deadlock,
    /// The one called answered with a fault. Its turn left no effects.
    Fault(Fault),
    /// The one called crashed over it. Its turn left no effects.
    Crashed(String),
    /// It was dropped before it was handled.
    Dropped(String),
    /// The answer is not of the type that was asked for.
    Unreadable(DecodeError),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(error) => error.fmt(f),
            Self::Timeout => write!(f, "no answer in time"),
            Self::Deadlock => write!(f, "the one called waits for this service"),
            Self::Fault(fault) => fault.fmt(f),
            Self::Crashed(how) => write!(f, "the one called crashed: {how}"),
            Self::Dropped(why) => write!(f, "dropped before it was handled: {why}"),
            Self::Unreadable(error) => write!(f, "the answer {error}"),
        }
    }
}

impl std::error::Error for CallError {}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        Self::NotSent(error)
    }
}

impl From<wit::CallError> for CallError {
    fn from(error: wit::CallError) -> Self {
        match error {
            wit::CallError::NotSent(error) => Self::NotSent(error.into()),
            wit::CallError::Timeout => Self::Timeout,
            wit::CallError::Deadlock => Self::Deadlock,
            wit::CallError::Fault(fault) => Self::Fault(fault.into()),
            wit::CallError::Crashed(how) => Self::Crashed(how),
            wit::CallError::Dropped(why) => Self::Dropped(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rounded_up_to_milliseconds() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(20)), 20);
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }
}
