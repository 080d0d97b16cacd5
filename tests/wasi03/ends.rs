//! However an instance of WASI 0.3 ends, nothing of it is left, and nothing is lost but the turn that it was in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use airssys_tests::{Mesh, PATIENCE, builder, until};
use prober_protocol::{Command, Trap};

use super::{TOPOLOGY, invoke};

/// One component beside another, whose function it calls again and again and never waits for; each call waits on a
/// stack of its own.
const STORM: &str = r#"(component
    (component $inner
        (core module $memory (memory (export "memory") 1))
        (core instance $memory (instantiate $memory))
        (core func $new (canon waitable-set.new))
        (core func $wait (canon waitable-set.wait (memory $memory "memory")))
        (core module $m
            (import "" "new" (func $new (result i32)))
            (import "" "wait" (func $wait (param i32 i32) (result i32)))
            (func (export "wait") (result i32) (drop (call $wait (call $new) (i32.const 0))) (i32.const 0))
            (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m (with "" (instance
            (export "new" (func $new)) (export "wait" (func $wait))))))
        (func (export "wait") async (canon lift (core func $i "wait") async (callback (func $i "callback"))))
    )
    (component $outer
        (import "wait" (func $inner async))
        (core func $wait (canon lower (func $inner) async))
        (core func $return (canon task.return (result u32)))
        (core module $m
            (import "" "wait" (func $wait (result i32)))
            (import "" "return" (func $return (param i32)))
            (func (export "storm") (result i32) (loop (drop (call $wait)) (br 0)) (i32.const 0))
            (func (export "calm") (result i32) (call $return (i32.const 7)) (i32.const 0))
            (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m (with "" (instance
            (export "wait" (func $wait)) (export "return" (func $return))))))
        (func (export "storm") async (result u32)
            (canon lift (core func $i "storm") async (callback (func $i "callback"))))
        (func (export "calm") async (result u32)
            (canon lift (core func $i "calm") async (callback (func $i "callback"))))
    )
    (instance $inner (instantiate $inner))
    (instance $outer (instantiate $outer (with "wait" (func $inner "wait"))))
    (export "storm" (func $outer "storm"))
    (export "calm" (func $outer "calm"))
)"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_tasks_ends_the_instance_that_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let mesh = Mesh::start_in(folder, TOPOLOGY, &[("a", &wat::parse_str(STORM).unwrap())], builder()).await;
    for _ in 0..3 {
        let storm = invoke(&mesh, "storm()").await;
        assert!(storm.contains("the limit `resources` is 256"), "{storm}");
        assert_eq!(invoke(&mesh, "calm()").await, "7");
    }
    mesh.runtime.shutdown().await;
}

/// Where the allocator's arenas begin: at a multiple of it. They grow to any size, also to that of a stack.
const ARENA: usize = 64 << 20;

/// The stacks of this size that are mapped in this process, each above its page that nobody may touch.
fn stacks_of(bytes: usize) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mappings = maps.lines().map(|line| {
        let (begin, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let begin = usize::from_str_radix(begin, 16).unwrap();
        (begin, usize::from_str_radix(end, 16).unwrap() - begin)
    });
    mappings.filter(|(begin, size)| begin % ARENA != 0 && *size == bytes).count()
}

/// A size that no other test gives a stack, and the room for functions of the host.
const STACK_KIB: usize = 340;
const MAPPED: usize = (STACK_KIB + 512) << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stacks_of_tasks_are_given_back_however_their_instance_ends() {
    let folder = tempfile::tempdir().unwrap();
    let limits = format!("limits = {{ stack = \"{STACK_KIB}KiB\" }}\nshutdown = \"brutal-kill\"\n");
    let topology = format!("{TOPOLOGY}{limits}");
    let mesh = Mesh::start_in(folder, &topology, &[("a", &wat::parse_str(STORM).unwrap())], builder()).await;
    assert_eq!(invoke(&mesh, "calm()").await, "7");
    let calm = mesh.runtime.instances().0;
    for round in 0..30 {
        // It ends by the bound of its tasks, or is killed on the way there.
        let storm = invoke(&mesh, "storm()");
        let kill = async {
            if round % 2 == 1 {
                let _stopped = mesh.runtime.stop_service("a").await.unwrap();
                let _started = mesh.runtime.start_service("a").await.unwrap();
            }
        };
        let (storm, ()) = tokio::join!(storm, kill);
        assert!(round % 2 == 1 || storm.contains("the limit `resources` is 256"), "{storm}");
        assert_eq!(invoke(&mesh, "calm()").await, "7");
        // One is that of the call that was answered.
        until("they are given back", async || mesh.runtime.instances().0 <= calm && stacks_of(MAPPED) <= 1).await;
    }
    mesh.runtime.shutdown().await;
    until("all is given back", async || stacks_of(MAPPED) == 0).await;
}

/// One that is killed, with its sibling, when that one crashes.
const KILLED: &str = r#"
    name = "m"
    [root]
    intensity = 1000
    [[supervisor]]
    name = "group"
    strategy = "one-for-all"
    intensity = 100000
    [[service]]
    name = "a"
    release = "@tasks"
    supervisor = "group"
    shutdown = "brutal-kill"
    limits = { turn_deadline = "200ms", turn_budget = "50ms" }
    [[service]]
    name = "trigger"
    release = "@prober"
    supervisor = "group"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_120_ends_under_load() {
    let mesh = Arc::new(Mesh::start(KILLED).await);
    let (stop, well, badly) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    assert_eq!(invoke(&mesh, "add(0)").await, "1");
    let calm = mesh.runtime.instances().0;
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let (mesh, stop) = (Arc::clone(&mesh), Arc::clone(&stop));
            let (well, badly) = (Arc::clone(&well), Arc::clone(&badly));
            tokio::spawn(async move {
                let mut last = 1;
                while !stop.load(Ordering::Relaxed) {
                    match mesh.runtime.invoke("a", "add(2)", PATIENCE).await {
                        Ok(sum) => {
                            let sum: u64 = sum.unwrap().parse().unwrap();
                            assert!(sum > last, "{sum} after {last}");
                            last = sum;
                            well.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(_) => {
                            badly.fetch_add(1, Ordering::Relaxed);
                            tokio::task::yield_now().await;
                        }
                    }
                }
            })
        })
        .collect();
    for round in 0..120 {
        // Each in the midst of its turns.
        let before = well.load(Ordering::Relaxed);
        until("it goes on", async || well.load(Ordering::Relaxed) > before).await;
        let how = ["", "trap", "exit", "wait", "linger", "spin"][round % 6];
        if how.is_empty() {
            let _crashed = mesh.ask("trigger", &Command::Trap(Trap::Panic)).await;
        } else {
            let ended = invoke(&mesh, &format!("end({how:?})")).await;
            assert_ne!(ended, "ok", "{how}");
        }
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    let (well, badly) = (well.load(Ordering::Relaxed), badly.load(Ordering::Relaxed));
    // Its own, and the one at the begin.
    let sum = invoke(&mesh, "add(0)").await.parse::<u64>().unwrap() - 2;
    assert!((well..=well + badly).contains(&sum), "{well} were acknowledged, {badly} were not, {sum} are there");
    assert_eq!(invoke(&mesh, "get(\"ended\")").await, "none", "nothing of a turn that ended otherwise");
    until("the others are given back", async || mesh.runtime.instances().0 <= calm).await;
    mesh.runtime.shutdown().await;
}
