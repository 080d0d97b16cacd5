//! Other releases take over while the shop is open: one that nobody has tested goes back by itself, two stay.
//!
//! Meanwhile trucks send numbered notes to the inventory, so that it can be said of each whether it came, once, and in
//! order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use airssys_wasm::Runtime;
use airssys_wasm::deploy::{DeployOptions, Progress, Strategy};
use airssys_wasm::registry::Release;
use shop_model::{Quote, StockRequest};

use crate::shop::{Shop, ShopError};

/// How long a new release has to show that it is sound.
const PROBATION: Duration = Duration::from_millis(150);
/// A release that nobody has tested.
const UNTRIED: &str = "pricing-broken";
/// Trucks that come while releases are replaced, and how many notes each brings at a time.
const TRUCKS: usize = 4;
const NOTES: u64 = 200;

/// What became of one release that was to take over.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Renewal {
    /// The service.
    pub service: &'static str,
    /// The release.
    pub release: &'static str,
    /// Whether it is live.
    pub live: bool,
    /// Why it is not.
    pub why_not: Option<String>,
    /// How long no message was taken over the switch, at the longest, in microseconds.
    pub pause_us: f64,
    /// How many messages waited meanwhile.
    pub waited: usize,
}

impl Shop {
    /// Replaces pricing and inventory, one release after the other, while whatever else happens goes on; tells of each.
    ///
    /// # Errors
    ///
    /// A release is not there, or cannot be hosted.
    pub async fn renew(&self, mut tell: impl FnMut(&Renewal)) -> Result<Vec<Renewal>, ShopError> {
        let over = Arc::<AtomicBool>::default();
        let trucks: Vec<_> = (0..TRUCKS)
            .map(|truck| tokio::spawn(drive(Arc::clone(&self.runtime), format!("truck {truck}"), Arc::clone(&over))))
            .collect();
        let mut renewals = Vec::new();
        let mut failed = None;
        for (service, release) in [("pricing", UNTRIED), ("pricing", "pricing-next"), ("inventory", "inventory-next")] {
            match self.replace(service, release).await {
                Ok(renewal) => {
                    tell(&renewal);
                    renewals.push(renewal);
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        over.store(true, Ordering::Relaxed);
        let mut notes = 0;
        for truck in trucks {
            notes += truck.await.unwrap_or_default();
        }
        self.notes.fetch_add(notes, Ordering::Relaxed);
        failed.map_or(Ok(renewals), Err)
    }

    async fn replace(&self, service: &'static str, release: &'static str) -> Result<Renewal, ShopError> {
        let found = Release::find(&self.folder.join("guests").join(release))?;
        let mut options = DeployOptions::default();
        options.probation = PROBATION;
        if release == UNTRIED {
            // One of the two actors gets it first.
            options.strategy = Strategy::Canary { steps: vec![50.0] };
        }
        let deployment = self.runtime.deploy(service, found, options).await?;
        while release == UNTRIED && !deployment.progress().is_over() {
            // Somebody asks for a lot, and gets an answer whichever release has it.
            let _cents: u64 = self.ask("pricing", &Quote { sku: "apple".to_owned(), quantity: 12 }).await?;
        }
        let end = deployment.ended().await;
        let why_not = match &end {
            Progress::Live => None,
            Progress::RolledBack { reason } => Some(reason.to_string()),
            other => Some(format!("{other:?}")),
        };
        let status = self.runtime.deployment_status(&deployment);
        Ok(Renewal {
            service,
            release,
            live: end == Progress::Live,
            why_not,
            pause_us: status.pause_us,
            waited: status.waited,
        })
    }
}

/// Sends numbered notes until it is told to stop; how many.
async fn drive(runtime: Arc<Runtime>, truck: String, over: Arc<AtomicBool>) -> u64 {
    let mut sent = 0;
    while !over.load(Ordering::Relaxed) {
        for _ in 0..NOTES {
            let note = StockRequest::Deliver { truck: truck.clone(), note: sent + 1 };
            let Ok(note) = serde_json::to_vec(&note) else { return sent };
            // The mailbox of inventory makes who sends wait, and it never stops while the shop is open.
            if runtime.send("inventory", note).await.is_err() {
                return sent;
            }
            sent += 1;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    sent
}

impl std::fmt::Display for Renewal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { service, release, live, why_not, pause_us, waited } = self;
        write!(f, "{release} takes {service} over: {waited} messages waited {pause_us:.0} µs")?;
        match why_not {
            _ if *live => write!(f, "; it is live"),
            Some(why) => write!(f, "; the release before came back by itself: {}", why.lines().next().unwrap_or(why)),
            None => Ok(()),
        }
    }
}
