//! Writes that a state refuses.

/// A write for which the state has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Full {
    /// In the state of this address.
    #[error("the state would have {bytes} bytes, and {most} is the most, as the limit `state` of the service says")]
    State {
        /// What it would come to.
        bytes: u64,
        /// The bound.
        most: u64,
    },
    /// In all states in memory of the service together.
    #[error(
        "all states of the service together would have {bytes} bytes, and {most} is the most, as the limit `all_state` of it says"
    )]
    Service {
        /// What it would come to, with 256 bytes for each state.
        bytes: u64,
        /// The bound.
        most: u64,
    },
    /// In all durable states of the data folder together.
    #[error(
        "all durable state together would have {bytes} bytes, and {most} is the most, as `durable_state` in `[settings]` says"
    )]
    Together {
        /// What it would come to.
        bytes: u64,
        /// The bound.
        most: u64,
    },
}

impl Full {
    /// The key of the limit.
    pub(crate) fn limit(self) -> &'static str {
        match self {
            Self::State { .. } => "state",
            Self::Service { .. } => "all_state",
            Self::Together { .. } => "durable_state",
        }
    }
}

/// A value that cannot be incremented: it is not eight bytes, the sum does not fit, or there is no room for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IncrementError {
    /// It holds something else than a number.
    #[error(
        "the value of the key {key:?} is no counter: it has {length} bytes, and a counter has 8, the lowest first; one that `set` has written is none"
    )]
    NotANumber {
        /// The key.
        key: String,
        /// How many bytes it has.
        length: usize,
    },
    /// The sum is larger than 64 bits hold.
    #[error("the counter {key:?} is at {value}: with {delta} more it would be larger than 64 bits hold")]
    Overflow {
        /// The key.
        key: String,
        /// What it holds.
        value: u64,
        /// What was to be added.
        delta: u64,
    },
    /// There is no room for a new number.
    #[error(transparent)]
    Full(#[from] Full),
}
