//! How the actors say they are that have the new release: asked one after the other, while whoever asks does something
//! else.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::order::Posts;
use crate::actor::{Live, check};
use crate::engine::Template;
use crate::error::Fault;

/// Asks all actors that have a release how they are.
pub(super) struct Health {
    posts: Posts,
    template: Arc<Template>,
    /// How long each has to answer.
    patience: Duration,
    /// Those that were not well when they were asked last.
    doubted: Vec<Arc<Live>>,
}

/// All are asked once: what one says that was not well the last time either.
type Round = Pin<Box<dyn Future<Output = (Health, Option<Fault>)> + Send>>;

impl Health {
    pub(super) fn new(posts: &Posts, template: &Arc<Template>, patience: Duration) -> Self {
        Self { posts: posts.clone(), template: Arc::clone(template), patience, doubted: Vec::new() }
    }

    /// One that does not run, or does not come to it in time, says nothing: its crash would.
    async fn ask(mut self) -> (Self, Option<Fault>) {
        let before = std::mem::take(&mut self.doubted);
        let awake = match &self.posts {
            Posts::Fixed(_) => Vec::new(),
            Posts::Keyed(roster) => roster.awake(),
        };
        let mut found = None;
        for post in self.posts.fixed().iter().chain(awake.iter().map(|post| &**post)) {
            if Arc::ptr_eq(&post.live.serving().template, &self.template)
                && let Some(Err(fault)) = check(post, self.patience).await
            {
                if before.iter().any(|live| Arc::ptr_eq(live, &post.live)) {
                    found = Some(fault);
                    break;
                }
                self.doubted.push(Arc::clone(&post.live));
            }
        }
        (self, found)
    }
}

/// Asks round after round.
pub(super) enum Rounds {
    /// None is asked now.
    Between(Health),
    UnderWay(Round),
}

/// How far it is.
pub(super) enum Told {
    /// A round has begun.
    Begun,
    /// It is over, and this is wrong.
    Over(Option<Fault>),
}

impl Rounds {
    /// Begins a round at this time, or goes on with the one that is under way. Cut off, it goes on where it was when it
    /// is asked next.
    pub(super) async fn next(&mut self, at: Instant) -> Told {
        if let Self::UnderWay(round) = self {
            let (health, fault) = round.await;
            *self = Self::Between(health);
            return Told::Over(fault);
        }
        if Instant::now() < at {
            sleep_until(at).await;
        }
        self.begin();
        Told::Begun
    }

    /// Whether some were not well, which is no verdict before they are asked again.
    pub(super) fn is_doubted(&self) -> bool {
        matches!(self, Self::Between(health) if !health.doubted.is_empty())
    }

    fn begin(&mut self) {
        if let Self::Between(health) = self {
            let doubted = std::mem::take(&mut health.doubted);
            let health = Health { doubted, ..Health::new(&health.posts, &health.template, health.patience) };
            *self = Self::UnderWay(Box::pin(health.ask()));
        }
    }
}
