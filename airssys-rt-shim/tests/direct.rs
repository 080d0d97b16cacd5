//! Who sends to a worker that sleeps, and waits for what comes of it, runs that worker itself; and nobody ends with
//! anybody for that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::ThreadId;
use std::time::Duration;

use airssys_rt_shim::child::{ChildSpec, StopReason};
use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::link::Pid;
use airssys_rt_shim::mailbox::{InHand, Mailbox, Overflow, Sent};
use airssys_rt_shim::supervisor::{Strategy, SupervisorSpec};
use airssys_rt_shim::system::System;
use airssys_rt_shim::worker::{Behavior, Flow, WorkerStart};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// More than any turn here takes.
const STACK: usize = 64 << 10;
const SECOND: Duration = Duration::from_secs(1);

type Inbox = Arc<Mailbox<Ask>>;

/// What a worker is asked.
#[derive(Debug)]
enum Ask {
    /// To say where it runs, and whether it held the message before.
    Where(oneshot::Sender<(ThreadId, bool)>),
    /// To wait for this before it answers.
    Wait(Arc<Notify>, oneshot::Sender<()>),
    /// To ask the next of these where it runs, and that one the next.
    Chain(Vec<Inbox>, oneshot::Sender<usize>),
    /// To count.
    Count(oneshot::Sender<u64>),
    Panic,
    Fail,
}

struct Server {
    inits: Arc<AtomicU64>,
    stack: usize,
    counted: u64,
    me: Arc<Mutex<Option<Pid>>>,
    hung: Arc<Notify>,
}

impl Behavior for Server {
    type Message = Ask;
    type Control = oneshot::Sender<ThreadId>;

    async fn init(&mut self, me: Pid) -> Result<(), ExitReason> {
        self.inits.fetch_add(1, Ordering::SeqCst);
        *self.me.lock().unwrap() = Some(me);
        Ok(())
    }

    fn stack(&self) -> usize {
        self.stack
    }

    async fn turn(&mut self, hand: InHand<'_, Ask>) -> Flow {
        if let Ask::Wait(until, _) = &*hand {
            let until = Arc::clone(until);
            self.hung.notify_one();
            until.notified().await;
        }
        if let Ask::Fail = &*hand {
            drop(hand.done());
            return Flow::Exit(ExitReason::Failed(Arc::new(std::io::Error::other("told to"))));
        }
        let adopted = hand.adopted();
        match hand.done() {
            Ask::Where(answer) => drop(answer.send((std::thread::current().id(), adopted))),
            Ask::Wait(_, answer) => drop(answer.send(())),
            Ask::Chain(mut rest, answer) => {
                let depth = match rest.pop() {
                    None => 0,
                    Some(next) => {
                        let (reply, answered) = oneshot::channel();
                        next.try_send_and_run(Ask::Chain(rest, reply), 0, Instant::now()).unwrap();
                        answered.await.unwrap() + 1
                    }
                };
                let _nobody_waits = answer.send(depth);
            }
            Ask::Count(answer) => {
                self.counted += 1;
                let _nobody_waits = answer.send(self.counted);
            }
            Ask::Panic => panic!("told to"),
            Ask::Fail => {}
        }
        Flow::Continue
    }

    async fn control(&mut self, control: Self::Control) -> Flow {
        let _nobody_waits = control.send(std::thread::current().id());
        Flow::Continue
    }

    async fn stop(&mut self, _: StopReason) {}
}

struct Place {
    inbox: Inbox,
    start: Arc<WorkerStart<Server>>,
    inits: Arc<AtomicU64>,
    hung: Arc<Notify>,
    me: Arc<Mutex<Option<Pid>>>,
}

impl Place {
    fn new(stack: usize) -> Self {
        Self::of(Arc::new(Mailbox::new(1_000, Overflow::Wait, 1)), 0, stack)
    }

    fn of(inbox: Inbox, consumer: usize, stack: usize) -> Self {
        let (inits, hung, me) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()), Arc::<Mutex<_>>::default());
        let make = {
            let (inits, hung, me) = (Arc::clone(&inits), Arc::clone(&hung), Arc::clone(&me));
            move || Server {
                inits: Arc::clone(&inits),
                stack,
                counted: 0,
                me: Arc::clone(&me),
                hung: Arc::clone(&hung),
            }
        };
        let start = WorkerStart::new(Arc::clone(&inbox), consumer, make, || {});
        Self { inbox, start, inits, hung, me }
    }

    fn spec(&self, name: &str) -> ChildSpec {
        ChildSpec::worker(name, Arc::clone(&self.start) as _)
    }

    fn pid(&self) -> Pid {
        self.me.lock().unwrap().clone().unwrap()
    }

    /// Until it sleeps.
    async fn asleep(&self) {
        until(|| self.inbox.is_quiet()).await;
    }

    /// Until it was started so often.
    async fn started(&self, times: u64) {
        until(|| self.inits.load(Ordering::SeqCst) >= times && self.inbox.is_quiet()).await;
    }
}

/// Waits until something is so, which it must become.
async fn until(so: impl Fn() -> bool) {
    let all = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(60 * SECOND, all).await.expect("it becomes so");
}

async fn start(places: &[&Place]) -> System {
    let spec = SupervisorSpec { intensity: 1_000, ..SupervisorSpec::new(Strategy::OneForOne) };
    let spec = places.iter().enumerate().fold(spec, |spec, (at, place)| spec.child(place.spec(&format!("p{at}"))));
    let system = System::start("root", spec).await.unwrap();
    for place in places {
        place.asleep().await;
    }
    system
}

/// What a future says when it is polled once, and nobody else runs meanwhile.
fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Asks and looks whether there is an answer, without letting anybody else run.
fn asked_at_once<T>(inbox: &Inbox, stack: usize, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Poll<T> {
    let (reply, answer) = oneshot::channel();
    assert!(matches!(inbox.try_send_and_run(ask(reply), stack, Instant::now()), Ok(Sent::Queued)));
    poll_once(async { answer.await.unwrap() })
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_sleeps_answers_in_the_poll_of_who_asks() {
    let place = Place::new(0);
    let system = start(&[&place]).await;
    for expected in 1..=3 {
        assert_eq!(asked_at_once(&place.inbox, 0, Ask::Count), Poll::Ready(expected));
    }
    assert!(system.shutdown(SECOND).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_thread_with_less_stack_than_a_turn_takes_wakes_the_worker_instead() {
    let place = Place::new(STACK);
    let system = start(&[&place]).await;
    let (reply, answer) = oneshot::channel();
    place.inbox.try_send_and_run(Ask::Count(reply), STACK - 1, Instant::now()).unwrap();
    let mut answer = pin!(answer);
    assert!(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(answer.await, Ok(1));
    place.asleep().await;
    assert_eq!(asked_at_once(&place.inbox, STACK, Ask::Count), Poll::Ready(2));
    assert!(system.shutdown(SECOND).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_waits_goes_on_without_who_asked() {
    let place = Place::new(0);
    let system = start(&[&place]).await;
    let go = Arc::new(Notify::new());
    let asks = tokio::spawn({
        let (inbox, go) = (Arc::clone(&place.inbox), Arc::clone(&go));
        async move {
            let (reply, answer) = oneshot::channel();
            inbox.try_send_and_run(Ask::Wait(go, reply), 0, Instant::now()).unwrap();
            answer.await
        }
    });
    place.hung.notified().await;
    // Whoever asked is dropped; the turn is not.
    asks.abort();
    assert!(asks.await.unwrap_err().is_cancelled());
    go.notify_one();
    place.asleep().await;
    assert_eq!(place.inits.load(Ordering::SeqCst), 1);
    assert_eq!(asked_at_once(&place.inbox, 0, Ask::Count), Poll::Ready(1));
    assert!(system.shutdown(SECOND).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn what_panics_or_fails_ends_alone_and_is_started_again() {
    let place = Place::new(0);
    let system = start(&[&place]).await;
    // The panic is not of who sends.
    assert!(place.inbox.try_send_and_run(Ask::Panic, 0, Instant::now()).is_ok());
    place.started(2).await;
    assert!(place.inbox.try_send_and_run(Ask::Fail, 0, Instant::now()).is_ok());
    place.started(3).await;
    let children = system.root().which_children().await.unwrap();
    assert_eq!(children[0].restarts, 2);
    assert!(children[0].last_exit.as_ref().unwrap().to_string().contains("told to"));
    assert_eq!(asked_at_once(&place.inbox, 0, Ask::Count), Poll::Ready(1));
    assert!(system.shutdown(SECOND).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_kill_ends_the_turn_and_leaves_the_message_for_the_next_one() {
    let place = Place::new(0);
    let system = start(&[&place]).await;
    let (reply, mut answer) = oneshot::channel();
    let go = Arc::new(Notify::new());
    // It begins in this task, and is killed in its own.
    place.inbox.try_send_and_run(Ask::Wait(Arc::clone(&go), reply), 0, Instant::now()).unwrap();
    place.hung.notified().await;
    place.pid().exit(ExitReason::Killed);
    place.hung.notified().await;
    assert_eq!(place.inits.load(Ordering::SeqCst), 2);
    assert!(answer.try_recv().is_err());
    go.notify_one();
    assert_eq!(answer.await, Ok(()));
    assert!(system.shutdown(SECOND).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn an_order_is_for_the_worker_itself() {
    let place = Place::new(0);
    let system = start(&[&place]).await;
    let (told, mut ordered) = oneshot::channel();
    place.start.control(told).unwrap();
    // Whoever asks meanwhile runs no order.
    let (reply, answer) = oneshot::channel();
    place.inbox.try_send_and_run(Ask::Count(reply), 0, Instant::now()).unwrap();
    assert!(ordered.try_recv().is_err());
    assert_eq!(answer.await, Ok(1));
    assert!(ordered.try_recv().is_ok(), "it was asked first");
    assert!(system.shutdown(SECOND).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn one_asks_another_through_all_of_them_and_beyond_a_depth_they_are_woken() {
    let places: Vec<Place> = (0..20).map(|_| Place::new(0)).collect();
    let system = start(&places.iter().collect::<Vec<_>>()).await;
    let inboxes = |count: usize| places[1..=count].iter().map(|place| Arc::clone(&place.inbox)).collect::<Vec<_>>();
    let answered = asked_at_once(&places[0].inbox, 0, |reply| Ask::Chain(inboxes(3), reply));
    assert_eq!(answered, Poll::Ready(3));
    let (reply, answer) = oneshot::channel();
    places[0].inbox.try_send_and_run(Ask::Chain(inboxes(19), reply), 0, Instant::now()).unwrap();
    assert_eq!(answer.await, Ok(19));
    assert!(system.shutdown(SECOND).await.is_clean());
}

/// Nothing is lost or handled twice however many ask at a time, from several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_a_time_are_each_answered_once() {
    const EACH: u64 = 2_000;
    let place = Place::new(0);
    let system = start(&[&place]).await;
    let askers: Vec<_> = (0..100)
        .map(|asker| {
            let inbox = Arc::clone(&place.inbox);
            tokio::spawn(async move {
                let mut last = 0;
                for _ in 0..EACH / 100 {
                    let (reply, answer) = oneshot::channel();
                    inbox.try_send_and_run(Ask::Count(reply), 0, Instant::now()).unwrap();
                    let counted = answer.await.unwrap();
                    assert!(counted > last, "{asker}: {counted} after {last}");
                    last = counted;
                }
            })
        })
        .collect();
    for asker in askers {
        asker.await.unwrap();
    }
    place.asleep().await;
    assert_eq!(asked_at_once(&place.inbox, 0, Ask::Count), Poll::Ready(EACH + 1));
    assert!(system.shutdown(SECOND).await.is_clean());
}

/// A pool of which one fails now and then: each question that can be answered is, and whoever failed serves again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pool_that_fails_now_and_then_answers_all_the_same() {
    const EACH: u64 = 400;
    let inbox: Inbox = Arc::new(Mailbox::new(1_000, Overflow::Wait, 4));
    let places: Vec<Place> = (0..4).map(|consumer| Place::of(Arc::clone(&inbox), consumer, 0)).collect();
    let spec = SupervisorSpec { intensity: 1_000_000, ..SupervisorSpec::new(Strategy::OneForOne) };
    let spec = places.iter().enumerate().fold(spec, |spec, (at, place)| spec.child(place.spec(&format!("p{at}"))));
    let system = System::start("root", spec).await.unwrap();
    let askers: Vec<_> = (0..8)
        .map(|_| {
            let inbox = Arc::clone(&inbox);
            tokio::spawn(async move {
                for number in 0..EACH {
                    if number % 10 == 0 {
                        inbox
                            .try_send_and_run(if number % 20 == 0 { Ask::Fail } else { Ask::Panic }, 0, Instant::now())
                            .unwrap();
                    }
                    let (reply, answer) = oneshot::channel();
                    inbox.try_send_and_run(Ask::Count(reply), 0, Instant::now()).unwrap();
                    tokio::time::timeout(60 * SECOND, answer).await.expect("an answer").unwrap();
                }
            })
        })
        .collect();
    for asker in askers {
        asker.await.unwrap();
    }
    let inits = || places.iter().map(|place| place.inits.load(Ordering::SeqCst)).sum::<u64>();
    until(|| inits() >= 4 + 8 * EACH / 10 && inbox.is_quiet()).await;
    assert!(system.shutdown(SECOND).await.is_clean());
}

/// A thread that is not of the worker's runtime never runs it.
#[test]
fn a_thread_of_another_runtime_wakes_the_worker() {
    let home = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let place = Place::new(0);
    let system = home.block_on(start(&[&place]));
    let here = std::thread::current().id();
    let ask = || {
        let (reply, answer) = oneshot::channel();
        place.inbox.try_send_and_run(Ask::Where(reply), 0, Instant::now()).unwrap();
        answer
    };
    let (thread, adopted) = ask().blocking_recv().unwrap();
    assert!(thread != here && !adopted);
    home.block_on(place.asleep());
    let (thread, _) = home.block_on(async { ask().await.unwrap() });
    assert_eq!(thread, here, "of the same runtime it does");
    assert!(home.block_on(system.shutdown(SECOND)).is_clean());
}
