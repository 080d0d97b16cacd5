//! By which rules the actors of a service come and go, where they do.

use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::child::{Restart, Shutdown};
use airssys_rt_shim::supervisor::{Backoff, Beyond, ChildError, Strategy, SupervisorSpec, SupervisorStart};
use tokio::sync::watch;

use crate::router::service::Service;
use crate::settings::{ASIDE, KeyedRules, Multiplicity, SpawnedRules};

/// How the actors of a service come and go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coming {
    pub(super) restart: Restart,
    pub(super) shutdown: Shutdown,
    /// How many places there may be.
    most: usize,
    /// How many may be awake at a time.
    pub(super) max_awake: usize,
    /// How long one is idle before it falls asleep; none where none does.
    pub(super) idle_timeout: Option<Duration>,
    intensity: u32,
    period: Duration,
    backoff: Backoff,
}

impl Coming {
    /// None where they are always there.
    pub(super) fn of(multiplicity: Multiplicity, restart: Restart, shutdown: Shutdown) -> Option<Self> {
        match multiplicity {
            Multiplicity::One | Multiplicity::Stateless { .. } | Multiplicity::Partitioned { .. } => None,
            Multiplicity::Keyed(KeyedRules { max_awake, idle_timeout, max_keys, intensity, period, backoff }) => {
                Some(Self {
                    // One that falls asleep has ended normally.
                    restart: Restart::Transient,
                    shutdown,
                    most: max_keys,
                    max_awake: max_awake.max(1),
                    idle_timeout: Some(idle_timeout),
                    intensity,
                    period,
                    backoff,
                })
            }
            Multiplicity::Spawned(SpawnedRules { max_children, intensity, period, backoff }) => Some(Self {
                restart,
                shutdown,
                most: max_children,
                max_awake: usize::MAX,
                idle_timeout: None,
                intensity,
                period,
                backoff,
            }),
        }
    }

    /// What their supervisor bears: of each of them so much, and it never gives up over one. What makes no sense is the
    /// default.
    pub(super) fn flags(&self) -> SupervisorSpec {
        let mut flags = SupervisorSpec::new(Strategy::Dynamic);
        flags.intensity = self.intensity;
        flags.period = if self.period.is_zero() { KeyedRules::default().period } else { self.period };
        flags.beyond = Beyond::SetAside(self.backoff);
        if flags.validate().is_err() {
            flags.beyond = Beyond::SetAside(ASIDE);
        }
        flags
    }
}

/// Gives the actors of a service other rules while they come and go.
pub(crate) struct Tuning {
    pub(super) told: watch::Sender<Coming>,
    pub(super) start: Arc<SupervisorStart>,
}

impl Tuning {
    /// Those who are awake beyond a smaller bound leave as soon as they are idle and others wait. Those who are there
    /// stop as they were to when they came.
    pub(crate) async fn take(
        &self,
        multiplicity: Multiplicity,
        restart: Restart,
        shutdown: Shutdown,
        service: &Service,
    ) -> Result<(), ChildError> {
        let Some(rules) = Coming::of(multiplicity, restart, shutdown) else { return Ok(()) };
        self.start.change(rules.flags()).await?;
        service.directory.bound(rules.most);
        self.told.send_replace(rules);
        Ok(())
    }
}
