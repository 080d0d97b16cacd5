//! `airssys.toml` as it is written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use airssys_rt_shim::child::{Restart, Shutdown};
use airssys_rt_shim::supervisor::{AutoShutdown, Strategy};

use super::tree::{WrittenFlags, WrittenSettings};
use crate::capability::{Access, Clocks, Randomness};
use crate::registry::LimitsPatch;
use crate::schema::{Bytes, Count, Humane, Word, Words, parse_time};
use crate::settings::{Keeping, WrittenBackoff, WrittenKeyed, WrittenShape, WrittenSpawned};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Topology {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) settings: WrittenSettings,
    #[serde(default)]
    pub(super) root: WrittenFlags,
    #[serde(default, rename = "supervisor")]
    pub(super) supervisors: Vec<Spanned<Supervisor>>,
    #[serde(default, rename = "service")]
    pub(super) services: Vec<Spanned<Service>>,
}

/// serde cannot flatten and deny unknown fields at once, so the flags of a supervisor stand here again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Supervisor {
    pub(super) name: Spanned<String>,
    pub(super) parent: Option<Spanned<String>>,
    strategy: Option<Word<Strategy>>,
    intensity: Option<Count<u32>>,
    period: Option<Humane>,
    backoff: Option<WrittenBackoff>,
    auto_shutdown: Option<Word<AutoShutdown>>,
    #[serde(default)]
    pub(super) restart: Word<Restart>,
    pub(super) shutdown: Option<Word<Shutdown>>,
    #[serde(default)]
    pub(super) significant: bool,
}

impl Supervisor {
    pub(super) fn flags(&self) -> WrittenFlags {
        let Self { strategy, intensity, period, backoff, auto_shutdown, .. } = *self;
        WrittenFlags { strategy, intensity, period, backoff, auto_shutdown }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub(super) name: Spanned<String>,
    pub(super) release: Spanned<PathBuf>,
    pub(super) supervisor: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) restart: Word<Restart>,
    pub(super) shutdown: Option<Word<Shutdown>>,
    #[serde(default)]
    pub(super) significant: bool,
    pub(super) instances: Option<usize>,
    #[serde(default)]
    pub(super) partitioned: bool,
    pub(super) keyed: Option<Spanned<WrittenKeyed>>,
    pub(super) spawned: Option<Spanned<WrittenSpawned>>,
    #[serde(default)]
    pub(super) mailbox: WrittenShape,
    #[serde(default)]
    pub(super) retries: u32,
    #[serde(default)]
    pub(super) limits: LimitsPatch,
    #[serde(default)]
    pub(super) config: BTreeMap<String, String>,
    pub(super) state: Option<Spanned<Word<Keeping>>>,
    #[serde(default)]
    pub(super) grants: Grants,
    #[serde(default)]
    pub(super) clocks: Word<Clocks>,
    #[serde(default)]
    pub(super) randomness: Chance,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Grants {
    pub(super) send: Vec<Spanned<String>>,
    pub(super) call: Vec<Spanned<String>>,
    pub(super) publish: Vec<Spanned<String>>,
    pub(super) subscribe: Vec<Spanned<String>>,
    pub(super) spawn: Vec<Spanned<String>>,
    pub(super) files: BTreeMap<String, File>,
    pub(super) environment: BTreeMap<String, Spanned<String>>,
    pub(super) sockets: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) host: Spanned<PathBuf>,
    #[serde(default = "read")]
    pub(super) access: Access,
    pub(super) max: Option<Spanned<Bytes>>,
}

fn read() -> Access {
    Access::Read
}

impl Words for Restart {
    const WHAT: &'static str = "restart type";
    const LIST: &'static str = "permanent, transient, temporary";
    const ALL: &'static [(&'static str, Self)] =
        &[("permanent", Self::Permanent), ("transient", Self::Transient), ("temporary", Self::Temporary)];
}

impl Words for Shutdown {
    const WHAT: &'static str = "shutdown";
    const LIST: &'static str = "brutal-kill, infinity, or a length of time such as \"5s\"";
    const ALL: &'static [(&'static str, Self)] = &[("brutal-kill", Self::BrutalKill), ("infinity", Self::Infinity)];

    fn other(text: &str) -> Option<Self> {
        parse_time(text).ok().map(Self::Timeout)
    }

    fn time(self) -> Option<Duration> {
        if let Self::Timeout(timeout) = self { Some(timeout) } else { None }
    }
}

impl Words for Clocks {
    const WHAT: &'static str = "setting of the clocks";
    const LIST: &'static str = "real, none, or a step above zero such as \"1s\"";
    const ALL: &'static [(&'static str, Self)] = &[("real", Self::Real), ("none", Self::None)];

    fn other(text: &str) -> Option<Self> {
        parse_time(text).ok().filter(|step| !step.is_zero()).map(Self::Coarse)
    }

    fn time(self) -> Option<Duration> {
        if let Self::Coarse(step) = self { Some(step) } else { None }
    }
}

impl Words for Randomness {
    const WHAT: &'static str = "setting of the randomness";
    const LIST: &'static str = "real, none, or a table such as { seed = 42 }";
    const ALL: &'static [(&'static str, Self)] = &[("real", Self::Real), ("none", Self::None)];
}

/// Randomness: a word, or a table with a seed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Chance(pub(super) Randomness);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    seed: u64,
}

impl<'de> Deserialize<'de> for Chance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Chance;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(Randomness::LIST)
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Chance, E> {
                Word::deserialize(serde::de::value::StrDeserializer::new(word))
                    .map(|Word(randomness)| Chance(randomness))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Chance, A::Error> {
                let Seed { seed } = Seed::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Chance(Randomness::Seeded(seed)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
