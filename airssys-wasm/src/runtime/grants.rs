//! What the command asks of capabilities, as `command.rs`.

use super::Runtime;
use crate::apply::{Act, Applied, Capability, GrantError, Learned, Unused};
use crate::capability::why::Why;
use crate::deploy::DeployOptions;

#[doc(hidden)]
impl Runtime {
    /// What a service asks for and is granted, and what of either goes to waste.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::command::{Capability, GrantError};
    ///
    /// let all: Vec<Capability> = runtime.capabilities("echo")?;
    /// assert_eq!(all, [], "it asks for nothing, and nothing is granted");
    /// assert!(matches!(runtime.capabilities("nobody"), Err(GrantError::NoSuchService { .. })));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`GrantError::NoSuchService`].
    pub fn capabilities(&self, service: &str) -> Result<Vec<Capability>, GrantError> {
        self.hosted.capabilities(service)
    }

    /// What was learned of each service whose operations are counted: the smallest grants for what it did, with the
    /// proof that they are. None where the mesh was not started to learn: see [`crate::RuntimeBuilder::learn`].
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// assert!(runtime.learned().is_none());
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn learned(&self) -> Option<Vec<Learned>> {
        self.hosted.learned()
    }

    /// The grants by which nothing was let through since the start, or since they were given. Nobody can say of a
    /// variable whether it was wanted: all of them count as used when the environment is read.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("[service.grants]\npublish = [\"news/*\"]\n", async |runtime, _| {
    /// use airssys_wasm::command::Unused;
    ///
    /// let (service, key, grant) = ("echo".to_owned(), "publish".to_owned(), "news/*".to_owned());
    /// assert_eq!(runtime.unused(), [Unused { service, key, grant }]);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn unused(&self) -> Vec<Unused> {
        self.hosted.unused()
    }

    /// What would become of an operation of a service, by the key that its grants stand under and its target, and which
    /// line decides that.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::command::{GrantError, NoLine, Why};
    ///
    /// let why: Why = runtime.why("echo", "call", "pricing")?;
    /// assert!(!why.allowed);
    /// assert!(why.missing.is_some_and(|missing| missing.contains("add \"pricing\" to `call`")));
    /// let mistaken = runtime.why("echo", "cal", "pricing");
    /// assert!(matches!(mistaken, Err(GrantError::Line(NoLine::Key { key })) if key == "cal"));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`GrantError`]: there is no such service or operation, or the target is none.
    pub fn why(&self, service: &str, key: &str, target: &str) -> Result<Why, GrantError> {
        self.hosted.why(service, key, target)
    }

    /// Gives a service one more grant, as it would stand under its `[service.grants]`: an apply with nothing else in
    /// it. None where it has it already.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::deploy::DeployOptions;
    ///
    /// let applied = runtime.grant("echo", ("publish", "news/*"), DeployOptions::default()).await?;
    /// assert_eq!(applied.map(|applied| applied.plan.differences.len()), Some(1));
    /// // The component does not ask for it, so it may still not do it.
    /// assert!(!runtime.why("echo", "publish", "news/today")?.allowed);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`GrantError`]; all is as it was before then.
    pub async fn grant(
        &self,
        service: &str,
        grant: (&str, &str),
        options: DeployOptions,
    ) -> Result<Option<Applied>, GrantError> {
        let act = Act::on("grant", service).to(format_args!("{} {}", grant.0, grant.1));
        self.hosted.acting(act, self.hosted.grant(service, grant, options)).await
    }

    /// Takes a grant away from a service, at once: what it asks for from here on is denied, also in the middle of a
    /// turn and while something is deployed. Subscriptions end that it was needed for. Where it is one of files,
    /// environment, sockets or bind, instances that may hold what is open go, with the turns they are in. Answers when
    /// that is written down, with whether it outlives the host.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("[service.grants]\npublish = [\"news/*\"]\n", async |runtime, _| {
    /// use airssys_wasm::command::GrantError;
    ///
    /// let kept = runtime.revoke("echo", "publish", "news/*").await?;
    /// assert!(!kept, "there is no data folder");
    /// let again = runtime.revoke("echo", "publish", "news/*").await;
    /// assert!(matches!(again, Err(GrantError::NotGranted { .. })));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`GrantError`]. With [`GrantError::NotKept`] it is taken away all the same, until the host ends.
    pub async fn revoke(&self, service: &str, key: &str, grant: &str) -> Result<bool, GrantError> {
        let act = Act::on("revoke", service).to(format_args!("{key} {grant}"));
        self.hosted.acting(act, self.hosted.revoke(service, key, grant)).await
    }
}
