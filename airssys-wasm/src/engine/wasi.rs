//! The inert baseline of WASI, and what grants fill in.
//!
//! Without a grant: no folder, every socket refused, no environment, no arguments, an empty input; output becomes log
//! lines; clocks, and randomness, as far as the topology leaves them. It is linked for every guest, because every tool
//! chain imports more than its programs use; for the same reason its context is made when a guest first asks for
//! something that needs it, unless there are folders to open, which may fail.

use std::sync::Arc;

use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use super::output::{GuestOutput, Lines};
use super::stdio::{Input, Output, Stdio};
use super::time;
use crate::error::Crash;
use crate::operation::Operation;
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
        // Who is only shown what another one does is told what that one's files said, and opens none.
        let made = match identity.terms.silent || identity.terms.policy.files().next().is_none() {
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
    // A seeded host has no other thread.
    wasi.allow_blocking_current_thread(identity.mesh.seeded.is_some())
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
        use wasmtime_wasi::sockets::SocketAddrUse::{
            TcpAccept, TcpBind, TcpConnect, TcpListen, UdpBind, UdpReceive, UdpSend,
        };
        match purpose {
            TcpConnect => checked.may_reach(Operation::SocketConnect, address),
            UdpSend => checked.may_reach(Operation::SocketSend, address),
            // What comes from there is allowed where it may be sent to. Anybody can send it datagrams: to write each of
            // those down would let strangers fill the log.
            UdpReceive => Box::pin(std::future::ready(checked.takes_from(address))),
            // What goes out is bound to any local address first.
            TcpBind | UdpBind if address.ip().is_unspecified() && address.port() == 0 => {
                checked.let_on(Operation::SocketBind, address)
            }
            TcpBind | UdpBind => checked.may_bind(address),
            // Where it is bound to, which the layers were asked about; one that was not bound listens at all addresses.
            TcpListen => checked.may_listen(address),
            TcpAccept => checked.may_accept(address),
        }
    });
    time::set(time, &mut wasi);
    wasi
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
