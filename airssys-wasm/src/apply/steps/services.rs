//! The services that are there, from one topology to another: under the instances that run, by a deployment, or stopped
//! and started.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Done, LOOK_AGAIN, Standing, Steps};
use crate::actor::{Control, Placed, Serving, start};
use crate::apply::difference::{Fate, drain_time};
use crate::apply::plan::Failed;
use crate::apply::releases::Deployable;
use crate::apply::tree::supervisor_of;
use crate::capability::Policy;
use crate::deploy::{self, Begun, Progress, SetId};
use crate::error::Crash;
use crate::router::service::Service;
use crate::schema::ChangeMode;
use crate::settings::Terms;
use crate::state::durable::told;
use crate::topology::Topology;

#[cfg(test)]
mod tests;

impl Steps<'_> {
    /// Other rules under what runs.
    pub(super) async fn change_in_place(&mut self, service: &str) -> Result<(), Failed> {
        let next = self.next(service)?;
        let Some(before) = self.live(service) else { return Ok(()) };
        self.done.push(Done::Retuned(service.to_owned(), before));
        self.put_rules(service, &next).await?;
        self.retune(service, &next).await
    }

    /// The release that serves a service, and its rules.
    pub(super) fn live(&self, service: &str) -> Option<Deployable> {
        self.hosted.actual.releases.live(service)
    }

    /// The rules that are no part of what a release runs under: the shape of the mailboxes, and how the actors of a
    /// keyed service come and go.
    pub(super) async fn put_rules(&self, service: &str, next: &Deployable) -> Result<(), Failed> {
        let Some(Standing { placed, .. }) = self.standing.get(service) else { return Ok(()) };
        placed.service.reshape(next.node.shape);
        if let Some(tuning) = &placed.tuning {
            let node = &next.node;
            let taken = tuning.take(node.multiplicity, node.restart, node.shutdown, &placed.service).await;
            taken.map_err(|error| Failed::new(format!("the actors of {service} cannot have other rules"), error))?;
        }
        Ok(())
    }

    /// Puts other terms under the release that serves, and waits until each actor goes by them. A turn that is not over
    /// at the handover deadline is cut off.
    pub(super) async fn retune(&mut self, service: &str, next: &Deployable) -> Result<(), Failed> {
        let Some(Standing { placed, .. }) = self.standing.get(service).cloned() else { return Ok(()) };
        let terms: Arc<Terms> = Arc::new(next.node.terms());
        let awake = placed.roster.as_ref().map(|roster| roster.retune(&terms)).unwrap_or_default();
        let posts = placed.actors.iter().chain(awake.iter().map(|post| &**post));
        let mut answers = Vec::new();
        for post in posts {
            post.live.retune(&terms);
            let (done, answer) = oneshot::channel();
            // Who does not run starts with them; who starts goes by them before its first message, and may be long in
            // coming to it.
            if post.order(Control::Retune(done)).is_ok() && !post.live.is_starting() {
                answers.push((post, answer));
            }
        }
        placed.service.retune(&terms);
        let patience = self.change.options.handover_deadline;
        let deadline = humantime::format_duration(patience);
        let until = Instant::now() + patience;
        let mut late = Vec::new();
        for (post, mut answer) in answers {
            // One that ended over it starts with them.
            if timeout_at(until, &mut answer).await.is_err() {
                post.live.cut().ask(format!("the rules of an apply, which had waited for {deadline}"));
                late.push((post, answer));
            }
        }
        let until = Instant::now() + patience;
        let mut stays = false;
        for (post, answer) in late {
            stays |= timeout_at(until, answer).await.is_err();
            post.live.cut().forget();
            self.notes.push(format!("cut off the turn of {}, which was not over at the handover deadline", post.name));
        }
        if stays {
            let why =
                format!("an actor did not come to the end of its turn within {deadline}, nor when that was cut off");
            return Err(Failed::new(service, why));
        }
        self.hosted.actual.releases.look(service, |releases| releases.live = next.clone());
        Ok(())
    }

    /// Deploys what an instance is made with, all of it or nothing: those that are called before those who call them,
    /// and on probation together.
    pub(super) async fn deploy(&mut self) -> Result<(), Failed> {
        let set = self.services(|fate, way| fate == Fate::Changed && way == ChangeMode::Deployment);
        let mut nexts = Vec::with_capacity(set.len());
        for service in set {
            let next = self.next(&service)?;
            if let Some(before) = self.live(&service) {
                // Undone with the rest, since the mailbox belongs to no release.
                self.done.push(Done::Retuned(service.clone(), before));
                self.put_rules(&service, &next).await?;
            }
            nexts.push((service, next));
        }
        let policies: Vec<Policy> = nexts.iter().map(|(_, next)| next.node.terms().policy).collect();
        let order = deploy::callees_first(nexts.len(), |from, to| policies[from].may_call(&nexts[to].0));
        let options = self.change.options.clone();
        let mut begun = Begun::default();
        let mut set = None;
        for at in order {
            let (service, next) = &nexts[at];
            let set = set.get_or_insert_with(|| SetId { first: service.clone(), after: 0 });
            let releases = &self.hosted.actual.releases;
            let before = releases.look(service, |found| (found.live.clone(), found.previous.clone()));
            // Dropped, those that were begun go back.
            let missing = || Failed::new(service, "it is gone");
            let ((live, previous), lock) = before.zip(self.taken.remove(service)).ok_or_else(missing)?;
            let deployment = self.hosted.switch_unrecorded(lock, next.clone(), Some(set.clone()), options.clone());
            self.done.push(Done::Deployed(service.clone(), live, previous));
            begun.0.push((service.clone(), deployment.clone()));
            let reached = deployment.switched().await;
            if reached != Progress::Probation {
                deploy::undo(&begun.0, service, &reached);
                break;
            }
        }
        let begun = std::mem::take(&mut begun.0);
        if begun.is_empty() {
            return Ok(());
        }
        if begun.len() == nexts.len() {
            // Whoever drops this leaves it to its end: all or none.
            let _it_does_not_panic = tokio::spawn(deploy::together(begun.clone(), options.probation)).await;
        }
        let mut failed = None;
        for (service, deployment) in &begun {
            let end = deployment.ended().await;
            self.take_again(service)?;
            let notes = deployment.notes();
            self.notes.extend(notes.into_iter().map(|note| format!("{service}: {note}")));
            if let Progress::RolledBack { reason } | Progress::Suspended { reason, .. } = end {
                // The one that went back first says why.
                let by_another = matches!(reason, deploy::Setback::OfTheSet { .. });
                if failed.is_none() || !by_another {
                    failed = Some(Failed::new(format!("{service} went back"), reason));
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// No deployment of it begins until the apply is over.
    pub(super) fn take_again(&mut self, service: &str) -> Result<(), Failed> {
        let taken = self.hosted.actual.releases.take(service, |releases| Ok(releases.live.clone()));
        let (lock, _) = taken.map_err(|error| Failed::new(service, error))?;
        self.taken.insert(service.to_owned(), lock);
        Ok(())
    }

    /// Stops a service and starts it as another one under the same name. Its new mailboxes take what is sent meanwhile,
    /// and its old ones are handled first.
    pub(super) async fn restart(&mut self, service: &str) -> Result<(), Failed> {
        let next = self.next(service)?;
        let above = supervisor_of(&self.change.target, service).unwrap_or_default();
        let (Some(before), Some(was_above)) =
            (self.live(service), self.standing.get(service).map(|found| found.above.clone()))
        else {
            return Ok(());
        };
        let unusable = |error| Failed::new(format!("{service} cannot be started again"), error);
        let placed = self.build(&next).await.map_err(unusable)?;
        // Found before anything stops, where it can be: it starts.
        if let Some(post) = placed.actors.first() {
            let serving: Arc<Serving> = post.live.serving();
            drop(
                start(&self.hosted.actual.engines, &serving)
                    .await
                    .map_err(|crash| Failed::not_started(service, &crash))?,
            );
        }
        self.done.push(Done::Restarted(service.to_owned(), before, was_above));
        let target = self.change.target.clone();
        self.exchange(service, placed, &next, above, &target).await
    }

    /// Puts a service in the place of the one that has its name, and starts it under a supervisor of this topology.
    pub(super) async fn exchange(
        &mut self,
        service: &str,
        placed: Placed,
        next: &Deployable,
        above: String,
        topology: &Topology,
    ) -> Result<(), Failed> {
        let Some(old) = self.standing.get(service).cloned() else { return Ok(()) };
        let shutdown = self.live(service).map_or(next.node.shutdown, |live| live.node.shutdown);
        self.hosted.actual.mesh.replace(&placed.service);
        let left =
            self.drain(&old.placed.service, drain_time(shutdown, self.change.before.settings.shutdown_timeout)).await;
        self.stop_children(&old.above, &old.placed.children).await;
        self.hosted.actual.mesh.retire(&old.placed.service);
        self.note_left(service, left);
        self.enter(service, placed, above.clone());
        let Some(Standing { placed, .. }) = self.standing.get(service).cloned() else { return Ok(()) };
        if placed.service.durable.is_none() || old.placed.service.durable.is_none() {
            carry_over(&old.placed.service, &placed.service)
                .await
                .map_err(|crash| Failed::not_started(service, &crash))?;
        }
        // Under the supervisor where it was, nobody brings it back.
        for path in [&old.above, &above] {
            let wanted = self.wanted(topology, Some(&self.change.before), path);
            let wanted = match wanted {
                Some(wanted) => Some(wanted),
                // One that is about to go.
                None => self.wanted(&self.change.before, None, path),
            };
            if let Some(wanted) = wanted {
                self.change_supervisor(path, wanted).await?;
            }
        }
        let started = self.start_children(&above, &placed.children).await;
        started.map_err(|why| Failed::new(format!("{service} does not start"), why))?;
        self.hosted.actual.releases.look(service, |releases| releases.live = next.clone());
        Ok(())
    }

    /// Waits until a service has handled what it has, at most this long; how many messages are left.
    pub(super) async fn drain(&self, service: &Service, most: Duration) -> usize {
        let until = Instant::now() + most;
        // Twice: who had found the service before it was taken out of the mesh may be about to send.
        let mut looks = 0;
        while looks < 2 && Instant::now() < until {
            looks = if service.is_drained() { looks + 1 } else { 0 };
            sleep(LOOK_AGAIN).await;
        }
        let mut left = 0;
        service.directory.each(|place| left += place.inbox.mailbox().len());
        left
    }

    pub(super) fn note_left(&mut self, service: &str, left: usize) {
        if left > 0 {
            self.left_over.push((service.to_owned(), left));
        }
    }
}

/// What one service has committed is what the other one begins with.
async fn carry_over(from: &Service, to: &Service) -> Result<(), Crash> {
    // An actor that was stopped over a commit left it on its way to the disk.
    if let Some(durable) = &from.durable {
        durable.settle().await;
        let lost = durable.lost();
        if !lost.is_empty() {
            // What is damaged would be as if it had never been.
            return Err(Crash::StateDamaged { detail: told(&lost) });
        }
    }
    let mut states = Vec::new();
    from.each_state(|key, state| {
        if let Some(own) = to.state_of(key) {
            states.push((own, state.dump()));
        }
    });
    for (own, dumped) in states {
        own.take_over(dumped).await?;
    }
    Ok(())
}
