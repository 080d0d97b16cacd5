//! How a deployment goes about it.

use std::time::Duration;

use super::bad_choice::BadChoice;
use super::error::DeployError;
use super::gate::Gate;
use super::recorded::RecordedGate;
use super::rollout;
use super::strategy::Strategy;
use crate::actor::MemoryHandover;
use crate::schema::{MILLISECOND, Range, nanoseconds};

/// How a deployment goes about it.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use airssys_wasm::deploy::{DeployOptions, MemoryHandover, Rolling, Strategy};
///
/// let mut options = DeployOptions::default();
/// options.probation = Duration::from_secs(60);
/// options.memory = MemoryHandover::Required;
/// options.strategy = Strategy::Canary { steps: vec![5.0, 50.0] };
///
/// options.strategy = Strategy::Rolling(Rolling::default());
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeployOptions {
    /// How long an actor has to come to the end of its turn and let the new release take over; default 30 s. Then the
    /// turn is cut off, as a crash ([`Crash::CutOff`](crate::error::Crash::CutOff)), and the new release has as long
    /// again to take the place. Where [`MemoryHandover::Required`] asks for memory that a turn that is cut off does not
    /// hand over, the old one stays.
    pub handover_deadline: Duration,
    /// How long a crash of the new release, or a health check that fails twice in a row, brings the old one back;
    /// default 10 s. Each actor is asked ten times meanwhile, at least every 5 s.
    pub probation: Duration,
    /// Whether the new release may have a version that is not newer than that of the live one, and a state schema that
    /// is older.
    pub allow_downgrade: bool,
    /// Whether the new release may have the very version of the live one and be another one all the same, as while
    /// developing.
    pub same_version: bool,
    /// Whether a release is refused that asks for more than is granted.
    pub strict: bool,
    /// In which order the actors get it; default: one straight after the other.
    pub strategy: Strategy,
    /// What the new release of a canary, of a shadow, or of a rolling deployment that compares, has to show. A set has
    /// none.
    pub gate: Gate,
    /// What becomes of the memory that the live release is to hand over; default: where it cannot, the new one begins
    /// without it, and the [`Status::notes`](super::Status::notes) say so.
    pub memory: MemoryHandover,
    /// Whether [`Runtime::rollback`](crate::Runtime::rollback) puts the state back to what it was before the live
    /// release brought it over, with the turns that were committed since discarded; default false. Nothing else can do
    /// that.
    pub restore_state: bool,
    /// That the new release is shown the turns that the recorder of the service has before anything is switched;
    /// default: it is not. Of one release for one service only.
    pub recorded: Option<RecordedGate>,
}

impl Default for DeployOptions {
    fn default() -> Self {
        Self {
            handover_deadline: Duration::from_secs(30),
            probation: Duration::from_secs(10),
            allow_downgrade: false,
            same_version: false,
            strict: false,
            strategy: Strategy::default(),
            gate: Gate::default(),
            memory: MemoryHandover::default(),
            restore_state: false,
            recorded: None,
        }
    }
}

impl DeployOptions {
    /// [`DeployOptions::check`] of what is no way back: it cannot restore a state.
    pub(crate) fn check_forward(&self) -> Result<(), DeployError> {
        if self.restore_state {
            return Err(DeployError::Choice(BadChoice::RestoreState));
        }
        if self.recorded.as_ref().is_some_and(|gate| gate.turns == Some(0)) {
            return Err(DeployError::Choice(BadChoice::NoTurns));
        }
        self.check()
    }

    /// [`DeployOptions::check_forward`] of what recorded turns cannot be shown to.
    pub(crate) fn check_several(&self) -> Result<(), DeployError> {
        match self.recorded {
            Some(_) => Err(DeployError::Choice(BadChoice::NotRecorded)),
            None => self.check_forward(),
        }
    }

    /// Refuses times that have passed before anything begins, or that no clock has, and a strategy or a gate that makes
    /// no sense.
    pub(crate) fn check(&self) -> Result<(), DeployError> {
        rollout::check(&self.strategy, &self.gate)?;
        let bake = match &self.strategy {
            Strategy::Rolling(rolling) => rolling.bake,
            _ => self.gate.bake,
        };
        let times = [
            (Range::time("handover_deadline", MILLISECOND), self.handover_deadline),
            (Range::time("probation", 0), self.probation),
            (Range::time("bake", 0), bake),
            (Range::time("patience", 0), self.gate.patience),
        ];
        let out = times.into_iter().find_map(|(range, time)| range.check(nanoseconds(time)));
        out.map_or(Ok(()), |out| Err(DeployError::Range { out }))
    }
}
