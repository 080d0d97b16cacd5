//! What is to be deployed, and to whom.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::DeployOptions;
use super::intent::Step;
use super::record_error::RecordError;
use super::records::Page;
use crate::actor::{Before, Post, Prepared, Roster, Serving};
use crate::engine::{Engines, Template};
use crate::error::Crash;
use crate::events::Events;
use crate::settings::Terms;

/// What is to be deployed, and where.
pub(crate) struct Order {
    pub(crate) engines: Arc<Engines>,
    pub(crate) posts: Posts,
    /// In which order the members of a pool are switched.
    pub(crate) seats: Vec<usize>,
    pub(crate) template: Arc<Template>,
    pub(crate) terms: Arc<Terms>,
    pub(crate) options: DeployOptions,
    /// Whose states are put back to what they were, where turns are to be discarded.
    pub(crate) restore: Option<Restore>,
    /// Whether none of the actors runs, because they ended by themselves: they are started again then, and are not
    /// passed over.
    pub(crate) starts: bool,
    /// Where it is written down; one of a set ends its probation together with the others.
    pub(crate) page: Arc<Page>,
    /// What was done for it before it runs.
    pub(crate) begun: Option<Begun>,
}

/// What comes before the first pause.
pub(crate) struct Begun {
    /// Whether it is written down.
    pub(super) written: Result<(), String>,
    /// An instance for the actor that is switched first, where that is known.
    pub(super) first: Option<JoinHandle<Result<Prepared, Crash>>>,
}

/// The actors of a service.
#[derive(Clone)]
pub(crate) enum Posts {
    /// There are always as many.
    Fixed(Arc<[Post]>),
    /// They come and go. Those of a share that wake while a deployment is under way wake with the new release; for
    /// `decide` each step is one.
    Keyed(Arc<Roster>),
}

impl Posts {
    /// Where what happens to them is told; none where there are none.
    pub(super) fn events(&self) -> Option<Arc<Events>> {
        match self {
            Self::Fixed(posts) => posts.first().map(|post| Arc::clone(&post.live.serving().identity.mesh.events)),
            Self::Keyed(roster) => Some(Arc::clone(roster.events())),
        }
    }

    /// Why actors do not serve whose release cannot read their states, and what those can be put back to.
    pub(crate) fn unreadable(&self) -> Vec<(Crash, Before)> {
        match self {
            Self::Fixed(posts) => posts.iter().filter_map(|post| post.live.unreadable()).collect(),
            Self::Keyed(roster) => roster.awake().iter().filter_map(|post| post.live.unreadable()).collect(),
        }
    }

    /// Whether one of them starts with the release before at this moment: nobody knows yet whether that can read its
    /// state.
    pub(super) fn come_back(&self) -> bool {
        let is_so = |post: &Post| post.live.comes_back() && post.live.is_starting();
        match self {
            Self::Fixed(posts) => posts.iter().any(is_so),
            Self::Keyed(roster) => roster.awake().iter().any(|post| is_so(post)),
        }
    }

    /// One of the actors, as if the release served it; none where there is none.
    pub(super) fn sample(&self, template: &Arc<Template>, terms: &Arc<Terms>) -> Option<Serving> {
        match self {
            Self::Fixed(posts) => Some(posts.first()?.live.serving().with(template, terms)),
            Self::Keyed(roster) => match roster.awake().first() {
                Some(post) => Some(post.live.serving().with(template, terms)),
                None => roster.nobody(template, terms),
            },
        }
    }

    /// What the states were before the live release brought them over, of each actor of which it did.
    pub(crate) fn saved(&self) -> Vec<Before> {
        match self {
            Self::Fixed(posts) => {
                posts.iter().map(|post| post.live.saved()).filter(|saved| !saved.is_empty()).collect()
            }
            Self::Keyed(roster) => roster.saved(),
        }
    }

    /// Whether none of them takes messages any more, or ever will.
    pub(crate) fn are_stopped(&self) -> bool {
        let posts = self.fixed();
        !posts.is_empty() && posts.iter().all(Post::is_closed)
    }

    /// Whether none of them runs, and some ended by themselves: what is to take over starts in their places.
    pub(crate) fn have_finished(&self) -> bool {
        self.are_stopped() && self.fixed().iter().any(Post::has_finished)
    }

    /// How many actors or keys have this release, and how many there are.
    pub(super) async fn share(&self, template: &Arc<Template>) -> (usize, usize) {
        match self {
            Self::Fixed(posts) => {
                let has_it = |post: &&Post| Arc::ptr_eq(&post.live.serving().template, template);
                let have = posts.iter().filter(has_it).filter(|post| !post.live.is_gone()).count();
                (have, posts.len())
            }
            Self::Keyed(roster) => {
                let roster = Arc::clone(roster);
                crate::blocking::spawn(move || roster.share()).await.unwrap_or_default()
            }
        }
    }

    pub(crate) fn fixed(&self) -> &[Post] {
        match self {
            Self::Fixed(posts) => posts,
            Self::Keyed(_) => &[],
        }
    }
}

/// Which states are put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restore {
    /// Those of the actors that are suspended: the release is there already.
    Suspended,
    /// All that the live release has brought over.
    BroughtOver,
}

impl Order {
    /// Which step this batch is, where there are several.
    pub(super) fn step(&self, batches: &[usize], from: usize) -> Option<Step> {
        let made = batches.iter().filter(|have| **have <= from).count();
        let strategy = self.options.strategy.name().to_owned();
        (batches.len() > 1).then(|| Step { strategy, step: made + 1, steps: batches.len() })
    }

    /// Does what comes before the first pause, on a thread that may wait for the disk; the first instance is made while
    /// that writes. Keys are tried before anything is written.
    pub(crate) fn begin_here(&mut self) {
        if let Posts::Fixed(_) = &self.posts {
            let first = self.first();
            let written = self.page.begin(self.step(&self.batches(), 0)).map_err(|error| error.to_string());
            self.begun = Some(Begun { written, first });
        }
    }

    /// Writes down what is about to happen. Not where keys get their states back: what a host that is killed over that
    /// leaves is for the live release, which can bring over again what it has brought over.
    pub(super) async fn begin(&self, step: Option<Step>) -> Result<(), String> {
        match (&self.posts, self.restore) {
            (Posts::Keyed(_), Some(_)) => Ok(()),
            _ => self.write_down(|page| page.begin(step)).await,
        }
    }

    /// Writes something down, off the runtime's threads.
    pub(super) async fn write_down(
        &self,
        what: impl FnOnce(&Page) -> Result<(), RecordError> + Send + 'static,
    ) -> Result<(), String> {
        let page = Arc::clone(&self.page);
        match crate::blocking::spawn(move || what(&page)).await {
            Ok(written) => written.map_err(|error| error.to_string()),
            Err(panic) => Err(panic.to_string()),
        }
    }

    /// How many have the new release after each batch. Of a keyed service each step is one, whoever is awake.
    pub(super) fn batches(&self) -> Vec<usize> {
        match &self.posts {
            Posts::Fixed(posts) => self.options.strategy.batches(posts.len()),
            Posts::Keyed(_) => (1..=self.options.strategy.shares().len()).collect(),
        }
    }

    /// Which actor the `nth` is, in the order in which they are switched.
    pub(super) fn seat(&self, nth: usize) -> usize {
        self.seats.get(nth).copied().unwrap_or(nth)
    }
}
