//! Who subscribes to what.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::service::Target;
use crate::capability::Pattern;

/// Subscriptions: read at each publish without a lock, copied at each change.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    subscriptions: ArcSwap<Vec<(Pattern, Target)>>,
}

impl Topics {
    /// Subscribes; once more changes nothing.
    pub(crate) fn subscribe(&self, pattern: &Pattern, target: &Target) {
        self.subscriptions.rcu(|old| {
            let mut new = Vec::clone(old);
            if !new.iter().any(|(known, who)| known == pattern && who.address() == target.address()) {
                new.push((pattern.clone(), target.clone()));
            }
            new
        });
    }

    /// Takes a subscription back; nothing happens where there is none.
    pub(crate) fn unsubscribe(&self, pattern: &Pattern, target: &Target) {
        self.subscriptions.rcu(|old| {
            let mut new = Vec::clone(old);
            new.retain(|(known, who)| known != pattern || who.address() != target.address());
            new
        });
    }

    /// Lets each subscription be that of another target; it ends where there is none.
    pub(crate) fn rebind(&self, to: impl Fn(&Target) -> Option<Target>) {
        self.subscriptions.rcu(|old| {
            old.iter().filter_map(|(pattern, target)| Some((pattern.clone(), to(target)?))).collect::<Vec<_>>()
        });
    }

    /// Ends the subscriptions for which this is not so.
    pub(crate) fn retain(&self, keeps: impl Fn(&Pattern, &Target) -> bool) {
        self.subscriptions.rcu(|old| {
            let mut new = Vec::clone(old);
            new.retain(|(pattern, target)| keeps(pattern, target));
            new
        });
    }

    /// Those who get what is published on `topic`, each once.
    pub(crate) fn subscribers(&self, topic: &str) -> Vec<Target> {
        let subscriptions: Arc<_> = self.subscriptions.load_full();
        let mut found: Vec<Target> = Vec::new();
        for (pattern, target) in subscriptions.iter() {
            if pattern.matches(topic) && !found.iter().any(|known| known.address() == target.address()) {
                found.push(target.clone());
            }
        }
        found
    }
}
