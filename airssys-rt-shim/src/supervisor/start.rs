//! A supervisor as a child of another one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ractor::{Actor, ActorCell, ActorId, ActorRef, SpawnErr};

use crate::child::{Incarnation, StartChild, Starting};
use crate::exit::{ExitSlot, Failure};
use crate::supervisor::executor::{Executor, SupervisorActor};
use crate::supervisor::{Msg, Seat, SpecError, SupervisorHandle, SupervisorMsg, SupervisorSpec, Up};

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
    spec: Arc<SupervisorSpec>,
    handle: SupervisorHandle,
    brood: Arc<Brood>,
}

impl SupervisorStart {
    /// Takes the spec once it is found valid.
    ///
    /// # Errors
    ///
    /// What [`SupervisorSpec::validate`] finds.
    pub fn new(spec: SupervisorSpec) -> Result<Arc<Self>, SpecError> {
        spec.validate()?;
        Ok(Arc::new(Self { spec: Arc::new(spec), handle: SupervisorHandle::default(), brood: Arc::default() }))
    }

    /// Speaks to whichever incarnation runs.
    #[must_use]
    pub fn handle(&self) -> SupervisorHandle {
        self.handle.clone()
    }
}

impl StartChild for SupervisorStart {
    fn start(&self, seat: Seat) -> Starting {
        let above = seat.supervisor_cell();
        let spawning = spawn(Arc::clone(&self.spec), Up::Seat(seat), Arc::clone(&self.brood), Some(above));
        let handle = self.handle.clone();
        Box::pin(async move {
            let (actor, exit, _task) = spawning.await.map_err(|error| -> Failure { Arc::new(error) })?;
            handle.set(actor.clone());
            let cell = actor.get_cell();
            let stop = move |why| {
                let _it_is_gone = actor.cast(SupervisorMsg(Msg::Shutdown(why)));
            };
            Ok(Incarnation { cell, exit, stop: Box::new(stop) })
        })
    }

    fn gone(&self) {
        self.handle.clear();
        for child in &self.spec.children {
            child.start.gone();
        }
    }

    fn supervisor(&self) -> Option<SupervisorHandle> {
        Some(self.handle())
    }
}

type Spawned = (ActorRef<SupervisorMsg>, ExitSlot, tokio::task::JoinHandle<()>);

/// Spawns a supervisor and tells it to begin.
pub(crate) async fn spawn(
    spec: Arc<SupervisorSpec>,
    up: Up,
    brood: Arc<Brood>,
    above: Option<ActorCell>,
) -> Result<Spawned, SpawnErr> {
    let exit = ExitSlot::default();
    let executor = Executor::new(&spec, up, exit.clone(), brood);
    let (actor, task) = match above {
        Some(above) => Actor::spawn_linked(None, SupervisorActor, executor, above).await?,
        None => Actor::spawn(None, SupervisorActor, executor).await?,
    };
    let _it_is_gone = actor.cast(SupervisorMsg(Msg::Begin));
    Ok((actor, exit, task))
}

/// The live children of a supervisor, kept outside of it.
///
/// When a supervisor panics or is killed, ractor kills its children, but does not wait for them; the next incarnation
/// must, lest a child run twice.
#[derive(Debug, Default)]
pub(crate) struct Brood(Mutex<HashMap<ActorId, ActorCell>>);

impl Brood {
    pub(crate) fn add(&self, cell: ActorCell) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(cell.get_id(), cell);
    }

    pub(crate) fn remove(&self, actor: ActorId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&actor);
    }

    pub(crate) fn take(&self) -> Vec<ActorCell> {
        let mut brood = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *brood).into_values().collect()
    }
}
