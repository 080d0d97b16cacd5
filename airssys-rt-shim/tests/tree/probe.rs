//! A child that does as it is told, and a log of what its supervisor did to it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use airssys_rt_shim::child::{ChildSpec, Incarnation, Restart, Shutdown, StartChild, Starting, StopReason};
use airssys_rt_shim::exit::{ExitReason, ExitSlot, Failure};
use airssys_rt_shim::link::Pid;
use airssys_rt_shim::supervisor::ChildContext;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;

/// Of the paused clock: it passes at once when nothing else is left to happen.
const PATIENCE: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(pub(crate) &'static str);

pub(crate) fn broken(text: &'static str) -> ExitReason {
    ExitReason::Failed(Arc::new(Broken(text)))
}

/// What happened, in order: a word and a name each.
#[derive(Clone)]
pub(crate) struct Log(watch::Sender<Vec<String>>);

impl Log {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }

    fn add(&self, word: &str, name: &str) {
        self.0.send_modify(|lines| lines.push(format!("{word} {name}")));
    }

    pub(crate) fn take(&self) -> Vec<String> {
        let mut taken = Vec::new();
        self.0.send_modify(|lines| taken = std::mem::take(lines));
        taken
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.0.borrow().iter().filter(|seen| *seen == line).count()
    }

    /// Waits until a line is there so many times.
    pub(crate) async fn until(&self, line: &str, times: usize) {
        let mut changes = self.0.subscribe();
        let there = |lines: &Vec<String>| lines.iter().filter(|seen| *seen == line).count() >= times;
        let waited = tokio::time::timeout(PATIENCE, changes.wait_for(there)).await.map(|_| ());
        waited.unwrap_or_else(|_| panic!("no {line}, {times} times: {:?}", self.take()));
    }
}

/// How an incarnation comes up.
#[derive(Clone, Copy)]
pub(crate) enum Init {
    Ready,
    Fail,
    Hang,
    Slow(Duration),
    NotSpawned,
    /// The supervisor itself panics.
    PanicSupervisor,
}

/// What it does when it is asked to stop.
#[derive(Clone, Copy)]
pub(crate) enum OnStop {
    Obey,
    Hang,
    Slow(Duration),
}

enum Order {
    Init(Init),
    Exit(ExitReason),
    Panic,
    BlockThread(std::sync::mpsc::Receiver<()>),
    Stop(StopReason),
}

/// Starts incarnations that do as they are told.
pub(crate) struct Probe {
    name: String,
    log: Log,
    inits: Mutex<VecDeque<Init>>,
    on_stop: Mutex<OnStop>,
    current: Mutex<Option<(ActorRef<Order>, Pid)>>,
    elsewhere: Mutex<Option<tokio::runtime::Handle>>,
}

impl Probe {
    pub(crate) fn new(name: &str, log: &Log) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            log: log.clone(),
            inits: Mutex::default(),
            on_stop: Mutex::new(OnStop::Obey),
            current: Mutex::default(),
            elsewhere: Mutex::default(),
        })
    }

    /// What the next incarnations do; after that they come up.
    pub(crate) fn inits(self: &Arc<Self>, inits: impl IntoIterator<Item = Init>) -> Arc<Self> {
        self.inits.lock().unwrap().extend(inits);
        Arc::clone(self)
    }

    pub(crate) fn on_stop(self: &Arc<Self>, on_stop: OnStop) -> Arc<Self> {
        *self.on_stop.lock().unwrap() = on_stop;
        Arc::clone(self)
    }

    /// Its incarnations run on the threads of another runtime, so that one that blocks its thread blocks nobody else.
    pub(crate) fn elsewhere(self: &Arc<Self>, runtime: &tokio::runtime::Handle) -> Arc<Self> {
        *self.elsewhere.lock().unwrap() = Some(runtime.clone());
        Arc::clone(self)
    }

    pub(crate) fn spec(self: &Arc<Self>) -> ChildSpec {
        ChildSpec::worker(self.name.as_str(), Arc::clone(self) as Arc<dyn StartChild>)
    }

    pub(crate) fn spec_as(self: &Arc<Self>, restart: Restart, shutdown: Shutdown) -> ChildSpec {
        ChildSpec { restart, shutdown, ..self.spec() }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.current.lock().unwrap().as_ref().expect("was started").1.clone()
    }

    fn tell(&self, order: Order) {
        let current = self.current.lock().unwrap().as_ref().expect("was started").0.clone();
        current.cast(order).expect("runs");
    }

    pub(crate) fn crash(&self) {
        self.tell(Order::Exit(broken("crashed")));
    }

    pub(crate) fn exit(&self, reason: ExitReason) {
        self.tell(Order::Exit(reason));
    }

    pub(crate) fn panic(&self) {
        self.tell(Order::Panic);
    }

    /// Blocks its thread, as no guest can and a bug of the host might, until the sender is dropped.
    pub(crate) fn block_thread(&self) -> std::sync::mpsc::Sender<()> {
        let (release, released) = std::sync::mpsc::channel();
        self.tell(Order::BlockThread(released));
        release
    }
}

impl StartChild for Probe {
    fn start(&self, context: ChildContext) -> Starting {
        self.log.add("start", &self.name);
        let init = self.inits.lock().unwrap().pop_front().unwrap_or(Init::Ready);
        assert!(!matches!(init, Init::PanicSupervisor), "a bug of the host");
        if matches!(init, Init::NotSpawned) {
            return Box::pin(async { Err(Arc::new(Broken("not spawned")) as Failure) });
        }
        let exit = ExitSlot::default();
        let running = Running {
            name: self.name.clone(),
            log: self.log.clone(),
            on_stop: *self.on_stop.lock().unwrap(),
            exit: exit.clone(),
            context: context.clone(),
        };
        let elsewhere = self.elsewhere.lock().unwrap().clone();
        let _entered = elsewhere.as_ref().map(tokio::runtime::Handle::enter);
        let (actor, task) =
            ractor::ActorRuntime::spawn_linked_instant(None, running, (), context.supervisor_cell()).expect("no name");
        *self.current.lock().unwrap() = Some((actor.clone(), context.pid(actor.get_cell(), exit.clone())));
        Box::pin(async move {
            task.await.expect("not cancelled").map_err(|error| -> Failure { Arc::new(error) })?;
            actor.cast(Order::Init(init)).expect("runs");
            let cell = actor.get_cell();
            let stop = move |why| {
                let _gone = actor.cast(Order::Stop(why));
            };
            Ok(Incarnation { cell, exit, stop: Box::new(stop) })
        })
    }

    fn gone(&self) {
        self.log.add("gone", &self.name);
    }
}

struct Running {
    name: String,
    log: Log,
    on_stop: OnStop,
    exit: ExitSlot,
    context: ChildContext,
}

impl Actor for Running {
    type Msg = Order;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Order>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, myself: ActorRef<Order>, order: Order, (): &mut ()) -> Result<(), ActorProcessingErr> {
        let end = |reason| {
            self.exit.set(reason);
            myself.stop(None);
        };
        match order {
            Order::Init(init) => {
                match init {
                    Init::Ready | Init::NotSpawned | Init::PanicSupervisor => {}
                    Init::Fail => {
                        end(broken("init failed"));
                        return Ok(());
                    }
                    Init::Hang => std::future::pending().await,
                    Init::Slow(time) => tokio::time::sleep(time).await,
                }
                self.log.add("ready", &self.name);
                self.context.ready();
            }
            Order::Exit(reason) => end(reason),
            Order::Panic => panic!("told to"),
            Order::BlockThread(released) => {
                self.log.add("block", &self.name);
                let _until_dropped = released.recv();
            }
            Order::Stop(why) => {
                let word = if why == StopReason::Restart { "stop-to-restart" } else { "stop" };
                self.log.add(word, &self.name);
                match self.on_stop {
                    OnStop::Obey => {}
                    OnStop::Hang => std::future::pending().await,
                    OnStop::Slow(time) => tokio::time::sleep(time).await,
                }
                end(ExitReason::Shutdown);
            }
        }
        Ok(())
    }
}
