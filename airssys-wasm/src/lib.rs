//! Hosts WebAssembly components as supervised actors.
//!
//! A [`topology::Topology`] says which services there are and what each may do. [`Runtime::builder`] starts it, and the
//! [`Runtime`] sends, calls, deploys and stops.
//!
//! | for | see |
//! |---|---|
//! | what runs, and who may do what | [`topology`] |
//! | messages, and why one has no answer | [`message`], [`error`], [`address`] |
//! | another release, another topology | [`deploy`], [`Runtime::apply`] |
//! | releases, signatures, the store | [`registry`] |
//! | what happens, and layers round it | [`events`], [`middleware`] |
//! | showing all of that to people | [`hint`], [`shown()`], [`ConfigError`] |
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use airssys_wasm::Runtime;
//! use airssys_wasm::topology::Topology;
//!
//! # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = doc::folder()?;
//! # let folder = folder.path();
//! let text = "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n";
//! let runtime = Runtime::builder().start(&Topology::parse(text, folder)?).await?;
//! let answer = runtime.call("echo", "hello", Duration::from_secs(5)).await?;
//! assert_eq!(answer.as_deref(), Some(b"hello".as_slice()));
//! runtime.shutdown().await;
//! # Ok(()) }
//! ```

mod actor;
pub mod address;
mod apply;
mod blocking;
mod capability;
#[doc(hidden)]
pub mod command;
mod config_file;
pub mod deploy;
mod engine;
pub mod error;
pub mod events;
mod file_threads;
mod hex;
pub mod hint;
mod http;
mod limits;
mod listener;
pub mod message;
pub mod middleware;
mod operation;
mod quota;
pub mod registry;
mod router;
mod runtime;
mod schema;
mod settings;
mod shown;
mod state;
pub mod topology;
mod turn;
mod typed;
mod unique;
mod waits;
mod wire;

pub use airssys_rt_shim::exit::ExitReason;
pub use airssys_rt_shim::supervisor::TreeNode;
pub use airssys_rt_shim::system::ShutdownReport;
pub use apply::{
    Applied, ApplyError, Function, InvokeError, RuntimeError, ServiceStop, StopError, TypedFunction, Written,
};
pub use config_file::ConfigError;
pub use engine::Tier;
pub use runtime::{ForgetError, Forgotten, ListenerStatus, Runtime, RuntimeBuilder, ServiceStatus};
pub use shown::shown;
#[doc(hidden)]
pub use typed::typed_flags;
