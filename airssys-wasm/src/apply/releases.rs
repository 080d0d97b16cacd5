//! Which release serves each service, and which one did before.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::record::Served;
use crate::capability::Operation;
use crate::deploy::{self, DeployError, Deployment, Reach, Source};
use crate::engine::Template;
use crate::registry::{Hold, Keep, StoreError};
use crate::topology::ServiceNode;

/// A release, and the rules that it runs under.
#[derive(Clone)]
pub(super) struct Deployable {
    /// Shared, since there is one for each service: it is large.
    pub(super) node: Arc<ServiceNode>,
    pub(super) template: Arc<Template>,
    /// Keeps its files from being removed; none where it was found by a path and there is no data folder.
    pub(super) _hold: Option<Arc<Hold>>,
}

impl Deployable {
    pub(super) fn source(&self) -> Source {
        Source::new(&self.node.release, self.template.digest())
    }

    /// The same, with its bytes in the data folder, where there is one: so it can be started again whatever becomes of
    /// its path. Reads and writes files: not for a runtime's thread.
    pub(super) fn kept(self, keep: Option<&Keep>) -> Result<Self, StoreError> {
        let Some(keep) = keep.filter(|_| self.node.release.seal.is_none()) else { return Ok(self) };
        let (release, hold) = keep.take(&self.node.release, self.template.digest())?;
        let node = Arc::new(ServiceNode { release, ..ServiceNode::clone(&self.node) });
        Ok(Self { node, _hold: Some(Arc::new(hold)), ..self })
    }

    pub(super) fn side(&self) -> deploy::Side<'_> {
        deploy::Side {
            manifest: &self.node.release.manifest,
            digest: self.template.digest(),
            interface: self.template.interface(),
            limits: &self.node.limits,
        }
    }
}

/// How many deployments of a service are kept for those who follow them.
const FOLLOWED: usize = 16;

/// What serves a service, and what did before.
pub(super) struct Releases {
    pub(super) live: Deployable,
    /// Kept ready, so that the way back is as short as the way there.
    pub(super) previous: Option<Deployable>,
    /// Its last deployments, the youngest last, [`FOLLOWED`] at most: whoever follows one is told how it ended, also
    /// when others have begun since.
    pub(super) deployments: VecDeque<Deployment>,
    /// Whether one is under way, or about to be.
    pub(super) taken: bool,
}

impl Releases {
    /// One more has begun.
    pub(super) fn follow(&mut self, deployment: Deployment) {
        if self.deployments.len() == FOLLOWED {
            self.deployments.pop_front();
        }
        self.deployments.push_back(deployment);
    }
}

/// The releases of all services of a mesh, by name.
#[derive(Default)]
pub(crate) struct LiveReleases {
    all: Mutex<HashMap<String, Releases>>,
    /// How many deployments have begun.
    begun: AtomicU64,
}

impl LiveReleases {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Releases>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the releases of one service, or changes them; none where there is no such service.
    pub(super) fn look<T>(&self, service: &str, at: impl FnOnce(&mut Releases) -> T) -> Option<T> {
        self.all().get_mut(service).map(at)
    }

    /// The number of the next deployment.
    pub(super) fn number(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn insert(&self, service: &str, releases: Releases) {
        self.all().insert(service.to_owned(), releases);
    }

    pub(super) fn remove(&self, service: &str) {
        self.all().remove(service);
    }

    /// The release that serves a service, and its rules.
    /// The code that is live of a service.
    pub(super) fn template(&self, service: &str) -> Option<Arc<Template>> {
        self.look(service, |releases| Arc::clone(&releases.live.template))
    }

    pub(super) fn live(&self, service: &str) -> Option<Deployable> {
        self.look(service, |releases| releases.live.clone())
    }

    /// What serves each service.
    pub(super) fn live_ones(&self) -> HashMap<String, Deployable> {
        self.all().iter().map(|(service, releases)| (service.clone(), releases.live.clone())).collect()
    }

    /// Takes the lock of a service, which has one deployment at a time.
    pub(super) fn take(
        self: &Arc<Self>,
        service: &str,
        what: impl FnOnce(&Releases) -> Result<Deployable, DeployError>,
    ) -> Result<(DeploymentLock, Deployable), DeployError> {
        let mut all = self.all();
        let found = all.get_mut(service).ok_or_else(|| DeployError::NoSuchService { service: service.to_owned() })?;
        if found.taken {
            return Err(DeployError::UnderWay { service: service.to_owned() });
        }
        let what = what(found)?;
        found.taken = true;
        Ok((self.lock_taken(service), what))
    }

    /// The lock of a service that is taken already.
    pub(super) fn lock_taken(self: &Arc<Self>, service: &str) -> DeploymentLock {
        DeploymentLock { releases: Arc::clone(self), service: service.to_owned() }
    }

    /// The services that may send to this one or call it, by name.
    pub(super) fn reached_by(&self, service: &str) -> Vec<Reach> {
        let reach = |(name, releases): (&String, &Releases)| {
            let policy = releases.live.node.terms().policy;
            let allowed = [Operation::Send, Operation::Call, Operation::Invoke]
                .into_iter()
                .filter(|of| policy.allows(*of, service));
            let by: Vec<String> = allowed.map(|operation| operation.name().to_owned()).collect();
            (!by.is_empty()).then(|| Reach { service: name.clone(), by })
        };
        let mut all: Vec<Reach> = self.all().iter().filter_map(reach).collect();
        all.sort_unstable_by(|a, b| a.service.cmp(&b.service));
        all
    }

    /// What serves each service whose release is kept.
    pub(super) fn served(&self) -> BTreeMap<String, Served> {
        served(self.all().values().map(|releases| (&releases.live.node, releases.live.source())))
    }
}

/// Held by the deployment of a service: the next one can begin when this is dropped.
pub(super) struct DeploymentLock {
    releases: Arc<LiveReleases>,
    service: String,
}

impl DeploymentLock {
    pub(super) fn service(&self) -> &str {
        &self.service
    }

    pub(super) fn releases(&self) -> &Arc<LiveReleases> {
        &self.releases
    }

    /// None where the service is gone.
    pub(super) fn look<T>(&self, at: impl FnOnce(&mut Releases) -> T) -> Option<T> {
        self.releases.look(&self.service, at)
    }
}

impl Drop for DeploymentLock {
    fn drop(&mut self) {
        self.look(|found| found.taken = false);
    }
}

/// [`Deployable::kept`] for a deployment, which is refused where that cannot be.
pub(super) fn kept(service: &str, next: Deployable, keep: Option<&Keep>) -> Result<Deployable, DeployError> {
    next.kept(keep).map_err(|source| DeployError::NotKept { service: service.to_owned(), source: Box::new(source) })
}

/// What serves each service whose release is kept.
pub(super) fn served<'a>(live: impl Iterator<Item = (&'a Arc<ServiceNode>, Source)>) -> BTreeMap<String, Served> {
    let kept = live.filter(|(_, source)| source.kept.is_some());
    kept.map(|(node, live)| (node.address.to_string(), Served { named: node.named.clone(), live })).collect()
}
