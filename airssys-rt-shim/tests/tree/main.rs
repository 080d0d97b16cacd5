//! Supervision carried out by real ractor actors. The clock is paused: it moves on by itself when nobody has anything
//! to do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod probe;

use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::child::{ChildSpec, Restart, Shutdown};
use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::link::NoProcess;
use airssys_rt_shim::monitor::Down;
use airssys_rt_shim::supervisor::{
    AutoShutdown, Backoff, ChildError, ChildStatus, StartError, Strategy, SupervisorSpec, SupervisorStart,
};
use airssys_rt_shim::system::{System, SystemError};
use probe::{Broken, Init, Log, OnStop, Probe, broken};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

async fn start(spec: SupervisorSpec) -> System {
    System::start("root", spec).await.unwrap()
}

/// Lets everybody finish: a paused clock moves only when all are idle.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

fn one_for_one() -> SupervisorSpec {
    SupervisorSpec::new(Strategy::OneForOne)
}

fn often(strategy: Strategy) -> SupervisorSpec {
    SupervisorSpec { intensity: 1000, ..SupervisorSpec::new(strategy) }
}

fn probes<const N: usize>(names: [&str; N], log: &Log) -> [Arc<Probe>; N] {
    names.map(|name| Probe::new(name, log))
}

#[tokio::test(start_paused = true)]
async fn a_crashed_child_is_started_again_and_its_siblings_are_left_alone() {
    let log = Log::new();
    let [a, b] = probes(["a", "b"], &log);
    let system = start(one_for_one().child(a.spec()).child(b.spec())).await;
    assert_eq!(log.take(), ["start a", "ready a", "start b", "ready b"]);
    let sibling = b.pid();
    a.crash();
    log.until("ready a", 1).await;
    assert_eq!(log.take(), ["start a", "ready a"]);
    assert_eq!(b.pid(), sibling);
    settle().await;
    let children = system.root().which_children().await.unwrap();
    assert_eq!((children[0].restarts, children[0].status), (1, ChildStatus::Running));
    assert_eq!(children[0].last_exit.as_ref().unwrap().downcast_ref::<Broken>(), Some(&Broken("crashed")));
    assert!(system.shutdown(SECOND).await.is_clean());
    assert_eq!(log.take(), ["stop b", "stop a", "gone a", "gone b"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_kill_are_exits_like_others() {
    let log = Log::new();
    let [a] = probes(["a"], &log);
    let system = start(SupervisorSpec { intensity: 2, ..one_for_one().child(a.spec()) }).await;
    let mut down = a.pid().monitor();
    a.panic();
    assert!(matches!((&mut down).await, Down::Ended(ExitReason::Panicked(text)) if &*text == "told to"));
    log.until("ready a", 2).await;
    let down = a.pid().monitor();
    a.pid().exit(ExitReason::Killed);
    assert!(matches!(down.await, Down::Ended(ExitReason::Killed)));
    log.until("ready a", 3).await;
    assert!(system.shutdown(SECOND).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn giving_up_takes_two_levels_up_and_stops_in_reverse() {
    let log = Log::new();
    let [a, b, c] = probes(["a", "b", "c"], &log);
    let inner = SupervisorStart::new(one_for_one().child(a.spec()).child(b.spec())).unwrap();
    let middle = SupervisorStart::new(
        SupervisorSpec { intensity: 0, ..one_for_one() }.child(ChildSpec::supervisor("inner", inner)),
    )
    .unwrap();
    let root = one_for_one().child(ChildSpec::supervisor("middle", middle)).child(c.spec());
    let system = start(root).await;
    assert_eq!(log.take(), ["start a", "ready a", "start b", "ready b", "start c", "ready c"]);
    a.crash();
    log.until("ready a", 1).await;
    log.take();
    // One more than inner bears; middle bears none; so the root starts all of it again, and c sees nothing of it.
    a.crash();
    log.until("ready b", 1).await;
    assert_eq!(log.take(), ["stop b", "start a", "ready a", "start b", "ready b"]);
    settle().await;
    let tree = system.root().tree().await.unwrap();
    assert_eq!(
        tree[0].to_string().lines().map(str::trim).collect::<Vec<_>>(),
        ["middle  running  restarts 1  last exit: shutdown", "inner  running", "a  running", "b  running",]
    );
    system.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_root_that_gives_up_is_the_end_of_the_system() {
    let log = Log::new();
    let [a, b] = probes(["a", "b"], &log);
    let system = start(SupervisorSpec { intensity: 0, ..one_for_one() }.child(a.spec()).child(b.spec())).await;
    a.crash();
    assert!(matches!(system.ended().await, ExitReason::Shutdown));
    assert!(matches!(system.monitor().await, Down::NoProcess));
    assert_eq!(system.root().start_child(a.spec()).await.unwrap_err().to_string(), "the supervisor is not running");
    assert!(system.shutdown(SECOND).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn one_for_all_stops_in_reverse_and_starts_in_order() {
    let log = Log::new();
    let [a, b, c] = probes(["a", "b", "c"], &log);
    let temporary = b.spec_as(Restart::Temporary, Shutdown::WORKER);
    let system = start(SupervisorSpec::new(Strategy::OneForAll).child(a.spec()).child(temporary).child(c.spec())).await;
    log.take();
    a.crash();
    log.until("ready c", 1).await;
    assert_eq!(log.take(), ["stop-to-restart c", "stop b", "gone b", "start a", "ready a", "start c", "ready c"]);
    system.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_stop_in_time_is_killed_and_reported() {
    let log = Log::new();
    let [a, b] = probes(["a", "b"], &log);
    let b = b.on_stop(OnStop::Hang);
    let nested = SupervisorStart::new(one_for_one().child(a.spec()).child(b.spec())).unwrap();
    let system = start(one_for_one().child(ChildSpec::supervisor("nested", nested))).await;
    let report = system.shutdown(60 * SECOND).await;
    assert_eq!(report.killed, ["root/nested/b"]);
    assert!(report.unresponsive.is_empty());
    assert_eq!(report.took.as_secs(), 5);
    assert_eq!(log.take()[4..], ["stop b", "stop a", "gone a", "gone b"]);
}

#[tokio::test(start_paused = true)]
async fn a_brutal_kill_does_not_ask() {
    let log = Log::new();
    let [a] = probes(["a"], &log);
    let system = start(one_for_one().child(a.spec_as(Restart::Permanent, Shutdown::BrutalKill))).await;
    let down = a.pid().monitor();
    system.root().terminate_child("a").await.unwrap();
    assert!(matches!(down.await, Down::Ended(ExitReason::Killed)));
    assert_eq!(log.take(), ["start a", "ready a", "gone a"]);
    system.root().restart_child("a").await.unwrap();
    system.root().terminate_child("a").await.unwrap();
    system.root().delete_child("a").await.unwrap();
    assert!(matches!(system.root().delete_child("a").await, Err(ChildError::NotFound { .. })));
    assert!(system.shutdown(SECOND).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn dynamic_children_stop_in_parallel_under_one_timer() {
    let log = Log::new();
    let dynamic = SupervisorStart::new(SupervisorSpec::new(Strategy::Dynamic)).unwrap();
    let children = dynamic.handle();
    let system = start(one_for_one().child(ChildSpec::supervisor("dynamic", dynamic))).await;
    for name in 0..100 {
        let probe = Probe::new(&name.to_string(), &log).on_stop(OnStop::Slow(4 * SECOND));
        children.start_child(probe.spec()).await.unwrap();
    }
    let stubborn = Probe::new("stubborn", &log).on_stop(OnStop::Hang);
    children.start_child(stubborn.spec()).await.unwrap();
    let report = system.shutdown(60 * SECOND).await;
    assert_eq!((report.killed, report.took.as_secs()), (vec!["root/dynamic/stubborn".to_owned()], 5));
    assert_eq!(log.take().iter().filter(|line| line.starts_with("gone")).count(), 101);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_in_the_middle_stops_what_was_started_and_names_the_culprit() {
    let log = Log::new();
    let [a, b, c, d] = probes(["a", "b", "c", "d"], &log);
    let c = c.inits([Init::Fail]);
    let nested = SupervisorStart::new(one_for_one().child(b.spec()).child(c.spec()).child(d.spec())).unwrap();
    let root = one_for_one().child(a.spec()).child(ChildSpec::supervisor("nested", nested));
    let Err(SystemError::Start(error)) = System::start("root", root).await else { panic!("started") };
    let path: Vec<_> = error.path().iter().map(ToString::to_string).collect();
    assert_eq!(path, ["nested", "c"]);
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "child c did not start: init failed");
    assert!(source.source().unwrap().downcast_ref::<Broken>().is_some());
    let happened = log.take();
    assert_eq!(happened[..7], ["start a", "ready a", "start b", "ready b", "start c", "stop b", "stop a"]);
    assert!(!happened.contains(&"start d".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_by_command_is_forgotten() {
    let log = Log::new();
    let [a] = probes(["a"], &log);
    let a = a.inits([Init::Fail, Init::NotSpawned, Init::Hang]);
    let system = start(one_for_one()).await;
    for cause in ["init failed", "not spawned", "killed"] {
        let failed = system.root().start_child(a.spec()).await.unwrap_err();
        let ChildError::StartFailed(StartError { cause: seen, .. }) = failed else { panic!("{failed}") };
        assert_eq!(seen.to_string(), cause);
    }
    system.root().start_child(a.spec()).await.unwrap();
    assert!(matches!(system.root().start_child(a.spec()).await, Err(ChildError::AlreadyStarted { .. })));
    system.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_is_tried_again_until_the_intensity_is_exceeded() {
    let log = Log::new();
    let [a, b] = probes(["a", "b"], &log);
    let a = a.inits([Init::Ready, Init::Fail, Init::NotSpawned, Init::Ready, Init::Fail, Init::Fail, Init::Fail]);
    let system = start(SupervisorSpec { intensity: 3, ..one_for_one() }.child(a.spec()).child(b.spec())).await;
    log.take();
    a.crash();
    log.until("ready a", 1).await;
    assert_eq!(log.take(), ["start a", "start a", "start a", "ready a"]);
    sleep(6 * SECOND).await;
    a.crash();
    system.ended().await;
    assert_eq!(log.take(), ["start a", "start a", "start a", "stop b"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_start_holds_up_neither_siblings_nor_questions_nor_a_stop() {
    let log = Log::new();
    let [a, b] = probes(["a", "b"], &log);
    let a = a.inits([Init::Ready, Init::Slow(30 * SECOND)]);
    let system = start(often(Strategy::OneForOne).child(a.spec()).child(b.spec())).await;
    log.take();
    let begun = Instant::now();
    a.crash();
    b.crash();
    log.until("ready b", 1).await;
    let children = system.root().which_children().await.unwrap();
    assert_eq!(children[0].status, ChildStatus::Starting);
    assert!(begun.elapsed() < SECOND);
    let report = system.shutdown(10 * SECOND).await;
    // It is asked while it starts, does not look, and gets the five seconds that it would get otherwise.
    assert_eq!((report.killed, report.took.as_secs()), (vec!["root/a".to_owned()], 5));
}

#[tokio::test(start_paused = true)]
async fn a_back_off_waits_without_blocking_and_grows() {
    let log = Log::new();
    let [a, b] = probes(["a", "b"], &log);
    let backoff = Backoff { initial: SECOND, factor: 2.0, max: 3 * SECOND, reset_after: 60 * SECOND };
    let spec = SupervisorSpec { intensity: 100, backoff: Some(backoff), ..one_for_one() };
    let system = start(spec.child(a.spec()).child(b.spec())).await;
    for (attempt, wait) in [1, 2, 3, 3].into_iter().enumerate() {
        let begun = Instant::now();
        a.crash();
        settle().await;
        assert_eq!(system.root().which_children().await.unwrap()[0].status, ChildStatus::Restarting);
        log.until("ready a", attempt + 2).await;
        assert_eq!(begun.elapsed().as_secs(), wait);
    }
    sleep(60 * SECOND).await;
    let begun = Instant::now();
    a.crash();
    log.until("ready a", 6).await;
    assert_eq!(begun.elapsed().as_secs(), 1);
    a.crash();
    settle().await;
    let report = system.shutdown(SECOND).await;
    assert!(report.took < SECOND && report.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_keeps_its_deadline_and_says_what_it_had_to_kill() {
    let log = Log::new();
    let [a, b, c] = probes(["a", "b", "c"], &log);
    let (a, b) = (a.on_stop(OnStop::Hang), b.on_stop(OnStop::Hang));
    let patient = |probe: &Arc<Probe>| probe.spec_as(Restart::Permanent, Shutdown::Infinity);
    let nested = SupervisorStart::new(one_for_one().child(patient(&a)).child(patient(&b))).unwrap();
    let system = start(one_for_one().child(ChildSpec::supervisor("nested", nested)).child(c.spec())).await;
    let report = system.shutdown(10 * SECOND).await;
    assert_eq!(report.killed, ["root/nested/b", "root/nested/a"]);
    assert!(report.unresponsive.is_empty());
    assert_eq!(report.took.as_secs(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_keeps_its_deadline_although_a_child_blocks_its_thread() {
    let log = Log::new();
    let [a, b] = probes(["a", "b"], &log);
    let system = start(one_for_one().child(a.spec()).child(b.spec())).await;
    let release = b.block_thread();
    log.until("block b", 1).await;
    let report = system.shutdown(Duration::from_millis(200)).await;
    // Children stop one after the other, so a was never asked before all were killed.
    assert_eq!(
        (report.killed, report.unresponsive),
        (vec!["root/b".into(), "root/a".into()], vec!["root/b".to_owned()])
    );
    assert!(report.took < SECOND, "{:?}", report.took);
    drop(release);
    system.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_is_killed_comes_back_with_its_children_and_none_runs_twice() {
    let log = Log::new();
    let [a, b, added] = probes(["a", "b", "added"], &log);
    let nested = SupervisorStart::new(one_for_one().child(a.spec())).unwrap();
    let handle = nested.handle();
    let system = start(one_for_one().child(ChildSpec::supervisor("nested", nested)).child(b.spec())).await;
    handle.start_child(added.spec()).await.unwrap();
    log.take();
    let (first, down) = (a.pid(), a.pid().monitor());
    let supervisor = system.root().which_children().await.unwrap()[0].pid.clone().unwrap();
    supervisor.exit(ExitReason::Killed);
    assert!(matches!(down.await, Down::Ended(ExitReason::Killed)));
    log.until("ready a", 1).await;
    assert_ne!(a.pid(), first);
    assert_eq!(log.take(), ["gone added", "start a", "ready a"]);
    settle().await;
    assert_eq!(handle.which_children().await.unwrap().len(), 1);
    system.shutdown(SECOND).await;
}

/// Waits without letting the paused clock move on, for what other threads do.
async fn at_once(so: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !so() {
        assert!(begun.elapsed() < 120 * SECOND, "it does not come to that");
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_answers_and_stops_while_a_child_from_before_does_not_go() {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let log = Log::new();
    let a = Probe::new("a", &log).elsewhere(threads.handle());
    let nested = SupervisorStart::new(one_for_one().child(ChildSpec { start_timeout: None, ..a.spec() })).unwrap();
    let handle = nested.handle();
    let system = start(one_for_one().child(ChildSpec::supervisor("nested", nested))).await;
    let release = a.block_thread();
    at_once(|| log.count("block a") == 1).await;
    let supervisor = system.root().which_children().await.unwrap()[0].pid.clone().unwrap();
    let begun = Instant::now();
    supervisor.exit(ExitReason::Killed);
    // The next incarnation has a child that is down, as long as the one from before is there; the time it has for that
    // does not pass while somebody asks.
    let down = async {
        while !matches!(handle.which_children().await.as_deref(), Ok([child]) if child.status == ChildStatus::Down) {
            tokio::task::yield_now().await;
        }
    };
    down.await;
    assert!(begun.elapsed() < SECOND, "it answers before it begins");
    assert_eq!(log.count("start a"), 1, "none runs twice");
    let report = system.shutdown(SECOND).await;
    assert!(report.took < SECOND && report.is_clean(), "it stops before it begins: {report:?}");
    drop(release);
    threads.shutdown_background();
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_panics_is_an_exit_like_others() {
    let log = Log::new();
    let [a, b] = probes(["a", "b"], &log);
    let b = b.inits([Init::Ready, Init::PanicSupervisor]);
    let nested = SupervisorStart::new(one_for_one().child(a.spec()).child(b.spec())).unwrap();
    let system = start(one_for_one().child(ChildSpec::supervisor("nested", nested))).await;
    log.take();
    b.crash();
    log.until("ready b", 1).await;
    assert_eq!(log.take(), ["start b", "start a", "ready a", "start b", "ready b"]);
    settle().await;
    let nested = &system.root().which_children().await.unwrap()[0];
    let reason = nested.last_exit.as_ref().unwrap();
    assert!(matches!(reason, ExitReason::Panicked(text) if &**text == "a bug of the host"));
    assert!(system.shutdown(SECOND).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn significant_children_end_their_supervisor() {
    let log = Log::new();
    let [a, b, c] = probes(["a", "b", "c"], &log);
    let significant =
        |probe: &Arc<Probe>| ChildSpec { significant: true, ..probe.spec_as(Restart::Transient, Shutdown::WORKER) };
    let spec = SupervisorSpec { auto_shutdown: AutoShutdown::All, ..often(Strategy::OneForOne) };
    let system = start(spec.child(significant(&a)).child(significant(&b)).child(c.spec())).await;
    a.exit(ExitReason::Normal);
    b.crash();
    log.until("ready b", 2).await;
    log.take();
    b.exit(ExitReason::Shutdown);
    assert!(matches!(system.ended().await, ExitReason::Shutdown));
    assert_eq!(log.take(), ["gone b", "stop c"]);
}

#[tokio::test(start_paused = true)]
async fn a_monitor_says_down_exactly_once_also_of_the_dead() {
    let log = Log::new();
    let [a] = probes(["a"], &log);
    let system = start(one_for_one().child(a.spec_as(Restart::Temporary, Shutdown::WORKER))).await;
    let pid = a.pid();
    let (one, other, dropped) = (pid.monitor(), pid.monitor(), pid.monitor());
    drop(dropped);
    a.exit(ExitReason::Normal);
    assert!(matches!(one.await, Down::Ended(ExitReason::Normal)));
    assert!(matches!(other.await, Down::Ended(ExitReason::Normal)));
    assert!(matches!(pid.monitor().await, Down::NoProcess));
    system.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn linked_children_end_together_unless_one_ends_normally() {
    let log = Log::new();
    let [a, b] = probes(["a", "b"], &log);
    let transient = |probe: &Arc<Probe>| probe.spec_as(Restart::Transient, Shutdown::WORKER);
    let system = start(often(Strategy::OneForOne).child(transient(&a)).child(transient(&b))).await;
    a.pid().link(&b.pid());
    let down = b.pid().monitor();
    a.crash();
    let Down::Ended(reason) = down.await else { panic!("no process") };
    assert_eq!(reason.downcast_ref::<Broken>(), Some(&Broken("crashed")));
    log.until("ready b", 2).await;
    settle().await;

    a.pid().link(&b.pid());
    let dead = a.pid();
    let b_pid = b.pid();
    a.exit(ExitReason::Normal);
    settle().await;
    assert_eq!((b.pid(), b.pid().watch().has_ended()), (b_pid.clone(), false));

    let down = b_pid.monitor();
    b_pid.link(&dead);
    let Down::Ended(reason) = down.await else { panic!("no process") };
    assert!(reason.downcast_ref::<NoProcess>().is_some());
    system.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_keeps_nobody_waiting() {
    let log = Log::new();
    let [calm] = probes(["calm"], &log);
    let wild: Vec<_> = (0..10).map(|n| Probe::new(&format!("wild{n}"), &log)).collect();
    for probe in &wild {
        probe.inits([Init::Ready].into_iter().chain(std::iter::repeat_n(Init::Fail, 500)));
    }
    let mut spec = SupervisorSpec { intensity: u32::MAX, ..one_for_one() }.child(calm.spec());
    for probe in &wild {
        spec = spec.child(probe.spec());
    }
    let system = start(spec).await;
    let calm_pid = calm.pid();
    wild.iter().for_each(|probe| probe.crash());
    let mut answers = 0;
    while log.count("ready wild9") < 2 {
        let children = tokio::time::timeout(SECOND, system.root().which_children()).await.unwrap().unwrap();
        assert_eq!(children.len(), 11);
        answers += 1;
    }
    assert!(answers > 100, "{answers}");
    assert_eq!(calm.pid(), calm_pid);
    system.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_dynamic_children_come_and_go() {
    let log = Log::new();
    let dynamic = SupervisorStart::new(often(Strategy::Dynamic)).unwrap();
    let children = dynamic.handle();
    let system = start(one_for_one().child(ChildSpec::supervisor("dynamic", dynamic))).await;
    let probes: Vec<_> = (0..10_000).map(|n| Probe::new(&n.to_string(), &log)).collect();
    for probe in &probes {
        children.start_child(probe.spec()).await.unwrap();
    }
    assert_eq!(children.count_children().await.unwrap().active, 10_000);
    for probe in &probes[..100] {
        probe.crash();
    }
    for probe in &probes[100..200] {
        probe.exit(ExitReason::Killed);
    }
    children.terminate_child("9999").await.unwrap();
    log.until("ready 199", 2).await;
    settle().await;
    assert_eq!(children.count_children().await.unwrap().active, 9_999);
    let report = system.shutdown(SECOND).await;
    assert!(report.is_clean());
    assert_eq!(log.take().iter().filter(|line| line.starts_with("stop ")).count(), 10_000);
}

#[tokio::test(start_paused = true)]
async fn a_start_failure_of_another_kind_is_told_too() {
    assert!(matches!(
        System::start("root", SupervisorSpec { period: Duration::ZERO, ..one_for_one() }).await,
        Err(SystemError::Spec(_))
    ));
    let log = Log::new();
    let [a] = probes(["a"], &log);
    let hangs = a.inits([Init::Hang]);
    let spec = one_for_one().child(ChildSpec { start_timeout: Some(SECOND), ..hangs.spec() });
    let Err(SystemError::Start(error)) = System::start("root", spec).await else { panic!("started") };
    assert!(matches!(error.cause, ExitReason::Killed));
    assert_eq!(broken("x").to_string(), "x");
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_was_changed_comes_back_as_it_was_changed() {
    let log = Log::new();
    let [a, b, c, d] = probes(["a", "b", "c", "d"], &log);
    let bears_none = |spec: SupervisorSpec| SupervisorSpec { intensity: 0, ..spec };
    let inner = SupervisorStart::new(bears_none(one_for_one().child(a.spec()).child(b.spec()))).unwrap();
    let root = one_for_one().child(ChildSpec::supervisor("inner", Arc::clone(&inner) as _));
    let system = start(SupervisorSpec { intensity: 9, ..root }).await;
    let first = a.pid();
    // One more in front, and a second one in the place of b.
    let changed = bears_none(one_for_one().child(c.spec()).child(a.spec()).child(d.spec()));
    inner.change(changed).await.unwrap();
    for name in ["c", "d"] {
        inner.handle().restart_child(name).await.unwrap();
    }
    inner.handle().terminate_child("b").await.unwrap();
    inner.handle().delete_child("b").await.unwrap();
    assert_eq!(a.pid(), first, "who stays is left alone");
    log.take();
    a.crash();
    log.until("ready d", 1).await;
    settle().await;
    assert_eq!(log.take(), ["stop d", "stop c", "start c", "ready c", "start a", "ready a", "start d", "ready d"]);
    // So does the root, which is told the same way.
    let system_spec = SupervisorSpec { intensity: 0, children: system.spec().children.clone(), ..one_for_one() };
    system.change(system_spec).await.unwrap();
    a.crash();
    assert!(matches!(system.ended().await, ExitReason::Shutdown));
    assert_eq!(system.gave_up().unwrap().as_str(), "inner");
    assert!(system.shutdown(SECOND).await.is_clean());
    let gone =
        log.take().into_iter().filter(|line| line.starts_with("gone")).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(gone.into_iter().collect::<Vec<_>>(), ["gone a", "gone c", "gone d"], "all that are left, and no other");
}
