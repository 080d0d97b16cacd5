//! In which order the members of a pool get a release: those first that it is seen on.

use super::Strategy;
use super::order::Posts;
use super::strategy::Rolling;

/// Which actor comes first, second and so on. Those that do not run and will not start by themselves come last; of a
/// canary, those before them that have no key. For a keyed service, nothing: its actors come and go.
pub(crate) fn seats(posts: &Posts, strategy: &Strategy) -> Vec<usize> {
    let posts = posts.fixed();
    let mut seats: Vec<usize> = (0..posts.len()).collect();
    if matches!(strategy, Strategy::Rolling(Rolling { last_first: true, .. })) {
        seats.reverse();
    }
    let with_keys = match (strategy, posts.first()) {
        (Strategy::Canary { .. }, Some(post)) => post.live.serving().identity.service.lanes_with_keys(),
        _ => Vec::new(),
    };
    let is_gone = |seat: &usize| posts.get(*seat).is_none_or(|post| post.live.is_gone());
    seats.sort_by_key(|seat| (is_gone(seat), with_keys.get(*seat) == Some(&false)));
    seats
}
