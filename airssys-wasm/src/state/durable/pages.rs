//! Reads the file of the store page by page, without the store, and believes no page before its sum is right.
//!
//! redb keeps the sum of each page beside the pointer to it, up to the file's head. It compares them after a host was
//! killed, and not while it reads: over a damaged page it may panic, or go on somewhere else. Here a page is compared
//! before anything in it is followed. So damage of any kind is found, an old copy of a page as well, and all that hangs
//! on whole pages can still be read.
//!
//! The layout is version 3 of redb's files, which its `docs/design.md` describes. A file of another version is refused
//! by redb before it is used.
//!
//! Invariant: nothing here panics, whatever is in the file, and no page is followed whose sum is wrong.

use std::io;
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_128;

use super::storage::{HEAD, MAGIC, Storage};

/// Where the flags are, and what they mean.
const FLAGS: usize = 9;
const SECOND_IS_PRIMARY: u8 = 1;
const NOT_CLOSED: u8 = 2;
const TWO_PHASES: u8 = 4;
/// Where the two commits are that the head has, and how long each is.
const SLOTS: [usize; 2] = [64, 192];
const SLOT: usize = 128;
/// The part of a slot that its sum is of.
const SUMMED: usize = 112;
/// The one version of files that is known.
const VERSION: u8 = 3;
/// What redb writes, in bytes.
const PAGE: u64 = 4_096;
const LEAF: u8 = 1;
const BRANCH: u8 = 2;

/// Where a tree begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Root {
    page: u64,
    sum: u128,
}

/// One state of the whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Commit {
    /// It rises with each commit.
    pub(super) number: u64,
    data: Option<Root>,
    system: Option<Root>,
}

impl Commit {
    /// Whether both have the same in all tables. What the store keeps for itself may differ.
    pub(super) fn has_the_data_of(&self, other: &Self) -> bool {
        self.data == other.data
    }
}

/// A part of a tree.
pub(super) enum Seen<'a> {
    /// The key and the value of an entry.
    Entry(&'a [u8], &'a [u8]),
    /// The same, of a page whose sum is wrong: it may be anything, or from another time.
    Doubtful(&'a [u8], &'a [u8]),
    /// A part that cannot be read, or not as a whole; how many entries it had is not known. Their keys come after the
    /// first of these and not after the second, where there are any. These may be shorter than any key that was
    /// written.
    Hole(Option<&'a [u8]>, Option<&'a [u8]>),
}

/// Of whose entries a [`Seen`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of<'a> {
    /// The table of this name.
    Table(&'a str),
    /// The list of tables.
    Names,
    /// What the store keeps for itself.
    Store,
}

/// How wide keys and values are, where all are alike.
#[derive(Debug, Clone, Copy)]
struct Widths {
    key: Option<usize>,
    value: Option<usize>,
}

const FREE: Widths = Widths { key: None, value: None };

/// Why a file cannot be read at all.
#[derive(Debug)]
pub(super) enum NoPages {
    /// The system says so.
    Unread(io::Error),
    /// Its head says so.
    Head(&'static str),
}

/// A file whose head was read.
pub(super) struct Pages<'a> {
    storage: &'a Storage,
    /// Of the file, in bytes.
    length: u64,
    /// Of a region, in pages: those before the ones with content, and those.
    region: (u64, u64),
    /// The commits that may be the newest one, the one that is so in all likelihood first.
    pub(super) commits: Vec<Commit>,
    /// What is wrong with the file besides its pages.
    pub(super) flaws: Vec<&'static str>,
}

impl<'a> Pages<'a> {
    /// Reads the head; none where the file is empty.
    pub(super) fn open(storage: &'a Storage) -> Result<Option<Self>, NoPages> {
        let length = storage.bytes().map_err(NoPages::Unread)?;
        if length == 0 {
            return Ok(None);
        }
        let mut head = [0; HEAD];
        if length < HEAD as u64 {
            return Err(NoPages::Head("it is too short to be one"));
        }
        storage.read(0, &mut head).map_err(NoPages::Unread)?;
        Self::of_head(storage, length, &head).map(Some)
    }

    /// The newest commit, by the head that was written last where that is known, and by the one that stands there
    /// otherwise.
    pub(super) fn newest(storage: &'a Storage) -> Option<Commit> {
        let pages = match storage.head() {
            Some(head) => Self::of_head(storage, u64::MAX, &head).ok()?,
            None => Self::open(storage).ok().flatten()?,
        };
        pages.commits.first().copied()
    }

    fn of_head(storage: &'a Storage, length: u64, head: &[u8; HEAD]) -> Result<Self, NoPages> {
        if !head.starts_with(MAGIC) {
            return Err(NoPages::Head("it does not begin as one"));
        }
        let field = |at| number::<4>(head, at).map(u32::from_le_bytes).map(u64::from).unwrap_or_default();
        let (page, region) = (field(12), (field(16), field(20)));
        if page != PAGE || region.0 > 1 << 20 || region.1 == 0 || region.1 > 1 << 20 {
            return Err(NoPages::Head("its head is damaged"));
        }
        let flags = head.get(FLAGS).copied().unwrap_or_default();
        let slots = SLOTS.map(|at| head.get(at..at + SLOT).and_then(slot));
        let (first, second) = if flags & SECOND_IS_PRIMARY == 0 { (0, 1) } else { (1, 0) };
        let (primary, other) = (slots[first], slots[second]);
        let mut commits: Vec<Commit> = primary.into_iter().collect();
        let mut lost_newest = primary.is_none();
        if flags & TWO_PHASES == 0 {
            // Which one is the newer is not said by the flag alone.
            commits.extend(other);
            commits.sort_by_key(|commit| std::cmp::Reverse(commit.number));
            if flags & NOT_CLOSED == 0 {
                commits.truncate(1);
            } else {
                lost_newest = false;
            }
        } else if lost_newest {
            commits.extend(other);
        }
        if commits.is_empty() {
            return Err(NoPages::Head("its head is damaged"));
        }
        let mut flaws = Vec::new();
        if lost_newest {
            flaws.push("its newest commit cannot be read; what was found is of the one before");
        }
        // The store wants to know both slots, also where it does not need the other one.
        if SLOTS.iter().any(|at| head.get(*at) != Some(&VERSION)) {
            flaws.push("its head is damaged");
        }
        // Of a file that was not closed the length alone counts: how many regions there are may be from before or
        // after.
        let last = field(28);
        let regions = field(24) * (region.0 + region.1) + if last > 0 { region.0 + last } else { 0 };
        if !length.is_multiple_of(PAGE) || (flags & NOT_CLOSED == 0 && length < PAGE * (1 + regions)) {
            flaws.push("it was cut off");
        }
        Ok(Self { storage, length, region, commits, flaws })
    }

    /// Goes through all of a commit; whether it is whole. `salvage` also shows entries of pages whose sum is wrong.
    pub(super) fn walk(&self, commit: &Commit, salvage: bool, see: impl FnMut(Of<'_>, Seen<'_>)) -> bool {
        self.walk_those(commit, salvage, |_| true, see)
    }

    /// [`Pages::walk`] through one table only.
    pub(super) fn walk_table(&self, commit: &Commit, name: &str, see: impl FnMut(Of<'_>, Seen<'_>)) -> bool {
        self.walk_those(commit, false, |of| of == Of::Table(name), see)
    }

    fn walk_those(
        &self,
        commit: &Commit,
        salvage: bool,
        wanted: impl Fn(Of<'_>) -> bool,
        mut see: impl FnMut(Of<'_>, Seen<'_>),
    ) -> bool {
        let mut whole = true;
        for (root, own) in [(commit.data, false), (commit.system, true)] {
            let Some(root) = root else { continue };
            let mut tables = Vec::new();
            self.tree(root, FREE, false, &mut |seen| match seen {
                Seen::Entry(name, definition) => tables.push((name.to_vec(), table(definition))),
                Seen::Doubtful(..) | Seen::Hole(..) => {
                    whole = false;
                    see(if own { Of::Store } else { Of::Names }, Seen::Hole(None, None));
                }
            });
            for (name, definition) in tables {
                let name = String::from_utf8_lossy(&name);
                let of = if own { Of::Store } else { Of::Table(&name) };
                if !wanted(of) {
                    continue;
                }
                let Some((root, widths)) = definition else {
                    whole = false;
                    see(of, Seen::Hole(None, None));
                    continue;
                };
                let Some(root) = root else { continue };
                self.tree(root, widths, salvage && !own, &mut |seen| {
                    whole &= matches!(seen, Seen::Entry(..));
                    see(of, seen);
                });
            }
        }
        whole
    }

    /// In the order of the keys.
    fn tree(&self, root: Root, widths: Widths, salvage: bool, see: &mut dyn FnMut(Seen<'_>)) {
        // Each with the greatest key that it can have.
        let mut ahead: Vec<(Root, Option<Vec<u8>>)> = vec![(root, None)];
        let mut page = Vec::new();
        let mut before: Option<Vec<u8>> = None;
        // Sums cannot go in a circle, so this ends.
        while let Some((next, most)) = ahead.pop() {
            let is_read = self.read(next.page, &mut page);
            let right = is_read && summed(&page, widths).is_some_and(|summed| xxh3_128(summed) == next.sum);
            if right
                && page.first() == Some(&BRANCH)
                && let Some(children) = branch(&page, widths)
            {
                let last = children.len().saturating_sub(1);
                let of = |(at, (root, key)): (usize, (Root, Option<Range<usize>>))| {
                    let key = key.and_then(|key| page.get(key)).map(<[u8]>::to_vec);
                    (root, if at == last { most.clone() } else { key })
                };
                ahead.extend(children.into_iter().enumerate().map(of).rev());
                continue;
            }
            let is_leaf = is_read && page.first() == Some(&LEAF) && (right || salvage);
            let pairs = if is_leaf { leaf(&page, widths) } else { None };
            let is_whole = right && pairs.is_some();
            for (key, value) in pairs.into_iter().flatten() {
                let (key, value) = (page.get(key).unwrap_or_default(), page.get(value).unwrap_or_default());
                see(if right { Seen::Entry(key, value) } else { Seen::Doubtful(key, value) });
            }
            if !is_whole {
                see(Seen::Hole(before.as_deref(), most.as_deref()));
            }
            before = most;
        }
    }

    /// Whether the page could be read.
    fn read(&self, number: u64, into: &mut Vec<u8>) -> bool {
        let order = number >> 59;
        let Some(length) = PAGE.checked_shl(u32::try_from(order).unwrap_or(u32::MAX)) else { return false };
        let (index, region) = (number & (0xF_FFFF >> order), (number >> 20) & 0xF_FFFF);
        let (before, content) = self.region;
        let start = PAGE + region * (before + content) * PAGE + before * PAGE + index.saturating_mul(length);
        if start.saturating_add(length) > self.length {
            return false;
        }
        let Ok(bytes) = usize::try_from(length) else { return false };
        into.clear();
        into.resize(bytes, 0);
        // A disk that cannot read it says the same as a wrong sum.
        self.storage.read(start, into).is_ok()
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(number(bytes, at)?)).ok()
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    number(bytes, at).map(u64::from_le_bytes)
}

fn u128_at(bytes: &[u8], at: usize) -> Option<u128> {
    number(bytes, at).map(u128::from_le_bytes)
}

/// A commit, where its sum is right.
fn slot(bytes: &[u8]) -> Option<Commit> {
    let right = xxh3_128(bytes.get(..SUMMED)?) == u128_at(bytes, SUMMED)? && bytes.first() == Some(&VERSION);
    let root = |flag: usize, at| if bytes.get(flag)? == &0 { Some(None) } else { root(bytes, at).map(Some) };
    if right { Some(Commit { number: u64_at(bytes, 104)?, data: root(1, 8)?, system: root(2, 40)? }) } else { None }
}

fn root(bytes: &[u8], at: usize) -> Option<Root> {
    Some(Root { page: u64_at(bytes, at)?, sum: u128_at(bytes, at + 8)? })
}

/// Where the table begins that this is the definition of, and how wide its entries are.
fn table(definition: &[u8]) -> Option<(Option<Root>, Widths)> {
    let begins = if definition.get(9)? == &0 { None } else { Some(root(definition, 10)?) };
    let width = |at: usize| {
        let wide = u32_at(definition, at + 1)?;
        Some(if definition.get(at)? == &0 { None } else { Some(wide) })
    };
    Some((begins, Widths { key: width(42)?, value: width(47)? }))
}

/// The part of a page that its sum is of.
fn summed(page: &[u8], widths: Widths) -> Option<&[u8]> {
    let entries = usize::from(u16::from_le_bytes(number(page, 2)?));
    let last = entries.checked_sub(1)?;
    let end = match (page.first()?, widths.key) {
        (&BRANCH, Some(wide)) => 8 + 24 * (entries + 1) + wide.checked_mul(entries)?,
        (&BRANCH, None) => u32_at(page, 8 + 24 * (entries + 1) + 4 * last)?,
        (&LEAF, _) => leaf_ends(page, entries, widths, last)?.1,
        _ => return None,
    };
    page.get(..end)
}

/// Where the key and the value end that have this number.
fn leaf_ends(page: &[u8], entries: usize, widths: Widths, of: usize) -> Option<(usize, usize)> {
    let lists = usize::from(widths.key.is_none()) + usize::from(widths.value.is_none());
    let keys = 4 + 4 * entries * lists;
    let key_end = |of: usize| match widths.key {
        Some(wide) => keys.checked_add(wide.checked_mul(of + 1)?),
        None => u32_at(page, 4 + 4 * of),
    };
    let value = match widths.value {
        Some(wide) => key_end(entries.checked_sub(1)?)?.checked_add(wide.checked_mul(of + 1)?)?,
        None => u32_at(page, 4 + 4 * of + if widths.key.is_none() { 4 * entries } else { 0 })?,
    };
    Some((key_end(of)?, value))
}

type Pair = (Range<usize>, Range<usize>);

/// Where the keys and values of a leaf are; none where they are not within it.
fn leaf(page: &[u8], widths: Widths) -> Option<Vec<Pair>> {
    let entries = usize::from(u16::from_le_bytes(number(page, 2)?));
    let lists = usize::from(widths.key.is_none()) + usize::from(widths.value.is_none());
    let mut key_start = 4 + 4 * entries * lists;
    let mut value_start = leaf_ends(page, entries, widths, entries.checked_sub(1)?)?.0;
    let mut pairs = Vec::with_capacity(entries.min(page.len()));
    for at in 0..entries {
        let (key_end, value_end) = leaf_ends(page, entries, widths, at)?;
        if key_end < key_start || value_end < value_start || key_end > page.len() || value_end > page.len() {
            return None;
        }
        pairs.push((key_start..key_end, value_start..value_end));
        (key_start, value_start) = (key_end, value_end);
    }
    Some(pairs)
}

/// The pages below a page, each with where the greatest key is that it can have; the last one has none of its own.
fn branch(page: &[u8], widths: Widths) -> Option<Vec<(Root, Option<Range<usize>>)>> {
    let keys = usize::from(u16::from_le_bytes(number(page, 2)?));
    let children = keys + 1;
    let ends = 8 + 24 * children;
    let mut start = ends + if widths.key.is_none() { 4 * keys } else { 0 };
    let mut all = Vec::with_capacity(children.min(page.len()));
    for at in 0..children {
        let root = Root { sum: u128_at(page, 8 + 16 * at)?, page: u64_at(page, 8 + 16 * children + 8 * at)? };
        let key = if at == keys {
            None
        } else {
            let end = match widths.key {
                Some(wide) => start.checked_add(wide)?,
                None => u32_at(page, ends + 4 * at)?,
            };
            let key = start..end;
            start = end;
            Some(key)
        };
        all.push((root, key));
    }
    Some(all)
}
