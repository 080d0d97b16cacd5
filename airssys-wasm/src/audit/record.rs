//! One line of the audit, and the kinds there are.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::act::by;
use crate::hex;

/// What a line has as the one before it where there is none.
pub(super) const NOTHING: [u8; 32] = [0; 32];

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal, $about:literal;)+) => {
        /// What kind of line it is.
        ///
        /// # Example
        ///
        /// ```
        /// use airssys_wasm::command::AuditKind;
        ///
        /// let kind: AuditKind = "denied".parse()?;
        /// assert_eq!((kind, kind.to_string().as_str()), (AuditKind::Denied, "denied"));
        /// # Ok::<_, airssys_wasm::command::NoSuchAuditKind>(())
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum AuditKind {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $kind,)+
        }

        impl AuditKind {
            /// All kinds, the name of each, and what it is, for people.
            #[must_use]
            pub fn all() -> &'static [(Self, &'static str, &'static str)] {
                &[$((Self::$kind, $name, $about),)+]
            }
        }
    };
}

kinds! {
    /// A host goes on with the chain.
    Begin = "begin", "a host goes on with the chain";
    /// It has stopped in order.
    End = "end", "the host has stopped in order";
    /// A service wanted to do what it was not granted.
    Denied = "denied", "a service wanted to do what it was not granted";
    /// Something was granted, revoked, or has expired.
    Grant = "grant", "something was granted, revoked, or has expired";
    /// A deployment has begun or is over.
    Deployment = "deployment", "a deployment has begun, is live, or went back";
    /// An apply has begun or is over.
    Apply = "apply", "an apply has begun, is over, or was undone";
    /// A service was stopped or started.
    Operator = "operator", "a service was stopped or started";
    /// Somebody asks the host to do something to the mesh.
    Act = "act", "somebody asks the host to do something to the mesh";
    /// What was asked for was not done.
    Refused = "refused", "what was asked for was not done, and why";
    /// A limit was reached.
    LimitReached = "limit-reached", "a limit was reached";
    /// A layer is down, and what it guards goes on without it; or it is there again.
    PassedBy = "passed-by", "a layer is down and what it guards goes on without it, or it is there again";
    /// Lines are missing here.
    Lost = "lost", "lines are missing here";
    /// The end of a file was no whole line.
    Cut = "cut", "the end of a file was no whole line, and was cut off";
    /// The oldest file was removed to make room.
    Retired = "retired", "the oldest file was removed to make room";
    /// A signature over all lines before it.
    Head = "head", "a signature over all lines before it";
}

impl fmt::Display for AuditKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::all().iter().find(|(kind, ..)| kind == self);
        f.write_str(found.map_or("", |(_, name, _)| name))
    }
}

/// There is no kind of line with this name.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{AuditKind, NoSuchAuditKind};
///
/// let error: NoSuchAuditKind = "denials".parse::<AuditKind>().unwrap_err();
/// assert_eq!(error.name, "denials");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no kind of line {name:?}: the kinds are {}", names())]
#[non_exhaustive]
pub struct NoSuchAuditKind {
    /// What was asked for.
    pub name: String,
}

fn names() -> String {
    AuditKind::all().iter().map(|(_, name, _)| *name).collect::<Vec<_>>().join(", ")
}

impl FromStr for AuditKind {
    type Err = NoSuchAuditKind;

    fn from_str(name: &str) -> Result<Self, NoSuchAuditKind> {
        let found = Self::all().iter().find(|(_, known, _)| *known == name);
        found.map(|(kind, ..)| *kind).ok_or_else(|| NoSuchAuditKind { name: name.to_owned() })
    }
}

/// What is on record. Which of it there is goes by the kind.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{AuditKind, Record};
///
/// let text = r#"{"kind":"denied","service":"shop","operation":"send","target":"bank","missing":"it asks for none"}"#;
/// let record: Record = serde_json::from_str(text)?;
/// assert_eq!((record.kind, record.target.as_deref()), (AuditKind::Denied, Some("bank")));
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// What kind it is.
    pub kind: AuditKind,
    /// The service that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The actor of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Who asked for it: `uid 1000, process 4242` of an operator at the control socket, `program` for the program that
    /// the host is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What was done, or was to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// To whom or to what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Which grant or request is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How many times, or how many lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Who signs a head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl Record {
    /// One of a kind, with nothing in it.
    pub(crate) fn of(kind: AuditKind) -> Self {
        Self {
            kind,
            service: None,
            actor: None,
            by: None,
            operation: None,
            target: None,
            missing: None,
            detail: None,
            times: None,
            key: None,
            signature: None,
        }
    }

    /// An act, in the name of whoever asks for it here.
    pub(crate) fn act(operation: &str, service: Option<&str>, target: Option<String>) -> Self {
        let (by, operation, service) = (Some(by()), Some(operation.to_owned()), service.map(str::to_owned));
        Self { by, operation, service, target, ..Self::of(AuditKind::Act) }
    }

    pub(super) fn begin() -> Self {
        let detail = format!("airssys {}, process {}", env!("CARGO_PKG_VERSION"), std::process::id());
        Self { detail: Some(detail), ..Self::of(AuditKind::Begin) }
    }
}

/// A line: a record with its place in the chain.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::AuditLine;
///
/// let before = "0".repeat(64);
/// let text = format!(r#"{{"number":1,"at":"2026-01-01T00:00:00.000Z","kind":"begin","before":"{before}"}}"#);
/// let line: AuditLine = serde_json::from_str(&text)?;
/// assert_eq!((line.number, serde_json::to_string(&line)?), (1, text));
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditLine {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When it happened, in UTC.
    pub at: String,
    /// What is on record.
    #[serde(flatten)]
    pub record: Record,
    /// The SHA-256 of the line before, without its end of line; zeros for the first one.
    pub before: String,
}

impl AuditLine {
    pub(super) fn new(number: u64, at: SystemTime, record: Record, before: &[u8; 32]) -> Self {
        let at = humantime::format_rfc3339_millis(at).to_string();
        Self { number, at, record, before: hex::encode(before) }
    }

    /// Its bytes, without an end of line. JSON escapes each control character, so it is one line whatever is in it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        // Texts and numbers only: that cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What is signed of a head: its place, which is that of all before it.
    pub(super) fn signed(&self) -> Vec<u8> {
        const DOMAIN: &[u8] = b"airssys audit head, version 1\0";
        [DOMAIN, &self.number.to_le_bytes(), self.at.as_bytes(), b"\0", self.before.as_bytes()].concat()
    }
}

/// The SHA-256 of a line.
pub(super) fn hash(line: &[u8]) -> [u8; 32] {
    Sha256::digest(line).into()
}
