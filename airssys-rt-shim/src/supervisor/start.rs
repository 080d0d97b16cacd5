//! A supervisor as a child of another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use ractor::{Actor, ActorCell, ActorRef, SpawnErr};

use crate::child::{Incarnation, StartChild, Starting};
use crate::exit::{ExitSlot, Failure};
use crate::supervisor::executor::{Executor, SupervisorActor};
use crate::supervisor::live_actors::LiveActors;
use crate::supervisor::{
    ChildContext, ChildError, Msg, SpecError, SupervisorHandle, SupervisorMsg, SupervisorSpec, Up,
};

/// Starts the incarnations of one supervisor, each with the children of its spec. It sits in one place of one tree.
///
/// # Example
///
/// ```
/// use airssys_rt_shim::child::ChildSpec;
/// use airssys_rt_shim::supervisor::{Strategy, SupervisorSpec, SupervisorStart};
///
/// let nested = SupervisorStart::new(SupervisorSpec::new(Strategy::Dynamic))?;
/// let children = nested.handle(); // to add children later; stays good across restarts
/// let root = SupervisorSpec::new(Strategy::OneForOne).child(ChildSpec::supervisor("workers", nested));
/// # assert!(root.validate().is_ok());
/// # let _ = children;
/// # Ok::<(), airssys_rt_shim::supervisor::SpecError>(())
/// ```
#[derive(Debug)]
pub struct SupervisorStart {
    /// What the next incarnation starts with. Shared with the one that runs.
    spec: Arc<ArcSwap<SupervisorSpec>>,
    handle: SupervisorHandle,
    live_actors: Arc<LiveActors>,
    stopped: AtomicBool,
}

impl SupervisorStart {
    /// Takes the spec once it is found valid.
    ///
    /// # Errors
    ///
    /// What [`SupervisorSpec::validate`] finds.
    pub fn new(spec: SupervisorSpec) -> Result<Arc<Self>, SpecError> {
        spec.validate()?;
        let spec = Arc::new(ArcSwap::from_pointee(spec));
        Ok(Arc::new(Self {
            spec,
            handle: SupervisorHandle::default(),
            live_actors: Arc::default(),
            stopped: AtomicBool::new(false),
        }))
    }

    /// Speaks to whichever incarnation runs.
    #[must_use]
    pub fn handle(&self) -> SupervisorHandle {
        self.handle.clone()
    }

    /// What the next incarnation starts with.
    #[must_use]
    pub fn spec(&self) -> Arc<SupervisorSpec> {
        self.spec.load_full()
    }

    /// Makes the supervisor another one, in the incarnation that runs and in those to come: its flags at once, its
    /// children by their names.
    ///
    /// It starts and stops nobody. A child that is new is down until somebody restarts it; one that is in the spec no
    /// more stays as it is, behind the others, until somebody stops it or the supervisor ends. The rules of a child
    /// that stays hold from its next end, start or stop on.
    ///
    /// # Errors
    ///
    /// The spec is wrong, or a child is on its way down, or up for somebody who waits for it, and the strategy or the
    /// order would become another one ([`ChildError::Unsettled`]). Nothing has changed then. What is on its way up by
    /// itself holds nothing up.
    pub async fn change(&self, spec: SupervisorSpec) -> Result<(), ChildError> {
        change(&self.spec, &self.handle, spec).await
    }
}

impl StartChild for SupervisorStart {
    fn start(&self, context: ChildContext) -> Starting {
        let above = context.supervisor_cell();
        let spawning =
            spawn(Arc::clone(&self.spec), Up::Child(Arc::new(context)), Arc::clone(&self.live_actors), Some(above));
        let handle = self.handle.clone();
        Box::pin(async move {
            let (actor, exit, _task) = spawning.await.map_err(|error| -> Failure { Arc::new(error) })?;
            handle.set(actor.get_cell());
            let cell = actor.get_cell();
            let stop = move |why| {
                let _it_is_gone = actor.cast(SupervisorMsg(Msg::Shutdown(why)));
            };
            Ok(Incarnation { cell, exit, stop: Box::new(stop) })
        })
    }

    fn gone(&self) {
        self.handle.clear();
        self.spec.load().children.iter().for_each(|child| child.start.gone());
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    fn set_stopped(&self, is_stopped: bool) {
        self.stopped.store(is_stopped, Ordering::Release);
    }

    fn supervisor(&self) -> Option<SupervisorHandle> {
        Some(self.handle())
    }
}

/// Stored first: an incarnation that starts meanwhile starts with it, and taking it once more changes nothing.
pub(crate) async fn change(
    stored: &ArcSwap<SupervisorSpec>,
    handle: &SupervisorHandle,
    spec: SupervisorSpec,
) -> Result<(), ChildError> {
    spec.validate()?;
    let before = stored.swap(Arc::new(spec.clone()));
    match handle.change(spec).await {
        // The next one has it.
        Err(ChildError::NotRunning | ChildError::ShuttingDown) => Ok(()),
        Err(error) => {
            stored.store(before);
            Err(error)
        }
        Ok(()) => Ok(()),
    }
}

type Spawned = (ActorRef<SupervisorMsg>, ExitSlot, tokio::task::JoinHandle<()>);

/// Spawns a supervisor and tells it to begin.
pub(crate) async fn spawn(
    spec: Arc<ArcSwap<SupervisorSpec>>,
    up: Up,
    live_actors: Arc<LiveActors>,
    above: Option<ActorCell>,
) -> Result<Spawned, SpawnErr> {
    let exit = ExitSlot::default();
    let executor = Executor::new(spec, up, exit.clone(), live_actors);
    let (actor, task) = match above {
        Some(above) => Actor::spawn_linked(None, SupervisorActor, executor, above).await?,
        None => Actor::spawn(None, SupervisorActor, executor).await?,
    };
    let _it_is_gone = actor.cast(SupervisorMsg(Msg::Begin));
    Ok((actor, exit, task))
}
