//! One record: a line of text.
//!
//! ```text
//! airssys 1 FIRST-PACKED NUMBER BEFORE OF SUM SUM-OF-ALL-BEFORE-THIS VALUE
//! ```
//!
//! The value has a sum of its own: where only that is damaged, it is still known what the record was of. `BEFORE` is
//! what the record before it was of, so that one which cannot be read at all has a name. `FIRST` is the number of the
//! first record of the file: a piece of an older file does not belong to it. `PACKED` is that of the last one that was
//! written together with the first: none of those can have been cut off.

use xxhash_rust::xxh3::xxh3_64;

use super::key::Key;

/// How a line begins; then comes the version of all of it.
const BEGIN: &str = "airssys ";
pub(super) const VERSION: u32 = 1;
/// In the place of a name that is not known.
const NOBODY: &str = "-";
/// In the place of the sum of a value that is not known any more.
const LOST: &str = "lost";
/// Words before the sum of all of them.
const WORDS: usize = 7;
/// Numbers are counted on from what a file says, and never come to the end of 64 bits.
pub(super) const MOST: u64 = u64::MAX / 2;

/// A record whose head is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) first: u64,
    pub(super) packed: u64,
    pub(super) number: u64,
    pub(super) before: Option<Key>,
    pub(super) of: Option<Key>,
    pub(super) said: Said<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said<'a> {
    Whole(&'a str),
    /// It is not what was written.
    Damaged,
    /// It was known to be damaged when the file was written anew.
    Lost,
}

/// As text. `value` has no line breaks, as JSON has none; it is none where that was lost.
pub(super) fn text(
    (first, packed, number): (u64, u64, u64),
    before: Option<&Key>,
    of: Option<&Key>,
    value: Option<&str>,
) -> String {
    let name = |key: Option<&Key>| key.map_or(NOBODY.to_owned(), Key::to_string);
    let sum = value.map_or(LOST.to_owned(), sum);
    let head = format!("{BEGIN}{VERSION} {first}-{packed} {number} {} {} {sum}", name(before), name(of));
    format!("{head} {} {}\n", self::sum(&head), value.unwrap_or_default())
}

/// Reads what a line break ends: a record, or several where the break between them is damaged; none where no head is
/// whole. What stands before a line is room that was not used.
pub(super) fn parse(mut piece: &[u8]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    while let Some(at) = piece.iter().position(|byte| BEGIN.as_bytes().first() == Some(byte)) {
        let line = parse_at(&piece[at..]);
        let is_whole = line.as_ref().is_some_and(|line| line.said != Said::Damaged);
        lines.extend(line);
        if is_whole {
            break;
        }
        piece = &piece[at + 1..];
    }
    lines
}

fn parse_at(bytes: &[u8]) -> Option<Line<'_>> {
    if !bytes.starts_with(BEGIN.as_bytes()) {
        return None;
    }
    // A line that has no end was cut off.
    let (bytes, is_ended) = bytes.strip_suffix(b"\n").map_or((bytes, false), |line| (line, true));
    let mut spaces = bytes.iter().enumerate().filter(|(_, byte)| **byte == b' ').map(|(at, _)| at);
    let (head_end, sum_end) = (spaces.nth(WORDS - 1)?, spaces.next()?);
    let head = std::str::from_utf8(bytes.get(..head_end)?).ok()?;
    if bytes.get(head_end + 1..sum_end)? != sum(head).as_bytes() {
        return None;
    }
    let mut words = head.strip_prefix(BEGIN)?.split(' ');
    words.next()?.parse::<u32>().ok().filter(|version| *version == VERSION)?;
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number <= MOST);
    let (first, packed) = words.next()?.split_once('-')?;
    let (first, packed, number) = (number(first)?, number(packed)?, number(words.next()?)?);
    let mut name = || match words.next()? {
        NOBODY => Some(None),
        name => name.parse().ok().map(Some),
    };
    let (before, of) = (name()?, name()?);
    let said = match (words.next()?, std::str::from_utf8(bytes.get(sum_end + 1..)?)) {
        (LOST, _) => Said::Lost,
        (known, Ok(value)) if is_ended && known == sum(value) => Said::Whole(value),
        _ => Said::Damaged,
    };
    Some(Line { first, packed, number, before, of, said })
}

/// The version of a line that a later airssys wrote.
pub(super) fn newer(piece: &[u8]) -> Option<u32> {
    let text = piece.strip_prefix(BEGIN.as_bytes())?;
    let version = text.split(|byte| *byte == b' ').next()?;
    std::str::from_utf8(version).ok()?.parse().ok().filter(|version| *version > VERSION)
}

fn sum(text: &str) -> String {
    format!("{:016x}", xxh3_64(text.as_bytes()))
}
