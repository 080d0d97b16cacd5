//! Who subscribes to what.
//!
//! Invariant: an address never has more subscriptions than it may, those counted that turns hold back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::place::Place;
use crate::address::Address;
use crate::capability::Pattern;
use crate::events::Full;

/// Subscriptions: read at each publish without a lock, copied at each change.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    subscriptions: ArcSwap<Vec<(Pattern, Arc<Place>)>>,
    /// What each address subscribes to, or is about to. Changed with `subscriptions`, and never looked at by a publish.
    owned: Mutex<HashMap<Address, Patterns>>,
}

/// The patterns of one address.
#[derive(Debug, Default)]
struct Patterns {
    of: HashMap<Pattern, Owned>,
    /// Whether it was told that there are as many as may be.
    full: Full,
}

/// A pattern of one address.
#[derive(Debug, Default)]
struct Owned {
    /// Whether it is subscribed to.
    made: bool,
    /// How many turns are about to.
    held: usize,
}

impl Topics {
    fn owned(&self) -> MutexGuard<'_, HashMap<Address, Patterns>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room for a subscription of an address that may have `most`; whether there is room. One that it has already
    /// takes none. Where there is none, `tell` is to tell so, and says whether it did.
    pub(crate) fn reserve(
        &self,
        pattern: &Pattern,
        target: &Arc<Place>,
        most: usize,
        tell: impl FnOnce() -> bool,
    ) -> bool {
        let mut owned = self.owned();
        let patterns = owned.entry(target.address().clone()).or_default();
        if !patterns.of.contains_key(pattern) {
            if patterns.of.len() >= most {
                patterns.full.reached(tell);
                if patterns.of.is_empty() {
                    owned.remove(target.address());
                }
                return false;
            }
            patterns.full.has_room();
        }
        patterns.of.entry(pattern.clone()).or_default().held += 1;
        true
    }

    /// Gives room back that was taken.
    pub(crate) fn give_back(&self, pattern: &Pattern, target: &Arc<Place>) {
        Self::change(&mut self.owned(), pattern, target, |owned| owned.held = owned.held.saturating_sub(1));
    }

    /// Subscribes, with room that was taken; once more changes nothing.
    pub(crate) fn subscribe(&self, pattern: &Pattern, target: &Arc<Place>) {
        let mut owned = self.owned();
        let mut is_new = false;
        Self::change(&mut owned, pattern, target, |owned| {
            owned.held = owned.held.saturating_sub(1);
            is_new = !std::mem::replace(&mut owned.made, true);
        });
        if is_new {
            self.subscriptions.rcu(|old| {
                let mut new = Vec::clone(old);
                new.push((pattern.clone(), target.clone()));
                new
            });
        }
    }

    /// Takes a subscription back; nothing happens where there is none.
    pub(crate) fn unsubscribe(&self, pattern: &Pattern, target: &Arc<Place>) {
        let mut owned = self.owned();
        let mut known = false;
        Self::change(&mut owned, pattern, target, |owned| known = std::mem::take(&mut owned.made));
        if known {
            self.remove(|(subscribed, who)| subscribed == pattern && who.address() == target.address());
        }
    }

    /// Takes all subscriptions of an address back that is gone.
    pub(crate) fn forget_all(&self, target: &Arc<Place>) {
        let mut owned = self.owned();
        let Some(patterns) = owned.remove(target.address()) else { return };
        if patterns.of.values().any(|owned| owned.made) {
            self.remove(|(_, who)| who.address() == target.address());
        }
    }

    /// Changes what is known of a pattern of an address, where there is something.
    fn change(
        owned: &mut HashMap<Address, Patterns>,
        pattern: &Pattern,
        target: &Arc<Place>,
        change: impl FnOnce(&mut Owned),
    ) {
        let Some(patterns) = owned.get_mut(target.address()) else { return };
        let Some(found) = patterns.of.get_mut(pattern) else { return };
        change(found);
        if !found.made && found.held == 0 {
            patterns.of.remove(pattern);
            if patterns.of.is_empty() {
                owned.remove(target.address());
            }
        }
    }

    fn remove(&self, gone: impl Fn(&(Pattern, Arc<Place>)) -> bool) {
        self.subscriptions.rcu(|old| {
            let mut new = Vec::clone(old);
            new.retain(|entry| !gone(entry));
            new
        });
    }

    /// Lets each subscription be that of another target; it ends where there is none.
    pub(crate) fn rebind(&self, to: impl Fn(&Arc<Place>) -> Option<Arc<Place>>) {
        self.subscriptions.rcu(|old| {
            old.iter().filter_map(|(pattern, target)| Some((pattern.clone(), to(target)?))).collect::<Vec<_>>()
        });
    }

    /// Ends the subscriptions for which this is not so.
    pub(crate) fn retain(&self, keeps: impl Fn(&Pattern, &Arc<Place>) -> bool) {
        self.subscriptions.rcu(|old| {
            let mut new = Vec::clone(old);
            new.retain(|(pattern, target)| keeps(pattern, target));
            new
        });
    }

    /// Those who get what is published on `topic`, each once.
    pub(crate) fn subscribers(&self, topic: &str) -> Vec<Arc<Place>> {
        let subscriptions: Arc<_> = self.subscriptions.load_full();
        let mut found: Vec<Arc<Place>> = Vec::new();
        for (pattern, target) in subscriptions.iter() {
            if pattern.matches(topic) && !found.iter().any(|known| known.address() == target.address()) {
                found.push(target.clone());
            }
        }
        found
    }
}
