//! The one thread that starts programs and sees them end. It is there for as long as this process is: the system ends
//! a program with the thread that started it.
//!
//! It waits for nothing but the next thing to do, and belongs to no runtime: what was started is reaped also where the
//! runtime of who started it is gone. To start a program it waits until that is the program, so one that is read from a
//! disk that hangs keeps others from being started, and nobody else from anything.
//!
//! Invariant: each program that it started is reaped, once, and its group with it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::process::{PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid};
use tokio::sync::oneshot;

use super::child::{Child, Exit, Process};
use super::guard::Guard;
use super::order::{Start, StartError};
use super::places::Place;
use super::start::{Image, make};

/// Something to start, and who waits for it.
struct Order {
    start: Start,
    answer: oneshot::Sender<Result<Process, StartError>>,
}

/// How orders are given.
struct Keeper {
    orders: Sender<Order>,
    bell: Arc<OwnedFd>,
}

/// The keeper of this process.
static KEEPER: OnceLock<Result<Mutex<Keeper>, String>> = OnceLock::new();

/// Starts a program.
///
/// # Errors
///
/// [`StartError`].
pub(crate) async fn start(start: Start) -> Result<Process, StartError> {
    let keeper = KEEPER.get_or_init(|| Keeper::begin().map(Mutex::new).map_err(|why| why.to_string()));
    let none = |why: String| StartError::NotStarted { why };
    let (answer, answered) = oneshot::channel();
    {
        let keeper = keeper.as_ref().map_err(|why| none(why.clone()))?;
        let keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let given = keeper.orders.send(Order { start, answer });
        given.map_err(|_| none("the thread that starts programs has ended".to_owned()))?;
        // It is heard already where there is no room.
        let _rung = rustix::io::write(&keeper.bell, &1_u64.to_ne_bytes());
    }
    // Whoever gives up waiting drops this, and the program with it.
    answered.await.unwrap_or_else(|_| Err(none("the thread that starts programs has ended".to_owned())))
}

impl Keeper {
    fn begin() -> io::Result<Self> {
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (orders, given) = channel();
        let heard = Arc::clone(&bell);
        std::thread::Builder::new()
            .name("airssys-programs".into())
            .spawn(move || Work::default().run(&given, &heard))?;
        Ok(Self { orders, bell })
    }
}

/// A program that runs.
struct Running {
    /// What is ready when it has ended.
    handle: OwnedFd,
    child: Arc<Child>,
    /// What it takes of those that may run at a time, until it is reaped.
    place: Option<Place>,
}

/// What the thread has.
#[derive(Default)]
struct Work {
    guard: Option<Guard>,
    running: Vec<Running>,
}

impl Work {
    fn run(&mut self, given: &Receiver<Order>, bell: &OwnedFd) {
        loop {
            while let Ok(Order { start, answer }) = given.try_recv() {
                // Where nobody waits any more, what comes back is dropped, and ends the program.
                let _nobody_waits = answer.send(self.start(start));
            }
            let mut looked: Vec<PollFd<'_>> = vec![PollFd::new(bell, PollFlags::IN)];
            looked.extend(self.running.iter().map(|one| PollFd::new(&one.handle, PollFlags::IN)));
            let next = self.running.iter().filter_map(|one| one.child.until).min();
            let wait = next.map(|next| next.saturating_duration_since(Instant::now()));
            let wait = wait.and_then(|wait| Timespec::try_from(wait).ok());
            // What went wrong with it goes wrong with the next one, or does not: there is nobody to tell.
            let _ready = poll(&mut looked, wait.as_ref());
            let ended: Vec<bool> = looked.iter().skip(1).map(|one| !one.revents().is_empty()).collect();
            let _heard = rustix::io::read(bell, &mut [0; 8]);
            let now = Instant::now();
            let mut at = 0;
            let guard = self.guard.as_ref();
            self.running.retain_mut(|one| {
                let has_ended = ended.get(at).copied().unwrap_or_default();
                at += 1;
                if has_ended {
                    one.reap(guard);
                } else if one.child.until.is_some_and(|until| until <= now) {
                    one.child.kill_over(Exit::Limit("time"));
                }
                !has_ended
            });
        }
    }

    fn start(&mut self, order: Start) -> Result<Process, StartError> {
        let not_started = |why: io::Error| StartError::NotStarted { why: why.to_string() };
        let texts = order.texts()?;
        let no_folder = |why: io::Error| StartError::NotStarted { why: format!("its working folder: {why}") };
        let folder = order.folder.open().map_err(no_folder)?;
        let (stdin, to_stdin) = io::pipe().map_err(not_started)?;
        let (of_stdout, stdout) = io::pipe().map_err(not_started)?;
        let (of_stderr, stderr) = io::pipe().map_err(not_started)?;
        let no_guard = |why: io::Error| StartError::NotStarted { why: format!("there is no guard for it: {why}") };
        let image = Image {
            program: &texts.program,
            arguments: &texts.arguments,
            environment: &texts.environment,
            folder: folder.as_fd(),
            streams: [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()],
            bounds: &texts.bounds,
            guard: self.guard().map_err(no_guard)?.lines(),
        };
        let pid = make(&image).map_err(not_started)?;
        let handle = pidfd_open(pid, PidfdFlags::empty()).map_err(|why| {
            // Nobody would see it end.
            let _gone = kill_process_group(pid, Signal::KILL);
            let _reaped = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
            not_started(why.into())
        })?;
        let until = Instant::now().checked_add(order.bounds.time);
        let child = Arc::new(Child::new(pid, until, order.bounds.output_bytes));
        order.place.is_of(&child);
        self.running.push(Running { handle, child: Arc::clone(&child), place: Some(order.place) });
        Ok(Process {
            child,
            stdin: Some(to_stdin.into()),
            stdout: Some(of_stdout.into()),
            stderr: Some(of_stderr.into()),
        })
    }

    /// The guard; another one where it is gone.
    fn guard(&mut self) -> io::Result<&Guard> {
        let is_there = self.guard.as_mut().is_some_and(Guard::is_there);
        if !is_there {
            self.guard = Some(Guard::start(self.running.iter().map(|one| one.child.pid))?);
        }
        self.guard.as_ref().ok_or_else(|| io::Error::other("it is not there"))
    }
}

impl Running {
    /// The program has ended: what it has started ends as well.
    fn reap(&mut self, guard: Option<&Guard>) {
        let Self { handle, child, place } = self;
        let id = || WaitId::PidFd(handle.as_fd());
        let seen = waitid(id(), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        // Its number is that of its group until it is reaped.
        let _empty = kill_process_group(child.pid, Signal::KILL);
        if let Some(guard) = guard {
            guard.forget(child.pid);
        }
        child.end(seen.ok().flatten(), || {
            let _reaped = waitid(id(), WaitIdOptions::EXITED);
            drop(place.take());
        });
    }
}
