//! Looks at invariants after each commit of a run, those of a test file and one that is a closure, and tells those that
//! do not hold: once each, with what was found and the step after which it was.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::always::Always;
use super::invariant::Invariant;
use super::written::seconds;
use crate::runtime::Runtime;
use crate::seeded::Seeded;

/// The invariants of one run.
pub(super) struct Watch(Vec<Watched>);

/// Says what is there in the place of what should be; none where it holds.
type Broken = Box<dyn Fn(&Runtime) -> Option<String> + Send + Sync>;

struct Watched {
    broken: Broken,
    /// The services that it is about; none for all.
    services: Option<Vec<String>>,
    /// See [`Invariant::within`].
    within: Duration,
    standing: Mutex<Standing>,
}

/// How it stands.
enum Standing {
    Holds,
    /// It has not held since then.
    Wavers(Since),
    /// That was told.
    Broken,
}

struct Since {
    at: Duration,
    step: String,
    found: String,
}

impl Watch {
    pub(super) fn new(invariants: &[Invariant]) -> Arc<Self> {
        let watched = |invariant: &Invariant| {
            let (services, within) = (invariant.services().map(str::to_owned).collect(), invariant.within);
            let invariant = invariant.clone();
            let broken = Box::new(move |runtime: &Runtime| invariant.broken(runtime));
            Watched { broken, services: Some(services), within, standing: Mutex::new(Standing::Holds) }
        };
        Arc::new(Self(invariants.iter().map(watched).collect()))
    }

    /// One that is a closure, about any service.
    pub(super) fn of(always: Option<&Always>) -> Arc<Self> {
        let watched = always.cloned().map(|always| {
            let broken = Box::new(move |runtime: &Runtime| always.broken(runtime));
            Watched { broken, services: None, within: Duration::ZERO, standing: Mutex::new(Standing::Holds) }
        });
        Arc::new(Self(watched.into_iter().collect()))
    }

    /// Looks after each commit of a host from now on, and once now. Until the host is dropped, or another one is looked
    /// at.
    pub(super) fn begin(self: &Arc<Self>, runtime: &Arc<Runtime>, seeded: &Seeded) {
        if self.0.is_empty() {
            return;
        }
        let (watch, looked_at, run) = (Arc::clone(self), Arc::downgrade(runtime), seeded.downgrade());
        seeded.after_commits(Some(Arc::new(move |actor, message| {
            let (Some(runtime), Some(seeded)) = (looked_at.upgrade(), run.upgrade()) else { return };
            let service = actor.split('/').next().unwrap_or(actor);
            match message {
                Some(id) => watch.look(&runtime, &seeded, Some(service), &format_args!("message {id} at {actor}")),
                None => watch.look(&runtime, &seeded, Some(service), &format_args!("what {actor} did by itself")),
            }
        })));
        self.look(runtime, seeded, None, &"the host had begun");
    }

    /// The last look: nothing is under way any more, and all of them hold.
    pub(super) fn end(&self, runtime: &Runtime, seeded: &Seeded) {
        let now = seeded.elapsed();
        for Watched { broken, within, standing, .. } in &self.0 {
            let mut standing = standing.lock().unwrap_or_else(PoisonError::into_inner);
            let found = broken(runtime);
            match (&*standing, found) {
                (Standing::Wavers(Since { at, step, .. }), Some(found)) => {
                    seeded.breaks(format!("invariant, in the end and since {step} ({}): {found}", seconds(*at)));
                    *standing = Standing::Broken;
                }
                (_, found) => standing.go_on(found, (*within, now), &"the last step", seeded),
            }
        }
    }

    /// Looks at those that are about this service, or at all.
    fn look(&self, runtime: &Runtime, seeded: &Seeded, service: Option<&str>, step: &dyn Display) {
        let now = seeded.elapsed();
        for Watched { broken, services, within, standing } in &self.0 {
            let is_about = |service| services.as_ref().is_none_or(|about| about.iter().any(|of| of == service));
            if service.is_none_or(is_about) {
                let mut standing = standing.lock().unwrap_or_else(PoisonError::into_inner);
                if !matches!(*standing, Standing::Broken) {
                    standing.go_on(broken(runtime), (*within, now), step, seeded);
                }
            }
        }
    }
}

impl Standing {
    /// What was found now; none where it holds.
    fn go_on(
        &mut self,
        found: Option<String>,
        (within, now): (Duration, Duration),
        step: &dyn Display,
        seeded: &Seeded,
    ) {
        let holds = found.is_none();
        if let (Self::Holds, Some(found)) = (&*self, found) {
            *self = Self::Wavers(Since { at: now, step: step.to_string(), found });
        }
        let Self::Wavers(Since { at, step, found }) = &*self else { return };
        if within.is_zero() {
            seeded.breaks(format!("invariant, after {step} ({}): {found}", seconds(*at)));
            *self = Self::Broken;
        } else if now.saturating_sub(*at) > within {
            let within = humantime::format_duration(within);
            seeded.breaks(format!("invariant, for longer than {within} after {step} ({}): {found}", seconds(*at)));
            *self = Self::Broken;
        } else if holds {
            *self = Self::Holds;
        }
    }
}
