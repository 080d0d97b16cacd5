//! Bytes and states as they are said over the control socket, and stand in a dump.

use std::collections::BTreeMap;

use airssys_wasm::command::{KeptState, unique_map};
use serde::{Deserialize, Serialize};

/// The bytes of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Body {
    Text(String),
    Hex(String),
}

impl Body {
    /// As text, where it is one that JSON does not blow up.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let escaped = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\r' | b'\t');
        match std::str::from_utf8(bytes) {
            Ok(text) if !bytes.iter().any(escaped) => Self::Text(text.to_owned()),
            _ => Self::Hex(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    }

    /// The bytes; none where it is no hex.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        let hex = match self {
            Self::Text(text) => return Some(text.clone().into_bytes()),
            Self::Hex(hex) => hex.as_bytes(),
        };
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (pairs, rest) = hex.as_chunks::<2>();
        let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
        if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
    }
}

/// All state of a service. Also the file that `airssys state load` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dump {
    /// How this is written; [`Dump::FORMAT`].
    pub(crate) format: u32,
    pub(crate) service: String,
    pub(crate) states: Vec<DumpedState>,
}

/// One state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DumpedState {
    /// The key of the actor; empty where the service has one state only.
    pub(crate) actor: String,
    pub(crate) commits: u64,
    pub(crate) schema: u32,
    #[serde(deserialize_with = "unique_map")]
    pub(crate) values: BTreeMap<String, Body>,
}

impl Dump {
    /// What is written here. Another number is refused.
    pub(crate) const FORMAT: u32 = 1;
    /// The highest number of commits that is taken: a host counts on from there, one a turn, and never comes to the end
    /// of 64 bits.
    const MOST_COMMITS: u64 = i64::MAX.unsigned_abs();

    pub(crate) fn new(service: &str, states: &BTreeMap<Box<str>, KeptState>) -> Self {
        let state = |actor: &str, kept: &KeptState| DumpedState {
            actor: actor.to_owned(),
            commits: kept.commits,
            schema: kept.schema,
            values: kept.values.iter().map(|(key, value)| (key.to_string(), Body::of(value))).collect(),
        };
        Self {
            format: Self::FORMAT,
            service: service.to_owned(),
            states: states.iter().map(|(actor, kept)| state(actor, kept)).collect(),
        }
    }

    /// What it stands for; or what is wrong with it.
    pub(crate) fn states(self) -> Result<BTreeMap<Box<str>, KeptState>, String> {
        let mut all = BTreeMap::new();
        for DumpedState { actor, commits, schema, values } in self.states {
            if commits > Self::MOST_COMMITS {
                return Err(format!("the state of the actor {actor:?} has {commits} commits, more than any can have"));
            }
            let mut kept = KeptState { commits, schema, ..KeptState::default() };
            for (key, body) in values {
                let Some(value) = body.bytes() else { return Err(format!("the value of {key:?} is no hex")) };
                kept.values.insert(key.into(), value.into());
            }
            if all.contains_key(&*actor) {
                return Err(format!("the state of the actor {actor:?} stands there twice"));
            }
            all.insert(actor.into(), kept);
        }
        Ok(all)
    }
}
