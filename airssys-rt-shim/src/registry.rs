//! Unique names. It knows what is registered, not whether it runs.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

/// How many parts the names are spread over, so that those who look do not meet those who register.
const SHARDS: usize = 16;

struct Entry<V> {
    owner: Arc<str>,
    value: Arc<V>,
}

type Shard<V> = RwLock<HashMap<Arc<str>, Entry<V>>>;

/// Names and what they stand for, each with its owner.
///
/// # Example
///
/// ```
/// use airssys_rt_shim::registry::Registry;
///
/// let names = Registry::new();
/// names.register("pricing", "airssys.toml, line 12", 7)?;
/// assert_eq!(names.get("pricing").as_deref(), Some(&7));
///
/// let taken = names.register("pricing", "airssys.toml, line 30", 8).unwrap_err();
/// assert_eq!(&*taken.owner, "airssys.toml, line 12");
/// # Ok::<(), airssys_rt_shim::registry::NameTaken>(())
/// ```
pub struct Registry<V> {
    hasher: RandomState,
    shards: [Shard<V>; SHARDS],
}

impl<V> Default for Registry<V> {
    fn default() -> Self {
        Self { hasher: RandomState::new(), shards: std::array::from_fn(|_| RwLock::default()) }
    }
}

impl<V> Registry<V> {
    /// Nothing is registered.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn shard(&self, name: &str) -> &Shard<V> {
        let shards = SHARDS as u64;
        &self.shards[(self.hasher.hash_one(name) % shards) as usize]
    }

    /// Registers a name.
    ///
    /// # Errors
    ///
    /// The name is taken; the error tells by whom. What has it keeps it.
    pub fn register(
        &self,
        name: impl Into<Arc<str>>,
        owner: impl Into<Arc<str>>,
        value: V,
    ) -> Result<Arc<V>, NameTaken> {
        let name = name.into();
        let mut shard = self.shard(&name).write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = shard.get(&name) {
            return Err(NameTaken { name, owner: Arc::clone(&entry.owner) });
        }
        let value = Arc::new(value);
        shard.insert(name, Entry { owner: owner.into(), value: Arc::clone(&value) });
        Ok(value)
    }

    /// What the name stands for.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<V>> {
        let shard = self.shard(name).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(name).map(|entry| Arc::clone(&entry.value))
    }

    /// Frees a name, where it still stands for `value`; says whether it did.
    pub fn unregister(&self, name: &str, value: &Arc<V>) -> bool {
        let mut shard = self.shard(name).write().unwrap_or_else(PoisonError::into_inner);
        let ours = shard.get(name).is_some_and(|entry| Arc::ptr_eq(&entry.value, value));
        let freed = if ours { shard.remove(name) } else { None };
        // The value may be big or look up names when it is dropped.
        drop(shard);
        freed.is_some()
    }

    /// All names with what they stand for, sorted.
    #[must_use]
    pub fn entries(&self) -> Vec<(Arc<str>, Arc<V>)> {
        let mut entries = Vec::new();
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            entries.extend(shard.iter().map(|(name, entry)| (Arc::clone(name), Arc::clone(&entry.value))));
        }
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        entries
    }
}

impl<V> std::fmt::Debug for Registry<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.entries().into_iter().map(|(name, _)| name);
        f.debug_set().entries(names).finish()
    }
}

/// A name that somebody else has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name {name} is taken by {owner}; hint: names are unique, choose another one")]
pub struct NameTaken {
    /// The name.
    pub name: Arc<str>,
    /// Who has it.
    pub owner: Arc<str>,
}
