//! What a guest asks of what lies outside of the mesh, and changes there: files, folders, and the bodies of HTTP. As
//! plain values, with what is asked by the path or the request that it is about, so that another instance, which has
//! other handles, asks the same.
//!
//! The engine makes these and does them. Here they are written down, read back to another release, and what that
//! changes is compared with what was changed: which bytes, and where.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::octets;
use crate::capability::Access;
use crate::shown::beginning;

/// A stream that is at its end.
pub(crate) const CLOSED: &str = "closed";
/// What nobody knows.
pub(crate) const UNKNOWN: &str = "io";
/// What is not granted.
pub(crate) const NOT_PERMITTED: &str = "not-permitted";
/// What a stream is said to take that nobody reads.
const ROOM: u64 = 64 << 10;

/// What is asked, and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Look {
    /// Opens what is there, to do this with it.
    Open {
        how: String,
    },
    Flags,
    Type,
    Stat,
    /// The same of a link itself.
    LinkStat,
    /// Where a link leads.
    Target,
    Hash,
    IsSame {
        other: String,
    },
    /// Begins to list a folder.
    List,
    /// The next one of a listing.
    Entry,
    Read {
        from: u64,
        most: u64,
    },
    Skip {
        from: u64,
        most: u64,
    },
    /// How much it takes.
    Room,
    /// Sees to it that what was written is.
    Settle,
    /// The head of a response of HTTP.
    Response,
    /// What stands behind a body.
    Trailers,
    /// Ends a body.
    Finish,
    /// Writes so much of its own answer, which is compared as such.
    Answer {
        bytes: u64,
    },
}

/// What is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    /// Opens something that may be made or emptied by that.
    Open {
        how: String,
    },
    /// From there on; none at its end.
    Write {
        from: Option<u64>,
        #[serde(with = "octets")]
        bytes: Bytes,
    },
    /// As a whole.
    Replace {
        #[serde(with = "octets")]
        bytes: Bytes,
    },
    Resize {
        bytes: u64,
    },
    Times,
    MakeFolder,
    RemoveFolder,
    Remove,
    Move {
        to: String,
    },
    Link {
        to: String,
    },
    LinkTo {
        target: String,
    },
}

/// What was told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Said {
    Done,
    Number(u64),
    Yes(bool),
    Word(String),
    Bytes {
        #[serde(with = "octets")]
        bytes: Bytes,
        is_end: bool,
    },
    Stat(Stat),
    /// The next entry of a listing, with its type; none at its end.
    Entry(Option<(String, String)>),
    Hash(u64, u64),
    /// Of a response.
    Head {
        status: u16,
        headers: Headers,
    },
    /// There are none where a body has none.
    Trailers(Option<Headers>),
    /// It is not there yet.
    NotYet,
}

/// Headers, each value as the text of [`octets`].
pub(crate) type Headers = Vec<(String, String)>;

/// A header as it is written down.
pub(crate) fn header(name: &str, value: &[u8]) -> (String, String) {
    (name.to_owned(), octets::text(value))
}

/// The value of one that was.
pub(crate) fn header_bytes(value: &str) -> Bytes {
    octets::bytes(value.to_owned())
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stat {
    pub(crate) kind: String,
    pub(crate) links: u64,
    pub(crate) size: u64,
    /// When it was read, written and changed: seconds since 1970, and nanoseconds.
    pub(crate) times: [Option<(u64, u32)>; 3],
}

impl Look {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Open { how } => how.len(),
            Self::IsSame { other } => other.len(),
            _ => 0,
        }
    }

    pub(super) fn told(&self, at: &str) -> String {
        match self {
            Self::Open { how } => format!("open {at} ({how})"),
            Self::Flags => format!("ask how {at} is open"),
            Self::Type => format!("ask what {at} is"),
            Self::Stat | Self::LinkStat => format!("ask how large {at} is, and since when"),
            Self::Target => format!("ask where {at} leads"),
            Self::Hash => format!("ask whether {at} is as it was"),
            Self::IsSame { other } => format!("ask whether {at} and {other} are the same"),
            Self::List => format!("list {at}"),
            Self::Entry => format!("ask for the next entry of {at}"),
            Self::Read { from, .. } => format!("read {at} from byte {from} on"),
            Self::Skip { from, .. } => format!("skip some of {at} from byte {from} on"),
            Self::Room => format!("ask how much {at} takes"),
            Self::Settle => format!("wait until {at} is written"),
            Self::Response => format!("ask for the response of {at}"),
            Self::Trailers => format!("ask for the trailers of {at}"),
            Self::Finish => format!("end {at}"),
            Self::Answer { bytes } => format!("write {bytes} bytes of {at}"),
        }
    }

    /// The right in a granted folder that it takes.
    fn right(&self) -> Access {
        match self {
            Self::Read { .. } | Self::Skip { .. } => Access::READ,
            Self::List | Self::Entry => Access::LIST,
            _ => Access::NONE,
        }
    }

    /// Whether the other one asks for the same, which is so as often as it is asked.
    fn is_about(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Entry, _) | (_, Self::Entry) => false,
            (one, other) => one == other,
        }
    }
}

impl Change {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Open { how } => how.len(),
            Self::Write { bytes, .. } | Self::Replace { bytes } => bytes.len(),
            Self::Move { to } | Self::Link { to } => to.len(),
            Self::LinkTo { target } => target.len(),
            _ => 0,
        }
    }

    pub(super) fn told(&self, at: &str) -> String {
        match self {
            Self::Open { how } => format!("open {at} ({how})"),
            Self::Write { from: Some(from), bytes } => {
                format!("write {} bytes to {at} from byte {from} on: {}", bytes.len(), beginning(bytes))
            }
            Self::Write { from: None, bytes } => {
                format!("append {} bytes to {at}: {}", bytes.len(), beginning(bytes))
            }
            Self::Replace { bytes } => format!("replace {at} by {} bytes: {}", bytes.len(), beginning(bytes)),
            Self::Resize { bytes } => format!("make {at} {bytes} bytes long"),
            Self::Times => format!("set the times of {at}"),
            Self::MakeFolder => format!("make the folder {at}"),
            Self::RemoveFolder => format!("remove the folder {at}"),
            Self::Remove => format!("remove {at}"),
            Self::Move { to } => format!("move {at} to {to}"),
            Self::Link { to } => format!("give {at} the other name {to}"),
            Self::LinkTo { target } => format!("make the link {at} to {target}"),
        }
    }

    fn right(&self) -> Access {
        match self {
            Self::Write { .. } | Self::Resize { .. } | Self::Times => Access::WRITE,
            // It may be there, or not, and nobody knows.
            Self::Open { .. } | Self::Replace { .. } => Access::NONE,
            Self::MakeFolder | Self::Link { .. } | Self::LinkTo { .. } => Access::CREATE,
            Self::RemoveFolder | Self::Remove | Self::Move { .. } => Access::DELETE,
        }
    }

    /// The same and the other one as one change; none where they are two.
    fn and(&self, next: &Self) -> Option<Self> {
        let (Self::Write { from, bytes }, Self::Write { from: next_from, bytes: more }) = (self, next) else {
            return None;
        };
        let follows = match (from, next_from) {
            (Some(from), Some(next)) => from.checked_add(bytes.len() as u64) == Some(*next),
            (None, None) => true,
            _ => false,
        };
        follows.then(|| Self::Write { from: *from, bytes: [&bytes[..], &more[..]].concat().into() })
    }
}

impl Said {
    pub(super) fn bytes(&self) -> usize {
        let headers = |headers: &Headers| headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        match self {
            Self::Bytes { bytes, .. } => bytes.len(),
            Self::Word(word) => word.len(),
            Self::Entry(Some((kind, name))) => kind.len() + name.len(),
            Self::Head { headers: all, .. } | Self::Trailers(Some(all)) => headers(all),
            _ => 0,
        }
    }
}

/// Something that is asked or changed, as one has it of a tape.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked<'a> {
    Look(&'a Look),
    Change(&'a Change),
}

impl Asked<'_> {
    pub(super) fn right(self) -> Access {
        match self {
            Self::Look(look) => look.right(),
            Self::Change(change) => change.right(),
        }
    }
}

/// What was said in a turn of what is outside, and what another release changes there.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// All that was asked, and what was said.
    looks: Vec<(String, Look, Result<Said, String>)>,
    /// What of that was told, each once.
    told: Vec<bool>,
    changes: Vec<(String, Change, Result<Said, String>)>,
    own: Vec<(String, Change)>,
}

impl Remembered {
    pub(super) fn looked(&mut self, at: String, look: Look, said: Result<Said, String>) {
        self.looks.push((at, look, said));
        self.told.push(false);
    }

    pub(super) fn changed(&mut self, at: String, change: Change, said: Result<Said, String>) {
        self.changes.push((at, change, said));
    }

    /// What one is told that asks this; none where nobody knows.
    pub(super) fn look(&mut self, at: &str, look: &Look) -> Option<Result<Said, String>> {
        // One who waits asks again where nothing was there yet.
        let is_news = |said: &Result<Said, String>| !matches!(said, Ok(Said::NotYet));
        let same = self.looks.iter().zip(&self.told).position(|((of, asked, said), told)| {
            !told && of == at && asked == look && is_news(said) && !is_nothing(said)
        });
        if let Some(same) = same {
            if let Some(told) = self.told.get_mut(same) {
                *told = true;
            }
            return self.looks.get(same).map(|(_, _, said)| said.clone());
        }
        match look {
            Look::Read { from, most } => self.read(at, *from, *most),
            Look::Skip { from, most } => Some(self.read(at, *from, *most)?.map(|said| match said {
                Said::Bytes { bytes, .. } => Said::Number(bytes.len() as u64),
                other => other,
            })),
            Look::Room => Some(Ok(Said::Number(ROOM))),
            Look::Settle | Look::Finish => Some(Ok(Said::Done)),
            Look::Open { .. } => self.opened(at),
            look => {
                let about =
                    self.looks.iter().rev().find(|(of, asked, said)| of == at && asked.is_about(look) && is_news(said));
                about.map(|(_, _, said)| said.clone())
            }
        }
    }

    /// What is there from this byte on, as far as it was read.
    fn read(&self, at: &str, from: u64, most: u64) -> Option<Result<Said, String>> {
        self.looks.iter().filter(|(of, ..)| of == at).find_map(|(_, look, said)| {
            let Look::Read { from: begin, .. } = look else { return None };
            match said {
                Ok(Said::Bytes { bytes, is_end }) => {
                    let rest = usize::try_from(from.checked_sub(*begin)?).ok()?;
                    let rest = bytes.get(rest..).filter(|rest| !rest.is_empty() || *is_end)?;
                    let length = rest.len().min(usize::try_from(most).unwrap_or(usize::MAX));
                    let is_end = *is_end && length == rest.len();
                    Some(Ok(Said::Bytes { bytes: Bytes::copy_from_slice(&rest[..length]), is_end }))
                }
                Err(word) if *begin == from => Some(Err(word.clone())),
                _ => None,
            }
        })
    }

    /// What one is told that changes this, of which nobody outside hears.
    pub(super) fn change(&mut self, at: &str, change: &Change) -> Result<Said, String> {
        let earlier = self.own.iter().filter(|(of, own)| of == at && own == change).count();
        let same = self.changes.iter().filter(|(of, recorded, _)| of == at && recorded == change).nth(earlier);
        let said = same.map(|(_, _, said)| said.clone());
        self.own.push((at.to_owned(), change.clone()));
        said.unwrap_or_else(|| {
            Ok(match change {
                Change::Write { bytes, .. } => Said::Number(bytes.len() as u64),
                _ => Said::Done,
            })
        })
    }

    /// What came of opening it, in whichever way.
    fn opened(&self, at: &str) -> Option<Result<Said, String>> {
        let looked = self.looks.iter().filter(|(_, look, _)| matches!(look, Look::Open { .. }));
        let looked = looked.map(|(of, _, said)| (of, said));
        let changed = self.changes.iter().filter(|(_, change, _)| matches!(change, Change::Open { .. }));
        let changed = changed.map(|(of, _, said)| (of, said));
        looked.chain(changed).find(|(of, _)| *of == at).map(|(_, said)| said.clone())
    }

    /// What it would change and what was changed that differ, place by place; those alone that did not go wrong.
    pub(super) fn differences(&self) -> Vec<String> {
        let was = whole(self.changes.iter().map(|(at, change, _)| (at, change)));
        let is = whole(self.own.iter().map(|(at, change)| (at, change)));
        let mut places: Vec<&String> = was.iter().chain(&is).map(|(at, _)| at).collect();
        places.sort_unstable();
        places.dedup();
        let mut told = Vec::new();
        for place in places {
            let of = |all: &[(String, Change)]| -> Vec<Change> {
                all.iter().filter(|(at, _)| at == place).map(|(_, change)| change.clone()).collect()
            };
            let (was, is) = (of(&was), of(&is));
            if was == is {
                continue;
            }
            let before = told.len();
            let alone = is.iter().filter(|change| !was.contains(change));
            told.extend(alone.map(|change| format!("it alone would {}", change.told(place))));
            let missing = was.iter().filter(|change| !is.contains(change));
            told.extend(missing.map(|change| format!("it would not {}", change.told(place))));
            if told.len() == before {
                told.push(format!("it changes {place} in another order, or another number of times"));
            }
        }
        told
    }
}

/// Nothing was there, which says nothing to one who would have waited.
fn is_nothing(said: &Result<Said, String>) -> bool {
    matches!(said, Ok(Said::Bytes { bytes, is_end: false }) if bytes.is_empty())
}

/// Changes of each place, with what was written in several pieces as one.
fn whole<'a>(all: impl Iterator<Item = (&'a String, &'a Change)>) -> Vec<(String, Change)> {
    let mut whole: Vec<(String, Change)> = Vec::new();
    for (at, change) in all {
        let last = whole.iter_mut().rev().find(|(of, _)| of == at);
        match last.and_then(|(_, last)| Some((last.and(change)?, last))) {
            Some((both, last)) => *last = both,
            None => whole.push((at.clone(), change.clone())),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{CLOSED, Change, Look, Remembered, Said};

    const PLACE: &str = "/in/text";

    fn bytes(text: &'static str, is_end: bool) -> Result<Said, String> {
        Ok(Said::Bytes { bytes: Bytes::from_static(text.as_bytes()), is_end })
    }

    fn write(from: u64, text: &'static str) -> Change {
        Change::Write { from: Some(from), bytes: Bytes::from_static(text.as_bytes()) }
    }

    #[test]
    fn what_was_read_is_known_in_other_pieces_too() {
        let mut known = Remembered::default();
        known.looked(PLACE.to_owned(), Look::Read { from: 0, most: 4 }, bytes("abcd", false));
        known.looked(PLACE.to_owned(), Look::Read { from: 4, most: 4 }, bytes("ef", false));
        known.looked(PLACE.to_owned(), Look::Read { from: 6, most: 4 }, Err(CLOSED.to_owned()));
        let mut read = |from, most| known.look(PLACE, &Look::Read { from, most });
        assert_eq!(read(0, 3), Some(bytes("abc", false)));
        assert_eq!(read(3, 9), Some(bytes("d", false)), "less is there at once, and the rest with the next one");
        assert_eq!(read(4, 9), Some(bytes("ef", false)));
        assert_eq!(read(6, 9), Some(Err(CLOSED.to_owned())));
        assert_eq!(read(7, 9), None, "nobody read that");
        assert_eq!(known.look("/in/other", &Look::Read { from: 0, most: 1 }), None);
    }

    #[test]
    fn what_is_written_is_compared_and_not_in_which_pieces() {
        let differ = |was: Vec<Change>, is: Vec<Change>| {
            let mut known = Remembered::default();
            was.into_iter().for_each(|change| known.changed(PLACE.to_owned(), change, Ok(Said::Done)));
            is.iter().for_each(|change| drop(known.change(PLACE, change)));
            known.differences()
        };
        assert!(differ(vec![write(0, "ab"), write(2, "c")], vec![write(0, "abc")]).is_empty());
        let told = differ(vec![write(0, "abc")], vec![write(0, "abd")]).join("; ");
        assert!(told.contains("it alone would") && told.contains("\"abd\""), "{told}");
        assert!(told.contains("it would not") && told.contains("\"abc\"") && told.contains(PLACE), "{told}");
        assert_eq!(differ(vec![Change::Remove], vec![Change::Remove, Change::Remove]).len(), 1);
        assert_eq!(differ(vec![write(0, "a"), write(5, "b")], vec![write(5, "b"), write(0, "a")]).len(), 1);
    }

    #[test]
    fn what_went_wrong_goes_wrong_again() {
        let mut known = Remembered::default();
        known.changed(PLACE.to_owned(), Change::Remove, Err("no-entry".to_owned()));
        assert_eq!(known.change(PLACE, &Change::Remove), Err("no-entry".to_owned()));
        assert_eq!(known.change(PLACE, &Change::Remove), Ok(Said::Done), "it did that once");
        assert_eq!(known.change("/out", &write(0, "abc")), Ok(Said::Number(3)));
    }
}
