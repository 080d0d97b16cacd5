//! What is done with an address or a topic: the word for it that the layers, the grants and the denials share.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a service wants to do with a target.
///
/// # Example
///
/// ```
/// use airssys_wasm::middleware::Operation;
///
/// assert_eq!(Operation::Publish.to_string(), "publish");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Send to an address.
    Send,
    /// Call an address.
    Call,
    /// Call a function by its own type, over a wire.
    Invoke,
    /// Publish on a topic.
    Publish,
    /// Subscribe to topics.
    Subscribe,
    /// Start a child under an address.
    Spawn,
    /// Stop a child.
    Stop,
    /// Be told when a child ends.
    Monitor,
    /// End with a child, and it with oneself.
    Link,
    /// Bring a message of the host's own to an address: that of a timer, a notice that a child ended, a subscriber's
    /// copy of a publication. Nobody is granted it, and nobody but the host does it.
    Deliver,
}

impl Operation {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Call => "call",
            Self::Invoke => "invoke",
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
            Self::Spawn => "spawn",
            Self::Stop => "stop",
            Self::Monitor => "monitor",
            Self::Link => "link",
            Self::Deliver => "deliver",
        }
    }

    /// The name of the grant that allows it: who may spawn a child may also stop, watch and link it.
    pub(crate) fn grant(self) -> &'static str {
        match self {
            Self::Spawn | Self::Stop | Self::Monitor | Self::Link => "spawn",
            other => other.name(),
        }
    }

    /// Whether a service may do it with its own address without a grant. What it may do to itself as a child is not its
    /// own affair, but that of whoever may spawn it.
    #[must_use]
    pub(crate) fn is_free_to_oneself(self) -> bool {
        self.grant() != "spawn"
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
