//! Maps of JSON in which no key stands twice. serde's own maps let the last one win, and nobody would know what was
//! lost.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// Reads a map, and refuses one in which a key stands twice: for `#[serde(deserialize_with)]`.
///
/// # Example
///
/// ```
/// use std::collections::BTreeMap;
///
/// #[derive(serde::Deserialize)]
/// struct Prices {
///     #[serde(deserialize_with = "airssys_wasm::command::unique_map")]
///     each: BTreeMap<String, u32>,
/// }
///
/// assert_eq!(serde_json::from_str::<Prices>(r#"{"each": {"tea": 3}}"#)?.each["tea"], 3);
/// assert!(serde_json::from_str::<Prices>(r#"{"each": {"tea": 3, "tea": 4}}"#).is_err());
/// # Ok::<_, serde_json::Error>(())
/// ```
///
/// # Errors
///
/// It is no map, or has a key twice.
pub fn map<'de, D: Deserializer<'de>, V: Deserialize<'de>>(from: D) -> Result<BTreeMap<String, V>, D::Error> {
    struct Unique<V>(PhantomData<V>);

    impl<'de, V: Deserialize<'de>> Visitor<'de> for Unique<V> {
        type Value = BTreeMap<String, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = entries.next_entry::<String, V>()? {
                if map.contains_key(&key) {
                    return Err(A::Error::custom(format_args!("the key {key:?} stands there twice")));
                }
                map.insert(key, value);
            }
            Ok(map)
        }
    }

    from.deserialize_map(Unique(PhantomData))
}
