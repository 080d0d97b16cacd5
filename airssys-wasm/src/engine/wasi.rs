//! The inert baseline of WASI, and what grants fill in.
//!
//! Without a grant: no folder, every socket refused, no environment, no arguments, an empty input; output becomes log
//! lines; clocks, and randomness, as far as the topology leaves them. It is linked for every guest, because every tool
//! chain imports more than its programs use; for the same reason its context is made when a guest first asks for
//! something that needs it, unless there are folders to open, which may fail.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use super::output::{GuestOutput, Lines};
use super::stdio::{Input, Output, Stdio};
use super::time;
use crate::error::Crash;
use crate::operation::Operation;
use crate::turn::passing::Question;
use crate::turn::{Identity, Level, Time};

/// The context of one instance. It is what the policy said when the instance was made.
pub(super) struct Wasi {
    made_for: Arc<Identity>,
    time: Time,
    /// What it reads and writes, where it is a command.
    stdio: Option<Arc<Stdio>>,
    made: Option<Box<WasiCtx>>,
}

impl Wasi {
    /// Opens the folders that are granted.
    pub(super) fn new(identity: &Arc<Identity>, time: Time, stdio: Option<Arc<Stdio>>) -> Result<Self, Crash> {
        let made = match identity.terms.policy.files().next().is_none() {
            true => None,
            false => Some(Box::new(with_folders(identity, time, stdio.as_ref())?)),
        };
        Ok(Self { made_for: Arc::clone(identity), time, stdio, made })
    }

    pub(super) fn is_command(&self) -> bool {
        self.stdio.is_some()
    }

    pub(super) fn context(&mut self) -> &mut WasiCtx {
        let Self { made_for, time, stdio, made } = self;
        made.get_or_insert_with(|| Box::new(builder(made_for, *time, stdio.as_ref()).build()))
    }
}

/// A context without folders.
fn builder(identity: &Arc<Identity>, time: Time, stdio: Option<&Arc<Stdio>>) -> WasiCtxBuilder {
    let policy = &identity.terms.policy;
    let mut wasi = WasiCtxBuilder::new();
    wasi.allow_blocking_current_thread(false)
        // Without a grant no socket is made at all: each is a file descriptor of the host.
        .allow_udp(policy.has_sockets())
        .allow_tcp(policy.has_sockets());
    match stdio {
        Some(stdio) => wasi
            .stdin(Input(Arc::clone(stdio)))
            .stdout(Output(Arc::clone(stdio)))
            .stderr(GuestOutput { lines: Arc::clone(&stdio.stderr) }),
        None => wasi
            .stdout(GuestOutput { lines: Lines::new(identity, Level::Info) })
            .stderr(GuestOutput { lines: Lines::new(identity, Level::Warn) }),
    };
    let checked = Arc::clone(identity);
    wasi.socket_addr_check(move |address, purpose| {
        use wasmtime_wasi::sockets::SocketAddrUse::{TcpBind, TcpConnect, UdpBind, UdpReceive, UdpSend};
        let operation = match purpose {
            TcpConnect => Operation::SocketConnect,
            // What comes from there is allowed where it may be sent to.
            UdpSend | UdpReceive => Operation::SocketSend,
            // To listen as well, which nobody may.
            _ => Operation::SocketBind,
        };
        let allowed = match purpose {
            // What goes out is bound to any local address first.
            TcpBind | UdpBind => address.ip().is_unspecified() && address.port() == 0,
            TcpConnect | UdpSend => checked.terms.policy.lets_socket(address),
            UdpReceive => checked.terms.policy.allows_socket(address),
            _ => false,
        };
        let name = || SocketAddr::new(address.ip().to_canonical(), address.port()).to_string();
        if matches!(purpose, UdpReceive) {
            // Anybody can send it datagrams; to write each of those down would let strangers fill the log.
            return Box::pin(std::future::ready(allowed));
        }
        if !allowed {
            checked.denied(operation, name(), "it was not granted");
            return Box::pin(std::future::ready(false));
        }
        match checked.asks(operation, operation.into(), || name().into()) {
            None => Box::pin(std::future::ready(true)),
            Some(asked) => Box::pin(let_on(asked)),
        }
    });
    time::set(time, &mut wasi);
    wasi
}

/// Whether the layers let a socket do something. Of a socket that is all that they are told: what comes of it is known
/// when a guest asks for it. In a task of its own, since a verdict cannot be shared between threads.
async fn let_on(asked: Question) -> bool {
    let mut task = JoinSet::new();
    task.spawn(async move {
        match asked.enter(&mut Bytes::new()).await {
            Ok(passing) => passing.end(Ok(None)).is_ok(),
            Err(_handled_or_turned_away) => false,
        }
    });
    matches!(task.join_next().await, Some(Ok(true)))
}

fn with_folders(identity: &Arc<Identity>, time: Time, stdio: Option<&Arc<Stdio>>) -> Result<WasiCtx, Crash> {
    let mut wasi = builder(identity, time, stdio);
    for (guest, grant) in identity.terms.policy.files() {
        // What is more narrow than that is asked at the door.
        let permissions = if grant.access.changes() { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        // By the handle: at the path there may be another folder by now.
        let cannot = |why: String| Crash::Host {
            detail: format!("cannot open the granted folder {}: {why}", grant.host.display()),
        };
        let folder = grant.held.path().ok_or_else(|| cannot("no mesh has opened it".to_owned()))?;
        wasi.preopened_dir(&folder, guest, permissions).map_err(|error| cannot(format!("{error:#}")))?;
    }
    Ok(wasi.build())
}
