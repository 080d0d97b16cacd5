//! Write airssys components in Rust.
//!
//! A component is an actor: it handles one message at a time, keeps state, and sends messages to others. This crate
//! gives it typed messages (serde, as JSON on the wire), state, calls, topics, timers, children, configuration and log
//! lines. It asks for no `unsafe` and no knowledge of WIT.
//!
//! # Example
//!
//! A function is the smallest component. It answers the message that it is given:
//!
//! ```
//! use airssys_sdk::prelude::*;
//!
//! #[derive(Deserialize)]
//! struct Order { sku: String, quantity: u32 }
//!
//! #[component]
//! fn price(order: Order) -> Result<u64> {
//!     Ok(u64::from(order.quantity) * 250)
//! }
//! ```
//!
//! A struct keeps something in memory between messages, and may know of its start and stop; see [`component`].
//!
//! # What a turn is
//!
//! The handling of one message is a turn. State writes, sends, publishes, timers and what is done to children are held
//! back; they happen together when the handler returns `Ok`, and not at all when it returns a [`Fault`], panics, or
//! takes too long. Not undone are: what the handler changed in its own memory (after a fault; a panic ends the
//! instance), the turns of those it [`call`]ed, and [`Timer::cancel`].
//!
//! # In tests
//!
//! Handlers are plain functions and can be called in unit tests on the host. What asks the runtime (sending, state,
//! configuration, log) panics there.

extern crate self as airssys_sdk;

mod answer;
mod bindings;
pub mod config;
mod context;
mod fault;
pub mod files;
mod glue;
pub mod layer;
pub mod log;
mod messaging;
mod payload;
pub mod process;
pub mod state;
mod supervision;

/// Makes a component of a function, or of a struct's `impl` block.
///
/// # A function
///
/// It takes the message (any type that serde can read, or `Payload` for raw bytes), or nothing; besides, where it asks
/// for it, `&Context`. It returns a value that serde can write, `Payload`, `()`, or a `Result` of one of those.
///
/// ```
/// use airssys_sdk::prelude::*;
///
/// #[component]
/// fn greet(name: String, context: &Context) -> Result<String> {
///     if name.is_empty() {
///         return Err(Fault::invalid("a name, please"));
///     }
///     Ok(format!("Hello {name}, from {}", context.attempt))
/// }
/// ```
///
/// # A struct
///
/// What it holds in memory lasts until the instance ends: by a crash, a stop or an upgrade. What must last belongs into
/// `state`.
///
/// | method | when | without it |
/// |---|---|---|
/// | `fn handle(&mut self, message: M, context: &Context) -> Result<A>` | a message came; parameters and result as for a function | an error |
/// | `fn init() -> Result<Self>` | once, before the first message of every new instance | `Default::default()` |
/// | `fn stop(&mut self, reason: StopReason)` | once, after the last message, where it is stopped in order | nothing |
/// | `fn check(&self) -> Result<()>` | the host asks whether the instance can do its work | nothing is asked |
/// | `fn down(&mut self, down: Down) -> Result<()>` | a child ended that it monitors, see [`monitor`] | [`monitor`] is refused |
/// | `fn snapshot(&self) -> Result<S>` | another release takes over: what it should get of this instance's memory | its memory is lost |
/// | `fn restore(&mut self, snapshot: S) -> Result<()>` | it took over, and the release before handed this over | what was handed over is lost |
/// | `fn migrate(from: u32) -> Result<()>` | before `init`, where the state was stored under another `state_schema` | such a state is refused |
///
/// `init` may also return `Self`, `stop` may leave the reason away, `check` and `snapshot` may take `&mut self`. A
/// component exports what it has: `init` or `stop` make it export `lifecycle`, `check` makes it export `health`, `down`
/// `monitoring`, the last three `upgrade`. A snapshot is any type that serde can write and, in the release that takes
/// it, read; `Payload` for raw bytes.
///
/// ```
/// use airssys_sdk::prelude::*;
///
/// #[derive(Default)]
/// struct Counter { seen: u64 }
///
/// #[component]
/// impl Counter {
///     fn handle(&mut self, step: u64) -> u64 {
///         self.seen += step;
///         self.seen
///     }
///
///     fn stop(&mut self) {
///         info!("{} in the end", self.seen);
///     }
/// }
/// ```
///
/// # Another release takes over
///
/// A counter that keeps its memory over a deployment, and whose state was kept under another name by releases with
/// `state_schema = 0`; its own `Component.toml` says `state_schema = 1`:
///
/// ```
/// use airssys_sdk::prelude::*;
///
/// #[derive(Default)]
/// struct Counter { since_start: u64 }
///
/// #[component]
/// impl Counter {
///     fn handle(&mut self) -> Result<u64> {
///         self.since_start += 1;
///         Ok(state::increment("total", 1)?)
///     }
///
///     fn snapshot(&self) -> u64 {
///         self.since_start
///     }
///
///     fn restore(&mut self, since_start: u64) -> Result<()> {
///         self.since_start = since_start;
///         Ok(())
///     }
///
///     fn migrate(from: u32) -> Result<()> {
///         if from > 0 {
///             return Err(Fault::refused("only schema 0 is known here"));
///         }
///         let count: u64 = state::get("count")?.unwrap_or_default();
///         state::delete("count")?;
///         state::increment("total", count)?;
///         Ok(())
///     }
/// }
/// ```
///
/// # Errors
///
/// Whatever is neither is refused by the compiler, with what is missing:
///
/// ```compile_fail
/// use airssys_sdk::prelude::*;
///
/// struct Mute;
///
/// #[component]
/// impl Mute {}
/// ```
pub use airssys_sdk_macros::component;
/// Makes a layer of the host of a struct's `impl` block: a component that is asked about what others do.
///
/// | method | when | without it |
/// |---|---|---|
/// | `fn before(&mut self, what: Operation) -> Verdict` | before something happens | an error |
/// | `fn after(&mut self, what: Operation, outcome: Result<(), Failure>)` | it is known what came of it | nothing |
/// | `fn on_error(&mut self, what: Operation, failure: Failure) -> ErrorVerdict` | it failed | it stays as it is |
/// | `fn init() -> Result<Self>` | once, before it is asked first | `Default::default()` |
///
/// The topology says about what it is asked and which of the three are called: see `[[layer]]`. The types are those of
/// [`layer`](mod@layer). A panic rejects.
///
/// ```
/// use airssys_sdk::layer::{Operation, Verdict};
///
/// #[derive(Default)]
/// struct NoSecrets;
///
/// #[airssys_sdk::layer]
/// impl NoSecrets {
///     fn before(&mut self, what: Operation) -> Verdict {
///         match what.body.unwrap_or_default().windows(6).any(|part| part == b"secret") {
///             true => Verdict::reject("it tells a secret"),
///             false => Verdict::Pass,
///         }
///     }
/// }
/// ```
///
/// # Errors
///
/// What has no `before` is refused by the compiler:
///
/// ```compile_fail
/// struct Blind;
///
/// #[airssys_sdk::layer]
/// impl Blind {}
/// ```
pub use airssys_sdk_macros::layer;
pub use serde_json;

pub use crate::answer::Answer;
pub use crate::context::{Context, Delivery, StopReason};
pub use crate::fault::{Fault, Result};
pub use crate::messaging::{
    CallError, SendError, Target, Timer, call, publish, self_address, send, send_after, subscribe, unsubscribe,
};
pub use crate::payload::{Decode, DecodeError, Encode, EncodeError, Payload};
pub use crate::supervision::{Down, DownReason, SupervisionError, demonitor, link, monitor, spawn, stop};

/// What most components use: `use airssys_sdk::prelude::*;`.
///
/// # Example
///
/// ```
/// use airssys_sdk::prelude::*;
///
/// #[component]
/// fn echo(body: Payload) -> Payload {
///     body
/// }
/// ```
pub mod prelude {
    pub use std::time::Duration;

    pub use serde::{Deserialize, Serialize};

    pub use crate::{
        CallError, Context, Delivery, Down, DownReason, Fault, Payload, Result, SendError, StopReason,
        SupervisionError, Timer, call, component, config, debug, demonitor, error, info, link, monitor, publish,
        self_address, send, send_after, spawn, state, stop, subscribe, trace, unsubscribe, warn,
    };
}

/// What the code that [`component`] writes stands on. No part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use wit_bindgen;

    pub use crate::bindings::{actor, health, layer, lifecycle, monitoring, upgrade};
    pub use crate::glue::*;
}
