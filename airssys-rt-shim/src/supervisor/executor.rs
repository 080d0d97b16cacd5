//! Carries out what [`crate::supervisor::decide`] decides: the ractor actor of a supervisor.
//!
//! Exits come on ractor's supervision port, everything else on its message port, and the former goes first. Two things
//! are kept all the same: a child's end never overtakes its "ready", and a crash loop does not keep anybody who asks
//! waiting. So an exit is heard at once where its child does not start any more and the last thing that was heard is no
//! exit; any other one is put behind the messages that are there already.
//!
//! It refuses to block: no child's start, stop or message is ever awaited here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::child::{ChildId, ChildKind, Incarnation, StartChild};
use crate::exit::{ExitReason, ExitSlot};
use crate::link::Pid;
use crate::monitor::{ExitNotice, ExitWatch};
use crate::supervisor::decide::{
    Action, ChildKey, Command, Event, Generation, KILL_GRACE, KillReason, Outcome, ReplyId, State, decide,
};
use crate::supervisor::judge::Judge;
use crate::supervisor::live_actors::LiveActors;
use crate::supervisor::message::{Msg, SupervisorMsg, Waiting};
use crate::supervisor::{ChildContext, ChildError, ChildInfo, ChildStatus, Counts, Named, News, SupervisorSpec, Up};

/// A live incarnation.
struct Live {
    generation: Generation,
    incarnation: Incarnation,
    id: ChildId,
    kind: ChildKind,
    path: Arc<str>,
    notice: ExitNotice,
}

/// The supervisor's actor; all that it is lives in its state.
pub(crate) struct SupervisorActor;

pub(crate) struct Executor {
    state: State,
    up: Up,
    exit: ExitSlot,
    live_actors: Arc<LiveActors>,
    origin: Instant,
    /// Boxed: a table has room for up to twice as many as are in it.
    live: HashMap<ChildKey, Box<Live>>,
    actors: HashMap<ActorId, ChildKey>,
    waiting: HashMap<ReplyId, Waiting>,
    next_reply: u64,
    /// Whether the last thing that was heard is an exit.
    heard_exit: bool,
    alarm: Option<(Duration, AbortHandle)>,
    /// What the next incarnation starts with: children that are not in it do not come back.
    spec: Arc<ArcSwap<SupervisorSpec>>,
}

impl Actor for SupervisorActor {
    type Msg = SupervisorMsg;
    type State = Executor;
    type Arguments = Executor;

    async fn pre_start(&self, _: ActorRef<SupervisorMsg>, executor: Executor) -> Result<Executor, ActorProcessingErr> {
        Ok(executor)
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMsg>,
        SupervisorMsg(message): SupervisorMsg,
        executor: &mut Executor,
    ) -> Result<(), ActorProcessingErr> {
        if matches!(message, Msg::Begin) && executor.bury_orphans(&myself) {
            return Ok(());
        }
        executor.heard_exit = false;
        executor.hear(message, &myself).await;
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMsg>,
        event: SupervisionEvent,
        executor: &mut Executor,
    ) -> Result<(), ActorProcessingErr> {
        let (actor, fallback) = match event {
            SupervisionEvent::ActorFailed(cell, error) => {
                (cell.get_id(), ExitReason::Panicked(error.to_string().into()))
            }
            SupervisionEvent::ActorTerminated(cell, _, text) => (cell.get_id(), reason_of(text.as_deref())),
            _ => return Ok(()),
        };
        let exit = Msg::Ended { actor, fallback };
        if !executor.heard_exit && !executor.is_starting(actor) {
            // A message to oneself wakes another thread.
            executor.heard_exit = true;
            executor.hear(exit, &myself).await;
        } else {
            myself.cast(SupervisorMsg(exit))?;
        }
        Ok(())
    }
}

/// What ractor's text says of an actor that left no reason.
fn reason_of(text: Option<&str>) -> ExitReason {
    match text {
        Some("killed" | "actor_task_cancelled") => ExitReason::Killed,
        _ => ExitReason::Normal,
    }
}

impl Executor {
    pub(crate) fn new(
        spec: Arc<ArcSwap<SupervisorSpec>>,
        up: Up,
        exit: ExitSlot,
        live_actors: Arc<LiveActors>,
    ) -> Self {
        Self {
            state: State::new(&spec.load()),
            up,
            exit,
            live_actors,
            origin: Instant::now(),
            live: HashMap::new(),
            actors: HashMap::new(),
            waiting: HashMap::new(),
            next_reply: 0,
            heard_exit: false,
            alarm: None,
            spec,
        }
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Whether it is yet to be heard whether the child of this actor is ready.
    fn is_starting(&self, actor: ActorId) -> bool {
        self.actors.get(&actor).is_some_and(|child| self.state.is_starting(*child))
    }

    /// Decides what this means, and carries that out.
    async fn hear(&mut self, message: Msg, myself: &ActorRef<SupervisorMsg>) {
        if let Some(event) = self.event(message) {
            let now = self.now();
            let actions = match self.up.record().beside::<Judge>() {
                None => decide(&mut self.state, event, now),
                Some(judge) => judge.decide(self.up.path(), &mut self.state, event, now),
            };
            self.carry_out(actions, myself).await;
            self.set_alarm(myself);
        }
    }

    /// Where there are children of an incarnation before this one, which panicked or was killed: sees to it that they
    /// are gone, in a task of its own, and begins after that. Whether there are any.
    fn bury_orphans(&self, myself: &ActorRef<SupervisorMsg>) -> bool {
        let orphans = self.live_actors.cells();
        if orphans.is_empty() {
            return false;
        }
        let (live_actors, path, myself) = (Arc::clone(&self.live_actors), Arc::clone(self.up.path()), myself.clone());
        tokio::spawn(async move {
            let until = Instant::now() + KILL_GRACE;
            orphans.iter().for_each(ActorCell::kill);
            for orphan in orphans {
                let left = until.saturating_duration_since(Instant::now());
                if orphan.wait(Some(left)).await.is_err() {
                    tracing::error!(supervisor = %path, actor = %orphan.get_id(), "a child of the supervisor's last incarnation was killed and does not go; it is left to itself");
                }
                live_actors.remove(orphan.get_id());
            }
            let _it_is_gone = myself.cast(SupervisorMsg(Msg::Begin));
        });
        true
    }

    /// What the message means for the decisions; a mere question is answered here.
    fn event(&mut self, message: Msg) -> Option<Event> {
        Some(match message {
            Msg::Begin => Event::Begin,
            Msg::Started { child, generation } => Event::Started { child, generation },
            Msg::NotSpawned { child, generation, cause } => Event::Exited { child, generation, reason: cause },
            Msg::Ended { actor, fallback } => return self.ended(actor, fallback),
            Msg::Tick => {
                self.alarm = None;
                Event::Tick
            }
            Msg::Hurry { child, once } => {
                // Each start that fails counts: whoever waits does not use up what the supervisor bears.
                if !self.state.is_backing_off(&child) || once.swap(true, Ordering::AcqRel) {
                    return None;
                }
                Event::Hurry { child }
            }
            Msg::Shutdown(why) => Event::Shutdown(why),
            Msg::Abort => Event::Abort,
            Msg::StartChild { spec, reply } => self.command(Command::StartChild(spec), Waiting::Pid(reply)),
            Msg::RestartChild { child, reply } => self.command(Command::RestartChild(child), Waiting::Pid(reply)),
            Msg::TerminateChild { child, reply } => self.command(Command::TerminateChild(child), Waiting::Done(reply)),
            Msg::DeleteChild { child, reply } => self.command(Command::DeleteChild(child), Waiting::Done(reply)),
            Msg::Change { spec, reply } => self.command(Command::Change(spec), Waiting::Done(reply)),
            Msg::WhichChildren(reply) => {
                let _nobody_waits = reply.send(self.which_children());
                return None;
            }
            Msg::CountChildren(reply) => {
                let _nobody_waits = reply.send(self.count_children());
                return None;
            }
        })
    }

    fn command(&mut self, command: Command, waiting: Waiting) -> Event {
        let reply = ReplyId(self.next_reply);
        self.next_reply += 1;
        self.waiting.insert(reply, waiting);
        Event::Command { reply, command }
    }

    fn ended(&mut self, actor: ActorId, fallback: ExitReason) -> Option<Event> {
        let child = self.actors.remove(&actor)?;
        self.live_actors.remove(actor);
        let Live { generation, incarnation, id, kind, path, notice, .. } = *self.live.remove(&child)?;
        let reason = incarnation.exit.get().unwrap_or(fallback);
        if reason.is_normal() {
            tracing::info!(child = %path, generation, %reason, "ended");
        } else {
            tracing::warn!(child = %path, generation, %reason, "ended");
        }
        self.up.record().gone(&path);
        self.up.record().tell(&News::Ended {
            child: Named { id: &id, kind, path: &path },
            generation,
            reason: &reason,
        });
        notice.fire(&reason);
        Some(Event::Exited { child, generation, reason })
    }

    async fn carry_out(&mut self, actions: Vec<Action>, myself: &ActorRef<SupervisorMsg>) {
        for action in actions {
            match action {
                // Boxed: what is heard is mostly no start, and its future is copied each time.
                Action::Start { child, generation } => Box::pin(self.start(child, generation, myself)).await,
                Action::Stop { child, why } => {
                    if let Some(live) = self.live.get(&child) {
                        (live.incarnation.stop)(why);
                    }
                }
                Action::Kill { child, why, again } => self.kill(child, why, again),
                Action::Abandon { child } => self.abandon(child),
                Action::Gone { child: _, start } => start.gone(),
                Action::SetAside { child, start, delay } => self.set_aside(child, &*start, delay),
                Action::Reply { to, answer } => self.answer(to, answer),
                Action::Ready => {
                    tracing::info!(supervisor = %self.up.path(), "up");
                    self.up.ready();
                }
                Action::Exit(outcome) => self.exit(&outcome, myself),
            }
        }
    }

    async fn start(&mut self, child: ChildKey, generation: Generation, myself: &ActorRef<SupervisorMsg>) {
        let Some(spec) = self.state.spec(child) else {
            return;
        };
        let path: Arc<str> = format!("{}/{}", self.up.path(), spec.id).into();
        let (start, id, kind) = (Arc::clone(&spec.start), spec.id.clone(), spec.kind);
        let again = self.state.is_restart(child);
        tracing::info!(child = %path, generation, "starts");
        let watch = ExitWatch::default();
        let notice = ExitNotice::new(watch.clone());
        let record = Arc::clone(self.up.record());
        let (supervisor, above, path_of) = (myself.get_cell(), self.up.context(), Arc::clone(&path));
        let id_of = id.clone();
        let context =
            ChildContext { supervisor, above, id: id_of, child, generation, again, kind, path: path_of, watch, record };
        match start.start(context).await {
            Ok(incarnation) => {
                self.actors.insert(incarnation.cell.get_id(), child);
                self.live_actors.add(incarnation.cell.clone());
                let live = Live { generation, incarnation, id, kind, path, notice };
                self.live.insert(child, Box::new(live));
            }
            Err(failure) => {
                tracing::warn!(child = %path, generation, reason = %failure, "was not spawned");
                let cause = ExitReason::Failed(failure);
                let named = Named { id: &id, kind, path: &path };
                self.up.record().tell(&News::Ended { child: named, generation, reason: &cause });
                let _it_stops = myself.cast(SupervisorMsg(Msg::NotSpawned { child, generation, cause }));
            }
        }
    }

    fn kill(&mut self, child: ChildKey, why: KillReason, again: bool) {
        let Some(live) = self.live.get(&child) else {
            return;
        };
        let cell = &live.incarnation.cell;
        // A supervisor kills its own children first, so that its end is theirs.
        let told = !again && cell.send_message(SupervisorMsg(Msg::Abort)).is_ok();
        if !told {
            cell.kill();
        }
        let is_worker = self.state.spec(child).is_some_and(|spec| spec.kind == ChildKind::Worker);
        if is_worker && !again && matches!(why, KillReason::StopTimedOut | KillReason::Aborted) {
            tracing::warn!(child = %live.path, generation = live.generation, ?why, "killed");
            self.up.record().killed(&live.path);
        }
    }

    fn abandon(&mut self, child: ChildKey) {
        let Some(live) = self.live.remove(&child) else {
            return;
        };
        let actor = live.incarnation.cell.get_id();
        tracing::error!(child = %live.path, %actor, "was killed and does not go; it is left to itself");
        self.actors.remove(&actor);
        self.live_actors.remove(actor);
        let Live { id, kind, path, generation, .. } = &*live;
        let child = Named { id, kind: *kind, path };
        self.up.record().tell(&News::Ended { child, generation: *generation, reason: &ExitReason::Killed });
        live.notice.fire(&ExitReason::Killed);
    }

    fn set_aside(&self, child: ChildKey, start: &dyn StartChild, delay: Duration) {
        if let Some(spec) = self.state.spec(child) {
            let path = format!("{}/{}", self.up.path(), spec.id);
            tracing::warn!(child = %path, ?delay, "ended too often, and is set aside");
            let child = Named { id: &spec.id, kind: spec.kind, path: &path };
            self.up.record().tell(&News::SetAside { child, delay });
        }
        start.set_aside(delay);
    }

    fn answer(&mut self, to: ReplyId, answer: Result<Option<ChildKey>, ChildError>) {
        match self.waiting.remove(&to) {
            Some(Waiting::Pid(reply)) => {
                let pid =
                    answer.and_then(|child| child.and_then(|child| self.pid(child)).ok_or(ChildError::ShuttingDown));
                let _nobody_waits = reply.send(pid);
            }
            Some(Waiting::Done(reply)) => {
                let _nobody_waits = reply.send(answer.map(|_| ()));
            }
            None => {}
        }
    }

    fn pid(&self, child: ChildKey) -> Option<Pid> {
        let live = self.live.get(&child)?;
        let Incarnation { cell, exit, .. } = &live.incarnation;
        Some(Pid::new(cell.clone(), exit.clone(), live.notice.watch()))
    }

    fn exit(&mut self, outcome: &Outcome, myself: &ActorRef<SupervisorMsg>) {
        let supervisor = self.up.path();
        match outcome {
            Outcome::Shutdown | Outcome::AutoShutdown => {
                tracing::info!(%supervisor, ?outcome, "ends")
            }
            Outcome::GaveUp { child } => {
                tracing::warn!(%supervisor, %child, "gives up: too many restarts")
            }
            Outcome::StartFailed(error) => tracing::warn!(%supervisor, %error, "did not start"),
            Outcome::Aborted => tracing::warn!(%supervisor, "was killed"),
        }
        if let Outcome::GaveUp { child } = outcome {
            if let Up::System { record, .. } = &self.up {
                record.gave_up(child);
            }
            // Its spec is there still, unless it was temporary, which is never started again.
            let kind = self.state.kind(child).unwrap_or(ChildKind::Worker);
            let path = format!("{supervisor}/{child}");
            let child = Named { id: child, kind, path: &path };
            self.up.record().tell(&News::GaveUp { supervisor, child });
        }
        self.exit.set(outcome.exit_reason());
        myself.stop(None);
    }

    fn set_alarm(&mut self, myself: &ActorRef<SupervisorMsg>) {
        let Some(at) = self.state.next_deadline() else {
            return;
        };
        match &self.alarm {
            // One that rings too early does no harm.
            Some((set, _)) if *set <= at => return,
            Some((_, task)) => task.abort(),
            None => {}
        }
        let (myself, when) = (myself.clone(), self.origin + at);
        let task = tokio::spawn(async move {
            tokio::time::sleep_until(when).await;
            let _it_is_gone = myself.cast(SupervisorMsg(Msg::Tick));
        });
        self.alarm = Some((at, task.abort_handle()));
    }

    fn which_children(&self) -> Vec<ChildInfo> {
        let facts = self.state.facts(self.now());
        facts
            .map(|facts| ChildInfo {
                pid: self.pid(facts.key),
                supervisor: self.state.spec(facts.key).and_then(|spec| spec.start.supervisor()),
                id: facts.id,
                kind: facts.kind,
                status: facts.status,
                restarts: facts.restarts,
                last_exit: facts.last_exit,
                uptime: facts.uptime,
            })
            .collect()
    }

    fn count_children(&self) -> Counts {
        let mut counts = Counts::default();
        for facts in self.state.facts(self.now()) {
            counts.specs += 1;
            counts.active += usize::from(matches!(
                facts.status,
                ChildStatus::Starting | ChildStatus::Running | ChildStatus::Stopping
            ));
            match facts.kind {
                ChildKind::Supervisor => counts.supervisors += 1,
                ChildKind::Worker => counts.workers += 1,
            }
        }
        counts
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        if let Some((_, task)) = self.alarm.take() {
            task.abort();
        }
        // Where this supervisor panicked or was killed: the next incarnation kills them before it starts any.
        for live in self.live.values() {
            let Live { id, kind, path, generation, .. } = &**live;
            let child = Named { id, kind: *kind, path };
            self.up.record().tell(&News::Ended { child, generation: *generation, reason: &ExitReason::Killed });
        }
        let spec = self.spec.load();
        let comes_back: HashSet<&ChildId> = spec.children.iter().map(|child| &child.id).collect();
        self.state.unknown(|child| comes_back.contains(child)).for_each(|start| start.gone());
    }
}
