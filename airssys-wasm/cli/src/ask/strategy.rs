//! How `airssys deploy` is told in which order the actors get the release, and what it has to show.

use std::time::Duration;

use airssys_wasm::deploy::Portion;

use crate::control::protocol::{Refusal, Way};
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
    batch: Option<String>,
    /// Rolling: how many of a batch may be between two releases at the same moment [default: 1].
    #[arg(long, value_name = "N")]
    max_unavailable: Option<usize>,
    /// Rolling: begins with the last actor of a pool.
    #[arg(long)]
    last_first: bool,
    /// Canary: the shares, in percent; 100 is added [default: 1,10,50,100].
    #[arg(long, value_name = "PERCENT,...", value_delimiter = ',')]
    steps: Vec<f64>,
    /// Rolling, canary, shadow: how long each step is looked at, at least [default: 10s; rolling: 5s].
    #[arg(long, value_name = "TIME", value_parser = run::timeout)]
    bake: Option<Duration>,
    /// Canary, shadow: how many turns of each release a step has to see [default: 100].
    #[arg(long, value_name = "N")]
    samples: Option<u64>,
    /// Canary, shadow: how long a step waits for them before the old release comes back [default: 10m].
    #[arg(long, value_name = "TIME", value_parser = run::timeout)]
    patience: Option<Duration>,
    /// Canary, shadow: by how many percent of the turns more may fail than with the old release [default: 1].
    #[arg(long, value_name = "PERCENT")]
    errors: Option<f64>,
    /// Canary, shadow: how many times as long as with the old release a turn may take, at the 95th percentile [default: 1.5].
    #[arg(long, value_name = "FACTOR")]
    latency: Option<f64>,
    /// Shadow: over how many messages the two releases may differ [default: 0].
    #[arg(long, value_name = "N")]
    tolerate: Option<u64>,
}

fn portion(text: &str) -> Result<String, String> {
    text.parse::<Portion>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

impl Strategy {
    /// As it goes to the host; refused where something is said of another strategy.
    pub(super) fn way(&self) -> Result<Way, Refusal> {
        use Name::{BlueGreen, Canary, InPlace, Rolling, Shadow};
        let said: [(&str, bool, &[Name]); 10] = [
            ("--batch", self.batch.is_some(), &[Rolling]),
            ("--max-unavailable", self.max_unavailable.is_some(), &[Rolling]),
            ("--last-first", self.last_first, &[Rolling]),
            ("--steps", !self.steps.is_empty(), &[Canary]),
            ("--bake", self.bake.is_some(), &[Rolling, Canary, Shadow]),
            ("--samples", self.samples.is_some(), &[Canary, Shadow]),
            ("--patience", self.patience.is_some(), &[Canary, Shadow]),
            ("--errors", self.errors.is_some(), &[Canary, Shadow]),
            ("--latency", self.latency.is_some(), &[Canary, Shadow]),
            ("--tolerate", self.tolerate.is_some(), &[Shadow]),
        ];
        let name = match self.strategy {
            InPlace => "in-place",
            Rolling => "rolling",
            BlueGreen => "blue-green",
            Canary => "canary",
            Shadow => "shadow",
        };
        if let Some((option, ..)) = said.iter().find(|(_, said, of)| *said && !of.contains(&self.strategy)) {
            let told =
                format!("{option} says nothing to --strategy {name}; hint: `airssys deploy --help` lists what does");
            return Err(Refusal::new("bad-strategy", told));
        }
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Ok(Way {
            strategy: name.to_owned(),
            batch: self.batch.clone(),
            max_unavailable: self.max_unavailable,
            last_first: self.last_first,
            steps: self.steps.clone(),
            bake_ms: self.bake.map(milliseconds),
            samples: self.samples,
            patience_ms: self.patience.map(milliseconds),
            errors: self.errors,
            latency: self.latency,
            tolerate: self.tolerate,
        })
    }
}
