//! Several services at once: all of their releases are live in the end, or none is.
//!
//! Each is a deployment of its own, without an end to its probation. They are switched one after the other, those that
//! are called before those who call them; then they are on probation together, and end it together: first none goes
//! back by itself any more, then the end of the first one is written down, which is that of all.

use std::time::Duration;

use airssys_rt_shim::planted;
use tokio::task::JoinSet;

use super::{Deployment, Progress, Setback};

/// The order in which services are switched: whoever is called comes before who calls it, as far as that is possible.
/// Pure.
pub(crate) fn callees_first(services: usize, calls: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    fn visit(
        at: usize,
        services: usize,
        calls: &impl Fn(usize, usize) -> bool,
        seen: &mut [bool],
        order: &mut Vec<usize>,
    ) {
        if std::mem::replace(&mut seen[at], true) {
            return;
        }
        for callee in (0..services).filter(|callee| *callee != at && calls(at, *callee)) {
            visit(callee, services, calls, seen, order);
        }
        order.push(at);
    }
    let (mut seen, mut order) = (vec![false; services], Vec::with_capacity(services));
    for at in 0..services {
        visit(at, services, &calls, &mut seen, &mut order);
    }
    order
}

/// Those that were begun of a set; dropped, they go back: nobody is there to end their probation.
#[derive(Default)]
pub(crate) struct Begun(pub(crate) Vec<(String, Deployment)>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.iter().for_each(|(_, deployment)| deployment.cancel());
    }
}

/// Sees deployments that are switched through their probation: all become live, or all go back.
pub(crate) async fn together(set: Vec<(String, Deployment)>, probation: Duration) {
    let probation = if planted::is("probation-of-a-set-ends-early") { probation / 2 } else { probation };
    let mut ends = JoinSet::new();
    for (service, deployment) in set.clone() {
        ends.spawn(async move { (service, deployment.ended().await) });
    }
    let first = tokio::select! {
        Some(Ok(first)) = ends.join_next() => Some(first),
        () = tokio::time::sleep(probation) => None,
    };
    if first.is_none() && all_well(&set).await {
        end(&set).await;
    }
    let mut next = first;
    loop {
        if let Some((service, end)) = &next
            && *end != Progress::Live
        {
            undo(&set, service, end);
        }
        next = match ends.join_next().await {
            Some(ended) => ended.ok(),
            None => return,
        };
    }
}

async fn all_well(set: &[(String, Deployment)]) -> bool {
    for (_, deployment) in set {
        if !deployment.check().await {
            return false;
        }
    }
    true
}

/// Ends the probation of all, or of none: whoever is not told goes back.
async fn end(set: &[(String, Deployment)]) {
    let mut verdicts = Vec::with_capacity(set.len());
    for (service, deployment) in set {
        match deployment.join().await {
            Some(verdict) => verdicts.push(verdict),
            // The reason first: without a verdict the others go back.
            None => return undo(set, service, &deployment.ended().await),
        }
    }
    let Some((service, first)) = set.first() else { return };
    for verdict in verdicts {
        let _it_waits = verdict.send(Ok(()));
        // It is the first one's end that decides; that of the others is there already when it is asked for.
        let end = first.ended().await;
        if end != Progress::Live {
            return undo(set, service, &end);
        }
    }
}

/// Takes the others back, since this one went back.
pub(crate) fn undo(set: &[(String, Deployment)], service: &str, end: &Progress) {
    let why = match end {
        Progress::RolledBack { reason } | Progress::Suspended { reason, .. } => reason.to_string(),
        _ => "the mesh ended".to_owned(),
    };
    for (_, other) in set.iter().filter(|(other, _)| other != service) {
        other.go_back(Setback::OfTheSet { service: service.to_owned(), why: why.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::callees_first;

    #[test]
    fn whoever_is_called_comes_before_who_calls_it() {
        // 0 calls 1 and 2, 1 calls 2, 3 calls nobody.
        let calls = |from, to| matches!((from, to), (0, 1 | 2) | (1, 2));
        assert_eq!(callees_first(4, calls), [2, 1, 0, 3]);
        // A cycle has no such order, and each is there once all the same.
        assert_eq!(callees_first(2, |_, _| true), [1, 0]);
    }
}
