//! In a pool that shares one mailbox, a message waits for nobody in particular: as long as one member sleeps that would
//! take it, no other one holds it up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use airssys_rt_shim::child::{ChildSpec, Restart, StopReason};
use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::link::Pid;
use airssys_rt_shim::mailbox::{InHand, Mailbox, Overflow};
use airssys_rt_shim::supervisor::{Strategy, SupervisorSpec};
use airssys_rt_shim::system::System;
use airssys_rt_shim::worker::{Behavior, Flow, WorkerStart};
use tokio::sync::oneshot;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Asks who answers.
type Ask = oneshot::Sender<usize>;

/// What a member is ordered. Each order says when it begins.
enum Order {
    /// To take no messages.
    Suspend(oneshot::Sender<()>),
    /// To take messages again.
    Resume(oneshot::Sender<()>),
    /// To do something else until it is told to stop that.
    Wait(oneshot::Sender<()>, oneshot::Receiver<()>),
}

struct Member {
    number: usize,
    takes: bool,
    me: Arc<Mutex<Option<Pid>>>,
}

impl Behavior for Member {
    type Message = Ask;
    type Control = Order;

    async fn init(&mut self, me: Pid) -> Result<(), ExitReason> {
        *self.me.lock().unwrap() = Some(me);
        Ok(())
    }

    fn takes_messages(&self) -> bool {
        self.takes
    }

    async fn turn(&mut self, hand: InHand<'_, Ask>) -> Flow {
        let _nobody_waits = hand.done().send(self.number);
        Flow::Continue
    }

    async fn control(&mut self, order: Order) -> Flow {
        match order {
            Order::Suspend(begun) => {
                self.takes = false;
                let _nobody_waits = begun.send(());
            }
            Order::Resume(begun) => {
                self.takes = true;
                let _nobody_waits = begun.send(());
            }
            Order::Wait(begun, until) => {
                let _nobody_waits = begun.send(());
                let _told_or_dropped = until.await;
            }
        }
        Flow::Continue
    }

    async fn stop(&mut self, _: StopReason) {}
}

/// Two members of one mailbox, of which the first is not started again.
struct Pool {
    inbox: Arc<Mailbox<Ask>>,
    members: Vec<Arc<WorkerStart<Member>>>,
    first: Arc<Mutex<Option<Pid>>>,
    system: System,
}

impl Pool {
    async fn start() -> Self {
        let inbox = Arc::new(Mailbox::new(10, Overflow::Wait, 2));
        let first = Arc::<Mutex<_>>::default();
        let mut spec = SupervisorSpec { intensity: 1_000, ..SupervisorSpec::new(Strategy::OneForOne) };
        let mut members = Vec::new();
        for number in 0..2 {
            let me = if number == 0 { Arc::clone(&first) } else { Arc::default() };
            let make = move || Member { number, takes: true, me: Arc::clone(&me) };
            let member = WorkerStart::new(Arc::clone(&inbox), number, make, || {});
            let restart = if number == 0 { Restart::Temporary } else { Restart::Permanent };
            let child = ChildSpec::worker(format!("m{number}"), Arc::clone(&member) as _);
            spec = spec.child(ChildSpec { restart, ..child });
            members.push(member);
        }
        let system = System::start("root", spec).await.unwrap();
        let pool = Self { inbox, members, first, system };
        pool.asleep().await;
        pool
    }

    /// Until both sleep: the time of these tests goes on only where nobody has anything to do.
    async fn asleep(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(self.inbox.is_quiet());
    }

    /// Orders the first member something, and waits until that has begun.
    async fn order(&self, order: impl FnOnce(oneshot::Sender<()>) -> Order) {
        let (begins, begun) = oneshot::channel();
        assert!(self.members[0].control(order(begins)).is_ok());
        soon(begun).await;
    }

    fn ask(&self) -> oneshot::Receiver<usize> {
        let (reply, answer) = oneshot::channel();
        self.inbox.try_send(reply).unwrap();
        answer
    }

    /// Who answers whoever asks and runs it, in the same poll.
    fn ask_and_run(&self) -> Poll<usize> {
        let (reply, answer) = oneshot::channel();
        self.inbox.try_send_and_run(reply, 0, Instant::now()).unwrap();
        pin!(answer).poll(&mut Context::from_waker(Waker::noop())).map(Result::unwrap)
    }

    async fn end(self) {
        assert!(self.system.shutdown(SECOND).await.is_clean());
    }
}

async fn soon<T>(answer: oneshot::Receiver<T>) -> T {
    tokio::time::timeout(60 * SECOND, answer).await.expect("an answer").unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_member_that_takes_no_messages_is_passed_by() {
    let pool = Pool::start().await;
    pool.order(Order::Suspend).await;
    pool.asleep().await;
    assert_eq!(soon(pool.ask()).await, 1);
    pool.asleep().await;
    assert_eq!(pool.ask_and_run(), Poll::Ready(1));
    // An order reaches it all the same.
    pool.order(Order::Resume).await;
    pool.asleep().await;
    assert_eq!(soon(pool.ask()).await, 0);
    pool.asleep().await;
    assert_eq!(pool.ask_and_run(), Poll::Ready(0));
    pool.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_member_was_woken_for_does_not_wait_until_its_order_is_carried_out() {
    let pool = Pool::start().await;
    // It is asked first, and ordered before it has looked.
    let answer = pool.ask();
    let (finish, finished) = oneshot::channel();
    pool.order(|begun| Order::Wait(begun, finished)).await;
    assert_eq!(soon(answer).await, 1);
    drop(finish);
    pool.asleep().await;
    let answer = pool.ask();
    pool.order(Order::Suspend).await;
    assert_eq!(soon(answer).await, 1);
    pool.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_member_was_woken_for_does_not_wait_where_that_is_killed() {
    let pool = Pool::start().await;
    let answer = pool.ask();
    pool.first.lock().unwrap().clone().unwrap().exit(ExitReason::Killed);
    assert_eq!(soon(answer).await, 1);
    pool.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_killed_in_its_sleep_is_passed_by() {
    let pool = Pool::start().await;
    let first = pool.first.lock().unwrap().clone().unwrap();
    first.exit(ExitReason::Killed);
    tokio::time::timeout(60 * SECOND, first.monitor()).await.expect("it ends");
    assert_eq!(soon(pool.ask()).await, 1);
    pool.end().await;
}
