//! A supervisor as data: what it does when a child ends, and how often.
//!
//! It refuses what OTP refuses: a period of nothing, two children of one name, a significant child that cannot count.

use std::collections::HashSet;
use std::time::Duration;

use crate::child::{ChildId, ChildSpec, Restart};

/// Which siblings are concerned when one child has to be started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Only the child itself. The default.
    #[default]
    OneForOne,
    /// All: they are stopped in reverse, then started in order.
    OneForAll,
    /// The child and those started after it.
    RestForOne,
    /// Only the child itself; children come and go, are forgotten when they are gone, and are stopped at once together
    /// (OTP's simple-one-for-one).
    Dynamic,
}

impl Strategy {
    /// Whether a restart concerns siblings, so that only one thing can happen at a time.
    pub(crate) fn is_group(self) -> bool {
        matches!(self, Self::OneForAll | Self::RestForOne)
    }
}

/// Whether the end of significant children ends the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AutoShutdown {
    /// Never. The default.
    #[default]
    Never,
    /// When one significant child has ended by itself.
    Any,
    /// When the last significant child has ended by itself.
    All,
}

/// How long to wait before a child is started again: `initial`, then `factor` times as long for each failure in a row,
/// at most `max`.
///
/// Waiting holds up nobody else, and a stop ends it. Restarts that wait count towards the intensity like any other.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use airssys_rt_shim::supervisor::Backoff;
///
/// let backoff = Backoff { initial: Duration::from_millis(100), factor: 2.0, ..Backoff::default() };
/// assert_eq!(backoff.delay(0), Duration::from_millis(100));
/// assert_eq!(backoff.delay(3), Duration::from_millis(800));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The first wait. Default 100 ms.
    pub initial: Duration,
    /// How much longer each further wait is; at least 1. Default 2.
    pub factor: f64,
    /// The longest wait. Default 30 s.
    pub max: Duration,
    /// A child that ran for this long starts over with `initial`. Default 60 s.
    pub reset_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(100),
            factor: 2.0,
            max: Duration::from_secs(30),
            reset_after: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// How long to wait after so many failures in a row before this one.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let exponent = i32::try_from(failures).unwrap_or(i32::MAX);
        let seconds = self.initial.as_secs_f64() * self.factor.powi(exponent);
        Duration::try_from_secs_f64(seconds).map_or(self.max, |delay| delay.min(self.max))
    }
}

/// What happens when children end more often than the intensity bears.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Beyond {
    /// Restarts are counted together, and the supervisor gives up: it stops its children and ends. OTP's way, and the
    /// default.
    #[default]
    GiveUp,
    /// Restarts are counted for each child by itself, and one that ends too often is set aside alone: it is started
    /// again after a back-off, which grows each time until it has run for `reset_after`. Its siblings go on, and the
    /// supervisor never gives up over it. For children that concern only themselves, so not for a strategy with groups.
    SetAside(Backoff),
}

/// Everything a supervisor is.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use airssys_rt_shim::supervisor::{Strategy, SupervisorSpec};
///
/// // Gives up at the sixth restart within a minute; the default is the second within five seconds.
/// let spec = SupervisorSpec {
///     intensity: 5,
///     period: Duration::from_secs(60),
///     ..SupervisorSpec::new(Strategy::OneForAll)
/// };
/// assert!(spec.validate().is_ok());
/// ```
#[derive(Debug, Clone)]
pub struct SupervisorSpec {
    /// Who is concerned when a child is started again. Default one-for-one.
    pub strategy: Strategy,
    /// How many restarts within `period` are borne; `beyond` says what happens at one more. Default 1; 0 is legal.
    pub intensity: u32,
    /// The sliding window in which restarts are counted. Default 5 s.
    pub period: Duration,
    /// The wait before a restart. Default none.
    pub backoff: Option<Backoff>,
    /// What happens at one restart more. Default the supervisor gives up.
    pub beyond: Beyond,
    /// Whether significant children end it. Default never.
    pub auto_shutdown: AutoShutdown,
    /// The children it starts with, in this order.
    pub children: Vec<ChildSpec>,
}

impl Default for SupervisorSpec {
    fn default() -> Self {
        Self {
            strategy: Strategy::OneForOne,
            intensity: 1,
            period: Duration::from_secs(5),
            backoff: None,
            beyond: Beyond::GiveUp,
            auto_shutdown: AutoShutdown::Never,
            children: Vec::new(),
        }
    }
}

impl SupervisorSpec {
    /// A supervisor without children and with OTP's defaults.
    #[must_use]
    pub fn new(strategy: Strategy) -> Self {
        Self { strategy, ..Self::default() }
    }

    /// With one more child, to be started last.
    #[must_use]
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.children.push(child);
        self
    }

    /// Looks whether it can be a supervisor.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn validate(&self) -> Result<(), SpecError> {
        if self.period.is_zero() {
            return Err(SpecError::ZeroPeriod);
        }
        let set_aside = match self.beyond {
            Beyond::GiveUp => None,
            Beyond::SetAside(_) if self.strategy.is_group() => return Err(SpecError::GroupSetAside),
            Beyond::SetAside(backoff) => Some(backoff),
        };
        for backoff in self.backoff.into_iter().chain(set_aside) {
            let sound = backoff.factor.is_finite() && backoff.factor >= 1.0 && !backoff.initial.is_zero();
            if !sound || backoff.max < backoff.initial {
                return Err(SpecError::Backoff { backoff });
            }
        }
        let mut seen = HashSet::new();
        for child in &self.children {
            check_child(child, self.auto_shutdown)?;
            if !seen.insert(&child.id) {
                return Err(SpecError::DuplicateChild { child: child.id.clone() });
            }
        }
        Ok(())
    }
}

/// What holds for a child under a supervisor with this auto-shutdown.
pub(crate) fn check_child(child: &ChildSpec, auto_shutdown: AutoShutdown) -> Result<(), SpecError> {
    if child.significant && child.restart == Restart::Permanent {
        return Err(SpecError::SignificantPermanent { child: child.id.clone() });
    }
    if child.significant && auto_shutdown == AutoShutdown::Never {
        return Err(SpecError::SignificantNever { child: child.id.clone() });
    }
    Ok(())
}

/// What is wrong with a supervisor's or a child's spec.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// Restarts are counted within a time that is not there.
    #[error("the period of the restart intensity is zero")]
    ZeroPeriod,
    /// The back-off never waits, shrinks, or ends before it begins.
    #[error("the back-off {backoff:?} makes no sense")]
    Backoff {
        /// The back-off.
        backoff: Backoff,
    },
    /// A child cannot be set aside alone where its siblings are started again with it.
    #[error("a supervisor that starts its children again as a group cannot set one of them aside")]
    GroupSetAside,
    /// Two children have one name.
    #[error("there are two children named {child}")]
    DuplicateChild {
        /// The name.
        child: ChildId,
    },
    /// A significant child that is always started again can never count.
    #[error("child {child} is significant and permanent")]
    SignificantPermanent {
        /// The child.
        child: ChildId,
    },
    /// A significant child under a supervisor that does not look.
    #[error("child {child} is significant, but its supervisor never shuts down by itself")]
    SignificantNever {
        /// The child.
        child: ChildId,
    },
}

impl SpecError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::ZeroPeriod => "the default is five seconds",
            Self::Backoff { .. } => "initial above zero, factor at least 1, max at least initial",
            Self::GroupSetAside => "use one-for-one or dynamic",
            Self::DuplicateChild { .. } => "a child's id is unique among its siblings",
            Self::SignificantPermanent { .. } => "make it transient or temporary",
            Self::SignificantNever { .. } => "set auto-shutdown to any or all",
        }
    }
}
