//! Some actors get the new release, or the old one back.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::decide::Batch;
use super::order::{Order, Posts, Restore};
use super::running::Running;
use super::switch::forward;
use super::taken::Taken;
use super::{Progress, Setback, Strategy};
use crate::actor::{Post, Roster, Waking};
use crate::error::Crash;
use crate::settings::ALL;

impl Running<'_> {
    /// Switches a batch; of several each is written down before.
    pub(super) async fn make_step(&mut self, batches: &[usize], batch: Batch) -> Result<(), Setback> {
        if let Some(step) = self.order.step(batches, batch.from).filter(|_| batch.from > 0) {
            self.order.write_down(|page| page.begin(Some(step))).await.map_err(Setback::NotRecorded)?;
        }
        self.switch(batch).await
    }

    /// Lets the new release take these actors over, or all of the share that are awake; all or none.
    async fn switch(&mut self, batch: Batch) -> Result<(), Setback> {
        match &self.order.posts {
            Posts::Fixed(posts) => {
                let posts = Arc::clone(posts);
                self.switch_members(&posts, batch).await
            }
            Posts::Keyed(roster) => {
                let roster = Arc::clone(roster);
                let switched = self.switch_share(&roster, batch).await;
                if switched.is_err() {
                    self.revert_all(&roster).await;
                }
                switched
            }
        }
    }

    async fn switch_members(&mut self, posts: &[Post], batch: Batch) -> Result<(), Setback> {
        let seats: Vec<(usize, usize)> = (batch.from..batch.to).map(|actor| (actor, self.order.seat(actor))).collect();
        let places: Vec<(usize, &Post)> = seats.iter().map(|(actor, seat)| (*actor, &posts[*seat])).collect();
        let actors = posts.len();
        let first = self.first.take();
        let done = self.order.switch_several(&places, first, &self.failed, |switched| {
            self.told.say(Progress::Switching { switched: batch.from + switched, actors });
        });
        let (done, failed) = done.await;
        for (at, took) in done {
            let seat = seats[at].1;
            self.met.see(&posts[seat].name, &took);
            // Dropped only now: it takes its memory apart.
            let old = if let Taken::Switched(took) = took { took.old } else { None };
            self.held[seat] = old.filter(|_| matches!(self.order.options.strategy, Strategy::BlueGreen));
            if failed.is_some() {
                self.revert(seats[at].0).await;
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn switch_share(&mut self, roster: &Arc<Roster>, batch: Batch) -> Result<(), Setback> {
        let awake = self.let_in(roster, batch).await?;
        let places: Vec<(usize, &Post)> = awake.iter().map(|post| (0, &**post)).collect();
        let actors = awake.len();
        let tell = |switched| self.told.say(Progress::Switching { switched, actors });
        let (done, failed) = self.order.switch_several(&places, None, &self.failed, tell).await;
        done.iter().for_each(|(at, took)| self.met.see(&awake[*at].name, took));
        match failed {
            Some(setback) => return Err(setback),
            None if self.order.restore == Some(Restore::BroughtOver) => self.order.bring_back(roster).await,
            None => {}
        }
        Ok(())
    }

    /// Lets the keys of a share wake with what they are to have; those who are awake with something else.
    async fn let_in(&mut self, roster: &Arc<Roster>, batch: Batch) -> Result<Vec<Arc<Post>>, Setback> {
        let Order { template, terms, .. } = &self.order;
        let mut next = Waking { template: Arc::clone(template), terms: Arc::clone(terms), probation: None };
        match self.order.restore {
            Some(Restore::Suspended) => {
                return Ok(roster.awake().into_iter().filter(|post| post.live.unreadable().is_some()).collect());
            }
            Some(Restore::BroughtOver) => return Ok(roster.restore(&next)),
            None => {}
        }
        if let Some(woken) = &self.woken {
            next.clone_from(woken);
        } else {
            let (told, crashes) = mpsc::unbounded_channel();
            forward(crashes, 0, &self.failed);
            next.probation = Some((Box::new(roster.waking()), told));
            self.woken = Some(next.clone());
        }
        let share = self.order.options.strategy.shares().get(batch.to - 1).copied().unwrap_or(ALL);
        let keys = Arc::clone(roster);
        // It goes through all keys.
        let let_in = crate::blocking::spawn(move || keys.let_in(&next, share)).await;
        let_in.map_err(|panic| Setback::NotStarted(Crash::Host { detail: panic.to_string() }))
    }

    /// Puts the old release back under this actor, or all that are awake.
    pub(super) async fn revert(&mut self, actor: usize) {
        match &self.order.posts {
            Posts::Fixed(posts) => {
                let seat = self.order.seat(actor);
                let held = self.held.get_mut(seat).and_then(Option::take);
                if let (Some(post), Some(before)) = (posts.get(seat), self.before.get(seat)) {
                    self.order.revert_one(post, before, held).await;
                }
            }
            Posts::Keyed(roster) => {
                let roster = Arc::clone(roster);
                self.revert_all(&roster).await;
            }
        }
    }

    async fn revert_all(&mut self, roster: &Roster) {
        let (before, awake) = roster.take_back();
        for post in awake {
            let serving = post.live.serving();
            if Arc::ptr_eq(&serving.template, &self.order.template) {
                let old = Arc::new(serving.with(&before.template, &before.terms));
                self.order.revert_one(&post, &old, None).await;
            }
        }
        self.order.bring_back(roster).await;
    }
}
