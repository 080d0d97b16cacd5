//! The same release, better compiled, takes over from itself: actor by actor, where its memory is handed over or is a
//! cache, and otherwise when an actor starts next. Nothing of it is a deployment: there is no probation, and no way
//! back.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::order::Posts;
use crate::actor::{Control, MemoryHandover, Post, Swap, SwapKind, Swapped, start};
use crate::engine::{Engines, Template};
use crate::registry::Memory;

/// How long an actor has to come to the end of its turn, before it is looked at again later.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lets `better` take over from `hasty` where that serves; how many actors serve with it still, and are to be asked
/// again.
pub(crate) async fn tier_up(
    engines: &Arc<Engines>,
    posts: &Posts,
    hasty: &Arc<Template>,
    better: &Arc<Template>,
    memory: Memory,
) -> usize {
    let awake;
    let posts: Vec<&Post> = match posts {
        Posts::Fixed(posts) => posts.iter().collect(),
        Posts::Keyed(roster) => {
            awake = roster.improve(hasty, better);
            awake.iter().map(|post| &**post).collect()
        }
    };
    let hands_over = hasty.hands_over() || memory == Memory::Cache;
    let mut left = 0;
    for post in posts {
        let before = post.live.serving();
        if !Arc::ptr_eq(&before.template, hasty) || post.is_closed() {
            continue;
        }
        let next = Arc::new(before.with(better, &before.identity.terms));
        if !hands_over {
            left += usize::from(!post.live.improve(&before, &next));
            continue;
        }
        let until = Instant::now() + PATIENCE;
        let Ok(prepared) = start(engines, &next).await else {
            left += usize::from(!post.live.improve(&before, &next));
            continue;
        };
        let kind = SwapKind::Same { before };
        let (swap, mut ordered) = Swap::new(next, Some(prepared), kind, MemoryHandover::Required, until);
        // An order and no offer: it is for the incarnation that serves.
        let swapped = match post.order(Control::Swap(swap)) {
            Ok(()) => match ordered.ends_by(until).await {
                Some(end) => end,
                None => ordered.withdraw().await,
            },
            Err(_none_runs) => None,
        };
        match swapped {
            Some(Ok(Swapped { old, .. })) => drop(old),
            _ => left += 1,
        }
    }
    left
}
