//! How many programs run: of each grant, of each service, and of a host.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::child::{Child, Exit};
use crate::capability::Mark;

/// Those that run.
#[derive(Debug, Default)]
pub(crate) struct Places {
    taken: Mutex<Vec<Taken>>,
    next: AtomicU64,
    /// How many of a host may run at a time.
    most: AtomicUsize,
}

/// One of them.
#[derive(Debug)]
struct Taken {
    id: u64,
    service: Box<str>,
    /// The name that it is granted under.
    name: Box<str>,
    grant: Mark,
    child: Weak<Child>,
}

/// What one takes of them, for as long as it is there.
#[derive(Debug)]
pub(crate) struct Place {
    of: Arc<Places>,
    id: u64,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Of this grant.
    Grant(usize),
    /// Of this service.
    Service(usize),
    /// Of the host.
    Host(usize),
}

impl Places {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.into(), ..Self::default() })
    }

    /// How many may run at a time from now on.
    pub(crate) fn set(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// How many run of a service.
    #[cfg(test)]
    pub(crate) fn of(&self, service: &str) -> usize {
        self.lock().iter().filter(|one| *one.service == *service).count()
    }

    /// A place for one more, of so many that may run under this name and of this service.
    pub(crate) fn take(
        self: &Arc<Self>,
        (service, name): (&str, &str),
        grant: &Mark,
        (of_grant, of_service): (usize, usize),
    ) -> Result<Place, Full> {
        let mut taken = self.lock();
        let of_this = || taken.iter().filter(|one| *one.service == *service);
        let most = self.most.load(Ordering::Relaxed);
        match () {
            () if of_this().filter(|one| *one.name == *name).count() >= of_grant => return Err(Full::Grant(of_grant)),
            () if of_this().count() >= of_service => return Err(Full::Service(of_service)),
            () if taken.len() >= most => return Err(Full::Host(most)),
            () => {}
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (service, name, grant) = (service.into(), name.into(), grant.clone());
        taken.push(Taken { id, service, name, grant, child: Weak::new() });
        Ok(Place { of: Arc::clone(self), id })
    }

    /// Kills what runs of a service under grants that are taken away, or under names that it is not granted any more.
    pub(crate) fn kill_ungranted(&self, service: &str, is_granted: impl Fn(&str) -> bool) {
        let gone: Vec<Arc<Child>> = {
            let taken = self.lock();
            let theirs = taken.iter().filter(|one| *one.service == *service);
            let gone = theirs.filter(|one| one.grant.is_revoked() || !is_granted(&one.name));
            gone.filter_map(|one| one.child.upgrade()).collect()
        };
        gone.iter().for_each(|child| child.kill_over(Exit::Revoked));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Says which program has this place. One whose grant was taken away meanwhile is killed.
    pub(super) fn is_of(&self, child: &Arc<Child>) {
        let mut taken = self.of.lock();
        let Some(own) = taken.iter_mut().find(|one| one.id == self.id) else { return };
        own.child = Arc::downgrade(child);
        let is_revoked = own.grant.is_revoked();
        drop(taken);
        if is_revoked {
            child.kill_over(Exit::Revoked);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.lock().retain(|one| one.id != self.id);
    }
}
