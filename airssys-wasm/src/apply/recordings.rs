//! The recorders of a service that runs: what they have, and a release that is held against it.

use std::time::Duration;

use futures_util::future::join_all;

use super::against::{Comparison, Contender, compare};
use super::deployments::not_recorded;
use super::hosted::Hosted;
use super::releases::Deployable;
use crate::actor::{Post, recording};
use crate::deploy::{DeployError, DeployOptions, Deviation, Posts, RecordedGate, RecordingError};
use crate::turn::Recording;

/// How long an actor has to come to the end of its turn and say what its recorder has.
const PATIENCE: Duration = Duration::from_secs(10);

impl Hosted {
    /// See [`crate::Runtime::recording`].
    pub(crate) async fn recording(&self, service: &str) -> Result<Recording, RecordingError> {
        let service = service.to_owned();
        let recorder = self.actual.releases.look(&service, |found| found.live.node.recorder);
        let Some(recorder) = recorder else { return Err(RecordingError::NoSuchService { service }) };
        match recorder {
            None => return Err(RecordingError::NoRecorder { service }),
            Some(rules) if !rules.bodies => return Err(RecordingError::NoBodies { service }),
            Some(_) => {}
        }
        let posts = self.actual.actors(&service);
        let awake = match &posts {
            Posts::Fixed(_) => Vec::new(),
            Posts::Keyed(roster) => roster.awake(),
        };
        let all: Vec<&Post> = posts.fixed().iter().chain(awake.iter().map(|post| &**post)).collect();
        let asked = join_all(all.into_iter().map(|post| recording(post, PATIENCE))).await;
        let mut all: Option<Recording> = None;
        for one in asked.into_iter().flatten() {
            match &mut all {
                // While a deployment is under way there are two releases.
                Some(all) if all.sha256 == one.sha256 => all.reels.extend(one.reels),
                Some(_) => {}
                None => all = Some(*one),
            }
        }
        let Some(mut all) = all else { return Err(RecordingError::Empty { service }) };
        all.reels.iter_mut().for_each(|reel| reel.wind_back());
        all.reels.retain(|reel| reel.messages().next().is_some());
        if all.reels.is_empty() {
            return Err(RecordingError::Empty { service });
        }
        Ok(all)
    }

    /// Shows a release the turns that were recorded.
    pub(super) async fn show_recorded(
        &self,
        mut recording: Recording,
        (live, next): (&Deployable, &Deployable),
        gate: &RecordedGate,
        options: &DeployOptions,
    ) -> Result<Comparison, DeployError> {
        let service = recording.service.clone();
        if let Some(why) = not_recorded(live, next) {
            return Err(RecordingError::Unfit { service, why }.into());
        }
        recording.keep_last(gate.turns.unwrap_or(usize::MAX));
        let engines = &self.actual.engines;
        let contender = |of: &Deployable| {
            let nobody =
                || RecordingError::NotRun { service: service.clone(), detail: "nobody would serve".to_owned() };
            Contender::new(engines, &of.node, &of.template).ok_or_else(nobody)
        };
        let (before, after) = (contender(live)?, contender(next)?);
        // What was recorded was done by another one where it was deployed since.
        let before = Some(&before).filter(|_| recording.sha256 == live.template.digest());
        // Two compilers are not to be compared.
        let is_timed = !gate.allow.contains(&Deviation::Latency) && live.template.tier() == next.template.tier();
        let factor = Some(options.gate.latency).filter(|factor| is_timed && factor.is_finite());
        let found = compare(&recording, &after, before, &gate.allow, factor).await?;
        match found.divergence {
            Some(divergence) => Err(DeployError::Diverges(Box::new(divergence))),
            None => Ok(found),
        }
    }
}
