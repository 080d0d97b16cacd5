//! What may be done with a folder and with what is in it: a set of rights, as it is asked for, granted and taken away.

use std::fmt;
use std::ops::{BitAnd, BitOr, Sub};

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::given::Mark;

/// A set of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Access(u8);

impl Access {
    /// No right. To look at what there is needs none, but one of the folder.
    pub(crate) const NONE: Self = Self(0);
    /// To read files.
    pub(crate) const READ: Self = Self(1);
    /// To write to files, and to change their length and times.
    pub(crate) const WRITE: Self = Self(1 << 1);
    /// To make files, folders and links.
    pub(crate) const CREATE: Self = Self(1 << 2);
    /// To remove files, folders and links, also by giving others their names.
    pub(crate) const DELETE: Self = Self(1 << 3);
    /// To list folders.
    pub(crate) const LIST: Self = Self(1 << 4);
    /// What the word `read` stands for.
    pub(crate) const VIEW: Self = Self(Self::READ.0 | Self::LIST.0);
    /// What the word `read-write` stands for.
    pub(crate) const ALL: Self = Self(0b1_1111);
    /// What is done with the content of a file.
    pub(crate) const CONTENT: Self = Self(Self::READ.0 | Self::WRITE.0);

    /// How many rights there are.
    const COUNT: usize = 5;

    /// Whether all of these are in it.
    pub(crate) fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether something may be changed with it.
    pub(crate) fn changes(self) -> bool {
        !(self - Self::VIEW).is_empty()
    }

    /// Each of its rights by itself.
    pub(crate) fn each(self) -> impl Iterator<Item = Self> {
        RIGHTS.into_iter().map(|(right, _)| right).filter(move |right| self.contains(*right))
    }

    /// The right of this name.
    pub(crate) fn right(word: &str) -> Option<Self> {
        RIGHTS.into_iter().find(|(_, name)| *name == word).map(|(right, _)| right)
    }

    fn words(self) -> impl Iterator<Item = &'static str> {
        RIGHTS.into_iter().filter(move |(right, _)| self.contains(*right)).map(|(_, name)| name)
    }
}

/// All rights, with their names.
const RIGHTS: [(Access, &str); Access::COUNT] = [
    (Access::READ, "read"),
    (Access::WRITE, "write"),
    (Access::CREATE, "create"),
    (Access::DELETE, "delete"),
    (Access::LIST, "list"),
];

/// The words for several of them together.
const SHORT: [(Access, &str); 2] = [(Access::VIEW, "read"), (Access::ALL, "read-write")];

impl BitOr for Access {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Access {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for Access {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// As it is written: `read`, `read-write`, or the list of its rights.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((_, word)) = SHORT.into_iter().find(|(all, _)| all == self) {
            return f.write_str(word);
        }
        f.write_str("[")?;
        for (at, word) in self.words().enumerate() {
            write!(f, "{}{word:?}", if at > 0 { ", " } else { "" })?;
        }
        f.write_str("]")
    }
}

impl Serialize for Access {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match SHORT.into_iter().find(|(all, _)| all == self) {
            Some((_, word)) => serializer.serialize_str(word),
            None => serializer.collect_seq(self.words()),
        }
    }
}

impl<'de> Deserialize<'de> for Access {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Words)
    }
}

struct Words;

impl<'de> Visitor<'de> for Words {
    type Value = Access;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "\"read\" (to read and to list), \"read-write\" (all), or a list of rights such as [\"read\", \"create\"]",
        )
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Access, E> {
        let short = SHORT.into_iter().find(|(_, name)| *name == word).map(|(all, _)| all);
        short.ok_or_else(|| match Access::right(word) {
            Some(_) => E::custom(format_args!("{word:?} is one right: write it in a list, [{word:?}]")),
            None => E::custom(format_args!("{word:?} is none of `read`, `read-write` and lists of rights")),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<Access, A::Error> {
        let mut all = Access::NONE;
        while let Some(word) = words.next_element::<String>()? {
            let names = RIGHTS.map(|(_, name)| name).join(", ");
            let right = Access::right(&word);
            all = all | right.ok_or_else(|| A::Error::custom(format_args!("{word:?} is none of {names}")))?;
        }
        match all.is_empty() {
            true => Err(A::Error::custom("there is no right in it: leave the folder out, or name one")),
            false => Ok(all),
        }
    }
}

/// What became of each right of a granted folder. It is equal to any other, as a [`Mark`] is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RightMarks([Mark; Access::COUNT]);

impl RightMarks {
    /// That of one right; none where it is not one.
    pub(crate) fn of(&self, right: Access) -> Option<&Mark> {
        RIGHTS.into_iter().zip(&self.0).find(|((one, _), _)| *one == right).map(|(_, mark)| mark)
    }

    /// Those that are taken away.
    pub(crate) fn revoked(&self) -> Access {
        let gone = RIGHTS.into_iter().zip(&self.0).filter(|(_, mark)| mark.is_revoked());
        gone.fold(Access::NONE, |all, ((right, _), _)| all | right)
    }

    /// Notes that these were used.
    pub(crate) fn note_use(&self, rights: Access) {
        for right in rights.each() {
            self.of(right).into_iter().for_each(Mark::note_use);
        }
    }

    /// Is one with these, but where they are taken away: what is granted again is.
    pub(super) fn follow(&mut self, before: &Self) {
        for (own, same) in self.0.iter_mut().zip(&before.0).filter(|(_, same)| !same.is_revoked()) {
            own.clone_from(same);
        }
    }

    /// This right is granted anew.
    pub(super) fn renew(&mut self, right: Access) {
        if let Some((_, own)) = RIGHTS.into_iter().zip(&mut self.0).find(|((one, _), _)| *one == right) {
            *own = Mark::default();
        }
    }
}

/// A line that is one right of a folder: `write /out`.
pub(super) fn parse_right(text: &str) -> Option<(Access, &str)> {
    let (word, folder) = text.split_once(' ')?;
    Some((Access::right(word)?, folder))
}

/// One right of a folder, as it is written, and as it is counted.
pub(super) fn right_text(right: Access, folder: &str) -> String {
    format!("{} {folder}", right.words().next().unwrap_or(INSPECT))
}

/// To look at what there is, which needs no right of its own.
const INSPECT: &str = "inspect";

/// A path, and what is to be done there: `/data/x` or `read /data/x`, `write /data/x` and so on.
pub(super) fn parse_path(target: &str) -> (Access, &str) {
    if let Some(found) = parse_right(target) {
        return found;
    }
    match target.split_once(' ') {
        Some((INSPECT, path)) => (Access::NONE, path),
        _ => (Access::READ, target),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use serde::Deserialize;

    use super::{Access, RIGHTS, RightMarks, parse_path, right_text};

    #[derive(Deserialize, Debug)]
    struct Line {
        access: Access,
    }

    fn read(text: &str) -> Result<Access, String> {
        toml::from_str::<Line>(&format!("access = {text}")).map(|line| line.access).map_err(|why| why.to_string())
    }

    #[test]
    fn a_set_is_written_and_read_as_the_same_one() {
        for bits in 1..=Access::ALL.0 {
            let access = Access(bits);
            let text = toml::Value::try_from(access).unwrap().to_string();
            assert_eq!(read(&text).unwrap(), access, "{text}");
            assert_eq!(access.to_string().trim_matches('"'), text.trim_matches('"'));
            assert_eq!(access.each().fold(Access::NONE, |all, one| all | one), access);
        }
        assert_eq!(read("\"read\"").unwrap(), Access::READ | Access::LIST);
        assert_eq!(read("\"read-write\"").unwrap(), Access::ALL);
        assert_eq!(read("[\"read\"]").unwrap(), Access::READ, "in a list each word is itself alone");
    }

    #[test]
    fn what_is_no_right_is_named() {
        for (text, told) in [
            ("\"write\"", "in a list"),
            ("\"all\"", "none of"),
            ("[\"read-write\"]", "none of read, write, create, delete, list"),
            ("[\"read\", \"rite\"]", "rite"),
            ("[]", "no right"),
            ("7", "a list of rights"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(told), "{text}: {why}");
        }
    }

    #[test]
    fn each_right_has_its_own_mark_and_its_own_line() {
        let mut marks = RightMarks::default();
        for (right, _) in RIGHTS {
            marks.of(right).unwrap().revoke();
            assert_eq!(marks.revoked(), right);
            let copy = marks.clone();
            marks.renew(right);
            assert_eq!((marks.revoked(), copy.revoked()), (Access::NONE, right));
            assert_eq!(parse_path(&right_text(right, "/a b")), (right, "/a b"));
        }
        assert_eq!(parse_path("/data"), (Access::READ, "/data"));
        assert_eq!(parse_path(&right_text(Access::NONE, "/data")), (Access::NONE, "/data"));
    }
}
