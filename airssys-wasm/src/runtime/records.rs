//! What the command asks of logs and the audit, as `command.rs`.

use super::Runtime;
use crate::apply::{Act, Applied, LogError};
use crate::audit::{AuditStatus, Unrecorded};
use crate::deploy::DeployOptions;
use crate::logger::{LogLevel, LogStatus};

#[doc(hidden)]
impl Runtime {
    /// How the audit is; none where none is kept.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// assert!(runtime.audit().is_none(), "it has no data folder");
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn audit(&self) -> Option<AuditStatus> {
        self.hosted.audit.as_ref().map(|audit| audit.status())
    }

    /// How the logs of the topology are.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// assert_eq!(runtime.logs()[0].name, "tracing");
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn logs(&self) -> Vec<LogStatus> {
        self.hosted.logs()
    }

    /// Says how much a line must matter to be in a log from now on: each, or those of one service. It is the topology
    /// in force that changes. None where it is so already.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::command::LogLevel;
    /// use airssys_wasm::deploy::DeployOptions;
    ///
    /// let options = DeployOptions::default();
    /// assert!(runtime.set_log("tracing", Some("echo"), LogLevel::Warn, options).await?.is_some());
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`LogError`]. It is as before.
    pub async fn set_log(
        &self,
        log: &str,
        service: Option<&str>,
        level: LogLevel,
        options: DeployOptions,
    ) -> Result<Option<Applied>, LogError> {
        let act = service.map_or_else(|| Act::new("log"), |service| Act::on("log", service));
        let act = act.to(format_args!("{log} {level}"));
        self.hosted.acting(act, self.hosted.set_log(log, service, level, options)).await
    }

    /// Records what an operator is about to do that is no function of its own.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// runtime.act("send", Some("echo"), "").await?;
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`Unrecorded`]: it is not to be done.
    pub async fn act(&self, operation: &'static str, service: Option<&str>, target: &str) -> Result<(), Unrecorded> {
        let act = service.map_or_else(|| Act::new(operation), |service| Act::on(operation, service));
        let act = if target.is_empty() { act } else { act.to(target) };
        self.hosted.acting(act, async { Ok(()) }).await
    }
}
