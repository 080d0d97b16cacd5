//! How what a guest asks and is told is written down by a recorder. A reply stands apart from what it answers: it may
//! come after something else was asked, or not at all.

use super::awaited::{Awaited, Maker};
use super::host_call::{HostCall, Kind, Level, Reply, replies, table};
use super::outside::{Change, Look, Said};
use super::sheet::{Leaf, Packed, Sheet};
use super::told::Line;

/// What stands in front of a line that is asked.
const ASKED: u8 = 0;
/// What stands in front of a reply to the line that was asked last.
const TOLD: u8 = 1;
/// What stands in front of a reply to another line, whose number follows.
const TOLD_LATER: u8 = 2;

impl Sheet {
    /// Another line.
    pub(super) fn asked(&mut self, call: &HostCall) {
        self.byte(ASKED);
        call.pack(self);
    }

    /// The reply to this line, of so many.
    pub(super) fn told(&mut self, line: usize, lines: usize, reply: &Reply) {
        if line + 1 == lines {
            self.byte(TOLD);
        } else {
            self.byte(TOLD_LATER);
            self.number(line as u64);
        }
        reply.pack(self);
    }
}

impl Leaf<'_> {
    /// All that is left of it, as lines.
    pub(super) fn lines(&mut self) -> Option<Vec<Line>> {
        let mut lines: Vec<Line> = Vec::new();
        while !self.bytes.is_empty() {
            match self.byte()? {
                ASKED => lines.push((HostCall::unpack(self)?, Reply::Unanswered)),
                TOLD => lines.last_mut()?.1 = Reply::unpack(self)?,
                TOLD_LATER => {
                    let line = usize::try_from(self.number()?).ok()?;
                    lines.get_mut(line)?.1 = Reply::unpack(self)?;
                }
                _ => return None,
            }
        }
        Some(lines)
    }
}

macro_rules! pack_calls {
    (
        $turn:ident;
        $(
            $(#[$doc:meta])*
            $name:ident $({ $($(#[$with:meta])* $field:ident: $type:ty),+ })?
            $scope:ident $(($operation:ident: $target:expr))?,
            ($($told:tt)+),
            $lane:ident $kind:ident $(($done:expr))?;
        )*
    ) => {
        /// The numbers of the calls.
        #[repr(u8)]
        enum Tag {
            $($name,)*
        }

        impl Packed for HostCall {
            fn pack(&self, to: &mut Sheet) {
                match self {
                    $(Self::$name $({ $($field),+ })? => {
                        to.byte(Tag::$name as u8);
                        $($($field.pack(to);)+)?
                    })*
                }
            }

            fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
                let number = from.byte()?;
                $(if number == Tag::$name as u8 {
                    return Some(Self::$name $({ $($field: Packed::unpack(from)?),+ })?);
                })*
                None
            }
        }
    };
}

table!(pack_calls);

/// The replies that are none of a kind come after those.
const WAITS: u8 = u8::MAX;
const REFUSED: u8 = u8::MAX - 1;
const UNANSWERED: u8 = u8::MAX - 2;

macro_rules! pack_replies {
    ($($(#[$doc:meta])* $name:ident: $kind:ident($(#[$with:meta])? $value:ty);)*) => {
        impl Packed for Reply {
            fn pack(&self, to: &mut Sheet) {
                match self {
                    $(Self::$kind(value) => {
                        to.byte(Kind::$kind as u8);
                        value.pack(to);
                    })*
                    Self::Waits => to.byte(WAITS),
                    Self::Refused(why) => {
                        to.byte(REFUSED);
                        why.pack(to);
                    }
                    Self::Unanswered => to.byte(UNANSWERED),
                }
            }

            fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
                let number = from.byte()?;
                $(if number == Kind::$kind as u8 {
                    return Some(Self::$kind(Packed::unpack(from)?));
                })*
                match number {
                    WAITS => Some(Self::Waits),
                    REFUSED => Packed::unpack(from).map(Self::Refused),
                    UNANSWERED => Some(Self::Unanswered),
                    _ => None,
                }
            }
        }
    };
}

replies!(pack_replies);

const LEVELS: [Level; 5] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];

impl Packed for Level {
    fn pack(&self, to: &mut Sheet) {
        to.byte(*self as u8);
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        let number = from.byte()?;
        LEVELS.into_iter().find(|level| *level as u8 == number)
    }
}

impl Packed for Awaited {
    fn pack(&self, to: &mut Sheet) {
        self.made_by.pack(to);
        self.number.pack(to);
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        Some(Self { made_by: Packed::unpack(from)?, number: Packed::unpack(from)? })
    }
}

/// What stands in front of bytes that are read or written outside, which there may be many of; and in front of
/// everything else.
const OF_BYTES: u8 = 0;
const OTHER: u8 = 1;

impl Packed for Look {
    fn pack(&self, to: &mut Sheet) {
        match self {
            Self::Read { from, most } => {
                to.byte(OF_BYTES);
                from.pack(to);
                most.pack(to);
            }
            other => {
                to.byte(OTHER);
                to.json(other);
            }
        }
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        match from.byte()? {
            OF_BYTES => Some(Self::Read { from: Packed::unpack(from)?, most: Packed::unpack(from)? }),
            _ => from.json(),
        }
    }
}

impl Packed for Change {
    fn pack(&self, to: &mut Sheet) {
        match self {
            Self::Write { from, bytes } => {
                to.byte(OF_BYTES);
                from.pack(to);
                bytes.pack(to);
            }
            other => {
                to.byte(OTHER);
                to.json(other);
            }
        }
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        match from.byte()? {
            OF_BYTES => Some(Self::Write { from: Packed::unpack(from)?, bytes: Packed::unpack(from)? }),
            _ => from.json(),
        }
    }
}

impl Packed for Said {
    fn pack(&self, to: &mut Sheet) {
        match self {
            Self::Bytes { bytes, is_end } => {
                to.byte(OF_BYTES);
                bytes.pack(to);
                is_end.pack(to);
            }
            other => {
                to.byte(OTHER);
                to.json(other);
            }
        }
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        match from.byte()? {
            OF_BYTES => Some(Self::Bytes { bytes: Packed::unpack(from)?, is_end: Packed::unpack(from)? }),
            _ => from.json(),
        }
    }
}

/// Who waits does so for longer than that takes.
impl Packed for Maker {
    fn pack(&self, to: &mut Sheet) {
        to.json(self);
    }

    fn unpack(from: &mut Leaf<'_>) -> Option<Self> {
        from.json()
    }
}
