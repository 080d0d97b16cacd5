//! A deployment that is under way: what it knows, and what each part of it needs.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Setback;
use super::decide::Event;
use super::deployment::{Joined, Wish};
use super::met::Met;
use super::order::{Order, Posts};
use super::report::Report;
use super::switch::Failed;
use crate::actor::{Control, HeldInstance, Post, Prepared, Rehearsal, Serving, Waking, Watch};
use crate::error::Crash;

pub(super) struct Running<'a> {
    pub(super) order: Order,
    pub(super) told: &'a Report,
    pub(super) met: Arc<Met>,
    /// Where turns are counted, where the two releases are compared.
    pub(super) watch: Option<Arc<Watch>>,
    pub(super) failed: Failed,
    pub(super) failures: mpsc::UnboundedReceiver<(usize, Crash)>,
    pub(super) wishes: mpsc::UnboundedReceiver<Wish>,
    /// What each actor served with before.
    pub(super) before: Vec<Arc<Serving>>,
    /// An instance for the first actor, or why there is none.
    pub(super) first: Option<Result<Prepared, Crash>>,
    /// What served before, where it is kept until the probation is over.
    pub(super) held: Vec<Option<Box<HeldInstance>>>,
    pub(super) setback: Option<Setback>,
    /// Who is told that it is off probation, where it is one of a set, and what says what becomes of it then.
    pub(super) joined: Option<Joined>,
    /// What the actors of a keyed service wake with, that have the new release.
    pub(super) woken: Option<Waking>,
}

impl Running<'_> {
    /// Something speaks against the new release; the first of that is told as the reason.
    pub(super) fn set_back(&mut self, why: Setback) -> Event {
        self.setback.get_or_insert(why);
        Event::Cancelled
    }

    /// An actor went back by itself. Of a keyed service the others have to be asked to.
    pub(super) fn crashed(&mut self, actor: usize, crash: Crash) -> Event {
        self.setback.get_or_insert(Setback::Crashed(crash));
        match self.order.posts {
            Posts::Fixed(_) => Event::Crashed(actor),
            Posts::Keyed(_) => Event::Cancelled,
        }
    }

    pub(super) fn rehearsal(&self) -> Option<&Arc<Rehearsal>> {
        self.watch.as_ref()?.rehearsal.as_ref()
    }

    /// Lets the turns of all actors be counted, or not any more.
    pub(super) async fn count_turns(&mut self, watch: Option<&Arc<Watch>>) {
        if self.watch.is_none() {
            return;
        }
        let awake;
        let posts: Vec<&Post> = match &self.order.posts {
            Posts::Fixed(posts) => {
                posts.iter().for_each(|post| post.live.watch(watch.cloned()));
                posts.iter().collect()
            }
            Posts::Keyed(roster) => {
                awake = roster.watch(watch);
                awake.iter().map(|post| &**post).collect()
            }
        };
        for post in posts {
            // Who does not run looks for himself when he starts.
            let _none_runs = post.order(Control::Watch);
        }
    }
}
