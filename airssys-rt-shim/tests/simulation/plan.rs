//! What is simulated: a random tree, how each of its workers behaves, and what happens to it.

use std::time::Duration;

use airssys_rt_shim::child::{Restart, Shutdown};
use airssys_rt_shim::supervisor::{AutoShutdown, Backoff, Strategy as Restarts};
use proptest::prelude::*;
use proptest::sample::select;

/// What a worker may take to come up.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How an incarnation of a worker comes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Init {
    Ready,
    Fail,
    Hang,
}

/// What a worker does when it is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnStop {
    Obey,
    Hang,
    /// Not even a kill helps.
    Zombie,
}

/// How an incarnation ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Normal,
    Shutdown,
    Crash,
    Killed,
}

impl Ending {
    pub(crate) fn is_normal(self) -> bool {
        matches!(self, Self::Normal | Self::Shutdown)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Worker {
    /// Of the first incarnations; later ones come up.
    pub(crate) inits: Vec<Init>,
    pub(crate) on_stop: OnStop,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Worker(Worker),
    Supervisor(Supervisor),
}

#[derive(Debug, Clone)]
pub(crate) struct Child {
    pub(crate) restart: Restart,
    pub(crate) significant: bool,
    pub(crate) shutdown: Shutdown,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) struct Supervisor {
    pub(crate) strategy: Restarts,
    pub(crate) intensity: u32,
    pub(crate) period: Duration,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) children: Vec<Child>,
}

/// Something that happens to the tree. Numbers choose among what is there, modulo.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    Exit(usize, Ending),
    Start { supervisor: usize, child: Child },
    StartAgain { supervisor: usize, child: usize },
    Terminate { supervisor: usize, child: usize },
    Restart { supervisor: usize, child: usize },
    Delete { supervisor: usize, child: usize },
}

/// Things that happen at once, after a pause.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) pause: Duration,
    pub(crate) happenings: Vec<Happening>,
}

fn workers() -> impl Strategy<Value = Worker> {
    let init = prop_oneof![6 => Just(Init::Ready), 3 => Just(Init::Fail), 1 => Just(Init::Hang)];
    let on_stop = prop_oneof![6 => Just(OnStop::Obey), 2 => Just(OnStop::Hang), 1 => Just(OnStop::Zombie)];
    // The first incarnation mostly comes up, or there would be no tree.
    let first = prop_oneof![30 => Just(Init::Ready), 1 => Just(Init::Fail), 1 => Just(Init::Hang)];
    (first, prop::collection::vec(init, 0..5), on_stop).prop_map(|(first, mut inits, on_stop)| {
        inits.insert(0, first);
        Worker { inits, on_stop }
    })
}

fn restarts() -> impl Strategy<Value = Restart> {
    select(vec![Restart::Permanent, Restart::Permanent, Restart::Transient, Restart::Temporary])
}

fn worker_children() -> impl Strategy<Value = Child> {
    let seconds = (0u64..4).prop_map(|seconds| Shutdown::Timeout(Duration::from_secs(seconds)));
    let shutdown = prop_oneof![Just(Shutdown::BrutalKill), seconds, Just(Shutdown::Infinity)];
    (restarts(), any::<bool>(), shutdown, workers()).prop_map(|(restart, significant, shutdown, mut worker)| {
        if shutdown == Shutdown::Infinity {
            worker.on_stop = OnStop::Obey;
        }
        Child { restart, significant, shutdown, kind: Kind::Worker(worker) }
    })
}

fn supervisors(children: BoxedStrategy<Child>, dynamic: bool) -> impl Strategy<Value = Supervisor> {
    let mut strategies = vec![Restarts::OneForOne, Restarts::OneForAll, Restarts::RestForOne];
    if dynamic {
        strategies.push(Restarts::Dynamic);
    }
    let auto = select(vec![AutoShutdown::Never, AutoShutdown::Never, AutoShutdown::Any, AutoShutdown::All]);
    let backoff = (1u64..3, 1u64..6).prop_map(|(initial, reset_after)| Backoff {
        initial: Duration::from_secs(initial),
        factor: 2.0,
        max: Duration::from_secs(5),
        reset_after: Duration::from_secs(reset_after),
    });
    (
        select(strategies),
        0u32..6,
        1u64..8,
        auto,
        prop::option::weighted(0.2, backoff),
        prop::collection::vec(children, 0..6),
    )
        .prop_map(|(strategy, intensity, period, auto_shutdown, backoff, children)| {
            let period = Duration::from_secs(period);
            let mut supervisor = Supervisor { strategy, intensity, period, backoff, auto_shutdown, children };
            supervisor.children.iter_mut().for_each(|child| sound(child, auto_shutdown));
            supervisor
        })
}

/// Significant only where it may be.
pub(crate) fn sound(child: &mut Child, auto_shutdown: AutoShutdown) {
    child.significant &= child.restart != Restart::Permanent && auto_shutdown != AutoShutdown::Never;
}

/// A supervisor with workers only.
pub(crate) fn flat() -> impl Strategy<Value = Supervisor> {
    supervisors(worker_children().boxed(), true)
}

/// A supervisor with workers and supervisors, three levels deep.
pub(crate) fn trees() -> impl Strategy<Value = Supervisor> {
    let nest = |inner: BoxedStrategy<Supervisor>| {
        let nested = (restarts(), any::<bool>(), inner).prop_map(|(restart, significant, supervisor)| Child {
            restart,
            significant,
            shutdown: Shutdown::Infinity,
            kind: Kind::Supervisor(supervisor),
        });
        prop_oneof![2 => worker_children(), 1 => nested].boxed()
    };
    let middle = supervisors(nest(flat().boxed()), false);
    supervisors(nest(middle.boxed()), false)
}

fn happenings() -> impl Strategy<Value = Happening> {
    let ending = select(vec![Ending::Normal, Ending::Shutdown, Ending::Crash, Ending::Crash, Ending::Killed]);
    let (s, c) = (0usize..8, 0usize..8);
    prop_oneof![
        8 => (0usize..64, ending).prop_map(|(which, ending)| Happening::Exit(which, ending)),
        1 => (s.clone(), worker_children()).prop_map(|(supervisor, child)| Happening::Start { supervisor, child }),
        1 => (s.clone(), c.clone()).prop_map(|(supervisor, child)| Happening::StartAgain { supervisor, child }),
        2 => (s.clone(), c.clone()).prop_map(|(supervisor, child)| Happening::Terminate { supervisor, child }),
        1 => (s.clone(), c.clone()).prop_map(|(supervisor, child)| Happening::Restart { supervisor, child }),
        1 => (s, c).prop_map(|(supervisor, child)| Happening::Delete { supervisor, child }),
    ]
}

/// Up to `together` things at once, again and again.
pub(crate) fn batches(together: usize) -> impl Strategy<Value = Vec<Batch>> {
    let pause = (0u64..5_000).prop_map(Duration::from_millis);
    let batch = (pause, prop::collection::vec(happenings(), 1..=together))
        .prop_map(|(pause, happenings)| Batch { pause, happenings });
    prop::collection::vec(batch, 0..12)
}
