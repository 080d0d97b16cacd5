//! Names that were resolved for sockets, and where they lead: each for some time, so that what a guest was told is what
//! it may connect to, and nobody is told something else in between.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How many names are remembered: there are as many as are granted, and more only where nothing is denied.
pub(super) const MOST: usize = 4_096;

/// Where names lead that were resolved.
#[derive(Default)]
pub(super) struct Names(Mutex<HashMap<Box<str>, Led>>);

/// Where a name leads, or that it cannot be resolved, and until when that is so.
#[derive(Clone)]
pub(super) struct Led {
    pub(super) to: Option<Arc<[IpAddr]>>,
    pub(super) until: Instant,
}

impl Names {
    /// Nobody panics while this is held, so a poisoned lock has all that it had.
    fn all(&self) -> MutexGuard<'_, HashMap<Box<str>, Led>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a name leads now, where that is known.
    pub(super) fn known(&self, name: &str, now: Instant) -> Option<Led> {
        self.all().get(name).filter(|led| led.until > now).cloned()
    }

    /// Remembers where a name leads, unless that is known by now; gives where it leads.
    pub(super) fn put(&self, name: &str, led: Led, now: Instant) -> Led {
        let mut names = self.all();
        if let Some(known) = names.get(name).filter(|known| known.until > now && known.to.is_some()) {
            return known.clone();
        }
        if names.len() >= MOST {
            names.retain(|_, known| known.until > now);
        }
        if names.len() >= MOST {
            names.clear();
        }
        names.insert(name.into(), led.clone());
        led
    }

    /// Where a name led last, however long ago that is.
    pub(super) fn last(&self, name: &str) -> Option<Arc<[IpAddr]>> {
        self.all().get(name)?.to.clone()
    }

    /// A name that leads, or led, to this address.
    pub(super) fn of(&self, ip: IpAddr) -> Option<Box<str>> {
        let leads = |led: &Led| led.to.as_ref().is_some_and(|all| all.contains(&ip));
        self.all().iter().find(|(_, led)| leads(led)).map(|(name, _)| name.clone())
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all().len()
    }
}
