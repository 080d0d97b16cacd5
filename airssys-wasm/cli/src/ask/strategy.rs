//! How `airssys deploy` is told in which order the actors get the release, and what it has to show.

use std::time::Duration;

use airssys_wasm::command::{BadChoice, Rollout};
use airssys_wasm::deploy;
use airssys_wasm::deploy::{Gate, NoTraffic, Portion};

use crate::control::protocol::Refusal;
use crate::run;

/// In which order the actors of a service get the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Name {
    /// One straight after the other.
    InPlace,
    /// A batch at a time, with a look at its health before the next one.
    Rolling,
    /// All at once, when all the new ones are ready; the old ones stay until the probation is over.
    BlueGreen,
    /// A share of the keys, or of a pool's actors, at a time, compared with the rest.
    Canary,
    /// In place, after it was shown what the live release does, with effects that are compared and thrown away.
    Shadow,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Strategy")]
pub(super) struct Strategy {
    /// In which order the actors get the release.
    #[arg(long, value_name = "NAME", value_enum, default_value = "in-place")]
    strategy: Name,
    /// Rolling: how many actors at a time, or which share of them or of the keys [default: 1].
    #[arg(long, value_name = "N|PERCENT%", value_parser = portion)]
    batch: Option<Portion>,
    /// Rolling: how many of a batch may be between two releases at the same moment [default: 1].
    #[arg(long, value_name = "N")]
    max_unavailable: Option<usize>,
    /// Rolling: begins with the last actor of a pool.
    #[arg(long)]
    last_first: bool,
    /// Canary: the shares, in percent; 100 is added [default: 1,10,50,100].
    #[arg(long, value_name = "PERCENT,...", value_parser = number, value_delimiter = ',')]
    steps: Vec<f64>,
    /// Rolling, canary, shadow: how long each step is looked at, at least [default: 10s; rolling: 5s].
    #[arg(long, value_name = "TIME", value_parser = run::timeout)]
    bake: Option<Duration>,
    /// Canary, shadow: how many turns of each release each step has to see [default: 100]. With this or one of the next
    /// four, a rolling deployment compares each batch with the rest as well.
    #[arg(long, value_name = "N")]
    samples: Option<u64>,
    /// Canary, shadow, rolling: how long a step waits for them [default: 10m].
    #[arg(long, value_name = "TIME", value_parser = run::timeout)]
    patience: Option<Duration>,
    /// Canary, shadow, rolling: what becomes of a step that has waited for so long: `promote` goes on with the next
    /// one, `hold` waits until there was enough traffic or until `airssys rollback`, `back` brings the old release back
    /// [default: hold].
    #[arg(long, value_name = "promote|hold|back", value_parser = no_traffic)]
    no_traffic: Option<NoTraffic>,
    /// Canary, shadow, rolling: by how many percent of the turns more may fail than with the old release [default: 1].
    #[arg(long, value_name = "PERCENT", value_parser = number)]
    errors: Option<f64>,
    /// Canary, shadow, rolling: how many times as long as with the old release a turn may take, at the 95th percentile
    /// [default: 1.5]. Looked at over 20 turns at least.
    #[arg(long, value_name = "FACTOR", value_parser = number)]
    latency: Option<f64>,
    /// Shadow: over how many percent of the messages the two releases may differ, such as 1% [default: 0%: one
    /// difference is enough].
    #[arg(long, value_name = "PERCENT%", value_parser = share)]
    tolerate: Option<f64>,
}

fn portion(text: &str) -> Result<Portion, String> {
    text.parse().map_err(|error: BadChoice| error.to_string())
}

fn share(text: &str) -> Result<f64, String> {
    let shadow = serde_json::json!({ "strategy": "shadow", "tolerate": text });
    match serde_json::from_value(shadow) {
        Ok(deploy::Strategy::Shadow { tolerate }) => Ok(tolerate),
        Ok(_) => Ok(0.0),
        Err(error) => Err(error.to_string()),
    }
}

/// A number that JSON has a word for.
fn number(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| "a number was expected".to_owned())
}

fn no_traffic(text: &str) -> Result<NoTraffic, String> {
    text.parse().map_err(|error: BadChoice| error.to_string())
}

impl Strategy {
    /// As it goes to the host; refused where something is said of another strategy.
    pub(super) fn way(&self) -> Result<Rollout, Refusal> {
        use Name::{Canary, Rolling, Shadow};
        const COMPARING: &[Name] = &[Rolling, Canary, Shadow];
        let said: [(&str, bool, &[Name]); 11] = [
            ("--batch", self.batch.is_some(), &[Rolling]),
            ("--max-unavailable", self.max_unavailable.is_some(), &[Rolling]),
            ("--last-first", self.last_first, &[Rolling]),
            ("--steps", !self.steps.is_empty(), &[Canary]),
            ("--bake", self.bake.is_some(), &[Rolling, Canary, Shadow]),
            ("--samples", self.samples.is_some(), COMPARING),
            ("--patience", self.patience.is_some(), COMPARING),
            ("--no-traffic", self.no_traffic.is_some(), COMPARING),
            ("--errors", self.errors.is_some(), COMPARING),
            ("--latency", self.latency.is_some(), COMPARING),
            ("--tolerate", self.tolerate.is_some(), &[Shadow]),
        ];
        let way = Rollout { strategy: self.chosen(), gate: self.gate() };
        if let Some((option, ..)) = said.iter().find(|(_, said, of)| *said && !of.contains(&self.strategy)) {
            let told = format!("{option} says nothing to --strategy {}", way.strategy.name());
            return Err(Refusal::new("bad-strategy", told).hint("`airssys deploy --help` lists what does"));
        }
        if self.latency.is_some()
            && let Some(samples @ ..20) = self.samples
        {
            let told = format!("--latency is looked at over 20 turns at least, and --samples is {samples}");
            return Err(Refusal::new("bad-strategy", told).hint("--samples 20, or without --latency"));
        }
        Ok(way)
    }

    fn chosen(&self) -> deploy::Strategy {
        match self.strategy {
            Name::InPlace => deploy::Strategy::InPlace,
            Name::BlueGreen => deploy::Strategy::BlueGreen,
            Name::Shadow => deploy::Strategy::Shadow { tolerate: self.tolerate.unwrap_or_default() },
            Name::Canary if self.steps.is_empty() => "canary".parse().unwrap_or_default(),
            Name::Canary => deploy::Strategy::Canary { steps: self.steps.clone() },
            Name::Rolling => {
                let mut rolling = deploy::Rolling::default();
                rolling.batch = self.batch.unwrap_or(rolling.batch);
                rolling.max_unavailable = self.max_unavailable.unwrap_or(rolling.max_unavailable);
                rolling.last_first = self.last_first;
                rolling.bake = self.bake.unwrap_or(rolling.bake);
                rolling.compare = self.samples.is_some()
                    || self.patience.is_some()
                    || self.no_traffic.is_some()
                    || self.errors.is_some()
                    || self.latency.is_some();
                deploy::Strategy::Rolling(rolling)
            }
        }
    }

    fn gate(&self) -> Gate {
        let mut gate = Gate::default();
        gate.bake = self.bake.unwrap_or(gate.bake);
        gate.samples = self.samples.unwrap_or(gate.samples);
        gate.patience = self.patience.unwrap_or(gate.patience);
        gate.no_traffic = self.no_traffic.unwrap_or(gate.no_traffic);
        gate.errors = self.errors.map_or(gate.errors, |percent| percent / 100.0);
        gate.latency = self.latency.unwrap_or(gate.latency);
        gate
    }
}
