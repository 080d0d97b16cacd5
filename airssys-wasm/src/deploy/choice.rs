//! The choice of a strategy and of a gate, as it is sent to a host. What it does not name has the default of the host.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bad_choice::BadChoice;
use super::gate::Gate;
use super::strategy::{Canary, Rolling, Shadow, Strategy};

/// In which order the actors of a service get a release, and what it has to show. Nothing of it is checked before
/// [`Choice::checked`].
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::{Choice, Strategy};
///
/// let choice: Choice = serde_json::from_str(r#"{"strategy":"canary","steps":[5,50],"samples":20}"#)?;
/// let (strategy, gate) = choice.checked()?;
/// assert_eq!((strategy.name(), gate.samples), ("canary", 20));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Choice {
    /// `in-place`, `rolling`, `blue-green`, `canary` or `shadow`.
    pub strategy: String,
    /// Rolling: a number of actors, or a share such as `25%`.
    pub batch: Option<String>,
    /// Rolling.
    pub max_unavailable: Option<usize>,
    /// Rolling.
    pub last_first: bool,
    /// Canary: in percent.
    pub steps: Vec<f64>,
    /// Rolling, canary, shadow.
    pub bake_ms: Option<u64>,
    /// Canary, shadow, rolling: each of this and the four after it makes a rolling deployment compare.
    pub samples: Option<u64>,
    /// How long a step waits for them.
    pub patience_ms: Option<u64>,
    /// `promote`, `hold` or `back`.
    pub no_traffic: Option<String>,
    /// In percent.
    pub errors: Option<f64>,
    /// How many times as long a turn may take.
    pub latency: Option<f64>,
    /// Shadow.
    pub tolerate: Option<Tolerate>,
}

/// Over how much a shadow may differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Tolerate {
    /// A share of the messages, such as `1%`.
    Share(String),
    /// So many messages, as clients said it before; only 0 is taken.
    Count(u64),
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            strategy: Strategy::default().name().to_owned(),
            batch: None,
            max_unavailable: None,
            last_first: false,
            steps: Vec::new(),
            bake_ms: None,
            samples: None,
            patience_ms: None,
            no_traffic: None,
            errors: None,
            latency: None,
            tolerate: None,
        }
    }
}

impl Choice {
    /// What it stands for.
    ///
    /// # Errors
    ///
    /// Something of it makes no sense.
    pub fn checked(&self) -> Result<(Strategy, Gate), BadChoice> {
        let defaults = Gate::default();
        let gate = Gate {
            bake: self.bake_ms.map_or(defaults.bake, Duration::from_millis),
            samples: self.samples.unwrap_or(defaults.samples),
            patience: self.patience_ms.map_or(defaults.patience, Duration::from_millis),
            no_traffic: self.no_traffic.as_deref().map_or(Ok(defaults.no_traffic), str::parse)?,
            errors: match self.errors {
                Some(percent) if !(0.0..=100.0).contains(&percent) => return Err(BadChoice::Errors),
                errors => errors.map_or(defaults.errors, |percent| percent / 100.0),
            },
            latency: match self.latency {
                Some(factor) if !(factor > 0.0 && factor.is_finite()) => return Err(BadChoice::Latency),
                latency => latency.unwrap_or(defaults.latency),
            },
        };
        // All of it is looked at, whichever strategy it is said of.
        let (rolling, canary, shadow) = (self.rolling()?, self.canary()?, self.shadow()?);
        let strategy = match self.strategy.as_str() {
            "in-place" => Strategy::InPlace,
            "rolling" => Strategy::Rolling(rolling),
            "blue-green" => Strategy::BlueGreen,
            "canary" => Strategy::Canary(canary),
            "shadow" => Strategy::Shadow(shadow),
            _ => return Err(BadChoice::Strategy),
        };
        Ok((strategy, gate))
    }

    fn rolling(&self) -> Result<Rolling, BadChoice> {
        let default = Rolling::default();
        Ok(Rolling {
            batch: self.batch.as_deref().map_or(Ok(default.batch), str::parse)?,
            max_unavailable: self.max_unavailable.unwrap_or(default.max_unavailable),
            last_first: self.last_first,
            bake: self.bake_ms.map_or(default.bake, Duration::from_millis),
            compare: self.samples.is_some()
                || self.patience_ms.is_some()
                || self.no_traffic.is_some()
                || self.errors.is_some()
                || self.latency.is_some(),
        })
    }

    fn canary(&self) -> Result<Canary, BadChoice> {
        if self.steps.iter().any(|share| !(*share > 0.0 && *share <= 100.0)) || !self.steps.is_sorted() {
            return Err(BadChoice::Steps);
        }
        Ok(if self.steps.is_empty() { Canary::default() } else { Canary { steps: self.steps.clone() } })
    }

    fn shadow(&self) -> Result<Shadow, BadChoice> {
        Ok(match &self.tolerate {
            Some(Tolerate::Share(share)) => Shadow::tolerating(share)?,
            Some(Tolerate::Count(messages)) => Shadow::tolerating(&messages.to_string())?,
            None => Shadow::default(),
        })
    }
}
