//! Which listener of a topology each request of a test file goes to.

use super::act::Act;
use super::file::{Message, Plan, Said, Wanted};
use crate::config_file::ConfigError;
use crate::topology::Topology;

/// Finds where each request of a plan goes.
pub(super) fn find(plan: &mut Plan, topology: &Topology) -> Result<(), ConfigError> {
    let brought_in = plan.acts.iter().filter_map(Act::topology);
    let all = [topology].into_iter().chain(brought_in).flat_map(Topology::declared_listeners);
    let mut listeners: Vec<String> = Vec::new();
    all.map(|found| found.listen).for_each(|listen| {
        if !listeners.contains(&listen) {
            listeners.push(listen);
        }
    });
    let of_checks = plan.checks.iter_mut().flat_map(|check| {
        let other = match &mut check.wanted {
            Wanted::SameAs(other) => Some(other),
            _ => None,
        };
        [Some(&mut check.asked), other].into_iter().flatten()
    });
    let messages = plan.workloads.iter_mut().map(|workload| &mut workload.message).chain(of_checks);
    for Message { service, said, .. } in messages {
        let Said::Http(request) = said else { continue };
        let wrong = |what: String, hint: &str| Err(ConfigError::whole(&plan.file, what, hint));
        *service = match (request.listen(), listeners.as_slice()) {
            (_, []) => {
                let what = format!("the request {request} goes to a listener, and the topology has no [[http]]");
                return wrong(what, "add one to the topology, or ask the service itself by `call` or `ask`");
            }
            (None, [only]) => only.clone(),
            (None, several) => {
                let what = format!("the request {request} may go to {}", several.join(" or "));
                return wrong(what, "name one as `listen` of the request");
            }
            (Some(listen), all) if all.iter().any(|one| one == listen) => listen.to_owned(),
            (Some(listen), all) => {
                let what = format!("the request {request} goes to {listen}, and the topology has {}", all.join(", "));
                return wrong(what, "write `listen` as the topology has it");
            }
        };
    }
    Ok(())
}
