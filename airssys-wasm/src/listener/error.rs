//! Why nothing listens at an address.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::hint::{Coded, Hint};

/// Why a listener is not there.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::ListenError;
/// use airssys_wasm::{Runtime, RuntimeError};
/// use airssys_wasm::topology::Topology;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let text = format!("name = \"example\"\n[[http]]\nlisten = \"{}\"\n", taken.local_addr()?);
/// let topology = Topology::parse(text, ".".as_ref())?;
/// let error = Runtime::builder().start(&topology).await.err().ok_or("it is taken")?;
/// assert!(matches!(error, RuntimeError::Listener(ListenError::Bind { .. })), "{error}");
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address cannot be had.
    #[error("nothing can listen at {listen}: {source}")]
    Bind {
        /// The address.
        listen: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A certificate cannot be used, or its key.
    #[error("{}, of the listener at {listen}, {detail}", .path.display())]
    Certificate {
        /// The listener.
        listen: SocketAddr,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A route leads to a service that answers no requests.
    #[error("the listener at {listen} has a route to {service}, which exports no handler of HTTP")]
    NoHandler {
        /// The listener.
        listen: SocketAddr,
        /// The service.
        service: String,
    },
}

impl Coded for ListenError {
    fn code(&self) -> &'static str {
        match self {
            Self::Bind { .. } => "bind",
            Self::Certificate { .. } => "certificate",
            Self::NoHandler { .. } => "no-handler",
        }
    }

    fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::Bind { source, .. } => match source.kind() {
                std::io::ErrorKind::AddrInUse => {
                    "another process listens there, or another listener: name another port"
                }
                std::io::ErrorKind::PermissionDenied => "ports below 1024 are the superuser's: name another port",
                _ => "name an address of this machine",
            }
            .into(),
            Self::Certificate { .. } => {
                "write PEM: certificates, the host's own first, and the private key of that".into()
            }
            Self::NoHandler { .. } => {
                "let it export `wasi:http/incoming-handler@0.2` or `wasi:http/handler@0.3`, or take the route out"
                    .into()
            }
        })
    }
}
