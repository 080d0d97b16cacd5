//! Starts and stops the children of a service whose actors are spawned, and tells those who monitor them.
//!
//! They are children of a dynamic supervisor, each with the restart type of the service. It does nothing by itself: turns say at their commit what they
//! want, and it passes that on in order. Who is spawned while the supervisor does not run, because the mesh starts or the supervisor does again, waits for
//! it. It decides nothing about messages, and nobody waits for it.
//!
//! Invariant: a child that was spawned waits for the supervisor, is known to it, or is gone, and who monitors it is told.

use std::sync::Arc;

use airssys_rt_shim::child::{ChildId, ChildSpec, Restart};
use airssys_rt_shim::supervisor::{ChildError, Standing, SupervisorHandle};
use airssys_rt_shim::worker::WorkerStart;
use tokio::sync::{mpsc, watch};

use super::keyed::{Roster, dynamic, tell_set_aside};
use super::spec::ServiceSpec;
use super::{ComponentActor, Live};
use crate::engine::Engines;
use crate::error::Crash;
use crate::message::DownReason;
use crate::router::Mesh;
use crate::router::place::{Ask, Place};
use crate::router::service::Service;
use crate::settings::SpawnedRules;

/// Carries out what turns ask for. Run it in a task of its own; it ends with the mesh.
pub(crate) struct Controller {
    spec: ServiceSpec,
    mesh: Arc<Mesh>,
    engines: Arc<Engines>,
    supervisor: SupervisorHandle,
    standing: watch::Receiver<Standing>,
    roster: Arc<Roster>,
    asked: mpsc::UnboundedReceiver<Ask>,
    not_started: (mpsc::UnboundedSender<NotStarted>, mpsc::UnboundedReceiver<NotStarted>),
    /// Those who wait for the supervisor.
    waiting: Vec<Arc<Place>>,
}

/// A child that the supervisor did not take, and how that stood then.
type NotStarted = (Arc<Place>, Standing);

/// The supervisor of the children, and what starts them.
pub(super) fn supervisor(
    spec: &ServiceSpec,
    rules: SpawnedRules,
    asked: mpsc::UnboundedReceiver<Ask>,
    mesh: &Arc<Mesh>,
    engines: &Arc<Engines>,
    service: &Arc<Service>,
) -> (ChildSpec, Controller) {
    let start = dynamic(rules.intensity, rules.period, rules.backoff);
    let supervisor = start.handle();
    let controller = Controller {
        spec: spec.clone(),
        mesh: Arc::clone(mesh),
        engines: Arc::clone(engines),
        standing: supervisor.standing(),
        supervisor,
        roster: Roster::new(&spec.template, &spec.terms, mesh, service),
        asked,
        not_started: mpsc::unbounded_channel(),
        waiting: Vec::new(),
    };
    // Where it gives up, its children are gone, and it is there for the next ones.
    let child = ChildSpec { restart: Restart::Permanent, ..ChildSpec::supervisor(spec.address.as_str(), start) };
    (child, controller)
}

impl Controller {
    pub(super) fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster)
    }

    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                ask = self.asked.recv() => match ask {
                    Some(Ask::Start(child)) => self.start(child),
                    Some(Ask::Stop(child)) => self.stop(&child),
                    Some(Ask::Tell(target, down)) => self.mesh.tell_down(target, down),
                    None => return,
                },
                Some(not_started) = self.not_started.1.recv() => self.wait(not_started),
                Ok(()) = self.standing.changed() => self.look(),
            }
        }
    }

    /// Keeps a child that the supervisor did not take, until that is started again.
    fn wait(&mut self, (child, stood): NotStarted) {
        // The supervisor may have had it, and ended with it.
        if child.child().is_none_or(|child| child.is_gone()) {
            return;
        }
        self.roster.leave(child.address());
        self.waiting.push(child);
        if *self.standing.borrow() != stood || stood == Standing::Gone {
            self.look();
        }
    }

    /// Those who wait for the supervisor wait no longer, where it was started or is gone.
    fn look(&mut self) {
        let standing = *self.standing.borrow();
        if standing == Standing::Expected {
            return;
        }
        for child in std::mem::take(&mut self.waiting) {
            match standing {
                Standing::Gone => {
                    let crash = Crash::Host { detail: "not started: its supervisor is gone".to_owned() };
                    self.gone(&child, DownReason::Crashed(crash));
                }
                _ => self.start(child),
            }
        }
    }

    fn stop(&mut self, child: &Arc<Place>) {
        // It is asked for when this returns; that the child is gone is told when it is.
        drop(self.supervisor.terminate_child(ChildId::from(child.address().as_str())));
        if let Some(at) = self.waiting.iter().position(|waiting| Arc::ptr_eq(waiting, child)) {
            let child = self.waiting.swap_remove(at);
            self.gone(&child, DownReason::Stopped);
        }
    }

    fn gone(&self, child: &Arc<Place>, reason: DownReason) {
        gone(&self.mesh, &self.roster, child, reason);
    }

    fn start(&self, child: Arc<Place>) {
        if child.child().is_some_and(|child| child.is_stopping()) {
            return self.gone(&child, DownReason::Stopped);
        }
        let (start, _live) = self.roster.enter(Arc::clone(&child), |live| self.worker(Arc::clone(&child), live));
        let spec = ChildSpec {
            restart: self.spec.restart,
            shutdown: self.spec.shutdown,
            ..ChildSpec::worker(child.address().as_str(), start)
        };
        let stood = *self.standing.borrow();
        let starting = self.supervisor.start_child(spec);
        let (mesh, roster, not_started) =
            (Arc::clone(&self.mesh), Arc::clone(&self.roster), self.not_started.0.clone());
        // In a task of its own: a slow init of one must not hold up the others.
        tokio::spawn(async move {
            match starting.await {
                // Whoever was told to stop while it starts is stopped by the supervisor, which says so.
                Ok(_) | Err(ChildError::Terminated { .. }) => {}
                Err(ChildError::NotRunning | ChildError::ShuttingDown) => {
                    let _controller_is_gone = not_started.send((child, stood));
                }
                // Where the supervisor had it, it has said so already.
                Err(error) => {
                    let crash = Crash::Host { detail: format!("not started: {error}") };
                    gone(&mesh, &roster, &child, DownReason::Crashed(crash));
                }
            }
        });
    }

    fn worker(&self, own: Arc<Place>, live: &Arc<Live>) -> Arc<WorkerStart<ComponentActor>> {
        let (engines, live) = (Arc::clone(&self.engines), Arc::clone(live));
        let (mesh, roster) = (Arc::clone(&self.mesh), Arc::clone(&self.roster));
        let (aside, address) = (Arc::clone(&live), own.address().clone());
        let start = WorkerStart::new(
            Arc::clone(own.inbox.mailbox()),
            0,
            move || ComponentActor::new(Arc::clone(&engines), Arc::clone(&live)),
            move || gone(&mesh, &roster, &own, DownReason::Killed),
        );
        tell_set_aside(&start, &aside, &address, || {});
        start
    }
}

/// A child will not be started again; `reason` is why, where it is not known better. Only the first time says something.
fn gone(mesh: &Mesh, roster: &Roster, child: &Arc<Place>, reason: DownReason) {
    mesh.child_is_gone(child, reason, || roster.leave(child.address()));
}
