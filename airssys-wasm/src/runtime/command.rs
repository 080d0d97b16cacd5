//! What the command `airssys` and the project's own tests ask of a running mesh, beside what those do who embed it.
//! It is left out of the documentation, and no promise is made of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::supervisor::SupervisorHandle;
use bytes::Bytes;

use super::Runtime;
use crate::apply::{ApplyError, ApplyPlan, InvokeError, Written};
use crate::deploy::{DeployError, DeployOptions, Deployment, Ended, Plan, Recovery, Ungranted};
use crate::message::{Answer, DeadLetter, To};
use crate::registry::Release;
use crate::router::Caller;
use crate::state::durable::KeptState;
use crate::topology::Topology;

#[doc(hidden)]
impl Runtime {
    /// What [`Runtime::apply`] would change, and why it would refuse. Compiles what is new, and changes nothing.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, folder| {
    /// use airssys_wasm::command::{ApplyPlan, ChangeMode, ChangedKey, Difference, Fate, Subject};
    /// use airssys_wasm::deploy::DeployOptions;
    /// use airssys_wasm::topology::Topology;
    ///
    /// let text = "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n\
    ///             [service.limits]\nturn_deadline = \"7s\"\n";
    /// let edited = Topology::parse(text, folder)?;
    /// let plan: ApplyPlan = runtime.plan_apply(&edited, DeployOptions::default()).await?;
    /// assert!(plan.refusals.is_empty());
    /// let [Difference { subject: Subject::Service, fate: Fate::Changed, settings, .. }] = &plan.differences[..] else {
    ///     panic!("one service changes");
    /// };
    /// let ChangedKey { key, to, way, .. } = &settings[0];
    /// assert_eq!((key.as_str(), to.as_str(), *way), ("limits.turn_deadline", "7s", ChangeMode::InPlace));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`ApplyError`]: a release cannot be hosted, or is not trusted, or there is no room.
    pub async fn plan_apply(&self, topology: &Topology, options: DeployOptions) -> Result<ApplyPlan, ApplyError> {
        self.hosted.plan_apply(topology, options).await
    }

    /// The topology in force, as it was written.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// assert_eq!(runtime.in_force().name(), "example");
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn in_force(&self) -> Arc<Topology> {
        self.hosted.desired.in_force()
    }

    /// What [`Runtime::deploy`] would change, and why it would refuse. Compiles the release, and changes nothing.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, folder| {
    /// use airssys_wasm::command::{
    ///     CapabilityRequest, ChangedItem, ChangedSetting, Changes, MemoryFate, Party, Plan, Reach, Schemas,
    ///     StateFate,
    /// };
    /// use airssys_wasm::command::PlanRefusal;
    /// use airssys_wasm::deploy::DeployOptions;
    /// use airssys_wasm::registry::Release;
    ///
    /// let mut next = Release::find(&folder.join("echo.wasm"))?;
    /// next.manifest.version = "1.1.0".parse()?;
    /// let plan: Plan = runtime.plan("echo", next, DeployOptions::default()).await?;
    ///
    /// let Party { name, version, .. } = &plan.to;
    /// assert_eq!((name.as_str(), version.as_deref()), ("echo", Some("1.1.0")));
    /// // What it imports and exports, what it asks for, its limits.
    /// let Changes { added, removed, changed } = &plan.exports;
    /// assert!(added.is_empty() && removed.is_empty());
    /// assert!(changed.iter().all(|ChangedItem { retyped, .. }| !retyped));
    /// let mut asks = plan.requests_added.iter().chain(&plan.requests_removed);
    /// assert!(asks.all(|CapabilityRequest { kind, .. }| kind != "files"));
    /// assert!(plan.settings.iter().all(|ChangedSetting { from, to, .. }| from != to));
    /// // What becomes of its state and its memory, and who may notice.
    /// assert!(matches!(plan.state_schema, Schemas { state: StateFate::Kept, .. }));
    /// assert_eq!(plan.memory, MemoryFate::StartsAnew);
    /// assert!(plan.reached_by.iter().all(|Reach { by, .. }| !by.is_empty()));
    /// // Why it would be refused.
    /// assert!(plan.refusals.iter().all(|PlanRefusal { code, .. }| code.is_empty()));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`DeployError`]: there is nothing to compare, or the release cannot be hosted.
    pub async fn plan(&self, service: &str, release: Release, options: DeployOptions) -> Result<Plan, DeployError> {
        self.hosted.plan(service, release, options).await
    }

    /// What a release would ask for in the place of the live one and is not granted; none where all of it is. Without a
    /// release: the same of the one that a rollback would bring back.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::command::Ungranted;
    ///
    /// let missing: Option<Ungranted> = runtime.ungranted("echo", None);
    /// assert_eq!(missing, None);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn ungranted(&self, service: &str, release: Option<Release>) -> Option<Ungranted> {
        self.hosted.ungranted(service, release)
    }

    /// How many committed turns [`Runtime::rollback`] would discard that restores the state.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// if runtime.turns_to_discard("echo") > 0 {
    ///     println!("to restore the state discards what was done since");
    /// }
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn turns_to_discard(&self, service: &str) -> u64 {
        self.hosted.turns_to_discard(service)
    }

    /// The last deployments of a service, the youngest last; those that ended before others began too, 16 at most. So
    /// whoever knows the number of one finds out how it ended.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// let all = runtime.deployments("echo");
    /// let numbers: Vec<u64> = all.iter().map(|known| runtime.deployment_status(known).number).collect();
    /// assert!(numbers.is_sorted());
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn deployments(&self, service: &str) -> Vec<Deployment> {
        self.hosted.deployments(service)
    }

    /// How the deployments of a service ended, the youngest last; also those before this start, where there is a data
    /// folder. At most 100.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::command::Ended;
    ///
    /// for Ended { number, at, live, reason, .. } in runtime.history("echo") {
    ///     println!("{number} at {at}: {}", if live { "live" } else { reason.as_deref().unwrap_or("rolled back") });
    /// }
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn history(&self, service: &str) -> Vec<Ended> {
        self.hosted.desired.records().history(service)
    }

    /// What the start found in the data folder that is not as the topology says.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::hint::Coded;
    ///
    /// for recovery in runtime.recoveries() {
    ///     println!("{recovery}{}", recovery.hint().map_or_else(String::new, |hint| format!("; {hint}")));
    /// }
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn recoveries(&self) -> &[Recovery] {
        &self.hosted.recoveries
    }

    /// The SHA-256 of the component that is live.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, folder| {
    /// use airssys_wasm::registry::Digest;
    ///
    /// let bytes = std::fs::read(folder.join("echo.wasm"))?;
    /// assert_eq!(runtime.live_digest("echo"), Some(Digest::of(&bytes).to_string()));
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn live_digest(&self, service: &str) -> Option<String> {
        self.hosted.live_digest(service)
    }

    /// Whether a service takes messages of bytes. One whose component exports no handler is called by its functions
    /// alone: see [`Runtime::invoke`].
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// assert!(runtime.takes_bytes("echo"));
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn takes_bytes(&self, service: &str) -> bool {
        self.hosted.takes_bytes(service)
    }

    /// The component file of the release that serves a service now; none where there is no such service.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// assert!(runtime.component("echo").is_some_and(|path| path.is_file()));
    /// assert_eq!(runtime.component("nobody"), None);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn component(&self, service: &str) -> Option<PathBuf> {
        self.hosted.component(service)
    }

    /// [`Runtime::call`] for those who have several under way and keep their order: `posted` is told when the message
    /// is in the mailbox, and what is sent after that comes after it. Where it never gets there, only the answer says
    /// so; where a layer has it tried again, it is told again.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use std::time::Duration;
    ///
    /// let (posted, patience) = (AtomicBool::new(false), Duration::from_secs(5));
    /// runtime.call_in_order("echo", "hello", patience, || posted.store(true, Ordering::Relaxed)).await?;
    /// assert!(posted.load(Ordering::Relaxed), "the next one could be sent then");
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`crate::error::CallError`].
    pub async fn call_in_order(
        &self,
        to: &str,
        body: impl Into<Bytes>,
        patience: Duration,
        posted: impl Fn() + Sync,
    ) -> Answer {
        self.ask(Caller::Host(Some(&posted)), to.into(), body.into(), patience).await
    }

    /// [`Runtime::invoke`] with the result in JSON, or in WAVE, whichever the call is written in.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::adder(async |runtime| {
    /// use std::time::Duration;
    ///
    /// let sum = runtime.invoke_in("adder", "add(2, 3)", true, Duration::from_secs(5)).await?;
    /// assert_eq!(sum.as_deref(), Some("5"));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvokeError`].
    pub async fn invoke_in(
        &self,
        to: impl Into<To<'_>>,
        call: impl Into<Written<'_>>,
        in_json: bool,
        patience: Duration,
    ) -> Result<Option<String>, InvokeError> {
        self.hosted.invoke(to.into(), call.into(), in_json, patience).await
    }

    /// The names by which the functions of a service are called: with the interface where several have one name.
    ///
    /// # Errors
    ///
    /// [`InvokeError`]: there is no such service.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::adder(async |runtime| {
    /// assert_eq!(runtime.functions("adder")?, ["add"]);
    /// # Ok(()) });
    /// ```
    pub fn functions(&self, service: &str) -> Result<Vec<String>, InvokeError> {
        self.hosted.functions(service)
    }

    /// Takes a dead letter out of those that are kept, by the id of its message. It stays counted.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// let (_, kept) = runtime.dead_letters();
    /// for letter in kept {
    ///     let taken = runtime.take_dead_letter(letter.id);
    ///     assert_eq!(taken.map(|taken| taken.id), Some(letter.id), "nobody else has taken it");
    /// }
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn take_dead_letter(&self, id: u64) -> Option<DeadLetter> {
        self.hosted.take_dead_letter(id)
    }

    /// How many bytes all durable states of the data folder have together, keys and values, with services that have
    /// left the topology; and the most that they may have, where there is a bound. None where no service has had
    /// durable state since the start.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// assert_eq!(runtime.durable_bytes(), None, "there is no durable state");
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn durable_bytes(&self) -> Option<(u64, Option<u64>)> {
        self.hosted.durable_bytes()
    }

    /// All committed state of a service with its history, by key of the actor (empty where it has one state only). None
    /// where there is no such service.
    ///
    /// Each state is as of one commit of its own; the states of several keys may be as of different moments.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// for (actor, state) in runtime.state_dump("echo").into_iter().flatten() {
    ///     println!("{actor}: {} values after {} commits", state.values.len(), state.commits);
    /// }
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn state_dump(&self, service: &str) -> Option<BTreeMap<Box<str>, KeptState>> {
        self.hosted.state_dump(service)
    }

    /// The root supervisor, to stop, start and add children by hand.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// let children = runtime.root().which_children().await?;
    /// assert_eq!(children.len(), 1);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn root(&self) -> SupervisorHandle {
        self.hosted.actual.supervisors.root()
    }

    /// How many instances live now, and how many may.
    ///
    /// # Example
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (runtime, _folder) = echo("").await?;
    /// let (live, most) = runtime.instances();
    /// assert!(live == 1 && most >= 1);
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn instances(&self) -> (usize, usize) {
        (self.hosted.actual.engines.live_instances(), self.hosted.actual.engines.capacity().0)
    }

    /// Whether nothing is left to do: no message waits, no turn runs. Timers that are set do not count.
    ///
    /// It is true at one instant of the look; whoever sends meanwhile is not waited for.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use std::time::Duration;
    ///
    /// runtime.call("echo", "hello", Duration::from_secs(5)).await?;
    /// while !runtime.is_quiet() {
    ///     tokio::task::yield_now().await;
    /// }
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.hosted.is_quiet()
    }

    /// The child for which the root supervisor gave up, one restart too many, where it did.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// assert_eq!(runtime.gave_up(), None);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn gave_up(&self) -> Option<String> {
        self.hosted.actual.supervisors.gave_up()
    }
}
