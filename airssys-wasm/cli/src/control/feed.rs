//! The requests that have many lines as their answer: each line is `{"ok":...}`, and the one after the last is
//! `{"ok":null}`.
//!
//! A client may take its time: of what it has not taken, the host holds one line and its place in a ring that is
//! bounded and shared. What gave way in it meanwhile is told as lost.

use airssys_wasm::deploy::Deployment;
use airssys_wasm::events::{Heard, Kind, Subscription};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::SemaphorePermit;

use super::host::Host;
use super::protocol::Refusal;

/// A request that is answered line by line.
pub(super) struct Feed<'a> {
    of: Of<'a>,
    /// What it counts among those that are.
    _permit: SemaphorePermit<'a>,
}

enum Of<'a> {
    /// What happens, and whether also what is to come.
    Events { events: Subscription, follow: bool },
    /// How far a deployment is, until it is over.
    Deployment { host: &'a Host, deployment: Deployment },
}

impl<'a> Feed<'a> {
    /// What happens in a mesh.
    pub(super) fn of_events(
        host: &'a Host,
        service: Option<String>,
        kinds: &[String],
        follow: bool,
    ) -> Result<Self, Refusal> {
        let events = subscription(host, service, kinds)?;
        let busy = |_| Refusal::new("busy", "as many clients as may be are told what happens already");
        Ok(Self { of: Of::Events { events, follow }, _permit: host.feeds.try_acquire().map_err(busy)? })
    }

    /// How far a deployment is. Whoever deploys waits for the service, so this takes a permit of those who do.
    pub(super) fn of_deployment(host: &'a Host, service: &str, number: u64) -> Result<Self, Refusal> {
        let all = host.runtime.deployments(service);
        let is_meant = |known: &Deployment| host.runtime.deployment_status(known).number == number;
        let deployment = all.into_iter().find(is_meant).ok_or_else(|| {
            let told = format!("there is no deployment {number} of {service:?} among its last ones");
            let hint = format!("`airssys history {service}` tells how those before ended");
            Refusal::new("no-such-deployment", told).hint(hint)
        })?;
        Ok(Self { of: Of::Deployment { host, deployment }, _permit: host.wait()? })
    }

    /// The next line; none after the last one.
    pub(super) async fn next(&mut self) -> Option<Value> {
        match &mut self.of {
            Of::Events { events, follow: true } => events.next().await.map(told),
            Of::Events { events, follow: false } => events.try_next().map(told),
            Of::Deployment { host, deployment } => {
                deployment.next().await?;
                Some(value(&host.runtime.deployment_status(deployment)))
            }
        }
    }
}

fn subscription(host: &Host, service: Option<String>, kinds: &[String]) -> Result<Subscription, Refusal> {
    let kinds = kinds.iter().map(|kind| kind.parse()).collect::<Result<Vec<Kind>, _>>();
    let kinds = kinds.map_err(|error| Refusal::new("no-such-kind", error))?;
    let mut events = host.runtime.events();
    if let Some(service) = service {
        let of_it = events.of_service(&service);
        let mut ahead = of_it.clone();
        let mut kept = std::iter::from_fn(|| ahead.try_next());
        if !host.is_known(&service) && !kept.any(|heard| matches!(heard, Heard::Event(_))) {
            return Err(Refusal::no_service(&service));
        }
        events = of_it;
    }
    Ok(events.of_kinds(&kinds))
}

fn told(heard: Heard) -> Value {
    match heard {
        Heard::Event(event) => value(&*event),
        Heard::Lost(events) => json!({ "kind": "lost", "events": events }),
    }
}

/// What is written here has no map that JSON has not.
fn value(line: &impl Serialize) -> Value {
    serde_json::to_value(line).unwrap_or_default()
}
