//! How long a connection has been without what it is for, so that it can be closed: a client may be slow, and may not
//! hold a connection by being slow.
//!
//! What is known stands in atomics: a connection is polled by one task, and its requests may be by others.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use http::Version;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Duration, Instant, Sleep, sleep, sleep_until};

use super::settings::HttpLimits;

/// What a connection is about.
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    /// Requests that are not over.
    requests: AtomicUsize,
    /// Since when there has been none, or since when its head has been coming.
    since_ms: AtomicU64,
    /// Whether a head has begun to come.
    is_coming: AtomicBool,
    /// Whether it is HTTP/2, where not all that comes is a head.
    is_multiplexed: AtomicBool,
    /// Since when the client has not taken what is written to it; 0 where it takes all.
    stalled_ms: AtomicU64,
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// A head did not come to its end.
    Head,
    /// There was no request, or nobody took an answer.
    Idle,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            requests: AtomicUsize::new(0),
            since_ms: AtomicU64::new(0),
            is_coming: AtomicBool::new(false),
            is_multiplexed: AtomicBool::new(false),
            stalled_ms: AtomicU64::new(0),
        })
    }

    fn now_ms(&self) -> u64 {
        // 0 means never.
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// The head of a request is there.
    pub(super) fn begin(&self, version: Version) {
        if version == Version::HTTP_2 {
            self.is_multiplexed.store(true, Ordering::Relaxed);
        }
        self.is_coming.store(false, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A request is over: its answer was given away, or nobody wants it.
    pub(super) fn end(&self) {
        self.since_ms.store(self.now_ms(), Ordering::Relaxed);
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether there is no request.
    pub(super) fn is_idle(&self) -> bool {
        self.requests.load(Ordering::Relaxed) == 0
    }

    fn has_read(&self) {
        if self.is_idle() && !self.is_coming.load(Ordering::Relaxed) && !self.is_multiplexed.load(Ordering::Relaxed) {
            self.since_ms.store(self.now_ms(), Ordering::Relaxed);
            self.is_coming.store(true, Ordering::Relaxed);
        }
    }

    fn has_written<T>(&self, written: &Poll<T>) {
        let is_stalled = self.stalled_ms.load(Ordering::Relaxed) != 0;
        if written.is_pending() != is_stalled {
            self.stalled_ms.store(if is_stalled { 0 } else { self.now_ms() }, Ordering::Relaxed);
        }
    }

    /// When it is to be closed, and why, as things are now; none while a request is being answered.
    fn deadline(&self, limits: &HttpLimits) -> Option<(Instant, Overdue)> {
        let after = |ms, time| self.began + Duration::from_millis(ms) + time;
        let stalled_ms = self.stalled_ms.load(Ordering::Relaxed);
        if stalled_ms != 0 {
            return Some((after(stalled_ms, limits.idle_timeout), Overdue::Idle));
        }
        if !self.is_idle() {
            return None;
        }
        let since_ms = self.since_ms.load(Ordering::Relaxed);
        Some(match self.is_coming.load(Ordering::Relaxed) {
            true => (after(since_ms, limits.header_timeout), Overdue::Head),
            false => (after(since_ms, limits.idle_timeout), Overdue::Idle),
        })
    }

    /// Waits until it is to be closed. It is polled by the task of the connection, so it looks again whenever anything
    /// happens there.
    pub(super) async fn overdue(&self, limits: &HttpLimits) -> Overdue {
        let mut sleep = pin!(sleep_until(self.began + limits.header_timeout.min(limits.idle_timeout)));
        poll_fn(|cx| {
            while let Some((at, why)) = self.deadline(limits) {
                // One that is too early looks again, which is cheaper than to set it anew with each request.
                if sleep.deadline() > at {
                    sleep.as_mut().reset(at);
                }
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                if Instant::now() >= at {
                    return Poll::Ready(why);
                }
                sleep.as_mut().reset(at);
            }
            Poll::Pending
        })
        .await
    }
}

/// As many bytes as are rather copied than written in pieces.
const MOST_JOINED: usize = 2 << 10;

/// All of these one after the other, where they are few.
fn join<'a>(bufs: &[io::IoSlice<'_>], joined: &'a mut [u8; MOST_JOINED]) -> Option<&'a [u8]> {
    let mut end = 0;
    for buf in bufs {
        let begin = end;
        end += buf.len();
        joined.get_mut(begin..end)?.copy_from_slice(buf);
    }
    joined.get(..end)
}

/// How long a connection is read from after its last answer, where its client has not said all that it wanted to. The
/// kernel takes an answer back that is on its way where something comes that nobody reads (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(2);

/// A connection that tells what is read and written. It is closed when its client has closed it too, or has had time to
/// see the last answer.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    /// Until when it is read from, once everything is written.
    lingers: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity, lingers: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.has_read();
        }
        read
    }
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Reads what still comes, until nothing does any more or there was time enough.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = self.lingers.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut unread = [MaybeUninit::uninit(); 4 << 10];
        loop {
            let mut unread = ReadBuf::uninit(&mut unread);
            match Pin::new(&mut self.stream).poll_read(cx, &mut unread) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !unread.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.activity.has_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Most answers are a head and a short body: the kernel takes one piece more quickly than two.
        let mut joined = [0; MOST_JOINED];
        let joined = match bufs {
            [one] => Some(&**one),
            several => join(several, &mut joined),
        };
        let written = match joined {
            Some(joined) => Pin::new(&mut self.stream).poll_write(cx, joined),
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        };
        self.activity.has_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.activity.has_written(&flushed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingers.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        self.linger(cx).map(Ok)
    }
}
