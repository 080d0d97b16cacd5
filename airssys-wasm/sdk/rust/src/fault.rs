//! How a handler says that it did not handle a message.

use std::fmt;

use crate::bindings::actor::airssys::actor::types as wit;
use crate::config::ConfigError;
use crate::state::StateError;
use crate::{CallError, DecodeError, EncodeError, SendError, SupervisionError};

/// What a handler returns: a value, or a [`Fault`].
///
/// # Example
///
/// ```
/// fn half(n: u32) -> airssys_sdk::Result<u32> {
///     if n % 2 == 0 { Ok(n / 2) } else { Err(airssys_sdk::Fault::invalid("odd")) }
/// }
/// # assert!(half(3).is_err());
/// ```
pub type Result<T, E = Fault> = std::result::Result<T, E>;

/// Why a message was not handled.
///
/// Returning one is an ordinary answer: the effects of the turn are discarded, the instance lives on, and so does what
/// the handler changed in its own memory. Errors of this crate become one by `?`; of any other error
/// `.map_err(Fault::internal)?` makes one.
///
/// # Example
///
/// ```
/// use airssys_sdk::Fault;
///
/// let fault = Fault::refused("out of stock");
/// assert_eq!(fault.to_string(), "refused: out of stock");
/// assert_eq!(fault.reason(), "out of stock");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The message makes no sense here. Sending it again will not help.
    Invalid(String),
    /// The message was understood, and the answer is no.
    Refused(String),
    /// Something that is needed was not there. Sending it again later may help.
    Unavailable(String),
    /// The component failed in a way that it did not foresee.
    Internal(String),
}

impl Fault {
    /// The message makes no sense here.
    ///
    /// # Example
    ///
    /// ```
    /// # use airssys_sdk::Fault;
    /// assert_eq!(Fault::invalid("quantity is 0"), Fault::Invalid("quantity is 0".into()));
    /// ```
    pub fn invalid(reason: impl fmt::Display) -> Self {
        Self::Invalid(reason.to_string())
    }

    /// The answer is no.
    ///
    /// # Example
    ///
    /// ```
    /// # use airssys_sdk::Fault;
    /// assert_eq!(Fault::refused("out of stock"), Fault::Refused("out of stock".into()));
    /// ```
    pub fn refused(reason: impl fmt::Display) -> Self {
        Self::Refused(reason.to_string())
    }

    /// Something that is needed was not there.
    ///
    /// # Example
    ///
    /// ```
    /// # use airssys_sdk::Fault;
    /// assert_eq!(Fault::unavailable("no rates yet"), Fault::Unavailable("no rates yet".into()));
    /// ```
    pub fn unavailable(reason: impl fmt::Display) -> Self {
        Self::Unavailable(reason.to_string())
    }

    /// The component failed in a way that it did not foresee. Takes any error.
    ///
    /// # Example
    ///
    /// ```
    /// # use airssys_sdk::{Fault, Result};
    /// fn parse(text: &str) -> Result<u32> {
    ///     text.parse().map_err(Fault::internal)
    /// }
    /// # assert!(parse("x").is_err());
    /// ```
    pub fn internal(reason: impl fmt::Display) -> Self {
        Self::Internal(reason.to_string())
    }

    /// The reason alone, without the kind.
    ///
    /// # Example
    ///
    /// ```
    /// # use airssys_sdk::Fault;
    /// assert_eq!(Fault::invalid("odd").reason(), "odd");
    /// ```
    pub fn reason(&self) -> &str {
        match self {
            Self::Invalid(reason) | Self::Refused(reason) | Self::Unavailable(reason) | Self::Internal(reason) => {
                reason
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Invalid(_) => "invalid",
            Self::Refused(_) => "refused",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        };
        write!(f, "{kind}: {}", self.reason())
    }
}

impl std::error::Error for Fault {}

/// A message, or a part of it, that cannot be read is the sender's mistake.
impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::invalid(error)
    }
}

/// A message that cannot be read is the sender's mistake.
impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::invalid(error)
    }
}

/// A value that cannot be written is this component's mistake.
impl From<EncodeError> for Fault {
    fn from(error: EncodeError) -> Self {
        Self::internal(error)
    }
}

/// What may be better later is [`Fault::Unavailable`]; the rest, such as a grant that is missing, is
/// [`Fault::Internal`].
impl From<SendError> for Fault {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NoSuchService(_) | SendError::Overloaded | SendError::Stopped => Self::unavailable(error),
            SendError::Denied(_) | SendError::TooLarge { .. } | SendError::Unwritable(_) => Self::internal(error),
        }
    }
}

/// The fault of the one called is passed on as it is; a crash, a denial or an unreadable answer is [`Fault::Internal`];
/// the rest may be better later.
impl From<CallError> for Fault {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Fault(fault) => fault,
            CallError::NotSent(error) => error.into(),
            CallError::Crashed(_) | CallError::Unreadable(_) => Self::internal(error),
            CallError::Timeout | CallError::Deadlock | CallError::Dropped(_) => Self::unavailable(error),
        }
    }
}

/// What may be better later is [`Fault::Unavailable`]; the rest, such as a grant that is missing, is
/// [`Fault::Internal`].
impl From<SupervisionError> for Fault {
    fn from(error: SupervisionError) -> Self {
        match error {
            SupervisionError::NoSuchChild(_) | SupervisionError::Taken | SupervisionError::Overloaded => {
                Self::unavailable(error)
            }
            SupervisionError::Denied(_) | SupervisionError::Deaf => Self::internal(error),
        }
    }
}

/// Trouble of the store may pass; everything else will not.
impl From<StateError> for Fault {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Store(_) => Self::unavailable(error),
            _ => Self::internal(error),
        }
    }
}

/// A configuration that cannot be read or makes no sense will not get better by itself.
impl From<ConfigError> for Fault {
    fn from(error: ConfigError) -> Self {
        Self::internal(error)
    }
}

impl From<wit::Fault> for Fault {
    fn from(fault: wit::Fault) -> Self {
        match fault {
            wit::Fault::Invalid(reason) => Self::Invalid(reason),
            wit::Fault::Refused(reason) => Self::Refused(reason),
            wit::Fault::Unavailable(reason) => Self::Unavailable(reason),
            wit::Fault::Internal(reason) => Self::Internal(reason),
        }
    }
}

impl From<Fault> for wit::Fault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Invalid(reason) => Self::Invalid(reason),
            Fault::Refused(reason) => Self::Refused(reason),
            Fault::Unavailable(reason) => Self::Unavailable(reason),
            Fault::Internal(reason) => Self::Internal(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fault_of_the_one_called_is_passed_on() {
        let fault = Fault::refused("out of stock");
        assert_eq!(Fault::from(CallError::Fault(fault.clone())), fault);
    }

    #[test]
    fn what_may_be_better_later_is_unavailable() {
        assert!(matches!(Fault::from(CallError::Timeout), Fault::Unavailable(_)));
        assert!(matches!(Fault::from(CallError::NotSent(SendError::Overloaded)), Fault::Unavailable(_)));
        assert!(matches!(Fault::from(SendError::Denied("send to x".into())), Fault::Internal(_)));
    }

    #[test]
    fn a_fault_survives_the_way_to_the_host_and_back() {
        for fault in [Fault::invalid("a"), Fault::refused("b"), Fault::unavailable("c"), Fault::internal("d")] {
            assert_eq!(Fault::from(wit::Fault::from(fault.clone())), fault);
        }
    }
}
