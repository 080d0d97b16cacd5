//! A guest that means harm makes the host hold no more than its limits say, and its siblings answer meanwhile.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

#[path = "hostile/answers.rs"]
mod answers;

use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command as Program;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use airssys_tests::deploying::{Deploying, quick, told_of};
use airssys_tests::{Footprint, Mesh, PATIENCE, footprint, heir, until};
use airssys_wasm::deploy::Progress;
use airssys_wasm::error::{CallError, Crash, Fault, SendError};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use airssys_wasm::topology::Topology;
use prober_protocol::{Command, Flooded, Outcome, Trap};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, mpsc, oneshot};

const MEBI: u64 = 1 << 20;
/// What the allocator keeps of what was given back, and what a test holds itself.
const KEPT: u64 = 32 * MEBI;
/// How often a sibling is asked and answers while an attack goes on.
const ROUNDS: u64 = 3;
/// How long an answer may take, beside what the machine keeps everybody waiting.
const SOON: Duration = Duration::from_secs(1);

/// One at a time: the process is measured.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Limits that are small enough for a few rounds without one of them to be more than all of them. A turn may compute
/// for long, since the machine may be slow.
const LIMITS: &str = "limits = { turn_budget = \"60s\", turn_deadline = \"2m\", state = \"2MiB\", effect_bytes = \"2MiB\", boundary = \"2MiB\", timer_bytes = \"1MiB\" }\nmailbox = { bytes = \"2MiB\" }";
const SETTINGS: &str = "[settings]\ndead_letter_bytes = \"8MiB\"\n[root]\nintensity = 1000\n";

/// A villain and its sibling.
fn topology(grants: &str) -> String {
    let service = |name: &str| format!("[[service]]\nname = {name:?}\nrelease = \"@prober\"\n{LIMITS}\n");
    let villain = format!("{}[service.grants]\n{grants}\n", service("villain"));
    format!("name = \"hostile\"\n{SETTINGS}{}{villain}", service("sibling"))
}

/// What a mesh may come to hold, by the table of its limits.
fn most_bytes(folder: &Path) -> u64 {
    let most = Topology::read(&folder.join("airssys.toml")).unwrap().most_bytes();
    assert!((50 * MEBI..200 * MEBI).contains(&most), "{} MiB", most / MEBI);
    most
}

/// A sibling in a host of its own, with threads of its own, that nobody attacks: what it waits for, the machine has
/// everybody wait for.
struct Control {
    asked: mpsc::UnboundedSender<oneshot::Sender<Duration>>,
    thread: thread::JoinHandle<()>,
}

impl Control {
    fn start() -> Self {
        let (asked, mut asks) = mpsc::unbounded_channel::<oneshot::Sender<Duration>>();
        let work = move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let text = "name = \"control\"\n[[service]]\nname = \"sibling\"\nrelease = \"@prober\"\n";
                let mesh = Mesh::start(text).await;
                while let Some(answer) = asks.recv().await {
                    let begun = Instant::now();
                    mesh.ok("sibling", &Command::Count).await;
                    let _the_test_failed_meanwhile = answer.send(begun.elapsed());
                }
                mesh.stop().await;
            });
        };
        Self { asked, thread: thread::spawn(work) }
    }

    /// How long an answer takes there.
    async fn ask(&self) -> Duration {
        let (answer, answered) = oneshot::channel();
        self.asked.send(answer).unwrap();
        answered.await.unwrap()
    }

    fn stop(self) {
        drop(self.asked);
        self.thread.join().unwrap();
    }
}

/// What a sibling saw while it was asked again and again.
#[derive(Default)]
struct Bystander {
    answered: AtomicU64,
    stop: AtomicBool,
}

impl Bystander {
    /// Asks again and again until it is told to stop. No answer takes a second longer than that of the control, which
    /// is asked at the same time. `most` is what the process may come to hold more than `before`.
    async fn watch(&self, ask: impl AsyncFn(), before: Footprint, most: u64) {
        let control = Control::start();
        while !self.stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let asked = async {
                ask().await;
                begun.elapsed()
            };
            let (took, otherwise) = tokio::join!(asked, control.ask());
            let number = self.answered.fetch_add(1, Ordering::Relaxed);
            assert!(took < otherwise + SOON, "answer {number}: {took:?}, and {otherwise:?} where nobody attacks");
            let grown = footprint().resident_bytes.saturating_sub(before.resident_bytes);
            assert!(grown < most + KEPT, "{} MiB, and {} MiB are allowed", grown / MEBI, most / MEBI);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        control.stop();
    }

    /// Attacks, each time with twice as much at a time, until the sibling was asked and has answered several times
    /// between the begin of an attack and its end.
    async fn during<T>(&self, attack: impl AsyncFn(u64) -> T) -> T {
        for doubled in 0..20 {
            let before = self.answered.load(Ordering::Relaxed);
            let told = attack(1 << doubled).await;
            // It may have been asked for the first of these answers before.
            if self.answered.load(Ordering::Relaxed) > before + ROUNDS {
                return told;
            }
        }
        panic!("the sibling does not answer before the attack is over, however long that takes");
    }
}

/// Who is attacked, and who watches.
struct Attacked {
    mesh: Mesh,
    bystander: Bystander,
}

impl Attacked {
    /// Has the villain do the same again and again in one turn.
    async fn again(&self, times: u64, command: &Command) -> Flooded {
        let again = async |more: u64| {
            let told = self.mesh.ok("villain", &Command::Times(times * more, Box::new(command.clone()))).await;
            serde_json::from_value(told).unwrap()
        };
        self.bystander.during(again).await
    }

    /// Has the villain do what ends its turn, again and again; what came of it the last time.
    async fn turns(&self, command: &Command) -> Result<Outcome, CallError> {
        let turns = async |more: u64| {
            let mut told = Ok(Outcome::Ok(Value::Null));
            for _ in 0..more {
                told = self.mesh.ask("villain", command).await;
            }
            told
        };
        self.bystander.during(turns).await
    }

    /// What it takes and what it is refused, for each way to make the host hold something.
    async fn attack(&self, granted: bool) {
        let mesh = &self.mesh;
        let myself = || "villain".to_owned();
        let refused = |flooded: &Flooded| flooded.last.clone().unwrap_or_default();

        // Its effects may have 2 MiB, and its mailbox as much. Without a bound they would be more than all that is
        // allowed, and so would the timers.
        let sent = self.again(200, &Command::SendBytes { to: myself(), bytes: 1_000_000 }).await;
        assert!((1..=2).contains(&sent.sent) && refused(&sent) == "overloaded", "{sent:?}");
        let small = self.again(3_000, &Command::SendBytes { to: myself(), bytes: 1 }).await;
        assert!(small.sent <= 1_024 && refused(&small) == "overloaded", "{small:?}");
        // 1 MiB of timers; those of the rounds before count.
        let timers = self.again(300, &Command::SendBytesAfter { delay_ms: 3_600_000, bytes: 300_000 }).await;
        assert!(timers.sent <= 3 && refused(&timers) == "overloaded", "{timers:?}");

        let published = self.again(200, &Command::PublishBytes { topic: "t".into(), bytes: 1_000_000 }).await;
        let subscribed = self.again(200, &Command::SubscribeLong(1_000)).await;
        if granted {
            assert!(published.sent <= 2 && refused(&published) == "overloaded", "{published:?}");
            assert!(subscribed.sent <= 100 && refused(&subscribed) == "overloaded", "{subscribed:?}");
            assert_eq!(mesh.refused("villain", &Command::SubscribeLong(1_025)).await, "too-large");
            let topic = "t".repeat(1_025);
            assert_eq!(mesh.refused("villain", &Command::PublishBytes { topic, bytes: 1 }).await, "too-large");
        } else {
            for flooded in [&published, &subscribed] {
                assert_eq!((flooded.sent, &*refused(flooded)), (0, "denied"), "{flooded:?}");
            }
        }
        // A name that is longer than any is not looked at, whoever may send to it.
        let to = "x".repeat(500_000);
        assert_eq!(mesh.refused("villain", &Command::SendBytes { to, bytes: 1 }).await, "no-such-service");

        match self.turns(&Command::FailLong(1_000_000)).await {
            Err(CallError::Fault(Fault::Internal(text))) => {
                assert!((4_096..5_000).contains(&text.len()), "{}", text.len());
            }
            other => panic!("{other:?}"),
        }
        match self.turns(&Command::HugeAnswer(8_000_000)).await {
            Err(CallError::Crashed(Crash::Oversized { .. })) => {}
            other => panic!("{other:?}"),
        }
        self.again(1, &Command::FloodState).await;
        self.again(1, &Command::FloodLog(2_000)).await;
        let call = Command::Call { to: myself(), key: None, body: json!("count"), timeout_ms: 60_000 };
        let name = mesh.refused("villain", &call).await;
        assert!(name == "deadlock" || name == "not-sent/denied", "{name}");
        self.turns(&Command::Trap(Trap::OutOfMemory)).await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_makes_the_host_hold_is_bounded_and_its_sibling_answers() {
    let _alone = ALONE.lock().await;
    for (granted, grants) in [(false, ""), (true, "publish = [\"**\"]\nsubscribe = [\"**\"]")] {
        let attacked = Attacked { mesh: Mesh::start(&topology(grants)).await, bystander: Bystander::default() };
        let (mesh, bystander) = (&attacked.mesh, &attacked.bystander);
        for service in ["sibling", "villain"] {
            mesh.ok(service, &Command::Count).await;
        }
        let before = footprint();
        let attacks = async {
            for _ in 0..4 {
                attacked.attack(granted).await;
            }
            bystander.stop.store(true, Ordering::Relaxed);
        };
        let ask = async || drop(mesh.ok("sibling", &Command::Count).await);
        tokio::join!(attacks, bystander.watch(ask, before, most_bytes(mesh.folder.path())));
        assert_eq!(mesh.status("sibling").started, 1);

        mesh.until("its mailbox is empty", |mesh| mesh.status("villain").queued == 0).await;
        let (total, kept) = mesh.runtime.dead_letters();
        let bytes: usize = kept.iter().map(|letter| letter.body.len()).sum();
        assert!(total as usize > kept.len() && bytes <= 8 << 20, "{total} letters, {} with {bytes} bytes", kept.len());
        let after = footprint();
        assert!(after.file_descriptors <= before.file_descriptors, "{before:?} {after:?}");
        assert!(after.threads <= before.threads + 4, "{before:?} {after:?}");
        attacked.mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_giant_snapshot_does_not_cross_to_the_host_and_its_sibling_answers() {
    let _alone = ALONE.lock().await;
    let service = |name: &str| format!("[[service]]\nname = {name:?}\nrelease = \"one.wasm\"\n{LIMITS}\n");
    let text = format!("name = \"hostile\"\n{SETTINGS}{}{}", service("sibling"), service("counter"));
    let deploying = Deploying::start_as(&text, &heir("one", "snapshot-giant", 0)).await;
    let release = |name: &str| {
        std::fs::write(deploying.path(name), heir(name, "snapshot-giant", 0)).unwrap();
        Release::find(&deploying.path(name)).unwrap()
    };
    let body = |number: u64| json!({ "from": "a", "number": number }).to_string();
    let ask = async |number: &AtomicU64, service: &str| {
        let number = number.fetch_add(1, Ordering::Relaxed) + 1;
        deploying.runtime.call(service, body(number), PATIENCE).await.unwrap().unwrap();
    };
    let (to_counter, to_sibling) = (AtomicU64::new(0), AtomicU64::new(0));
    let both = [release("two"), release("one")];
    ask(&to_counter, "counter").await;
    ask(&to_sibling, "sibling").await;

    let (before, bystander) = (footprint(), Bystander::default());
    // While it is replaced the counter has two instances.
    let most = most_bytes(deploying.folder.path()) + 40 * MEBI;
    let attacks = async {
        for _ in 0..4 {
            let deploys = async |times: u64| {
                for release in both.iter().cycle().take(2 * usize::try_from(times).unwrap()) {
                    let deployment = deploying.runtime.deploy("counter", release.clone(), quick()).await.unwrap();
                    assert_eq!(deployment.ended().await, Progress::Live);
                    let crash = told_of(&deploying.runtime, &deployment)["without_memory"]["crash"].take();
                    let crash: Crash = serde_json::from_value(crash).unwrap();
                    assert_eq!(crash.code(), "oversized", "{crash}");
                    ask(&to_counter, "counter").await;
                }
            };
            bystander.during(deploys).await;
        }
        bystander.stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(attacks, bystander.watch(async || ask(&to_sibling, "sibling").await, before, most));
    assert_eq!(deploying.status("sibling").started, 1);
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_in_a_granted_folder_is_refused_and_holds_no_thread() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Program::new("mkfifo").arg(&pipe).status().unwrap().success());
    let grants = format!("files = {{ \"/out\" = {{ host = {:?}, access = \"read-write\" }} }}", folder.path());
    let mesh = Mesh::start(&topology(&grants)).await;
    mesh.ok("villain", &Command::WriteFile { path: "/out/plain".into(), text: "seen".into() }).await;
    mesh.ok("villain", &Command::Symlink { target: "pipe".into(), path: "/out/link".into() }).await;
    for path in ["/out/pipe", "/out/link"] {
        for command in
            [Command::ReadFile(path.into()), Command::WriteFile { path: path.into(), text: "nobody reads this".into() }]
        {
            for _ in 0..20 {
                let name = mesh.refused("villain", &command).await;
                assert_eq!(name, "io/Unsupported", "{command:?}");
            }
        }
    }
    assert_eq!(mesh.ok("villain", &Command::ReadFile("/out/plain".into())).await, json!("seen"));
    assert_eq!(mesh.status("villain").started, 1);
    mesh.stop().await;
}

/// A file that whoever opens it waits for, until this is dropped or `fs.lease-break-time` (45 s) has passed: the one
/// way without a device to have a file that hangs for sure.
fn leased(path: &Path) -> std::fs::File {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    #[allow(unsafe_code, reason = "the standard library knows no leases")]
    // SAFETY: the file is open, and the call takes two numbers.
    let taken = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) };
    assert_eq!(taken, 0, "{}", std::io::Error::last_os_error());
    file
}

#[test]
fn files_that_hang_hold_the_threads_of_their_service_and_of_nobody_else() {
    const THREADS: usize = 8;
    let _alone = ALONE.blocking_lock();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    // The only thread for blocking work that the host's runtime has is taken for good: nothing of the mesh may need it.
    let (release, hung) = std::sync::mpsc::channel::<()>();
    let _hanging = runtime.spawn_blocking(move || hung.recv());
    let folder = tempfile::tempdir().unwrap();
    for file in ["hangs", "plain"] {
        std::fs::write(folder.path().join(file), "seen").unwrap();
    }
    runtime.block_on(async {
        // Who has a lease is told by a signal that somebody waits for it, which would end the process.
        let _is_told = signal(SignalKind::io()).unwrap();
        let files = format!("[service.grants]\nfiles = {{ \"/in\" = {{ host = {:?} }} }}\n", folder.path());
        let limits = "limits = { turn_deadline = \"300ms\" }\n";
        let service = |name: &str| format!("[[service]]\nname = {name:?}\nrelease = \"@prober\"\n");
        let root = "name = \"m\"\n[root]\nintensity = 1000\n";
        let text = format!("{root}{}{limits}{files}{}{files}", service("reader"), service("sibling"));
        let mesh = tokio::time::timeout(PATIENCE, Mesh::start(&text)).await.unwrap();
        let read = async |to: &str, name: &str| mesh.ask(to, &Command::ReadFile(format!("/in/{name}"))).await;
        let before = footprint();
        let lease = leased(&folder.path().join("hangs"));
        // Each of its turns leaves a thread behind. Whatever it opens when it has no more waits for one of these, and
        // its turn ends typed; turn by turn, and no thread more is held.
        for name in std::iter::repeat_n("hangs", THREADS).chain(["plain"; 3]) {
            match read("reader", name).await {
                Err(CallError::Crashed(Crash::Deadline { .. })) => {}
                other => panic!("{name}: {other:?}"),
            }
        }
        let during = footprint();
        assert!(during.threads <= before.threads + THREADS + 4, "{before:?} {during:?}");
        // It answers otherwise, and its sibling reads.
        mesh.ok("reader", &Command::Count).await;
        for _ in 0..20 {
            assert_eq!(mesh.ok("sibling", &Command::ReadFile("/in/plain".into())).await, json!("seen"));
        }
        // What hung is there again: the threads are the reader's as before.
        drop(lease);
        until("it reads again", async || matches!(read("reader", "plain").await, Ok(Outcome::Ok(_)))).await;
        mesh.stop().await;
    });
    drop(release);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mailboxes_of_all_keys_have_a_bound_together() {
    let _alone = ALONE.lock().await;
    let mesh = Mesh::start(
        "name = \"m\"\n[[service]]\nname = \"keys\"\nrelease = \"@prober\"\nshutdown = \"brutal-kill\"\nkeyed = { max_awake = 1 }\nmailbox = { all_bytes = \"1MiB\" }\nlimits = { turn_deadline = \"10m\" }\n",
    )
    .await;
    // Nobody else wakes while this one is busy.
    mesh.tell("keys/busy", &Command::Sleep(500_000)).await.unwrap();
    // Its instance is there before it takes the message, which is queued till then.
    mesh.until("it is busy", |mesh| mesh.runtime.instances().0 == 1 && mesh.status("keys").queued == 0).await;
    let body = || vec![b'x'; 300_000];
    for key in ["keys/a", "keys/b", "keys/c"] {
        mesh.runtime.send(key, body()).await.unwrap();
    }
    for key in ["keys/a", "keys/d"] {
        let refused = mesh.runtime.send(key, body()).await;
        assert!(matches!(refused, Err(SendError::Overloaded { .. })), "{refused:?}");
    }
    mesh.tell("keys/d", &Command::Count).await.unwrap();
    assert_eq!(mesh.status("keys").queued, 4);
    mesh.runtime.shutdown().await;
}

/// What a service with states of several keys refuses a write with, which is not for the one state alone.
async fn no_room(mesh: &Mesh, to: &str, command: &Command) {
    match mesh.ask(to, command).await {
        Ok(Outcome::Err(refusal)) => assert!(refusal.text.contains("all_state"), "{refusal:?}"),
        other => panic!("{to}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_states_of_all_keys_have_a_bound_together_and_so_has_their_number() {
    let _alone = ALONE.lock().await;
    let service = |name: &str, more: &str| {
        format!(
            "[[service]]\nname = {name:?}\nrelease = \"@prober\"\nlimits = {{ state = \"2MiB\", all_state = \"3MiB\", turn_budget = \"60s\" }}\n{more}\n"
        )
    };
    let keyed = service("keyed", "keyed = { max_awake = 2, idle_timeout = \"1ms\" }");
    let lanes = service("lanes", "instances = 2\npartitioned = true");
    let mesh = Mesh::start(&format!("name = \"m\"\n{keyed}{lanes}")).await;
    let value = |letters: usize| Command::Set { key: "k".to_owned(), value: json!("x".repeat(letters)) };
    for service in ["keyed", "lanes"] {
        let to = |key: usize| format!("{service}/{key}");
        // Each value has 256 KiB: one key may have less than eight, and both together less than twelve.
        assert_eq!(mesh.ok(&to(1), &Command::FloodState).await, json!(7));
        assert_eq!(mesh.ok(&to(2), &Command::FloodState).await, json!(4));
        no_room(&mesh, &to(3), &value(300_000)).await;
        // What is there can be read and changed, and what does not grow is never refused.
        let shrinks = Command::Do(vec![value(1_000), value(999)]);
        mesh.ok(&to(2), &shrinks).await;
        // What is deleted is room for others.
        mesh.ok(&to(1), &Command::Prune).await;
        mesh.ok(&to(3), &value(300_000)).await;
        mesh.ok(&to(2), &Command::Prune).await;
        mesh.ok(&to(3), &Command::Prune).await;
        // A state of a few bytes counts too: 3 MiB are no more than 12,288 of them.
        let (mut kept, small) = (0, value(1));
        while kept < 12_288 && matches!(mesh.ask(&to(kept + 10), &small).await, Ok(Outcome::Ok(_))) {
            kept += 1;
        }
        assert!((10_000..12_288).contains(&kept), "{kept}");
        no_room(&mesh, &to(1), &small).await;
        mesh.ok(&to(10), &Command::Prune).await;
        mesh.ok(&to(1), &small).await;
    }
    mesh.stop().await;
}
