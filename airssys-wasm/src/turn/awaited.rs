//! What a guest waits for, by a name that another release has for it too.
//!
//! A pollable is a number in the table of one instance, and says nothing to another one. So a turn gives each a name:
//! which function made it, and as which of those that this function made in this turn. What was there before the turn
//! is named in the order in which it is waited for: its maker is forgotten, and another instance made its own.
//!
//! Invariant: names are made only where a turn is written down or compared.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// What makes a pollable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Maker {
    /// A clock: over after so long.
    Duration,
    /// A clock: over at that time.
    Instant,
    InputStream,
    OutputStream,
    TcpSocket,
    UdpSocket,
    IncomingDatagrams,
    OutgoingDatagrams,
    AddressLookup,
    /// Of an HTTP request.
    Response,
    /// Of a message of HTTP.
    Trailers,
    /// The end of a program.
    Process,
    /// A change of what is watched.
    Watch,
    /// It was there before the turn.
    Earlier,
}

/// One thing that a guest waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Awaited {
    pub(super) made_by: Maker,
    /// As which of its maker's in this turn.
    pub(super) number: u32,
}

/// The names of one turn, no more than there are pollables at a time.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: HashMap<u32, Awaited>,
    made: HashMap<Maker, u32>,
    /// How often something was called so in this turn.
    called: HashMap<String, u32>,
    /// Whether the last request of HTTP was none that a script knows.
    pub(super) was_denied: bool,
}

impl Names {
    /// The name of a pollable, by its number in the table.
    pub(crate) fn of(&mut self, pollable: u32) -> Awaited {
        let known = self.known.get(&pollable).copied();
        known.unwrap_or_else(|| self.made(pollable, Maker::Earlier))
    }

    /// A pollable was made.
    pub(super) fn made(&mut self, pollable: u32, made_by: Maker) -> Awaited {
        let count = self.made.entry(made_by).or_default();
        let name = Awaited { made_by, number: *count };
        *count = count.saturating_add(1);
        self.known.insert(pollable, name);
        name
    }

    /// The name of something that is called so in this turn: with its number, where it is not the first.
    pub(super) fn numbered(&mut self, called: String) -> String {
        let count = self.called.entry(called.clone()).or_default();
        *count = count.saturating_add(1);
        if *count == 1 { called } else { format!("{called} ({count})") }
    }

    /// Another turn begins.
    pub(super) fn forget_all(&mut self) {
        self.known.clear();
        self.made.clear();
        self.called.clear();
    }

    /// A pollable is gone: its number may be another one's.
    pub(super) fn forget(&mut self, pollable: u32) {
        self.known.remove(&pollable);
    }
}

#[cfg(test)]
mod tests {
    use super::{Awaited, Maker, Names};

    #[test]
    fn a_pollable_is_known_by_its_maker_and_not_by_its_number_in_the_table() {
        let name = |made_by, number| Awaited { made_by, number };
        let mut names = Names::default();
        names.made(9, Maker::Duration);
        names.made(4, Maker::TcpSocket);
        names.made(7, Maker::Duration);
        assert_eq!(names.of(7), name(Maker::Duration, 1));
        assert_eq!(names.of(4), name(Maker::TcpSocket, 0));
        // Two of before the turn, and each keeps its name.
        assert_eq!([3, 1, 3].map(|pollable| names.of(pollable).number), [0, 1, 0]);
        names.forget(9);
        names.made(9, Maker::InputStream);
        assert_eq!(names.of(9), name(Maker::InputStream, 0), "the number is another one's");
    }
}
