//! Times and shares as JSON has them, for `#[serde(with)]`.

use serde::{Deserialize, Deserializer, Serializer};

/// In microseconds, and parts of them.
pub(super) mod microseconds {
    use std::time::Duration;

    use super::{Deserialize, Deserializer, Serializer};

    pub(in crate::deploy) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64() * 1e6)
    }

    pub(in crate::deploy) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)? / 1e6).map_err(serde::de::Error::custom)
    }
}

/// In whole milliseconds.
pub(super) mod milliseconds {
    use std::time::Duration;

    use super::{Deserialize, Deserializer, Serializer};

    pub(in crate::deploy) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(in crate::deploy) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// A share of one, in percent.
pub(super) mod percent {
    use super::{Deserialize, Deserializer, Serializer};

    /// Without what the multiplication adds at its end.
    pub(in crate::deploy) fn of(share: f64) -> f64 {
        (share * 1e11).round() / 1e9
    }

    pub(in crate::deploy) fn serialize<S: Serializer>(share: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(of(*share))
    }

    pub(in crate::deploy) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        f64::deserialize(from).map(|percent| percent / 100.0)
    }
}
