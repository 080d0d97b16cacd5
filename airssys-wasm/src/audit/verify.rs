//! Holds each line of an audit against the one before it, and names the first one that does not fit.
//!
//! What it sees: any line that was altered, removed, inserted, repeated or moved, where one stands behind it that was
//! not. What it cannot see: lines that were removed from the end, and lines behind the last signed head that were all
//! made anew; with the number and the hash of a line that somebody noted elsewhere it sees those as well. And whoever
//! has the secret key can make all of it anew.

use std::io;
use std::iter::Peekable;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::read::{AuditLines, RawLine};
use super::record::{AuditKind, AuditLine, NOTHING, hash};
use crate::hex;
use crate::keys::PublicKey;

/// A place in the chain that somebody noted.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::AuditHead;
///
/// let head: AuditHead = format!("7:{}", "0".repeat(64)).parse()?;
/// assert_eq!(head.number, 7);
/// # Ok::<_, String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditHead {
    /// The number of a line.
    pub number: u64,
    /// Its SHA-256.
    pub head: String,
}

impl std::str::FromStr for AuditHead {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(number, head)| {
            let _it_is_one: [u8; 32] = hex::decode(head)?;
            Some(Self { number: number.parse().ok()?, head: head.to_owned() })
        });
        parsed.ok_or_else(|| "it is the number of a line, a colon, and its SHA-256".to_owned())
    }
}

/// The first line that is not as it was written.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{AuditFault, Verified};
///
/// /// The line that somebody should look at.
/// fn first(verified: &Verified) -> Option<u64> {
///     verified.fault.as_ref().map(|fault: &AuditFault| fault.number)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditFault {
    /// The number of the line.
    pub number: u64,
    /// `altered`, `removed`, `reordered`, `duplicated`, or `forged` where a signature is none.
    pub what: String,
    /// The file that it was found in.
    pub file: PathBuf,
    /// The line of the file.
    pub at: u64,
    /// More about it, for people.
    pub detail: String,
}

/// What was found of an audit.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{Verified, VerifyAudit, verify_audit};
///
/// let nothing: Verified = verify_audit(Vec::new(), &VerifyAudit::default())?;
/// assert_eq!((nothing.lines, nothing.fault), (0, None));
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verified {
    /// How many lines were looked at and fit.
    pub lines: u64,
    /// The number of the first one.
    pub first: u64,
    /// The number of the last one that fits.
    pub last: u64,
    /// Its SHA-256.
    pub head: String,
    /// The last line over which there is a signature; 0 where there is none.
    pub signed_to: u64,
    /// Who signed.
    pub keys: Vec<String>,
    /// What is as it may be, and worth knowing.
    pub notes: Vec<String>,
    /// What is not as it was written.
    pub fault: Option<AuditFault>,
}

/// What is known beside the files.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::VerifyAudit;
///
/// let asked = VerifyAudit { is_whole: true, ..VerifyAudit::default() };
/// assert!(asked.key.is_none());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyAudit {
    /// Only heads of this key count.
    pub key: Option<PublicKey>,
    /// The chain goes through this place.
    pub noted: Option<AuditHead>,
    /// Whether these are all files that there are.
    pub is_whole: bool,
}

/// Verifies the lines of these files, which follow each other.
///
/// # Errors
///
/// A file cannot be read.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{VerifyAudit, verify_audit};
///
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("000001.jsonl");
/// std::fs::write(&file, "{}\n")?;
/// let fault = verify_audit(vec![file], &VerifyAudit::default())?.fault.ok_or("it is no record")?;
/// assert_eq!((fault.number, fault.what.as_str()), (1, "altered"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify_audit(files: Vec<PathBuf>, asked: &VerifyAudit) -> io::Result<Verified> {
    let mut lines = AuditLines::of(files.clone()).peekable();
    let mut walk = Walk { found: Verified::default(), head: NOTHING, before: None, retired: 0, noted: false };
    while let Some(raw) = lines.next().transpose()? {
        if !raw.is_whole && !raw.has_next_file && lines.peek().is_none() {
            let bytes = raw.bytes.len();
            walk.found.notes.push(format!(
                "{bytes} bytes behind line {} are no whole line, as a kill or a power cut leaves it; the next host cuts \
                 them off and records that",
                walk.found.last
            ));
            break;
        }
        if let Some(fault) = walk.step(&raw, asked, &mut lines, &files)? {
            walk.found.fault = Some(fault);
            return Ok(walk.found);
        }
    }
    walk.end(asked, files.into_iter().next());
    Ok(walk.found)
}

struct Walk {
    found: Verified,
    head: [u8; 32],
    /// The kind of the line before.
    before: Option<AuditKind>,
    /// Up to which line some were removed to make room.
    retired: u64,
    /// Whether the place that was noted was passed.
    noted: bool,
}

impl Walk {
    fn step(
        &mut self,
        raw: &RawLine,
        asked: &VerifyAudit,
        lines: &mut Peekable<AuditLines>,
        files: &[PathBuf],
    ) -> io::Result<Option<AuditFault>> {
        let fault = |number, what: &str, detail: String| {
            Ok(Some(AuditFault { number, what: what.to_owned(), file: raw.file.clone(), at: raw.at, detail }))
        };
        let is_first = self.found.lines == 0;
        let own = hash(&raw.bytes);
        let Ok(line) = serde_json::from_slice::<AuditLine>(&raw.bytes) else {
            return fault(self.found.last + 1, "altered", "it is no line of an audit".to_owned());
        };
        if is_first && line.number > 1 {
            if line.before == hex::encode(&NOTHING) {
                return fault(1, "altered", format!("it says that it is line {}", line.number));
            }
            if let Some(lowest) = lowest_later(files, raw)?.filter(|lowest| *lowest < line.number) {
                return fault(lowest, "reordered", format!("line {} stands before it", line.number));
            }
        }
        let expected = if is_first { line.number } else { self.found.last + 1 };
        let fits = if is_first && line.number > 1 { true } else { line.before == hex::encode(&self.head) };
        match (line.number == expected, fits) {
            (true, true) => {}
            (false, true) => {
                return fault(expected, "altered", format!("it says that it is line {}", line.number));
            }
            (true, false) if is_first => {
                return fault(expected, "altered", "it says that another one stood before it".to_owned());
            }
            (true, false) => {
                // Who of the two was altered says the one behind, or a signature.
                let next = lines.peek().and_then(|next| next.as_ref().ok());
                let next = next.and_then(|next| serde_json::from_slice::<AuditLine>(&next.bytes).ok());
                let is_own = match next {
                    Some(next) => next.before == hex::encode(&own),
                    None => signer(&line).is_some(),
                };
                let number = if is_own { expected - 1 } else { expected };
                return fault(number, "altered", format!("it is not the line that line {} has before it", expected));
            }
            (false, false) if line.number > expected => {
                if is_there_later(files, raw, expected)? {
                    let detail = format!("line {} stands where it should, and it stands behind", line.number);
                    return fault(expected, "reordered", detail);
                }
                let gone = match line.number - expected {
                    1 => "it is not there".to_owned(),
                    _ => format!("lines {expected} to {} are not there", line.number - 1),
                };
                return fault(expected, "removed", gone);
            }
            (false, false) => {
                let detail = format!("it stands behind line {}", self.found.last);
                let what = if is_there_before(files, raw)? { "duplicated" } else { "altered" };
                return fault(line.number, what, detail);
            }
        }
        if let Some(told) = self.look(&line, asked.key.as_ref()) {
            return fault(line.number, "forged", told);
        }
        if is_first {
            self.found.first = line.number;
        }
        (self.head, self.before) = (own, Some(line.record.kind));
        self.found.lines += 1;
        (self.found.last, self.found.head) = (line.number, hex::encode(&own));
        if let Some(noted) = asked.noted.as_ref().filter(|noted| noted.number == line.number) {
            self.noted = true;
            if noted.head != self.found.head {
                return fault(line.number, "altered", "it is another one than the one that was noted".to_owned());
            }
        }
        Ok(None)
    }

    /// What a line that fits says itself; what is wrong with it.
    fn look(&mut self, line: &AuditLine, key: Option<&PublicKey>) -> Option<String> {
        match line.record.kind {
            AuditKind::Head => {
                let Some(signed) = signer(line) else {
                    return Some(format!(
                        "its signature is not over the lines before it: behind line {}, which is signed, something was \
                         altered and all lines made anew",
                        self.found.signed_to
                    ));
                };
                if key.is_some_and(|key| *key != signed) {
                    return Some(format!("it is signed by {signed}"));
                }
                self.found.signed_to = line.number;
                let name = signed.to_string();
                if !self.found.keys.contains(&name) {
                    self.found.keys.push(name);
                }
            }
            AuditKind::Begin if self.before.is_some_and(|kind| !matches!(kind, AuditKind::End | AuditKind::Head)) => {
                let (number, before) = (line.number, self.found.last);
                self.found.notes.push(format!(
                    "the host before line {number} did not stop in order: what it wrote behind line {before} may be \
                     missing"
                ));
            }
            AuditKind::Lost | AuditKind::Cut => {
                let detail = line.record.detail.clone().unwrap_or_default();
                let times = line.record.times.filter(|times| *times > 0);
                let told = times.map_or(detail.clone(), |times| format!("{times} lines are missing; {detail}"));
                self.found.notes.push(format!("line {}: {}", line.number, told.trim_end_matches("; ")));
            }
            AuditKind::Retired => self.retired = self.retired.max(line.record.times.unwrap_or_default()),
            _ => {}
        }
        None
    }

    fn end(&mut self, asked: &VerifyAudit, file: Option<PathBuf>) {
        let (first, last, signed) = (self.found.first, self.found.last, self.found.signed_to);
        let file = file.unwrap_or_default();
        let fault = |number, detail| AuditFault { number, what: "removed".to_owned(), file, at: 0, detail };
        let gone = format!("lines 1 to {} are not there any more", first.saturating_sub(1));
        if first > 1 && asked.is_whole && self.retired + 1 < first {
            self.found.fault = Some(fault(1, gone));
            return;
        }
        if first > 1 {
            self.found.notes.insert(0, format!("{gone}{}", if asked.is_whole { ", as is on record" } else { "" }));
        }
        if signed < last {
            self.found.notes.push(match signed {
                0 => "no line is signed: who can write the files can make all of it anew".to_owned(),
                _ => format!("lines behind line {signed} are not signed yet"),
            });
        }
        if let Some(noted) = asked.noted.as_ref().filter(|noted| !self.noted && noted.number > last) {
            self.found.fault = Some(fault(noted.number, format!("the chain ends with line {last}")));
        }
    }
}

/// Who signed this head; none where the signature is not over it.
fn signer(line: &AuditLine) -> Option<PublicKey> {
    let key: PublicKey = line.record.key.as_ref()?.parse().ok()?;
    let signature = hex::decode(line.record.signature.as_ref()?)?;
    key.has_signed(&line.signed(), &signature).then_some(key)
}

/// The lowest number of a line that stands behind this one.
fn lowest_later(files: &[PathBuf], than: &RawLine) -> io::Result<Option<u64>> {
    let (mut is_behind, mut lowest) = (false, None);
    for raw in AuditLines::of(files.to_vec()) {
        let raw = raw?;
        if is_behind && let Ok(line) = serde_json::from_slice::<AuditLine>(&raw.bytes) {
            lowest = Some(lowest.map_or(line.number, |lowest: u64| lowest.min(line.number)));
        }
        is_behind |= (&raw.file, raw.at) == (&than.file, than.at);
    }
    Ok(lowest)
}

/// Whether a line of this number stands behind this one.
fn is_there_later(files: &[PathBuf], than: &RawLine, number: u64) -> io::Result<bool> {
    let mut is_behind = false;
    for raw in AuditLines::of(files.to_vec()) {
        let raw = raw?;
        let found = is_behind.then(|| serde_json::from_slice::<AuditLine>(&raw.bytes).ok()).flatten();
        if found.is_some_and(|line| line.number == number) {
            return Ok(true);
        }
        is_behind |= (&raw.file, raw.at) == (&than.file, than.at);
    }
    Ok(false)
}

/// Whether the very same line stands before this one.
fn is_there_before(files: &[PathBuf], than: &RawLine) -> io::Result<bool> {
    for raw in AuditLines::of(files.to_vec()) {
        let raw = raw?;
        if (&raw.file, raw.at) == (&than.file, than.at) {
            break;
        }
        if raw.bytes == than.bytes {
            return Ok(true);
        }
    }
    Ok(false)
}
