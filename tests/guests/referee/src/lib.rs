//! Judges a run of `airssys test`: no two clients of a service are told the same, since each of them counts something.

use std::collections::BTreeSet;

use airssys_sdk::prelude::*;
use serde::Deserialize;

/// What it is told.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Told {
    Answered { service: String, answer: String, said_at_us: u64, at_us: u64 },
    Failed { error: String },
    End { at_us: u64 },
}

#[derive(Default)]
struct Referee {
    told: BTreeSet<(String, String)>,
    last_us: u64,
}

#[component]
impl Referee {
    fn init() -> Result<Self> {
        Ok(Self::default())
    }

    fn handle(&mut self, told: Told) -> Result<String> {
        let at_us = match told {
            Told::Answered { service, answer, said_at_us, at_us } => {
                if at_us < said_at_us {
                    return Ok(format!("{service} answered before it was asked"));
                }
                if !self.told.insert((service.clone(), answer.clone())) {
                    return Ok(format!("{service} told {answer} twice"));
                }
                at_us
            }
            Told::Failed { error } if error.is_empty() => return Ok("an error without a word".to_owned()),
            Told::Failed { .. } => self.last_us,
            Told::End { at_us } => {
                if self.told.is_empty() {
                    return Ok("nobody was told anything".to_owned());
                }
                at_us
            }
        };
        if at_us < self.last_us {
            return Ok("it goes back in time".to_owned());
        }
        self.last_us = at_us;
        Ok("ok".to_owned())
    }
}
