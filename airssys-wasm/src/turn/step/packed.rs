//! How a step is written down by a recorder, and read back.

use bytes::Bytes;

use super::{End, Handed, Message, Way, What, Write};
use crate::error::Fault;
use crate::limits::OVERHEAD_BYTES;
use crate::message::{Delivery, Envelope};
use crate::state::{State, Transaction};
use crate::turn::sheet::{Leaf, Packed, Sheet};

const MADE: u8 = 0;
const INIT: u8 = 1;
const CHECK: u8 = 2;
const MIGRATE: u8 = 3;
const RESTORE: u8 = 4;
const SNAPSHOT: u8 = 5;
const STOP: u8 = 6;
const ALONE: u8 = 7;
const MESSAGE: u8 = 8;

impl What<Handed<'_>> {
    pub(in crate::turn) fn pack(&self, is_query: bool, to: &mut Sheet) {
        match self {
            Self::Made => to.byte(MADE),
            Self::Init => to.byte(INIT),
            Self::Check => to.byte(CHECK),
            Self::Migrate { from } => {
                to.byte(MIGRATE);
                from.pack(to);
            }
            Self::Restore { memory } => {
                to.byte(RESTORE);
                memory.pack(to);
            }
            Self::Snapshot => to.byte(SNAPSHOT),
            Self::Stop { reason } => {
                to.byte(STOP);
                reason.pack(to);
            }
            Self::Alone => to.byte(ALONE),
            Self::Message(handed) => {
                to.byte(MESSAGE);
                handed.pack(is_query, to);
            }
        }
    }
}

impl What {
    pub(in crate::turn) fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        Some(match from.byte()? {
            MADE => Self::Made,
            INIT => Self::Init,
            CHECK => Self::Check,
            MIGRATE => Self::Migrate { from: Packed::unpack(from)? },
            RESTORE => Self::Restore { memory: Packed::unpack(from)? },
            SNAPSHOT => Self::Snapshot,
            STOP => Self::Stop { reason: Packed::unpack(from)? },
            ALONE => Self::Alone,
            MESSAGE => Self::Message(Box::new(Message::unpack(from)?)),
            _ => return None,
        })
    }
}

impl Handed<'_> {
    /// In the order of the fields of a [`Message`].
    fn pack(&self, is_query: bool, to: &mut Sheet) {
        let Envelope { id, trace, sender, target, key, delivery, attempt, function, body, streams, .. } = self.envelope;
        to.number(*id);
        to.number(*trace);
        sender.pack(to);
        target.pack(to);
        key.pack(to);
        pack_way(delivery, to);
        attempt.pack(to);
        to.number(u64::try_from(self.left.as_millis()).unwrap_or(u64::MAX));
        function.pack(to);
        body.pack(to);
        is_query.pack(to);
        streams.as_ref().is_none_or(|streams| !streams.has_rest()).pack(to);
        streams.as_ref().is_some_and(|streams| streams.is_used()).pack(to);
    }
}

impl Message {
    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        Some(Self {
            id: Packed::unpack(from)?,
            trace: Packed::unpack(from)?,
            sender: Packed::unpack(from)?,
            target: Packed::unpack(from)?,
            key: Packed::unpack(from)?,
            way: Way::unpack(from)?,
            attempt: Packed::unpack(from)?,
            left_ms: Packed::unpack(from)?,
            function: Packed::unpack(from)?,
            body: Packed::unpack(from)?,
            is_query: Packed::unpack(from)?,
            is_whole: Packed::unpack(from)?,
            is_gone: Packed::unpack(from)?,
        })
    }
}

const SEND: u8 = 0;
const CALL: u8 = 1;
const PUBLISH: u8 = 2;
const TIMER: u8 = 3;
const DOWN: u8 = 4;

fn pack_way(delivery: &Delivery, to: &mut Sheet) {
    match delivery {
        Delivery::Send => to.byte(SEND),
        Delivery::Call(_) => to.byte(CALL),
        Delivery::Publish(topic) => {
            to.byte(PUBLISH);
            topic.pack(to);
        }
        Delivery::Timer(id) => {
            to.byte(TIMER);
            to.number(id.0);
        }
        Delivery::Down(down) => {
            to.byte(DOWN);
            down.child.pack(to);
            // Why a child ended may be any crash, and children end seldom.
            to.json(&down.reason);
            down.restarted.pack(to);
        }
    }
}

impl Way {
    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        Some(match from.byte()? {
            SEND => Self::Send,
            CALL => Self::Call,
            PUBLISH => Self::Publish(Packed::unpack(from)?),
            TIMER => Self::Timer(Packed::unpack(from)?),
            DOWN => Self::Down { child: Packed::unpack(from)?, reason: from.json()?, restarted: Packed::unpack(from)? },
            _ => return None,
        })
    }
}

/// What comes of a turn: its answer, and whether what it did happens.
pub(in crate::turn) type Answering<'a> = Result<(Option<&'a Bytes>, bool), &'a Fault>;

impl End {
    /// Writes down what comes of a turn, and what that writes to this state, by its key where a key chooses it. Gives
    /// what it takes to be kept, in bytes.
    pub(in crate::turn) fn pack(
        came: Answering<'_>,
        (state, writes): (Option<&State>, &Transaction),
        key: Option<&str>,
        to: &mut Sheet,
    ) -> usize {
        let (answer, commits, fault) = match came {
            Ok((answer, commits)) => (answer, commits, None),
            Err(fault) => (None, false, Some(fault)),
        };
        let length = |value: Option<&Bytes>| value.map_or(0, Bytes::len);
        let mut bytes = length(answer);
        to.optional_bytes(answer);
        to.byte(fault.is_some().into());
        if let Some(fault) = fault {
            to.json(fault);
        }
        commits.pack(to);
        to.optional_text(key);
        if let Some(state) = state.filter(|_| commits) {
            for (name, after) in writes.changes() {
                to.text(name);
                state.with(name, |before| {
                    to.optional_bytes(before);
                    bytes += length(before);
                });
                to.optional_bytes(after);
                bytes += name.len() + length(after) + OVERHEAD_BYTES;
            }
        }
        bytes
    }

    /// All that is left of it.
    pub(in crate::turn) fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        let mut end = Self {
            answer: Packed::unpack(from)?,
            fault: if bool::unpack(from)? { Some(from.json()?) } else { None },
            commits: Packed::unpack(from)?,
            key: Packed::unpack(from)?,
            writes: Vec::new(),
        };
        while !from.bytes.is_empty() {
            end.writes.push(Write {
                key: Packed::unpack(from)?,
                before: Packed::unpack(from)?,
                after: Packed::unpack(from)?,
            });
        }
        Some(end)
    }
}
