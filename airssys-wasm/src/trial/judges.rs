//! Judges at work: a component is told what the clients of a run were told, and says whether that may be.
//!
//! It runs when the run is over, alone in a mesh of its own: it is no part of what is judged, nothing goes wrong in it,
//! and what it does changes nothing of the run. It refuses to be believed where it fails: a judge that does not answer
//! holds nothing.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::TrialError;
use super::judge::Judge;
use super::said::{Message, Said};
use super::written::seconds;
use crate::runtime::Runtime;
use crate::seeded::Seeded;
use crate::topology::Topology;

/// What a judge is called in its mesh.
const JUDGE: &str = "judge";
/// How long its answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most of what it says that is told, in characters.
const MOST_TOLD: usize = 500;

/// What a judge is told, as JSON. More fields may come.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Told {
    /// A client of a workload got its answer, or, where it waits for none, its message was accepted.
    Answered {
        #[serde(flatten)]
        client: Client,
        /// The text of it; empty where there is none.
        answer: String,
    },
    /// A client got none.
    Failed {
        #[serde(flatten)]
        client: Client,
        /// Why.
        error: String,
    },
    /// The run is over.
    End {
        /// When, in microseconds from its start on.
        at_us: u64,
    },
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Client {
    service: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// `call`, `ask`, `send` or `http`.
    how: &'static str,
    /// What it said.
    said: String,
    /// When it said that, and when it heard what came of it, in microseconds from the start of the run on.
    said_at_us: u64,
    at_us: u64,
}

impl Told {
    /// What came of a message.
    pub(super) fn of(
        Message { service, key, said }: &Message,
        came: &Result<String, String>,
        times: Range<Duration>,
    ) -> Self {
        let how = match said {
            Said::Call(_) => "call",
            Said::Ask(_) => "ask",
            Said::Send(_) => "send",
            Said::Http(_) => "http",
        };
        let (service, key, said) = (service.clone(), key.clone(), said.text().into_owned());
        let client = Client { service, key, how, said, said_at_us: us(times.start), at_us: us(times.end) };
        match came {
            Ok(answer) => Self::Answered { client, answer: answer.clone() },
            Err(error) => Self::Failed { client, error: error.clone() },
        }
    }

    pub(super) fn end(at: Duration) -> Self {
        Self::End { at_us: us(at) }
    }

    /// The step after which it is told.
    fn step(&self) -> String {
        match self {
            Self::Answered { client, .. } | Self::Failed { client, .. } => {
                let at = seconds(Duration::from_micros(client.at_us));
                format!("what {} {:?} came to ({at})", client.service, client.said)
            }
            Self::End { at_us } => format!("the end ({})", seconds(Duration::from_micros(*at_us))),
        }
    }
}

/// What the clients of a run were told, in that order.
#[derive(Debug, Default)]
pub(super) struct Heard(Mutex<Vec<Told>>);

impl Heard {
    pub(super) fn hear(&self, told: Told) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(told);
    }

    pub(super) fn all(&self) -> Vec<Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Judge {
    /// Tells it all that was heard, and then that this is the end; the first that may not be, as it says.
    pub(super) fn judges(
        &self,
        heard: &[Told],
        seed: u64,
        code_cache: Option<&Path>,
    ) -> Result<Option<String>, TrialError> {
        let release = toml::Value::from(self.component.display().to_string());
        let text = format!("name = \"{JUDGE}\"\n[[service]]\nname = \"{JUDGE}\"\nrelease = {release}\n");
        let topology = Topology::parse(&text, self.component.parent().unwrap_or(Path::new("")))?;
        let seeded = Seeded::new(seed);
        let judged = seeded.run(async || {
            let mut builder = Runtime::builder().seeded(&seeded);
            if let Some(folder) = code_cache {
                builder = builder.code_cache(folder);
            }
            let runtime = Arc::new(builder.start(&topology).await?);
            let mut broken = None;
            for told in heard {
                if let Err(what) = ask(&runtime, told).await {
                    broken = Some(format!("judge {}, after {}: {what}", self.named, told.step()));
                    break;
                }
            }
            runtime.shutdown().await;
            Ok::<_, TrialError>(broken)
        });
        judged.map_err(TrialError::Thread)?
    }
}

/// Tells it one thing; what may not be, as it says.
async fn ask(runtime: &Runtime, told: &Told) -> Result<(), String> {
    let body = serde_json::to_vec(told).map_err(|error| format!("it cannot be told: {error}"))?;
    let answer = match runtime.call(JUDGE, body, PATIENCE).await {
        Ok(answer) => answer.unwrap_or_default(),
        Err(error) => return Err(format!("it has no answer: {error}")),
    };
    // As a guest of Rust writes it, or as one that writes bytes.
    let text = serde_json::from_slice::<String>(&answer)
        .unwrap_or_else(|_no_json| String::from_utf8_lossy(&answer).trim().to_owned());
    match text.as_str() {
        "ok" => Ok(()),
        "" => Err("it answered nothing, and says `ok` or what may not be".to_owned()),
        what => Err(what.chars().take(MOST_TOLD).collect()),
    }
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
