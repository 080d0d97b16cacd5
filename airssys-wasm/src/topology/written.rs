//! `airssys.toml` as it is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use airssys_rt_shim::child::{Restart, Shutdown};
use airssys_rt_shim::mailbox::Overflow;
use airssys_rt_shim::supervisor::{AutoShutdown, Strategy};

use crate::capability::{Access, Clocks, Randomness};
use crate::config_file::{Bytes, Humane, parse_time};
use crate::registry::WrittenLimits;
use crate::settings::Keeping;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Topology {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) settings: Settings,
    #[serde(default)]
    pub(super) root: Flags,
    #[serde(default, rename = "supervisor")]
    pub(super) supervisors: Vec<Spanned<Supervisor>>,
    #[serde(default, rename = "service")]
    pub(super) services: Vec<Spanned<Service>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    pub(super) reserve_timeout: Option<Humane>,
    pub(super) shutdown_timeout: Option<Humane>,
    pub(super) dead_letters: Option<usize>,
    pub(super) dead_letter_bytes: Option<Bytes>,
    pub(super) timers: Option<usize>,
    pub(super) timer_bytes: Option<Bytes>,
    pub(super) baseline_from: Option<Bytes>,
    pub(super) durable_state: Option<Bytes>,
    pub(super) trusted_keys: Option<Vec<Spanned<String>>>,
}

/// What a supervisor does when a child ends.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Flags {
    pub(super) strategy: Word<Strategy>,
    pub(super) intensity: Option<u32>,
    pub(super) period: Option<Humane>,
    pub(super) backoff: Option<Backoff>,
    pub(super) auto_shutdown: Word<AutoShutdown>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Backoff {
    pub(super) initial: Option<Humane>,
    pub(super) factor: Option<f64>,
    pub(super) max: Option<Humane>,
    pub(super) reset_after: Option<Humane>,
}

/// serde cannot flatten and deny unknown fields at once, so the flags of a supervisor stand here again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Supervisor {
    pub(super) name: Spanned<String>,
    pub(super) parent: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) strategy: Word<Strategy>,
    pub(super) intensity: Option<u32>,
    pub(super) period: Option<Humane>,
    pub(super) backoff: Option<Backoff>,
    #[serde(default)]
    pub(super) auto_shutdown: Word<AutoShutdown>,
    #[serde(default)]
    pub(super) restart: Word<Restart>,
    pub(super) shutdown: Option<Word<Shutdown>>,
    #[serde(default)]
    pub(super) significant: bool,
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
    pub(super) keyed: Option<Spanned<Keyed>>,
    pub(super) spawned: Option<Spanned<Spawned>>,
    #[serde(default)]
    pub(super) mailbox: Mailbox,
    #[serde(default)]
    pub(super) retries: u32,
    #[serde(default)]
    pub(super) limits: WrittenLimits,
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
pub(super) struct Keyed {
    pub(super) max_awake: Option<usize>,
    pub(super) idle_timeout: Option<Humane>,
    pub(super) max_keys: Option<usize>,
    pub(super) intensity: Option<u32>,
    pub(super) period: Option<Humane>,
    pub(super) backoff: Option<Backoff>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Spawned {
    pub(super) max_children: Option<usize>,
    pub(super) intensity: Option<u32>,
    pub(super) period: Option<Humane>,
    pub(super) backoff: Option<Backoff>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Mailbox {
    pub(super) capacity: Option<usize>,
    pub(super) bytes: Option<Bytes>,
    pub(super) all_bytes: Option<Bytes>,
    pub(super) overflow: Word<Overflow>,
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

/// A value that is written as one of a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Word<T>(pub(super) T);

pub(super) trait Words: Sized {
    /// What the value is, for the error.
    const WHAT: &'static str;
    /// The words.
    const WORDS: &'static str;
    fn of(word: &str) -> Option<Self>;
}

impl<'de, T: Words> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        T::of(&word).map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!("{word:?} is no {}; hint: it is one of {}", T::WHAT, T::WORDS))
        })
    }
}

impl Words for Strategy {
    const WHAT: &'static str = "strategy";
    const WORDS: &'static str = "one-for-one, one-for-all, rest-for-one";
    fn of(word: &str) -> Option<Self> {
        match word {
            "one-for-one" => Some(Self::OneForOne),
            "one-for-all" => Some(Self::OneForAll),
            "rest-for-one" => Some(Self::RestForOne),
            _ => None,
        }
    }
}

impl Words for AutoShutdown {
    const WHAT: &'static str = "auto-shutdown";
    const WORDS: &'static str = "never, any, all";
    fn of(word: &str) -> Option<Self> {
        match word {
            "never" => Some(Self::Never),
            "any" => Some(Self::Any),
            "all" => Some(Self::All),
            _ => None,
        }
    }
}

impl Words for Restart {
    const WHAT: &'static str = "restart type";
    const WORDS: &'static str = "permanent, transient, temporary";
    fn of(word: &str) -> Option<Self> {
        match word {
            "permanent" => Some(Self::Permanent),
            "transient" => Some(Self::Transient),
            "temporary" => Some(Self::Temporary),
            _ => None,
        }
    }
}

impl Words for Shutdown {
    const WHAT: &'static str = "shutdown";
    const WORDS: &'static str = "brutal-kill, infinity, or a length of time such as \"5s\"";
    fn of(word: &str) -> Option<Self> {
        match word {
            "brutal-kill" => Some(Self::BrutalKill),
            "infinity" => Some(Self::Infinity),
            time => parse_time(time).ok().map(Self::Timeout),
        }
    }
}

impl Words for Overflow {
    const WHAT: &'static str = "overflow policy";
    const WORDS: &'static str = "wait, refuse, drop-newest, drop-oldest";
    fn of(word: &str) -> Option<Self> {
        match word {
            "wait" => Some(Self::Wait),
            "refuse" => Some(Self::Refuse),
            "drop-newest" => Some(Self::DropNewest),
            "drop-oldest" => Some(Self::DropOldest),
            _ => None,
        }
    }
}

impl Words for Keeping {
    const WHAT: &'static str = "place for state";
    const WORDS: &'static str = "memory, durable; how large it may be is `state` of `limits`";
    fn of(word: &str) -> Option<Self> {
        match word {
            "memory" => Some(Self::Memory),
            "durable" => Some(Self::Durable),
            _ => None,
        }
    }
}

impl Words for Clocks {
    const WHAT: &'static str = "setting of the clocks";
    const WORDS: &'static str = "real, none, or a step above zero such as \"1s\"";
    fn of(word: &str) -> Option<Self> {
        match word {
            "real" => Some(Self::Real),
            "none" => Some(Self::None),
            step => parse_time(step).ok().filter(|step| !step.is_zero()).map(Self::Coarse),
        }
    }
}

impl Words for Randomness {
    const WHAT: &'static str = "setting of the randomness";
    const WORDS: &'static str = "real, none, or a table such as { seed = 42 }";
    fn of(word: &str) -> Option<Self> {
        match word {
            "real" => Some(Self::Real),
            "none" => Some(Self::None),
            _ => None,
        }
    }
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
                f.write_str(Randomness::WORDS)
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
