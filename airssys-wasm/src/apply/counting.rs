//! Counting what services do, so that the smallest grants for it can be told.
//!
//! A service that is counted is denied nothing, so this is for who tries a mesh out. One whose topology says
//! `learn = false` never is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::capability::tally::{Tallied, Tally};
use crate::topology::Topology;

/// The tallies of the services of a mesh that is counted.
#[derive(Default)]
pub(super) struct Counting(Mutex<HashMap<String, Arc<Tally>>>);

impl Counting {
    /// Counts what the services of a topology do that may be counted.
    pub(super) fn hold(&self, topology: &mut Topology) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        topology.each_service(|node| {
            let name = node.address.as_str();
            let tally = node.learn.then(|| {
                Arc::clone(all.entry(name.to_owned()).or_insert_with(|| {
                    tracing::warn!(
                        target: "airssys::audit", service = name,
                        "nothing is denied to it: what it does is counted, to learn the grants for it"
                    );
                    Arc::new(Tally::new(name))
                }))
            });
            if tally.is_some() != node.grants.tally.is_counted() {
                Arc::make_mut(node).grants.tally = Tallied::new(tally);
            }
        });
    }
}
