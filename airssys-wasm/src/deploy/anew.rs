//! An actor begins anew on a state that nobody has written to, with the release that it has. Nothing of it is a
//! deployment.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::time::Instant;

use crate::actor::{MemoryHandover, NotSwapped, Post, Swap, SwapKind};
use crate::error::Crash;
use crate::state::State;

/// How often it looks whether the actor waits for its back-off.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long a turn that is cut off may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Has the state of an actor forgotten by the actor, between two turns or instead of a start, and lets it begin anew. A
/// turn that is not over at `until` is cut off then. `known` is what [`State::forgotten`] said when that was asked for.
/// None where whoever was to do it ended before, or took still longer.
pub(crate) async fn begin_anew(
    post: &Post,
    state: &Arc<State>,
    known: u64,
    mut until: Instant,
) -> Option<Result<(), Crash>> {
    let kind = SwapKind::Afresh { state: Arc::clone(state), known };
    let (swap, mut ordered) = Swap::new(post.live.serving(), None, kind, MemoryHandover::Never, until);
    post.offer(swap).ok()?;
    let (mut may_cut, hurried) = (true, Arc::<AtomicBool>::default());
    let end = loop {
        // It may end before it looks.
        post.hurry(&hurried);
        if let Some(end) = ordered.ends_by(until.min(Instant::now() + LOOK_AGAIN)).await {
            break end;
        }
        let now = Instant::now();
        if now < until {
            continue;
        }
        let by = || "a person, who wants its state to be forgotten".to_owned();
        if std::mem::take(&mut may_cut) && post.live.cut_off(&ordered, by(), now + ENDS_WITHIN) {
            until = now + ENDS_WITHIN;
            continue;
        }
        break post.live.take_back(ordered).await;
    };
    Some(match end? {
        Ok(_it_begins) => Ok(()),
        Err(NotSwapped::Failed(crash) | NotSwapped::NoMemory(crash)) => Err(crash),
    })
}
