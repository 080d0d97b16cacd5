//! What ends an apply: what is gone stops, or everything that was done is undone.

use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::child::ChildSpec;
use airssys_rt_shim::supervisor::SupervisorSpec;

use super::{Done, Standing, Steps};
use crate::apply::difference::drain_time;
use crate::apply::plan::Failed;
use crate::apply::releases::{Deployable, Releases};
use crate::apply::tree::{differs, is_supervised, service_of, supervised};
use crate::deploy::{DeployOptions, Progress};
use crate::topology::ServiceNode;

impl Steps<'_> {
    /// Stops what is gone, in the reverse of the order in which it was started.
    pub(super) async fn remove(&mut self) {
        let target = self.change.target.clone();
        let before = Arc::clone(&self.change.before);
        let mut gone: Vec<(String, &ServiceNode)> = supervised(&before)
            .into_iter()
            .flat_map(|(path, _, nodes)| nodes.iter().filter_map(service_of).map(move |node| (path.clone(), node)))
            .filter(|(_, node)| target.services().all(|other| other.address != node.address))
            .collect();
        // By the order in which they start, which is that of the whole tree.
        let order: Vec<&str> = before.services().map(|node| node.address.as_str()).collect();
        gone.sort_by_key(|(_, node)| std::cmp::Reverse(order.iter().position(|name| *name == node.address.as_str())));
        let supervisors =
            supervised(&target).into_iter().map(|(path, ..)| path).filter(|path| is_supervised(&before, path));
        for path in supervisors.collect::<Vec<_>>() {
            let wanted = self.wanted(&target, None, &path);
            if let Some(wanted) = wanted.filter(|wanted| self.spec(&path).is_some_and(|is| differs(&is, wanted)))
                && let Err(Failed { step, why }) = self.change_supervisor(&path, wanted).await
            {
                tracing::error!(target: "airssys::apply", why, "{step}");
            }
        }
        for (path, node) in gone {
            let service = node.address.to_string();
            let Some(standing) = self.standing.get(&service).cloned() else { continue };
            self.hosted.actual.mesh.unregister(&service);
            let left =
                self.drain(&standing.placed.service, drain_time(node.shutdown, before.settings.shutdown_timeout)).await;
            self.stop_children(&path, &standing.placed.children).await;
            self.note_left(&service, left);
            self.leave(&service);
        }
        let mut gone: Vec<String> = supervised(&before).into_iter().map(|(path, ..)| path).collect();
        gone.retain(|path| !is_supervised(&target, path));
        for path in gone.iter().rev() {
            self.stop_supervisor(path).await;
        }
    }

    /// Takes a service that does not run any more out of the mesh.
    fn leave(&mut self, service: &str) {
        if let Some(Standing { placed, .. }) = self.standing.remove(service) {
            self.hosted.actual.mesh.retire(&placed.service);
        }
        self.taken.remove(service);
        self.hosted.actual.leave(service);
    }

    /// Undoes what was done, the last first; what could not be.
    pub(super) async fn undo(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        let before = Arc::clone(&self.change.before);
        while let Some(done) = self.done.pop() {
            let undone = match done {
                Done::Started => {
                    self.hosted.actual.supervisors.shutdown(self.change.target.settings.shutdown_timeout).await;
                    Ok(())
                }
                Done::Added(service) => {
                    if let Some(standing) = self.standing.get(&service).cloned() {
                        self.stop_children(&standing.above, &standing.placed.children).await;
                    }
                    self.leave(&service);
                    Ok(())
                }
                Done::Changed(path, was) => self.change_back(&path, &was).await,
                Done::Retuned(service, was) => match self.put_rules(&service, &was).await {
                    Ok(()) => self.retune_back(&service, &was).await,
                    failed => failed,
                },
                Done::Deployed(service, live, previous) => self.deploy_back(&service, live, previous).await,
                Done::Restarted(service, was, above) => match self.build(&was).await {
                    Ok(placed) => self.exchange(&service, placed, &was, above, &before).await,
                    Err(error) => Err(Failed::new(&service, error)),
                },
            };
            left.extend(undone.err().map(|Failed { step, why }| format!("{step}: {why}")));
        }
        // Those that were made for it, from the lowest up.
        let mut made = self.hosted.actual.supervisors.paths();
        made.retain(|path| !is_supervised(&before, path));
        for path in made.iter().rev() {
            self.stop_supervisor(path).await;
        }
        left
    }

    /// A supervisor becomes what it was; children that were added to it are gone.
    async fn change_back(&mut self, path: &str, was: &SupervisorSpec) -> Result<(), Failed> {
        let is = self.spec(path);
        let added = |child: &&ChildSpec| was.children.iter().all(|known| known.id != child.id);
        let added: Vec<ChildSpec> = is.iter().flat_map(|is| is.children.iter().filter(added).cloned()).collect();
        // What stands under it now, where some of it was stopped and started.
        let wanted = self.wanted(&self.change.before, None, path).unwrap_or_else(|| was.clone());
        self.change_supervisor(path, wanted).await?;
        self.stop_children(path, &added).await;
        Ok(())
    }

    async fn retune_back(&mut self, service: &str, was: &Deployable) -> Result<(), Failed> {
        let is_live = self.live(service).is_some_and(|live| Arc::ptr_eq(&live.template, &was.template));
        // Where another release is live still, a deployment brings this one back with its terms.
        if is_live { self.retune(service, was).await } else { Ok(()) }
    }

    async fn deploy_back(
        &mut self,
        service: &str,
        live: Deployable,
        previous: Option<Deployable>,
    ) -> Result<(), Failed> {
        let is_back = self.live(service).is_some_and(|now| Arc::ptr_eq(&now.template, &live.template));
        if !is_back && let Some(lock) = self.taken.remove(service) {
            let mut options = DeployOptions::default();
            (options.probation, options.handover_deadline) = (Duration::ZERO, self.change.options.handover_deadline);
            let back = self.hosted.switch_unrecorded(lock, live.clone(), None, options);
            let end = back.ended().await;
            if end != Progress::Live {
                return Err(Failed::new(format!("{service} does not go back"), format!("{end:?}")));
            }
            self.take_again(service)?;
        }
        let put = |releases: &mut Releases| (releases.live, releases.previous) = (live, previous);
        self.hosted.actual.releases.look(service, put);
        Ok(())
    }
}
