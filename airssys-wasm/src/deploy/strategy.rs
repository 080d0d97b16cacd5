//! In which order the actors of a service get the new release, and for which services an order can be kept. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bad_choice::BadChoice;
use super::json::{milliseconds, percent};
use crate::settings::{ALL, Multiplicity};

/// How the new release comes to the actors of a service. As JSON it is an object: its name as `strategy`, and its
/// options.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::{DeployOptions, Strategy};
///
/// let mut options = DeployOptions::default();
/// assert_eq!(options.strategy, Strategy::InPlace);
/// options.strategy = Strategy::Canary { steps: vec![5.0, 50.0] };
/// assert_eq!(serde_json::to_string(&options.strategy)?, r#"{"strategy":"canary","steps":[5.0,50.0]}"#);
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "strategy", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Strategy {
    /// One actor straight after the other.
    #[default]
    InPlace,
    /// Some actors at a time, with a look at their health before the next ones.
    Rolling(Rolling),
    /// All at once, when the new ones are all there and well. The old ones stay until the probation is over.
    BlueGreen,
    /// Shares of the keys, step by step, each one compared with the rest, which the old release serves.
    Canary {
        /// The shares, in percent; default 1, 10, 50, 100. They grow; what is missing to 100 is added. Of a pool, a
        /// share is its actors, at least one.
        #[serde(default = "usual_steps")]
        steps: Vec<f64>,
    },
    /// In place, after it was shown what the old release does: on copies of the messages and of the state, with effects
    /// that are compared and thrown away.
    Shadow {
        /// Over which share of the messages the two releases may differ, from 0 to 1; default 0, with which the first
        /// difference is the end of it. With more, one difference alone decides nothing: where it is more than that
        /// share, it waits for more messages, and [`super::Gate::samples`] are compared at least. In JSON it is written
        /// `1%`.
        #[serde(default, with = "share")]
        tolerate: f64,
    },
}

fn usual_steps() -> Vec<f64> {
    vec![1.0, 10.0, 50.0, 100.0]
}

/// The strategy of this name, with its usual options.
impl std::str::FromStr for Strategy {
    type Err = BadChoice;

    fn from_str(name: &str) -> Result<Self, BadChoice> {
        match name {
            "in-place" => Ok(Self::InPlace),
            "rolling" => Ok(Self::Rolling(Rolling::default())),
            "blue-green" => Ok(Self::BlueGreen),
            "canary" => Ok(Self::Canary { steps: usual_steps() }),
            "shadow" => Ok(Self::Shadow { tolerate: 0.0 }),
            other => Err(BadChoice::Strategy(other.to_owned())),
        }
    }
}

/// What a shadow tolerates: `1%`, or `0`. A number of messages is no share.
fn tolerated(text: &str) -> Result<f64, BadChoice> {
    let percent = match text.trim() {
        "0" => Some(0.0),
        text => text.strip_suffix('%').and_then(|share| share.trim().parse().ok()),
    };
    let share = percent.filter(|percent: &f64| (0.0..=100.0).contains(percent)).map(|percent| percent / 100.0);
    share.ok_or_else(|| BadChoice::Tolerate(text.to_owned()))
}

/// A deployment of some actors at a time.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::{Portion, Rolling, Strategy};
///
/// let mut rolling = Rolling::default();
/// rolling.batch = Portion::Percent(25.0);
/// rolling.compare = true;
/// let strategy = Strategy::Rolling(rolling);
/// assert_eq!(serde_json::to_value(&strategy)?["batch"], "25%");
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Rolling {
    /// How many at a time; default 1 actor.
    pub batch: Portion,
    /// How many of them may be without a release at the same moment; default 1.
    pub max_unavailable: usize,
    /// Whether it begins with the last actor of the pool; default false.
    pub last_first: bool,
    /// How long each batch is watched; default 5 s. In milliseconds in JSON.
    #[serde(rename = "bake_ms", with = "milliseconds")]
    pub bake: Duration,
    /// Whether each batch is compared with the rest, which the old release serves, before the next one; default false.
    pub compare: bool,
}

impl Default for Rolling {
    fn default() -> Self {
        Self {
            batch: Portion::Actors(1),
            max_unavailable: 1,
            last_first: false,
            bake: Duration::from_secs(5),
            compare: false,
        }
    }
}

/// A part of the actors of a service.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::Portion;
///
/// assert_eq!("2".parse(), Ok(Portion::Actors(2)));
/// assert_eq!("25%".parse(), Ok(Portion::Percent(25.0)));
/// assert!("0".parse::<Portion>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Portion {
    /// So many.
    Actors(usize),
    /// So many of a hundred.
    Percent(f64),
}

impl std::str::FromStr for Portion {
    type Err = BadChoice;

    fn from_str(text: &str) -> Result<Self, BadChoice> {
        let found = match text.trim().strip_suffix('%') {
            Some(share) => share.trim().parse().ok().filter(|share| *share > 0.0 && *share <= 100.0).map(Self::Percent),
            None => text.trim().parse().ok().filter(|actors| *actors > 0).map(Self::Actors),
        };
        found.ok_or_else(|| BadChoice::Batch(text.to_owned()))
    }
}

impl TryFrom<String> for Portion {
    type Error = BadChoice;

    fn try_from(text: String) -> Result<Self, BadChoice> {
        text.parse()
    }
}

impl From<Portion> for String {
    fn from(portion: Portion) -> Self {
        match portion {
            Portion::Actors(actors) => actors.to_string(),
            Portion::Percent(percent) => format!("{percent}%"),
        }
    }
}

/// What a shadow tolerates, as it is written.
mod share {
    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Clients once said a number of messages; of those only 0 is a share.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Share(String),
        Messages(u64),
    }

    pub(super) fn serialize<S: Serializer>(share: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{}%", super::percent::of(*share)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        let text = match Said::deserialize(from)? {
            Said::Share(text) => text,
            Said::Messages(messages) => messages.to_string(),
        };
        super::tolerated(&text).map_err(de::Error::custom)
    }
}

/// Why a strategy cannot keep its promise for a service, and which one can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) why: &'static str,
    pub(crate) instead: &'static str,
}

impl Strategy {
    /// The word for it.
    #[doc(hidden)]
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::InPlace => "in-place",
            Self::Rolling(_) => "rolling",
            Self::BlueGreen => "blue-green",
            Self::Canary { .. } => "canary",
            Self::Shadow { .. } => "shadow",
        }
    }

    /// Whether the two releases may be compiled by two compilers: where it does not matter how long their turns take.
    pub(crate) fn compares_nothing(&self) -> bool {
        !matches!(self, Self::Canary { .. } | Self::Shadow { .. } | Self::Rolling(Rolling { compare: true, .. }))
    }

    /// Whether it can be done to a service like this; `migrates`, where the release keeps its state in another schema,
    /// and `no_shadow`, why what one does cannot be shown to the other.
    pub(crate) fn fits(
        &self,
        multiplicity: Multiplicity,
        migrates: bool,
        no_shadow: Option<&'static str>,
    ) -> Result<(), Unfit> {
        let refused = |why, instead| Err(Unfit { why, instead });
        if let (Self::Shadow { .. }, Some(why), false) = (self, no_shadow, migrates) {
            return refused(why, "canary, or in-place");
        }
        match (self, multiplicity) {
            (Self::Rolling(_), Multiplicity::One) => {
                refused("one actor serves it, which is not to be parted into batches", "in-place")
            }
            (Self::Canary { .. }, Multiplicity::One) => {
                refused("one actor serves it, and two releases cannot share one state", "in-place")
            }
            (Self::Shadow { .. }, _) if migrates => {
                refused("the live release's state is in another schema", "in-place")
            }
            (
                Self::Canary { .. },
                Multiplicity::Partitioned { .. } | Multiplicity::Keyed(_) | Multiplicity::Spawned(_),
            ) if migrates => refused("the state would be in two schemas at once", "rolling"),
            (
                Self::Rolling(Rolling { batch: Portion::Actors(_), .. }),
                Multiplicity::Keyed(_) | Multiplicity::Spawned(_),
            ) => refused(
                "its actors come and go, and cannot be counted into batches",
                "rolling with a share such as 25%",
            ),
            _ => Ok(()),
        }
    }

    /// How many of so many actors have the release after each batch. For a keyed service the actors are
    /// [`Strategy::shares`] of the keys.
    pub(crate) fn batches(&self, actors: usize) -> Vec<usize> {
        let mut batches: Vec<usize> = match self {
            // Between two of them a crash is heard of.
            Self::InPlace | Self::Shadow { .. } => (1..=actors).collect(),
            Self::BlueGreen => vec![actors],
            Self::Rolling(Rolling { batch: Portion::Actors(batch), .. }) => {
                (1..=actors).filter(|have| have % (*batch).max(1) == 0).collect()
            }
            Self::Rolling(_) | Self::Canary { .. } => {
                self.shares().into_iter().map(|share| of(actors, share)).collect()
            }
        };
        batches.push(actors);
        batches.retain(|batch| *batch > 0);
        batches.dedup();
        batches
    }

    /// The share of the keys that have the release after each batch, in ten-thousandths; the last is all.
    pub(crate) fn shares(&self) -> Vec<u32> {
        let mut shares: Vec<u32> = match self {
            Self::InPlace
            | Self::BlueGreen
            | Self::Shadow { .. }
            | Self::Rolling(Rolling { batch: Portion::Actors(_), .. }) => Vec::new(),
            Self::Rolling(Rolling { batch: Portion::Percent(share), .. }) => {
                let each = ten_thousandths(*share).max(1);
                (1..).map(|batch| each * batch).take_while(|share| *share < ALL).collect()
            }
            Self::Canary { steps } => steps.iter().map(|share| ten_thousandths(*share)).collect(),
        };
        shares.push(ALL);
        let mut most = 0;
        shares.retain(|share| {
            *share > most && *share <= ALL && {
                most = *share;
                true
            }
        });
        shares
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn ten_thousandths(percent: f64) -> u32 {
    (percent.clamp(0.0, 100.0) * 100.0).ceil() as u32
}

/// A share of the actors, at least one.
fn of(actors: usize, share: u32) -> usize {
    (actors * share as usize).div_ceil(ALL as usize).min(actors)
}

#[cfg(test)]
mod tests {
    use super::{BadChoice, Portion, Rolling, Strategy, tolerated};
    use crate::settings::{KeyedRules, Multiplicity};

    fn rolling(batch: &str) -> Strategy {
        Strategy::Rolling(Rolling { batch: batch.parse().unwrap_or(Portion::Actors(1)), ..Rolling::default() })
    }

    fn canary(steps: &[f64]) -> Strategy {
        Strategy::Canary { steps: steps.to_vec() }
    }

    #[test]
    fn batches_grow_to_all() {
        let cases: [(Strategy, usize, &[usize]); 12] = [
            (Strategy::InPlace, 3, &[1, 2, 3]),
            (Strategy::BlueGreen, 3, &[3]),
            (rolling("1"), 3, &[1, 2, 3]),
            (rolling("2"), 5, &[2, 4, 5]),
            (rolling("9"), 4, &[4]),
            (rolling("25%"), 8, &[2, 4, 6, 8]),
            (rolling("30%"), 4, &[2, 3, 4]),
            (canary(&[1.0, 10.0, 50.0, 100.0]), 4, &[1, 2, 4]),
            (canary(&[1.0, 10.0, 50.0]), 100, &[1, 10, 50, 100]),
            (canary(&[50.0, 10.0, -1.0, 700.0]), 10, &[5, 10]),
            (canary(&[]), 10, &[10]),
            (Strategy::InPlace, 0, &[]),
        ];
        for (strategy, actors, expected) in cases {
            assert_eq!(strategy.batches(actors), expected, "{strategy:?} of {actors}");
        }
        assert_eq!(canary(&[0.5, 100.0]).shares(), [50, 10_000]);
        assert_eq!(rolling("40%").shares(), [4_000, 8_000, 10_000]);
        assert_eq!(Strategy::InPlace.shares(), [10_000]);
    }

    #[test]
    fn what_cannot_be_kept_is_refused_with_what_can() {
        let pool = Multiplicity::Partitioned { instances: 4 };
        let keyed = Multiplicity::Keyed(KeyedRules::default());
        let cases = [
            (Strategy::InPlace, Multiplicity::One, true, None),
            (Strategy::BlueGreen, Multiplicity::One, true, None),
            (rolling("1"), Multiplicity::One, false, Some("in-place")),
            (rolling("1"), pool, true, None),
            (rolling("2"), keyed, false, Some("rolling with a share such as 25%")),
            (rolling("25%"), keyed, false, None),
            (canary(&[1.0]), Multiplicity::One, false, Some("in-place")),
            (canary(&[1.0]), pool, false, None),
            (canary(&[1.0]), pool, true, Some("rolling")),
            (canary(&[1.0]), Multiplicity::Stateless { instances: 2 }, true, None),
        ];
        for (strategy, multiplicity, migrates, instead) in cases {
            let said = strategy.fits(multiplicity, migrates, Some("files")).err().map(|unfit| unfit.instead);
            assert_eq!(said, instead, "{strategy:?} of {multiplicity:?}, migrates: {migrates}");
        }
        let shadow = Strategy::Shadow { tolerate: 0.0 };
        assert_eq!(shadow.fits(Multiplicity::One, false, None), Ok(()));
        assert_eq!(shadow.fits(Multiplicity::One, true, None).err().map(|unfit| unfit.instead), Some("in-place"));
        assert_eq!(
            shadow.fits(keyed, false, Some("files")).err().map(|unfit| unfit.instead),
            Some("canary, or in-place")
        );
    }

    #[test]
    fn each_strategy_has_the_name_that_it_is_found_by() {
        for name in ["in-place", "rolling", "blue-green", "canary", "shadow"] {
            assert_eq!(name.parse::<Strategy>().map(|found| found.name()), Ok(name));
        }
        assert_eq!("sideways".parse::<Strategy>(), Err(BadChoice::Strategy("sideways".to_owned())));
    }

    #[test]
    fn a_portion_is_read_or_refused() {
        assert_eq!("2".parse(), Ok(Portion::Actors(2)));
        assert_eq!(" 12.5 %".parse(), Ok(Portion::Percent(12.5)));
        for wrong in ["", "0", "-1", "0%", "101%", "x%", "NaN%", "2.5"] {
            assert!(wrong.parse::<Portion>().is_err(), "{wrong}");
        }
        for (text, share) in [("0", 0.0), ("0%", 0.0), (" 50 %", 0.5), ("100%", 1.0)] {
            assert_eq!(tolerated(text), Ok(share), "{text}");
        }
        for wrong in ["", "1", "-1%", "101%", "x%", "NaN%", "inf%", "%"] {
            assert!(tolerated(wrong).is_err(), "{wrong}");
        }
    }
}
