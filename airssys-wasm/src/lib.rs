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
//! A program with a mesh in it, from its first start to its end:
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicUsize, Ordering};
//! use std::time::Duration;
//!
//! use airssys_wasm::deploy::{DeployOptions, Progress};
//! use airssys_wasm::events::{Heard, Kind};
//! use airssys_wasm::hint::Coded;
//! use airssys_wasm::message::Answer;
//! use airssys_wasm::middleware::{Context, Layer};
//! use airssys_wasm::registry::{Draft, SecretKey, Store};
//! use airssys_wasm::topology::Topology;
//! use airssys_wasm::{Applied, Runtime};
//!
//! /// A layer: every message passes it. This one counts those that came to nothing.
//! struct Failures(Arc<AtomicUsize>);
//!
//! impl Layer for Failures {
//!     fn name(&self) -> &'static str {
//!         "failures"
//!     }
//!
//!     fn priority(&self) -> i32 {
//!         500
//!     }
//!
//!     fn after(&self, _context: &Context<'_>, outcome: &Answer) {
//!         self.0.fetch_add(usize::from(outcome.is_err()), Ordering::Relaxed);
//!     }
//! }
//!
//! # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     const PATIENCE: Duration = Duration::from_secs(5);
//! #   let folder = doc::folder()?;
//! #   let folder = folder.path();
//!     let data = folder.join("data");
//!
//!     // Releases are signed and published, and the topology says whose signatures count.
//!     let (key, store) = (SecretKey::generate()?, Store::open(&data)?);
//!     for (name, version) in [("echo", "1.0.0"), ("echo", "1.1.0"), ("adder", "1.0.0")] {
//!         let component = std::fs::read(folder.join(name).with_extension("wasm"))?;
//!         let mut draft = Draft::new(component, format!("name = \"{name}\"\nversion = \"{version}\"\n"))?;
//!         draft.sign(&key);
//!         println!("{} is published", store.publish(&draft)?.0);
//!     }
//!     let topology = |echo: &str| {
//!         let file = folder.join("airssys.toml");
//!         let trusted = key.public();
//!         std::fs::write(&file, format!(r#"
//!             name = "example"
//!             [settings]
//!             trusted_keys = ["{trusted}"]
//!             [[service]]
//!             name = "echo"
//!             release = "{echo}"
//!             [[service]]
//!             name = "adder"
//!             release = "adder@1.0.0"
//!         "#))?;
//!         Ok::<_, Box<dyn std::error::Error>>(Topology::read_with(&file, Some(&data))?)
//!     };
//!
//!     let failures = Arc::new(AtomicUsize::new(0));
//!     let builder = Runtime::builder().data_folder(&data).layer(Failures(Arc::clone(&failures)));
//!     let runtime = Arc::new(builder.start(&topology("echo@1.0.0")?).await?);
//!     let mut deployments = runtime.events().of_kinds(&[Kind::Deployment]);
//!
//!     // Messages of bytes, to a service that handles them, and a call of a function that a component exports.
//!     runtime.send("echo", "no answer is waited for").await?;
//!     assert_eq!(runtime.call("echo", "hello", PATIENCE).await?.as_deref(), Some(b"hello".as_slice()));
//!     let add = runtime.function::<(u32, u32), u32>("adder", "add")?;
//!     assert_eq!(runtime.call_typed(&add, None, &(2, 3), PATIENCE).await?, 5);
//!
//!     // What goes wrong has a word for programs, and often a hint for people.
//!     let error = runtime.call("nobody", "hello", PATIENCE).await.unwrap_err();
//!     assert_eq!((error.code(), failures.load(Ordering::Relaxed)), ("no-such-service", 1));
//!     let error = runtime.stop_service("nobody").await.unwrap_err();
//!     println!("{error}; hint: {}", error.hint().unwrap_or_default());
//!
//!     // Another release takes over in place, and back.
//!     let mut options = DeployOptions::default();
//!     options.probation = Duration::from_millis(100);
//!     let deployment = runtime.deploy("echo", store.resolve("echo@1.1.0")?, options.clone()).await?;
//!     match deployment.ended().await {
//!         Progress::Live => println!("echo 1.1.0 serves"),
//!         other => panic!("{other:?}"),
//!     }
//!     if let Some(Heard::Event(event)) = deployments.next().await {
//!         println!("{:?}", event.what);
//!     }
//!     assert_eq!(runtime.rollback("echo", options.clone())?.ended().await, Progress::Live);
//!
//!     // Another topology, of which only what differs is touched.
//!     let Applied { notes, .. } = runtime.apply(topology("echo@1.1.0")?, options).await?;
//!     assert!(notes.is_empty());
//!     for status in runtime.services() {
//!         println!("{}: {} handled, {} crashed", status.service, status.handled, status.crashed);
//!     }
//!
//!     let report = runtime.shutdown().await;
//!     assert!(report.is_clean());
//!     Ok(())
//! }
//! ```
//!
//! # Errors
//!
//! An error has a text for people, a stable [`code`](hint::Coded::code), and says what to do about it
//! ([`hint`](hint::Coded::hint)). The variants of an enum are for programs that do something else for each. What
//! stands in a variant and has no page here is a cause: its text says all there is.
//!
//! # Features
//!
//! `wasi-0-3`, off by default: components of WASI 0.3 run beside those of 0.2. What it brings into the engine lies on
//! the way of each call, so a message to any guest takes some 4 % longer with it. Without it such a component is
//! refused before it is compiled, by name of the feature.

mod actor;
pub mod address;
mod apply;
mod audit;
mod beneath;
mod blocking;
mod capability;
mod capsules;
mod client;
#[doc(hidden)]
pub mod command;
mod config_file;
pub mod deploy;
mod engine;
pub mod error;
pub mod events;
mod file_threads;
mod files;
mod guard;
mod hex;
pub mod hint;
mod http;
mod keys;
mod limits;
mod lines;
mod listener;
mod logger;
pub mod message;
pub mod middleware;
mod operation;
mod process;
mod quota;
mod rate;
pub mod registry;
mod retry;
mod router;
mod runtime;
mod schema;
mod secrets;
pub mod seeded;
mod settings;
mod shown;
mod state;
pub mod topology;
pub mod trial;
mod turn;
mod typed;
mod unique;
mod waits;
mod wire;

pub use airssys_rt_shim::exit::ExitReason;
pub use airssys_rt_shim::supervisor::TreeNode;
pub use airssys_rt_shim::system::ShutdownReport;
pub use apply::{Applied, ApplyError, Function, InvokeError, Objection, Proposal, RuntimeError, StopError, Written};
pub use config_file::ConfigError;
pub use engine::Value;
pub use runtime::{
    ExecuteError, Executor, ListenerStatus, OsOperation, OsOutput, Program, ProgramExit, ProgramOutput, Runtime,
    RuntimeBuilder, ServiceStatus,
};
pub use shown::shown;
#[doc(hidden)]
pub use typed::typed_flags;
