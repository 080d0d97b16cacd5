//! What the binary of a component says to a host that is to run it, whatever the limits are. It is kept beside the
//! compiled code, so that a component that is compiled already is not read once more each time it begins to serve.
//!
//! Of its imports only the names are here. Whether this host has them is the linker's to say, which has the compiled
//! component.

use serde::{Deserialize, Serialize};

use super::anatomy::Anatomy;
use super::asked::Demands;
use super::beyond::beyond;
use super::exports::{self, Exported};
use super::needs::Needs;

/// To be raised when something else is read of a binary, or something in it is refused that was not: what was kept by
/// another reader is not used. Facts are kept of what was refused nothing, so what is refused under any limits needs no
/// place in them.
const READER: u32 = 3;

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Facts {
    reader: u32,
    pub(super) anatomy: Anatomy,
    pub(super) needs: Needs,
    /// What it exports of the contract.
    pub(super) exported: Vec<Exported>,
}

impl Facts {
    pub(super) fn new(anatomy: Anatomy, needs: Needs, exported: Vec<Exported>) -> Self {
        Self { reader: READER, anatomy, needs, exported }
    }

    /// None where it was written by another reader, or is something else.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|facts: &Self| facts.reader == READER)
    }

    pub(super) fn to_text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// Whether nothing is in the way that can be told without the binary. Where something is, [`super::Inspection`]
    /// says all of it.
    pub(super) fn allow(&self, Demands { lane, limits, .. }: Demands<'_>) -> bool {
        beyond(&self.needs, limits, lane).is_empty() && exports::wrong(&self.exported, &self.anatomy.exports).is_empty()
    }
}
