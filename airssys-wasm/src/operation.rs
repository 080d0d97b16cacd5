//! What is done with an address, a topic, a file or another part of the world outside: the word for it that the layers,
//! the grants and the denials share, and sets of these words.

use std::fmt;
use std::ops::BitOr;

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
#[non_exhaustive]
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
    /// Open a file or a folder. It needs as well what it is opened for: to read, to write, to create.
    FileOpen,
    /// Read of a file.
    FileRead,
    /// Write to a file, or change its length or its times.
    FileWrite,
    /// Make a file, a folder or a link.
    FileCreate,
    /// Remove a file or a folder.
    FileRemove,
    /// Give a file or a folder another name. It needs to remove the one and to create the other as well.
    FileMove,
    /// List what is in a folder.
    FileList,
    /// Look at what there is at a path, or at what is open: its size, its times, where a link leads.
    FileInspect,
    /// Bind a socket to an address of this machine.
    SocketBind,
    /// Let somebody in who has connected to a socket that listens.
    SocketAccept,
    /// Connect a socket to an address.
    SocketConnect,
    /// Send a datagram to an address.
    SocketSend,
    /// Look the addresses of a name up.
    Lookup,
    /// Make an HTTP request.
    Http,
    /// Start a program of the machine.
    ProcessStart,
    /// Send a signal to a program that one has started.
    ProcessSignal,
    /// Ask how a program has ended that one has started, or wait for that.
    ProcessWait,
    /// Read one's own state.
    StateRead,
    /// Write one's own state.
    StateWrite,
    /// Read a clock.
    Clock,
    /// Draw random numbers.
    Random,
    /// Read the variables of one's environment.
    Environment,
    /// Read one's configuration.
    Config,
}

impl Operation {
    /// All of them.
    pub(crate) const ALL: [Self; 33] = [
        Self::Send,
        Self::Call,
        Self::Invoke,
        Self::Publish,
        Self::Subscribe,
        Self::Spawn,
        Self::Stop,
        Self::Monitor,
        Self::Link,
        Self::Deliver,
        Self::FileOpen,
        Self::FileRead,
        Self::FileWrite,
        Self::FileCreate,
        Self::FileRemove,
        Self::FileMove,
        Self::FileList,
        Self::FileInspect,
        Self::SocketBind,
        Self::SocketAccept,
        Self::SocketConnect,
        Self::SocketSend,
        Self::Lookup,
        Self::Http,
        Self::ProcessStart,
        Self::ProcessSignal,
        Self::ProcessWait,
        Self::StateRead,
        Self::StateWrite,
        Self::Clock,
        Self::Random,
        Self::Environment,
        Self::Config,
    ];

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
            Self::FileOpen => "file-open",
            Self::FileRead => "file-read",
            Self::FileWrite => "file-write",
            Self::FileCreate => "file-create",
            Self::FileRemove => "file-remove",
            Self::FileMove => "file-move",
            Self::FileList => "file-list",
            Self::FileInspect => "file-inspect",
            Self::SocketBind => "socket-bind",
            Self::SocketAccept => "socket-accept",
            Self::SocketConnect => "socket-connect",
            Self::SocketSend => "socket-send",
            Self::Lookup => "lookup",
            Self::Http => "http",
            Self::ProcessStart => "process-start",
            Self::ProcessSignal => "process-signal",
            Self::ProcessWait => "process-wait",
            Self::StateRead => "state-read",
            Self::StateWrite => "state-write",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Environment => "environment",
            Self::Config => "config",
        }
    }

    /// The name of the grant that allows it: who may spawn a child may also stop, watch and link it.
    pub(crate) fn grant(self) -> &'static str {
        match self {
            Self::Spawn | Self::Stop | Self::Monitor | Self::Link => "spawn",
            Self::ProcessStart | Self::ProcessSignal | Self::ProcessWait => "processes",
            other => other.name(),
        }
    }

    /// Whether a service may do it with its own address without a grant. What it may do to itself as a child is not its
    /// own affair, but that of whoever may spawn it.
    #[must_use]
    pub(crate) fn is_free_to_oneself(self) -> bool {
        Operations::MESSAGES.contains(self) && self.grant() != "spawn"
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of operations: what a layer applies to, or all that one deed needs.
///
/// # Example
///
/// ```
/// use airssys_wasm::middleware::{Operation, Operations};
///
/// let writes = Operations::of(Operation::FileWrite).and(Operation::FileCreate);
/// assert!(writes.contains(Operation::FileWrite) && writes.intersects(Operations::FILES));
/// assert!(!writes.intersects(Operations::MESSAGES));
/// assert_eq!(writes.to_string(), "file-write, file-create");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Operations(u64);

impl Operations {
    /// None.
    pub const NONE: Self = Self(0);

    /// What is done with messages, topics and children.
    pub const MESSAGES: Self = Self::of(Operation::Send)
        .and(Operation::Call)
        .and(Operation::Invoke)
        .and(Operation::Publish)
        .and(Operation::Subscribe)
        .and(Operation::Spawn)
        .and(Operation::Stop)
        .and(Operation::Monitor)
        .and(Operation::Link)
        .and(Operation::Deliver);

    /// What is done with files and folders.
    pub const FILES: Self = Self::of(Operation::FileOpen)
        .and(Operation::FileRead)
        .and(Operation::FileWrite)
        .and(Operation::FileCreate)
        .and(Operation::FileRemove)
        .and(Operation::FileMove)
        .and(Operation::FileList)
        .and(Operation::FileInspect);

    /// What is done with sockets.
    pub const SOCKETS: Self = Self::of(Operation::SocketBind)
        .and(Operation::SocketAccept)
        .and(Operation::SocketConnect)
        .and(Operation::SocketSend);

    /// What is done with programs of the machine.
    pub const PROCESSES: Self =
        Self::of(Operation::ProcessStart).and(Operation::ProcessSignal).and(Operation::ProcessWait);

    /// What is done with one's own state.
    pub const STATE: Self = Self::of(Operation::StateRead).and(Operation::StateWrite);

    /// All that there are, also those of later versions.
    pub const ALL: Self = Self(u64::MAX);

    /// This one alone.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::middleware::{Operation, Operations};
    ///
    /// assert!(Operations::of(Operation::Send).intersects(Operations::MESSAGES));
    /// ```
    #[must_use]
    pub const fn of(operation: Operation) -> Self {
        Self(1 << operation as u64)
    }

    /// This one as well.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::middleware::{Operation, Operations};
    ///
    /// assert!(Operations::of(Operation::Send).and(Operation::Http).contains(Operation::Http));
    /// ```
    #[must_use]
    pub const fn and(self, operation: Operation) -> Self {
        Self(self.0 | Self::of(operation).0)
    }

    /// All of these as well.
    pub(crate) const fn and_all(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether it is in it.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::middleware::{Operation, Operations};
    ///
    /// assert!(Operations::STATE.contains(Operation::StateRead));
    /// ```
    #[must_use]
    pub const fn contains(self, operation: Operation) -> bool {
        self.intersects(Self::of(operation))
    }

    /// Whether one of them is in both.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::middleware::{Operation, Operations};
    ///
    /// assert!(!Operations::FILES.intersects(Operations::SOCKETS));
    /// ```
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// It as a number.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// That which has this number.
    pub(crate) const fn of_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Whether nothing is in it.
    #[must_use]
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl From<Operation> for Operations {
    fn from(operation: Operation) -> Self {
        Self::of(operation)
    }
}

impl BitOr for Operations {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, operation) in Operation::ALL.into_iter().filter(|operation| self.contains(*operation)).enumerate() {
            write!(f, "{}{operation}", if at > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Operation, Operations};

    #[test]
    fn each_operation_has_its_own_bit_and_name_and_belongs_to_one_group() {
        let groups =
            [Operations::MESSAGES, Operations::FILES, Operations::SOCKETS, Operations::PROCESSES, Operations::STATE];
        for one in Operation::ALL {
            assert!(Operations::ALL.contains(one) && !Operations::NONE.contains(one), "{one}");
            let same = Operation::ALL.into_iter().filter(|other| Operations::of(one).contains(*other)).count();
            let named = Operation::ALL.into_iter().filter(|other| other.name() == one.name()).count();
            assert_eq!((same, named), (1, 1), "{one}");
            assert!(groups.into_iter().filter(|group| group.contains(one)).count() <= 1, "{one}");
        }
    }
}
