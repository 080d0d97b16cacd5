//! Another release for a service that runs, and what became of those before.

use super::Runtime;
use crate::deploy::{DeployError, DeployOptions, Deployment, Ended, Plan, Recovery, Status, Ungranted};
use crate::registry::Release;

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
    /// use airssys_wasm::command::{
    ///     CapabilityRequest, ChangedItem, ChangedSetting, Changes, MemoryFate, Party, Plan, Reach, Schemas,
    ///     StateFate,
    /// };
    /// use airssys_wasm::deploy::{DeployOptions, PlanRefusal};
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
    /// use airssys_wasm::command::Status;
    /// use airssys_wasm::deploy::{DeployOptions, Progress};
    /// use airssys_wasm::registry::Release;
    ///
    /// assert!(runtime.deployment("echo").is_none());
    /// let mut next = Release::find(&folder.join("echo.wasm"))?;
    /// next.manifest.version = "1.1.0".parse()?;
    /// runtime.deploy("echo", next, DeployOptions::default()).await?.switched().await;
    ///
    /// let deployment = runtime.deployment("echo").ok_or("it has one")?;
    /// let status: Status = runtime.deployment_status(&deployment);
    /// assert_eq!((status.number, &status.progress), (1, &Progress::Probation));
    /// assert_eq!(runtime.deployments("echo").len(), 1);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn deployment(&self, service: &str) -> Option<Deployment> {
        self.hosted.deployment(service)
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
    pub fn deployment_status(&self, deployment: &Deployment) -> Status {
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
}
