//! What changes a running mesh: deployments, an apply, a stop and a start, and what is forgotten.

use std::sync::Arc;
use std::time::Duration;

use super::Runtime;
use super::forget::{ForgetError, Forgotten};
use crate::apply::{Applied, ApplyError, ApplyPlan, ServiceStop, StopError};
use crate::deploy::{self, DeployError, DeployOptions, Deployment, Ended, Plan, Recovery};
use crate::registry::Release;
use crate::topology::Topology;

impl Runtime {
    /// Lets another release take a service over, in place: address, mailbox and state stay, and what the operator
    /// granted and configured. It answers when the release is compiled; the rest can be followed with the
    /// [`Deployment`]. Where nobody waits for that answer any more, it goes on all the same.
    ///
    /// # Example
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (runtime, folder) = echo("").await?;
    /// use std::time::Duration;
    /// use airssys_wasm::deploy::{DeployOptions, Progress};
    /// use airssys_wasm::registry::Release;
    ///
    /// let mut next = Release::find(&folder.path().join("echo.wasm"))?;
    /// next.manifest.version = "1.1.0".parse()?;
    /// let mut options = DeployOptions::default();
    /// options.probation = Duration::ZERO;
    /// let plan = runtime.plan("echo", next.clone(), options.clone()).await?;
    /// assert!(plan.refusals.is_empty());
    /// let deployment = runtime.deploy("echo", next, options.clone()).await?;
    /// assert_eq!(deployment.ended().await, Progress::Live);
    /// assert_eq!(runtime.history("echo").len(), 1);
    ///
    /// let back = runtime.rollback("echo", options)?;
    /// assert_eq!(back.ended().await, Progress::Live);
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`DeployError`]; nothing has changed then.
    pub async fn deploy(
        &self,
        service: &str,
        release: Release,
        options: DeployOptions,
    ) -> Result<Deployment, DeployError> {
        self.hosted.deploy(service, release, options).await
    }

    /// [`Runtime::deploy`] for several services at once. All releases are compiled and compared first; then the
    /// services are switched, those that are called before those who call them; then they are on probation together.
    /// Where one goes back, all do. It answers when all are switched, or go back. A set has neither a strategy nor a
    /// gate: other ones than the defaults are refused.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, folder| {
    /// use std::time::Duration;
    ///
    /// use airssys_wasm::deploy::{DeployOptions, Progress};
    /// use airssys_wasm::registry::Release;
    ///
    /// let mut next = Release::find(&folder.join("echo.wasm"))?;
    /// next.manifest.version = "1.1.0".parse()?;
    /// let mut options = DeployOptions::default();
    /// options.probation = Duration::ZERO;
    /// for (service, deployment) in runtime.deploy_set(vec![("echo".to_owned(), next)], options).await? {
    ///     assert_eq!(deployment.ended().await, Progress::Live, "{service}");
    /// }
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`DeployError`] of the first one that is refused; nothing has changed then.
    pub async fn deploy_set(
        &self,
        set: Vec<(String, Release)>,
        options: DeployOptions,
    ) -> Result<Vec<(String, Deployment)>, DeployError> {
        self.hosted.deploy_set(set, options).await
    }

    /// What [`Runtime::deploy`] would change, and why it would refuse. Compiles the release, and changes nothing.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, folder| {
    /// use airssys_wasm::deploy::{
    ///     Capability, CapabilityRequest, ChangedItem, ChangedSetting, Changes, DeployOptions, MemoryFate, Party, Plan,
    ///     PlanRefusal, Reach, Schemas, StateFate,
    /// };
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
    /// let asks = plan.requests_added.iter().map(|CapabilityRequest { capability, .. }| capability);
    /// assert!(asks.chain(&plan.requests_removed).all(|Capability { kind, .. }| kind != "files"));
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
    /// use airssys_wasm::deploy::Ungranted;
    ///
    /// let missing: Option<Ungranted> = runtime.ungranted("echo", None);
    /// assert_eq!(missing, None);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn ungranted(&self, service: &str, release: Option<Release>) -> Option<deploy::Ungranted> {
        self.hosted.ungranted(service, release)
    }

    /// Brings back the release that served before the one that is live: at once and in place, since it is kept ready.
    /// Where a deployment is under way, that is cancelled.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::deploy::{DeployError, DeployOptions};
    ///
    /// let never_deployed = runtime.rollback("echo", DeployOptions::default());
    /// assert!(matches!(never_deployed, Err(DeployError::NoPrevious { .. })));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`DeployError`]; nothing has changed then.
    pub fn rollback(&self, service: &str, options: DeployOptions) -> Result<Deployment, DeployError> {
        self.hosted.rollback(service, options)
    }

    /// [`Runtime::rollback`] for a release that cannot read what the live one stored: puts the state back to what it
    /// was before the live one brought it over, with the turns that were committed since discarded. Also the way out of
    /// [`Progress::Suspended`](crate::deploy::Progress::Suspended).
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::deploy::DeployOptions;
    ///
    /// // Nothing was brought over to another schema.
    /// assert_eq!(runtime.turns_to_discard("echo"), 0);
    /// assert!(runtime.restore_state("echo", DeployOptions::default()).is_err());
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`DeployError`]; nothing has changed then.
    pub fn restore_state(&self, service: &str, options: DeployOptions) -> Result<Deployment, DeployError> {
        self.hosted.restore_state(service, options)
    }

    /// How many committed turns [`Runtime::restore_state`] would discard.
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

    /// The last deployment of a service, where it had one.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, folder| {
    /// use airssys_wasm::deploy::{DeployOptions, Progress, Status};
    /// use airssys_wasm::registry::Release;
    ///
    /// assert!(runtime.deployment("echo").is_none());
    /// let mut next = Release::find(&folder.join("echo.wasm"))?;
    /// next.manifest.version = "1.1.0".parse()?;
    /// runtime.deploy("echo", next, DeployOptions::default()).await?.switched().await;
    ///
    /// let deployment = runtime.deployment("echo").ok_or("it has one")?;
    /// let status: Status = runtime.deployment_status(&deployment);
    /// assert_eq!((status.number, &status.progress), (deployment.number(), &Progress::Probation));
    /// assert_eq!(runtime.deployments("echo").len(), 1);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn deployment(&self, service: &str) -> Option<Deployment> {
        self.hosted.deployment(service)
    }

    /// The last deployments of a service, the youngest last; those that ended before others began too, 16 at most. So
    /// whoever knows the [`Deployment::number`] of one finds out how it ended.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// let numbers: Vec<u64> = runtime.deployments("echo").iter().map(|deployment| deployment.number()).collect();
    /// assert!(numbers.is_sorted());
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn deployments(&self, service: &str) -> Vec<Deployment> {
        self.hosted.deployments(service)
    }

    /// A deployment, as it is told: where it is, and what is live.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// for deployment in runtime.deployments("echo") {
    ///     println!("{}", serde_json::to_string(&runtime.deployment_status(&deployment))?);
    /// }
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn deployment_status(&self, deployment: &Deployment) -> deploy::Status {
        self.hosted.deployment_status(deployment)
    }

    /// How the deployments of a service ended, the youngest last; also those before this start, where there is a data
    /// folder. At most 100.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::deploy::Ended;
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
    /// use airssys_wasm::hint::Hinted;
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

    /// What [`Runtime::apply`] would change, and why it would refuse. Compiles what is new, and changes nothing.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, folder| {
    /// use airssys_wasm::apply::{ApplyPlan, ChangeMode, ChangedKey, Difference, Fate, Subject};
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

    /// Brings the mesh to another topology, which is in force then. What is new starts, in order; what changed is
    /// changed in place where that can be, and otherwise by a deployment, or by stopping and starting the service; what
    /// is gone handles what waits for it and stops, last of all. What did not change is not touched: it keeps its
    /// instances and its mailboxes. [`ChangeMode`](crate::apply::ChangeMode) says which change is made how.
    ///
    /// It answers when all of it has come about, the probation of what was deployed included. It goes on where nobody
    /// waits for it any more.
    ///
    /// # Example
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use airssys_wasm::Runtime;
    /// use airssys_wasm::topology::Topology;
    /// use airssys_wasm::deploy::DeployOptions;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
    /// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
    /// let file = folder.path().join("airssys.toml");
    /// let one = "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n";
    /// std::fs::write(&file, one)?;
    /// let runtime = Arc::new(Runtime::builder().start(&Topology::read(&file)?).await?);
    ///
    /// std::fs::write(&file, format!("{one}[[service]]\nname = \"another\"\nrelease = \"echo.wasm\"\n"))?;
    /// let applied = runtime.apply(Topology::read(&file)?, DeployOptions::default()).await?;
    /// assert_eq!(applied.plan.differences[0].name, "another");
    /// let answer = runtime.call("another", "hello", Duration::from_secs(5)).await?;
    /// assert_eq!(answer.as_deref(), Some(b"hello".as_slice()));
    /// runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; all is as it was before then.
    pub async fn apply(&self, topology: Topology, options: DeployOptions) -> Result<Applied, ApplyError> {
        self.hosted.apply(topology, options).await
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

    /// Stops a service, and nothing else. It is stopped until [`Runtime::start_service`], also when the host is killed
    /// and started again on the same data folder; without one until the host ends. Messages to it are refused; what
    /// waits for it becomes dead letters. It answers when the service has stopped.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::hint::Coded;
    ///
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (runtime, _folder) = echo("").await?;
    /// runtime.stop_service("echo").await?;
    /// assert_eq!(runtime.send("echo", "hello").await.unwrap_err().code(), "stopped");
    /// runtime.start_service("echo").await?;
    /// runtime.send("echo", "hello").await?;
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StopError`]; nothing was stopped then.
    pub async fn stop_service(&self, service: &str) -> Result<ServiceStop, StopError> {
        self.hosted.stop_service(service).await
    }

    /// Starts a service that was stopped, or that ended for good, and answers when it is up. Where it runs, nothing is
    /// done.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::ServiceStop;
    ///
    /// let ServiceStop { stopped, kept, .. } = runtime.start_service("echo").await?;
    /// assert!(!stopped && !kept, "it runs, and there is no data folder");
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`StopError`].
    pub async fn start_service(&self, service: &str) -> Result<ServiceStop, StopError> {
        self.hosted.start_service(service).await
    }

    /// Drops all that a service remembers, or one key of a service that has several states: on disk and in memory, as
    /// one step, and what its instance knows. It is there as a whole or not at all, whenever the host ends. Also one
    /// that is set aside because it crashed too often, or suspended, is let in again.
    ///
    /// What waits in its mailbox stays there, and is handled on a state that nobody has written to. A turn that runs is
    /// waited for. Where it is not over within `patience` it is cut off, as a crash. The instance is not told to stop.
    /// A release that is on its way back, or comes back later, finds no state from before.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use airssys_wasm::{ForgetError, Runtime};
    /// use airssys_wasm::topology::Topology;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
    /// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
    /// let file = folder.path().join("airssys.toml");
    /// let text = "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\nkeyed = {}\n";
    /// std::fs::write(&file, text)?;
    /// let runtime = Runtime::builder().start(&Topology::read(&file)?).await?;
    /// runtime.call("echo/alice", "hello", Duration::from_secs(5)).await?;
    /// let forgotten = runtime.forget("echo", Some("alice"), Duration::from_secs(5)).await?;
    /// assert_eq!((forgotten.actor.as_str(), forgotten.values), ("alice", 0));
    /// let nobody = runtime.forget("echo", Some("bob"), Duration::from_secs(5)).await;
    /// assert!(matches!(nobody, Err(ForgetError::NoSuchKey { .. })));
    /// runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ForgetError`]; nothing was forgotten then.
    pub async fn forget(&self, service: &str, key: Option<&str>, patience: Duration) -> Result<Forgotten, ForgetError> {
        self.hosted.forget(service, key, patience).await
    }

    /// What [`Runtime::forget`] would drop. Changes nothing.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::{ForgetError, Forgotten};
    ///
    /// let Forgotten { values, commits, waiting, .. } = runtime.plan_forget("echo", None)?;
    /// assert_eq!((values, commits, waiting), (0, 0, 0));
    /// assert!(matches!(runtime.plan_forget("echo", Some("alice")), Err(ForgetError::TakesNoKey { .. })));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Runtime::forget`], as far as it can be known before.
    pub fn plan_forget(&self, service: &str, key: Option<&str>) -> Result<Forgotten, ForgetError> {
        self.hosted.plan_forget(service, key)
    }
}
