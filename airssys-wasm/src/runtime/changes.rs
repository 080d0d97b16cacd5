//! What changes a running mesh beside deployments: an apply, a stop and a start.

use super::Runtime;
use crate::apply::{Act, Applied, ApplyError, StopError};
use crate::deploy::DeployOptions;
use crate::topology::Topology;

impl Runtime {
    /// Brings the mesh to another topology, which is in force then. What is new starts, in order; what changed is
    /// changed in place where that can be, and otherwise by a deployment, or by stopping and starting the service; what
    /// is gone handles what waits for it and stops, last of all. What did not change is not touched: it keeps its
    /// instances and its mailboxes. The book says which change is made how.
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
    /// assert!(applied.notes.is_empty(), "it went on without nothing");
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
        let act = Act::new("apply").to(topology.name());
        self.hosted.acting(act, self.hosted.apply(topology, options)).await
    }

    /// Stops a service, and nothing else. It is stopped until [`Runtime::start_service`], also when the host is killed
    /// and started again on the same data folder; without one until the host ends. Messages to it are refused; what
    /// waits for it becomes dead letters. It answers when the service has stopped, with whether that outlives the host,
    /// because there is a data folder.
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
    /// let kept = runtime.stop_service("echo").await?;
    /// assert!(!kept, "there is no data folder");
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
    pub async fn stop_service(&self, service: &str) -> Result<bool, StopError> {
        self.hosted.acting(Act::on("stop-service", service), self.hosted.stop_service(service)).await
    }

    /// Starts a service that was stopped, or that ended for good, and answers when it is up, with whether that outlives
    /// the host. Where it runs, nothing is done.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// runtime.stop_service("echo").await?;
    /// let _kept = runtime.start_service("echo").await?;
    /// runtime.send("echo", "hello").await?;
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`StopError`].
    pub async fn start_service(&self, service: &str) -> Result<bool, StopError> {
        self.hosted.acting(Act::on("start-service", service), self.hosted.start_service(service)).await
    }
}
