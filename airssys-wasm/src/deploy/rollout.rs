//! A strategy and its gate, as one object of JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::{Map, Value};

use super::bad_choice::BadChoice;
use super::gate::Gate;
use super::strategy::Strategy;
use crate::unique;

/// How a release comes to the actors of a service, and what it has to show: as JSON one object, `strategy` and the
/// names of the options. What is left out has its default, and what is not known is refused.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Rollout;
///
/// let rollout: Rollout = serde_json::from_str(r#"{"strategy":"canary","steps":[5,50],"samples":20}"#)?;
/// assert_eq!((rollout.strategy.name(), rollout.gate.samples), ("canary", 20));
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rollout {
    /// In which order the actors get it.
    pub strategy: Strategy,
    /// What it has to show.
    pub gate: Gate,
}

/// The key that a rolling deployment has of its own, and the others in their gate.
const BAKE: &str = "bake_ms";

fn object(of: &impl Serialize) -> serde_json::Result<Map<String, Value>> {
    serde_json::to_value(of).and_then(serde_json::from_value)
}

impl Serialize for Rollout {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut all = Map::new();
        if !self.strategy.compares_nothing() {
            all.extend(object(&self.gate).map_err(ser::Error::custom)?);
        }
        all.extend(object(&self.strategy).map_err(ser::Error::custom)?);
        all.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Rollout {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut said: BTreeMap<String, Value> = unique::map(from)?;
        let name = said.entry("strategy".to_owned()).or_insert_with(|| Strategy::default().name().into());
        let is_rolling = *name == "rolling";
        let keys = object(&Gate::default()).map_err(de::Error::custom)?;
        let of_gate = |key: &str| keys.contains_key(key) && !(is_rolling && key == BAKE);
        let (gate, options): (Map<_, _>, Map<_, _>) = said.into_iter().partition(|(key, _)| of_gate(key));
        let option = options.keys().find(|key| *key != "strategy").cloned();
        let mut strategy: Strategy = serde_json::from_value(Value::Object(options)).map_err(de::Error::custom)?;
        if let Strategy::Rolling(rolling) = &mut strategy {
            rolling.compare |= !gate.is_empty();
        }
        if let (Strategy::InPlace | Strategy::BlueGreen, Some(option)) = (&strategy, option) {
            let told = format!("`{option}` says nothing to the strategy {}", strategy.name());
            return Err(de::Error::custom(told));
        }
        let gate = serde_json::from_value(Value::Object(gate)).map_err(de::Error::custom)?;
        Ok(Self { strategy, gate })
    }
}

/// Whether both make sense.
pub(super) fn check(strategy: &Strategy, gate: &Gate) -> Result<(), BadChoice> {
    if let Strategy::Canary { steps } = strategy {
        let shares = steps.iter().all(|share| *share > 0.0 && *share <= 100.0);
        if !(shares && steps.is_sorted()) {
            return Err(BadChoice::Steps);
        }
    }
    if !(0.0..=1.0).contains(&gate.errors) {
        return Err(BadChoice::Errors);
    }
    // Infinity is one: the time is not looked at then.
    if gate.latency > 0.0 { Ok(()) } else { Err(BadChoice::Latency) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::time::Duration;

    use super::{BadChoice, Gate, Rollout, Strategy, check};
    use crate::deploy::{NoTraffic, Portion, Rolling};

    #[test]
    fn a_rollout_is_read_as_it_is_written() {
        let gate = Gate {
            bake: Duration::from_millis(7),
            samples: 3,
            patience: Duration::from_secs(9),
            no_traffic: NoTraffic::Back,
            errors: 0.07,
            latency: 2.5,
        };
        let rolling = Rolling { batch: Portion::Percent(12.5), bake: Duration::from_secs(1), ..Rolling::default() };
        let compares = Rolling { compare: true, ..rolling.clone() };
        for rollout in [
            Rollout::default(),
            Rollout { strategy: Strategy::BlueGreen, gate: Gate::default() },
            Rollout { strategy: Strategy::Rolling(rolling), gate: Gate::default() },
            Rollout { strategy: Strategy::Rolling(compares), gate: Gate { bake: Gate::default().bake, ..gate } },
            Rollout { strategy: Strategy::Canary { steps: vec![1.0, 50.0] }, gate },
            Rollout { strategy: Strategy::Shadow { tolerate: 0.07 }, gate },
        ] {
            let written = serde_json::to_string(&rollout).unwrap();
            assert_eq!(serde_json::from_str::<Rollout>(&written).unwrap(), rollout, "{written}");
        }
    }

    #[test]
    fn what_is_not_known_of_a_rollout_or_said_twice_is_refused() {
        for wrong in [
            r#"{"strategy":"sideways"}"#,
            r#"{"strategy":"canary","batch":"2"}"#,
            r#"{"strategy":"canary","more":1}"#,
            r#"{"steps":[1]}"#,
            r#"{"strategy":"rolling","batch":"0"}"#,
            r#"{"strategy":"shadow","tolerate":3}"#,
            r#"{"strategy":"canary","no_traffic":"wait"}"#,
            r#"{"strategy":"canary","samples":1,"samples":1}"#,
        ] {
            assert!(serde_json::from_str::<Rollout>(wrong).is_err(), "{wrong}");
        }
        let rolling: Rollout = serde_json::from_str(r#"{"strategy":"rolling","errors":1,"bake_ms":5}"#).unwrap();
        let Strategy::Rolling(Rolling { compare: true, bake, .. }) = rolling.strategy else { panic!("{rolling:?}") };
        assert_eq!((bake, rolling.gate.errors), (Duration::from_millis(5), 0.01));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let canary = |steps: &[f64]| Strategy::Canary { steps: steps.to_vec() };
        let well = Gate::default();
        for (strategy, gate, expected) in [
            (Strategy::InPlace, well, Ok(())),
            (canary(&[1.0, 50.0]), well, Ok(())),
            (canary(&[50.0, 10.0]), well, Err(BadChoice::Steps)),
            (canary(&[0.0]), well, Err(BadChoice::Steps)),
            (canary(&[f64::NAN]), well, Err(BadChoice::Steps)),
            (Strategy::InPlace, Gate { errors: 1.5, ..well }, Err(BadChoice::Errors)),
            (Strategy::InPlace, Gate { errors: f64::NAN, ..well }, Err(BadChoice::Errors)),
            (Strategy::InPlace, Gate { latency: f64::INFINITY, ..well }, Ok(())),
            (Strategy::InPlace, Gate { latency: 0.0, ..well }, Err(BadChoice::Latency)),
            (Strategy::InPlace, Gate { latency: f64::NAN, ..well }, Err(BadChoice::Latency)),
        ] {
            assert_eq!(check(&strategy, &gate), expected, "{strategy:?} {gate:?}");
        }
    }
}
