//! The inert baseline of WASI, and what grants fill in.
//!
//! Without a grant: no folder, every socket refused, no environment, no arguments, an empty input; output becomes log
//! lines; clocks, and randomness, as far as the topology leaves them. It is linked for every guest, because every tool
//! chain imports more than its programs use; for the same reason its context is made when a guest first asks for
//! something that needs it, unless there are folders to open, which may fail.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use super::time;
use crate::capability::Access;
use crate::error::Crash;
use crate::events::{Happening, text};
use crate::turn::{Identity, Level, Time, write_line};

/// The context of one instance. It is what the policy said when the instance was made.
pub(super) struct Wasi {
    made_for: Arc<Identity>,
    time: Time,
    made: Option<Box<WasiCtx>>,
}

impl Wasi {
    /// Opens the folders that are granted.
    pub(super) fn new(identity: &Arc<Identity>, time: Time) -> Result<Self, Crash> {
        let made = match identity.terms.policy.files().next().is_none() {
            true => None,
            false => Some(Box::new(with_folders(identity, time)?)),
        };
        Ok(Self { made_for: Arc::clone(identity), time, made })
    }

    pub(super) fn context(&mut self) -> &mut WasiCtx {
        let Self { made_for, time, made } = self;
        made.get_or_insert_with(|| Box::new(builder(made_for, *time).build()))
    }
}

/// A context without folders.
fn builder(identity: &Arc<Identity>, time: Time) -> WasiCtxBuilder {
    let policy = &identity.terms.policy;
    let mut wasi = WasiCtxBuilder::new();
    wasi.allow_blocking_current_thread(false)
        // Without a grant no socket is made at all: each is a file descriptor of the host.
        .allow_udp(policy.has_sockets())
        .allow_tcp(policy.has_sockets())
        .stdout(GuestOutput::new(identity, Level::Info))
        .stderr(GuestOutput::new(identity, Level::Warn));
    let checked = Arc::clone(identity);
    wasi.socket_addr_check(move |address, purpose| {
        use wasmtime_wasi::sockets::SocketAddrUse::{TcpBind, TcpConnect, UdpBind, UdpReceive, UdpSend};
        let allowed = match purpose {
            // What goes out is bound to any local address first.
            TcpBind | UdpBind => address.ip().is_unspecified() && address.port() == 0,
            TcpConnect | UdpSend | UdpReceive => checked.terms.policy.allows_socket(address),
            _ => false,
        };
        // Anybody can send it datagrams; to write each of those down would let strangers fill the log.
        if !allowed && !matches!(purpose, UdpReceive) {
            tracing::warn!(target: "airssys::audit", service = %checked.address(), %address, "socket denied");
            let (actor, target) = (text(checked.address()), address.to_string());
            let missing = "it was not granted".to_owned();
            let what = Happening::Denied { actor, operation: "socket".to_owned(), target, missing };
            checked.mesh.events.publish(Some(checked.address().service()), what);
        }
        Box::pin(std::future::ready(allowed))
    });
    time::set(time, &mut wasi);
    wasi
}

fn with_folders(identity: &Arc<Identity>, time: Time) -> Result<WasiCtx, Crash> {
    let mut wasi = builder(identity, time);
    for (guest, grant) in identity.terms.policy.files() {
        let permissions = match grant.access {
            Access::Read => FsPerms::ReadOnly,
            Access::ReadWrite => FsPerms::ReadWrite,
        };
        // By the handle: at the path there may be another folder by now.
        let cannot = |why: String| Crash::Host {
            detail: format!("cannot open the granted folder {}: {why}", grant.host.display()),
        };
        let folder = grant.held.path().ok_or_else(|| cannot("no mesh has opened it".to_owned()))?;
        wasi.preopened_dir(&folder, guest, permissions).map_err(|error| cannot(format!("{error:#}")))?;
    }
    Ok(wasi.build())
}

/// A guest's stdout or stderr: whole lines become log lines. What is left without an end of line is written when the
/// instance goes.
struct GuestOutput {
    lines: Arc<Lines>,
}

struct Lines {
    identity: Arc<Identity>,
    level: Level,
    /// The line that is not whole yet.
    partial: Mutex<Vec<u8>>,
}

impl GuestOutput {
    fn new(identity: &Arc<Identity>, level: Level) -> Self {
        Self { lines: Arc::new(Lines { identity: Arc::clone(identity), level, partial: Mutex::default() }) }
    }
}

impl Lines {
    fn write(&self, bytes: &[u8]) {
        // What is over the limit is cut, not kept; one byte more says that it was.
        let most = self.identity.terms.limits.log_line_bytes.saturating_add(1);
        let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = most.saturating_sub(partial.len());
            let (text, whole) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            partial.extend_from_slice(&text[..text.len().min(room)]);
            if whole {
                self.flush(&mut partial);
            }
        }
    }

    fn flush(&self, partial: &mut Vec<u8>) {
        if self.identity.terms.silent {
            return partial.clear();
        }
        let line = String::from_utf8_lossy(partial);
        write_line(&self.identity, self.level, line.trim_end_matches('\r'));
        partial.clear();
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let mut partial = std::mem::take(self.partial.get_mut().unwrap_or_else(PoisonError::into_inner));
        if !partial.is_empty() {
            self.flush(&mut partial);
        }
    }
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Writer(Arc::clone(&self.lines)))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Writer(Arc::clone(&self.lines)))
    }
}

/// Never waits: a line goes to the log at once.
struct Writer(Arc<Lines>);

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.0.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(1 << 16)
    }
}
