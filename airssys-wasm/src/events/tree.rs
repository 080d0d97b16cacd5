//! What supervisors and their children tell, as events.

use std::sync::Arc;

use airssys_rt_shim::child::ChildKind;
use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::supervisor::{Listener, Named, News};

use super::event::text;
use super::{Events, Happening};
use crate::error::Crash;
use crate::hint::Coded;

impl Events {
    /// Publishes what is told of a tree.
    pub(crate) fn listener(self: &Arc<Self>) -> Listener {
        let events = Arc::clone(self);
        let listener = Listener::new(move |news| events.hear(news));
        match self.seeded.get() {
            None => listener,
            Some(seeded) => listener.judged_by(seeded.judge()),
        }
    }

    fn hear(&self, news: &News<'_>) {
        match *news {
            News::Up { child, generation: incarnation, again } => {
                let actor = actor(child);
                let what = match again {
                    false => Happening::Started { actor, incarnation },
                    true => Happening::Restarted { actor, incarnation },
                };
                self.publish(service(child), what);
            }
            News::Ended { child, generation: incarnation, reason } => {
                if let (Some(of), Some(crash)) = (service(child), reason.downcast_ref::<Crash>())
                    && let Some(limit) = crash.limit()
                {
                    self.reach(of, limit, format_args!("{} has ended: {crash}", child.id));
                }
                let (reason, detail) = words(reason);
                let what = Happening::Ended { actor: actor(child), incarnation, reason: reason.to_owned(), detail };
                self.publish(service(child), what);
            }
            News::SetAside { child, delay } => {
                let for_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                self.publish(service(child), Happening::SetAside { actor: actor(child), for_ms });
            }
            News::GaveUp { supervisor, child } => {
                let (supervisor, who) = (text(supervisor), actor(child));
                self.publish(service(child), Happening::GaveUp { supervisor, child: who });
            }
            // What a newer shim tells is told by a newer host.
            _ => {}
        }
    }
}

/// A worker is called by its address, with its number where it is one of a pool.
fn actor(child: Named<'_>) -> String {
    match child.kind {
        ChildKind::Worker => text(child.id),
        ChildKind::Supervisor => text(child.path),
    }
}

/// The service that a worker belongs to.
fn service(child: Named<'_>) -> Option<&str> {
    let is_worker = child.kind == ChildKind::Worker;
    is_worker.then(|| child.id.as_str().split(['/', '#']).next()).flatten()
}

/// A word for why an actor ended, and more, where the word does not say it all.
fn words(reason: &ExitReason) -> (&'static str, Option<String>) {
    match reason {
        ExitReason::Normal => ("normal", None),
        ExitReason::Shutdown => ("shutdown", None),
        ExitReason::Killed => ("killed", None),
        ExitReason::Panicked(what) => ("panicked", Some(text(what))),
        failed => {
            let word = failed.downcast_ref::<Crash>().map_or("failed", Crash::code);
            (word, Some(text(failed)))
        }
    }
}
