//! A worker: a ractor actor that is started once, sleeps on its mailbox's bell, and handles what it finds there.
//!
//! # Hot path
//!
//! ractor gives the actor its task, its link to the supervisor, its kill signal and the catching of panics. Messages do
//! not go through ractor: one ractor message starts [`Behavior`]'s loop, and the loop ends with the actor. Between two
//! turns it looks at one flag, so that a stop or any other control never waits behind a backlog.
//!
//! It refuses to decide what becomes of a message whose turn failed: that is the behavior's. It only keeps the message
//! in hand where the turn was cut off by a panic or a kill.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::time::Instant;

use crate::child::{Incarnation, StartChild, Starting, StopReason};
use crate::exit::{ExitReason, ExitSlot, Failure};
use crate::link::Pid;
use crate::mailbox::{InHand, Mailbox, Near};
use crate::supervisor::{ChildContext, ChildError};

/// Turns between two looks at the clock.
const TURNS_A_LOOK: u32 = 16;
/// How long a worker handles messages before it lets other tasks of its thread run. Each time it does, another thread
/// is woken for it, and goes on with cold caches while its senders run on this one. So it is longer than a small guest
/// needs for a full mailbox of the default size (half a millisecond): a sender and its actor then take turns on one
/// core, which carries more than two cores do that share each message (1.29 against 1.17 million a second where it
/// was 500 microseconds, row `throughput/async/1`).
const TIME_BEFORE_YIELD: Duration = Duration::from_millis(2);

/// What a worker does after a turn.
#[derive(Debug)]
pub enum Flow {
    /// It goes on.
    Continue,
    /// It ends.
    Exit(ExitReason),
}

/// What a worker does with its messages. One value is one incarnation.
pub trait Behavior: Send + Sized + 'static {
    /// What its mailbox holds.
    type Message: Send + 'static;
    /// What it is asked to do between two turns, besides stopping.
    type Control: Send + 'static;

    /// Makes it ready, in its own task. `me` names this incarnation, for links and monitors. An error is a failed
    /// start.
    fn init(&mut self, me: Pid) -> impl Future<Output = Result<(), ExitReason>> + Send;

    /// Handles one message. It says [`InHand::done`] when the message's fate is known.
    fn turn(&mut self, hand: InHand<'_, Self::Message>) -> impl Future<Output = Flow> + Send;

    /// Does what was asked for between two turns.
    fn control(&mut self, control: Self::Control) -> impl Future<Output = Flow> + Send;

    /// Whether it takes messages now. Where it does not, they wait, and only a control or a stop changes that.
    fn takes_messages(&self) -> bool {
        true
    }

    /// Told each time before it sleeps because its mailbox is empty. What comes into the mailbox meanwhile is not lost,
    /// whatever it answers.
    fn idle(&mut self) -> impl Future<Output = Flow> + Send {
        std::future::ready(Flow::Continue)
    }

    /// The stack that a turn takes of the thread which runs it, in bytes, where that is more than what futures take
    /// that are polled inside of each other. Only a thread with so much left runs it in place of its own task.
    fn stack(&self) -> usize {
        0
    }

    /// Says good-bye: it was asked to stop, and is killed when this takes longer than its shutdown time-out.
    fn stop(&mut self, reason: StopReason) -> impl Future<Output = ()> + Send;
}

enum Order<C> {
    Stop(StopReason),
    Control(C),
}

/// The orders for one incarnation, seen between two turns.
struct Orders<C> {
    /// Of the incarnation.
    context: ChildContext,
    /// Whether it ended normally, without being asked to.
    finished: AtomicBool,
    waiting: AtomicBool,
    /// None once the incarnation has ended.
    queue: Mutex<Option<VecDeque<Order<C>>>>,
}

impl<C> Orders<C> {
    fn new(context: ChildContext) -> Self {
        Self {
            context,
            finished: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            queue: Mutex::new(Some(VecDeque::new())),
        }
    }

    /// Hands the order back where nobody will look at it.
    fn push(&self, order: Order<C>) -> Result<(), Order<C>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queue.as_mut() else { return Err(order) };
        match order {
            // A stop overtakes what was asked before; a second stop adds nothing.
            Order::Stop(_) if matches!(queue.front(), Some(Order::Stop(_))) => {}
            Order::Stop(_) => queue.push_front(order),
            Order::Control(_) => queue.push_back(order),
        }
        self.waiting.store(true, Ordering::Release);
        Ok(())
    }

    /// Takes no orders any more, and drops those that nobody has looked at.
    fn close(&self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = queue.take();
        // Whoever was left to itself and runs still is not to look for ever.
        self.waiting.store(false, Ordering::Release);
        drop(queue);
        drop(dropped);
    }

    fn is_closed(&self) -> bool {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn any(&self) -> bool {
        self.waiting.load(Ordering::Acquire)
    }

    fn take(&self) -> Option<Order<C>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.as_mut()?;
        let order = queue.pop_front();
        self.waiting.store(!queue.is_empty(), Ordering::Release);
        order
    }
}

/// Starts the incarnations of one worker over one mailbox.
pub struct WorkerStart<B: Behavior> {
    mailbox: Arc<Mailbox<B::Message>>,
    consumer: usize,
    make: Box<dyn Fn() -> B + Send + Sync>,
    gone: Box<dyn Fn() + Send + Sync>,
    set_aside: OnceLock<Box<dyn Fn(Duration) + Send + Sync>>,
    stopped: AtomicBool,
    current: ArcSwapOption<Orders<B::Control>>,
}

impl<B: Behavior> WorkerStart<B> {
    /// A worker that is consumer number `consumer` of `mailbox`. `make` makes the behavior of each incarnation and must
    /// be quick: what takes time belongs into [`Behavior::init`]. `gone` is called when the supervisor will not start
    /// it again by itself: somebody may still let it, which then makes another one, and may delete it, which calls it
    /// once more.
    pub fn new(
        mailbox: Arc<Mailbox<B::Message>>,
        consumer: usize,
        make: impl Fn() -> B + Send + Sync + 'static,
        gone: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            mailbox,
            consumer,
            make: Box::new(make),
            gone: Box::new(gone),
            set_aside: OnceLock::new(),
            stopped: AtomicBool::new(false),
            current: ArcSwapOption::empty(),
        })
    }

    /// Has `tell` called when the worker ended too often and is started again only after a while. The first caller is
    /// heard.
    pub fn when_set_aside(&self, tell: impl Fn(Duration) + Send + Sync + 'static) {
        let _somebody_is_told_already = self.set_aside.set(Box::new(tell));
    }

    /// Asks the incarnation that runs now to do something between two turns.
    ///
    /// # Errors
    ///
    /// Hands the control back where none runs. One that ends before it looks drops it.
    pub fn control(&self, control: B::Control) -> Result<(), B::Control> {
        let Some(orders) = self.current.load_full() else { return Err(control) };
        match orders.push(Order::Control(control)) {
            Err(Order::Control(control)) => Err(control),
            _queued => {
                self.mailbox.bell(self.consumer).ring();
                Ok(())
            }
        }
    }

    /// Says that somebody waits for the next incarnation. Where none runs, because it or a supervisor above it waits
    /// for its back-off, that ends now. With the same `once` one back-off is ended and no more, however often this is
    /// said: each start that fails counts for the supervisor.
    pub fn hurry(&self, once: &Arc<AtomicBool>) {
        if let Some(orders) = self.current.load_full().filter(|orders| orders.is_closed()) {
            orders.context.hurry(once);
        }
    }

    /// Whether no incarnation runs, and none has begun to start when `mark` returns. One that begins later finds what
    /// `mark` did.
    pub fn is_vacant(&self, mark: impl FnOnce()) -> bool {
        let last = self.current.load_full();
        if last.as_ref().is_some_and(|orders| !orders.is_closed()) {
            return false;
        }
        mark();
        // An incarnation is entered here before its behavior is made.
        match (last, self.current.load_full()) {
            (Some(last), Some(now)) => Arc::ptr_eq(&last, &now),
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether no incarnation runs and the supervisor starts none by itself now, since the group waits for another one.
    pub async fn is_held_back(&self) -> bool {
        let last = self.current.load_full().filter(|orders| orders.is_closed());
        match last {
            Some(orders) => orders.context.is_down().await,
            None => false,
        }
    }

    /// Whether the last incarnation ended normally, without being asked to.
    pub fn has_finished(&self) -> bool {
        self.current.load().as_ref().is_some_and(|orders| orders.finished.load(Ordering::Acquire))
    }

    /// Lets the supervisor start it again, where it is down; answers when it is ready.
    ///
    /// # Errors
    ///
    /// As [`SupervisorHandle::restart_child`](crate::supervisor::SupervisorHandle::restart_child).
    pub async fn restart(&self) -> Result<Pid, ChildError> {
        let context = self.current.load().as_ref().map(|orders| orders.context.clone());
        context.ok_or(ChildError::NotRunning)?.restart().await
    }
}

impl<B: Behavior> StartChild for WorkerStart<B> {
    fn start(&self, context: ChildContext) -> Starting {
        let above = context.supervisor_cell();
        let orders = Arc::new(Orders::new(context));
        self.current.store(Some(Arc::clone(&orders)));
        let exit = ExitSlot::default();
        let worker = Worker::<B> {
            mailbox: Arc::clone(&self.mailbox),
            consumer: self.consumer,
            orders: Arc::clone(&orders),
            exit: exit.clone(),
        };
        let behavior = Box::new((self.make)());
        let (mailbox, consumer) = (Arc::clone(&self.mailbox), self.consumer);
        Box::pin(async move {
            let (actor, _task) = Actor::spawn_linked(None, worker, behavior, above)
                .await
                .map_err(|error| -> Failure { Arc::new(error) })?;
            let stop = move |reason| {
                let _it_has_ended = orders.push(Order::Stop(reason));
                mailbox.bell(consumer).ring();
            };
            Ok(Incarnation { cell: actor.get_cell(), exit, stop: Box::new(stop) })
        })
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    fn set_stopped(&self, is_stopped: bool) {
        self.stopped.store(is_stopped, Ordering::Release);
    }

    fn set_aside(&self, delay: Duration) {
        if let Some(tell) = self.set_aside.get() {
            tell(delay);
        }
    }

    fn gone(&self) {
        // The context stays: somebody may have it started again.
        if let Some(orders) = self.current.load_full() {
            orders.close();
        }
        (self.gone)();
    }
}

/// Dropped with the incarnation, whose orders nobody sees any more.
struct Closing<'a, B: Behavior>(&'a Worker<B>);

impl<B: Behavior> Drop for Closing<'_, B> {
    fn drop(&mut self) {
        self.0.orders.close();
        self.0.mailbox.leave(self.0.consumer);
    }
}

/// The one message a worker gets through ractor.
struct Run;

struct Worker<B: Behavior> {
    mailbox: Arc<Mailbox<B::Message>>,
    consumer: usize,
    orders: Arc<Orders<B::Control>>,
    exit: ExitSlot,
}

impl<B: Behavior> Actor for Worker<B> {
    type Msg = Run;
    /// The behavior until it begins. Boxed: ractor's futures hold it several times over, for as long as the actor
    /// lives.
    type State = Option<Box<B>>;
    type Arguments = Box<B>;

    async fn pre_start(&self, myself: ActorRef<Run>, behavior: Box<B>) -> Result<Self::State, ActorProcessingErr> {
        myself.cast(Run)?;
        Ok(Some(behavior))
    }

    async fn handle(&self, myself: ActorRef<Run>, _: Run, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        if let Some(behavior) = state.take() {
            // However it ends, also where it is killed.
            let _closes = Closing(self);
            let me = self.orders.context.pid(myself.get_cell(), self.exit.clone());
            let life = Life {
                mailbox: Arc::clone(&self.mailbox),
                consumer: self.consumer,
                orders: Arc::clone(&self.orders),
                behavior: *behavior,
            };
            let looping = Box::pin(life.live(me));
            let reason = self.mailbox.baton(self.consumer).keep(looping).await;
            self.orders.finished.store(matches!(reason, ExitReason::Normal), Ordering::Release);
            self.exit.set(reason);
        }
        myself.stop(None);
        Ok(())
    }
}

/// What one incarnation does, which is polled by whoever has its [baton](crate::baton).
struct Life<B: Behavior> {
    mailbox: Arc<Mailbox<B::Message>>,
    consumer: usize,
    orders: Arc<Orders<B::Control>>,
    behavior: B,
}

impl<B: Behavior> Life<B> {
    #[allow(clippy::manual_async_fn, reason = "what an async function takes by value is in its future twice")]
    fn live(mut self, me: Pid) -> impl Future<Output = ExitReason> + Send {
        async move {
            let Self { mailbox, consumer, orders, behavior } = &mut self;
            let (consumer, baton) = (*consumer, mailbox.baton(*consumer));
            // What runs rarely is boxed, so that an idle actor keeps room for a turn only.
            if let Err(reason) = Box::pin(behavior.init(me)).await {
                return reason;
            }
            orders.context.ready();
            let (mut turns, mut since) = (0_u32, None);
            let mut near = Near::default();
            // Whether it handled many messages since it slept: who sends those may be about as quick, and would have to
            // wake it all the time.
            let mut is_busy = false;
            // Whether there was nothing more to take when a sender had its turn.
            let mut is_done = false;
            loop {
                if orders.any() {
                    // An order may be long, and the last thing that it takes messages for.
                    is_done = false;
                    mailbox.pass_on();
                    if baton.is_lent() {
                        // Orders may be long, and whoever polls this has nothing to do with them.
                        tokio::task::yield_now().await;
                    }
                    match orders.take() {
                        Some(Order::Stop(reason)) => {
                            Box::pin(behavior.stop(reason)).await;
                            return ExitReason::Shutdown;
                        }
                        Some(Order::Control(control)) => {
                            if let Flow::Exit(reason) = Box::pin(behavior.control(control)).await {
                                return reason;
                            }
                        }
                        None => {}
                    }
                    continue;
                }
                if !behavior.takes_messages() {
                    mailbox.wait_for(consumer, || orders.any()).await;
                    continue;
                }
                let taken = if std::mem::take(&mut is_done) { None } else { mailbox.take_near(consumer, &mut near) };
                match taken {
                    Some(hand) => {
                        let mut turn = pin!(behavior.turn(hand));
                        let flow = poll_fn(|cx| {
                            let polled = turn.as_mut().poll(cx);
                            if polled.is_pending() {
                                // It may be long until the next take.
                                mailbox.let_go();
                            }
                            polled
                        });
                        if let Flow::Exit(reason) = flow.await {
                            return reason;
                        }
                        if baton.is_lent() {
                            if orders.any() || near.now() {
                                // Whoever polls this wanted one turn.
                                tokio::task::yield_now().await;
                            } else {
                                mailbox.let_go();
                                is_done = true;
                            }
                            continue;
                        }
                        turns += 1;
                        if turns == TURNS_A_LOOK {
                            (turns, is_busy) = (0, true);
                            let now = Instant::now();
                            if now.duration_since(*since.get_or_insert(now)) >= TIME_BEFORE_YIELD {
                                since = None;
                                // Who waits for room is to wait for no longer than this, also where turns are long.
                                mailbox.let_go();
                                tokio::task::yield_now().await;
                            }
                        }
                    }
                    None if is_busy && near.soon() => {}
                    None => {
                        if let Flow::Exit(reason) = behavior.idle().await {
                            return reason;
                        }
                        baton.takes_stack(behavior.stack());
                        // A queue that is empty for long is put away.
                        near = Near::default();
                        mailbox.wait(consumer, || orders.any()).await;
                        (turns, since, is_busy) = (0, None, false);
                    }
                }
            }
        }
    }
}
