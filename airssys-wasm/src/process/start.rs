//! Starts a program: the one place where this process makes another one.
//!
//! The standard library can do all of this but for what has to be done in the new process before it is the program:
//! its bounds, its end with the host, and that the guard knows it. For that it has `pre_exec`, which is no less unsafe,
//! and makes it copy the host's whole table of pages: with tens of thousands of mappings that takes milliseconds, in
//! which no guest gets a page, and each page of the host is copied when it is written to next. So it is done here as
//! `posix_spawn` does it: the new process borrows the memory of this one, on a stack of its own, while the thread that
//! made it is suspended, until it is the program.
//!
//! What runs in between allocates nothing, takes no lock and does not panic. All that it needs lies ready before.
//!
//! Invariant: nothing runs of which the guard does not know, and nothing is left open in it but its three streams.

use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::ptr;

use rustix::process::{Pid, Resource, Rlimit, Signal};

/// What a new process is made of. All of it is ready to be used as it is.
pub(super) struct Image<'a> {
    pub(super) program: &'a CString,
    /// With the name of the program first.
    pub(super) arguments: &'a [CString],
    pub(super) environment: &'a [CString],
    pub(super) folder: BorrowedFd<'a>,
    /// Its standard input, output and error.
    pub(super) streams: [BorrowedFd<'a>; 3],
    pub(super) bounds: &'a [(Resource, u64, u64)],
    /// Who is told of it.
    pub(super) guard: BorrowedFd<'a>,
}

/// What the new process looks at, and what it leaves behind where it does not become the program.
struct Prepared<'a> {
    image: &'a Image<'a>,
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    host: Option<Pid>,
    failed: c_int,
}

/// Its stack until it is the program.
const STACK_BYTES: usize = 64 << 10;

/// The highest number of a signal.
const SIGNALS: c_int = 64;

/// Starts it, as the leader of a session and a group of its own. It ends with the thread that calls this.
///
/// # Errors
///
/// What the system says.
#[allow(unsafe_code, reason = "the standard library knows no bounds and no guard: see above")]
pub(super) fn make(image: &Image<'_>) -> io::Result<Pid> {
    let pointers = |all: &[CString]| all.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
    let mut prepared = Prepared {
        image,
        arguments: pointers(image.arguments),
        environment: pointers(image.environment),
        host: Some(rustix::process::getpid()),
        failed: 0,
    };
    // Words of 16 bytes, so that its end is where a stack may begin.
    let mut stack: Vec<u128> = vec![0; STACK_BYTES / size_of::<u128>()];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: `become_program` gets the one pointer that it expects, and a stack that nobody else uses and that is
    // there until this returns. By `CLONE_VFORK` this thread does not go on before the other process has left this
    // memory, so nothing that it borrows is gone before. No signal is handled meanwhile on that memory: all of them are
    // held back on this thread, and so in the other process, which has none of this one's handlers any more when it
    // lets them in.
    let made = unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let top = stack.as_mut_ptr_range().end.cast::<c_void>();
        let made = libc::clone(become_program, top, flags, (&raw mut prepared).cast());
        let why = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut());
        if made < 0 { Err(why) } else { Ok(made) }
    }?;
    let pid = Pid::from_raw(made).ok_or_else(|| io::Error::other("it has no number"))?;
    if prepared.failed != 0 {
        // It is gone; nobody else waits for it.
        let _reaped = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
        return Err(io::Error::from_raw_os_error(prepared.failed));
    }
    Ok(pid)
}

/// What runs in the new process.
#[allow(unsafe_code, reason = "see above")]
extern "C" fn become_program(prepared: *mut c_void) -> c_int {
    // SAFETY: it is what `make` hands over, and `make` does not touch it while this runs.
    let prepared = unsafe { &mut *prepared.cast::<Prepared<'_>>() };
    let Err(why) = prepare(prepared) else { return 0 };
    prepared.failed = why.raw_os_error();
    127
}

/// Becomes the program, or says why not.
#[allow(unsafe_code, reason = "see above")]
fn prepare(prepared: &mut Prepared<'_>) -> rustix::io::Result<()> {
    let image = prepared.image;
    let me = rustix::process::setsid()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != prepared.host {
        // The host is gone, and nothing would end this any more.
        return Err(rustix::io::Errno::SRCH);
    }
    // Before it is the program: from here on the guard ends it as well.
    tell(image.guard, b'+', me)?;
    for (resource, soft, hard) in image.bounds {
        rustix::process::setrlimit(*resource, Rlimit { current: Some(*soft), maximum: Some(*hard) })?;
    }
    rustix::process::fchdir(image.folder)?;
    let [input, output, error] = image.streams;
    // SAFETY: these are calls of the system about this process alone, which `clone` gave descriptors and handlers of
    // its own; they get numbers, and pointers to what lies ready in `prepared`. None of the streams has a number below
    // three, so none is overwritten before it is in its place. `execve` returns only where it failed.
    unsafe {
        for (at, stream) in (0..).zip([input, output, error]) {
            if libc::dup2(stream.as_raw_fd(), at) < 0 {
                return Err(failed());
            }
        }
        // What of the host is open is the host's: it closes when this is the program. A kernel that does not know this
        // closes what was opened to be closed then, as all that the host opens.
        libc::close_range(3, u32::MAX, 4);
        // No program gets more rights than the host has, so that it can be ended.
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        for signal in 1..=SIGNALS {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        libc::execve(image.program.as_ptr(), prepared.arguments.as_ptr(), prepared.environment.as_ptr());
    }
    Err(failed())
}

fn failed() -> rustix::io::Errno {
    rustix::io::Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(rustix::io::Errno::IO)
}

/// Tells the guard that a group is there, or gone: a line such as `+ 4711`. Allocates nothing.
pub(super) fn tell(guard: impl AsFd, what: u8, group: Pid) -> rustix::io::Result<()> {
    let mut line = [b' '; 16];
    let mut at = line.len() - 1;
    line[at] = b'\n';
    let mut rest = group.as_raw_nonzero().get().unsigned_abs();
    while at > 2 {
        at -= 1;
        line[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    line[0] = what;
    // A line is short enough to be written whole or not at all.
    rustix::io::write(guard, &line).map(drop)
}
