//! Flags of `bindgen!`, which derives nothing for them.

use std::fmt;

use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::same_name;

/// Has flags that wasmtime's `bindgen!` made be part of a call with types: all of their names, as they are in Rust.
///
/// # Example
///
/// ```
/// # #[cfg(not(miri))] {
/// wasmtime::component::flags! {
///     Extras {
///         #[component(name = "gift")] const GIFT;
///         #[component(name = "next-day")] const NEXT_DAY;
///     }
/// }
/// airssys_wasm::flags!(Extras { GIFT, NEXT_DAY });
///
/// let text = serde_json::to_string(&Extras::NEXT_DAY)?;
/// assert_eq!(text, r#"["NEXT_DAY"]"#);
/// assert_eq!(serde_json::from_str::<Extras>(r#"["next-day"]"#)?, Extras::NEXT_DAY);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! flags {
    ($flags:ty { $($flag:ident),* $(,)? }) => {
        impl $crate::typed_flags::Serialize for $flags {
            fn serialize<S: $crate::typed_flags::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let all = [$((stringify!($flag), <$flags>::$flag)),*];
                let set = all.into_iter().filter(|(_, flag)| self.contains(*flag)).map(|(name, _)| name);
                $crate::typed_flags::write(serializer, set.collect())
            }
        }

        impl<'de> $crate::typed_flags::Deserialize<'de> for $flags {
            fn deserialize<D: $crate::typed_flags::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let mut flags = <$flags>::empty();
                for index in $crate::typed_flags::read(deserializer, &[$(stringify!($flag)),*])? {
                    flags |= [$(<$flags>::$flag),*][index];
                }
                Ok(flags)
            }
        }
    };
}

/// What the macro is made of.
#[doc(hidden)]
pub mod typed_flags {
    pub use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub use super::{read, write};
}

/// Writes the names of those that are set.
#[doc(hidden)]
pub fn write<S: Serializer>(serializer: S, set: Vec<&'static str>) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(set.into_iter().map(Name))
}

/// A name as that of a case, so that it is compared as one of Rust's.
struct Name(&'static str);

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit_variant("flags", 0, self.0)
    }
}

/// Reads which of the names are set.
#[doc(hidden)]
pub fn read<'de, D: Deserializer<'de>>(
    deserializer: D,
    names: &'static [&'static str],
) -> Result<Vec<usize>, D::Error> {
    deserializer.deserialize_seq(Which(names))
}

struct Which(&'static [&'static str]);

impl<'de> Visitor<'de> for Which {
    type Value = Vec<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flags of {:?}", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Vec<usize>, A::Error> {
        let mut found = Vec::new();
        while let Some(name) = all.next_element::<String>()? {
            let index = self.0.iter().position(|known| same_name(&name, known));
            found.push(index.ok_or_else(|| A::Error::custom(format!("no flag `{name}` is among {:?}", self.0)))?);
        }
        Ok(found)
    }
}
