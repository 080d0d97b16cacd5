//! Children of one's own.
//!
//! Everything is held back until the commit. What could fail then is taken or looked at now: the grant, the name, the place among the children, the
//! room for a notice. Nothing in it waits.

use std::sync::Arc;

use bytes::Bytes;

use super::Turn;
use super::effect::{Effect, Watched};
use super::messaging::is_address;
use crate::address::{Address, split};
use crate::capability::Operation;
use crate::error::{SendError, SupervisionError};
use crate::message::Room;
use crate::router::service::{Child, Route, Service, Target};
use crate::router::spawned::NoChild;

const NOT_SPAWNED: &str = "there is no service of this name whose actors are spawned";

impl Turn {
    pub(super) fn spawn(&mut self, service: &str, name: &str) -> Result<String, SupervisionError> {
        is_address(service, Some(name))?;
        self.room_for_effect(0)?;
        let asked = format!("{service}/{name}");
        if !self.permit(Operation::Spawn, &asked, &mut Bytes::new())? {
            return Ok(asked);
        }
        let address: Address = asked.parse()?;
        let family = self.family(&address)?;
        let child = match family.reserve_child(name) {
            Some(Ok(child)) => child,
            Some(Err(NoChild::Taken)) => return Err(SupervisionError::Taken { child: address }),
            Some(Err(NoChild::TooMany)) => {
                let what = format!("the set of children of {}", family.address);
                return Err(SendError::Overloaded { what }.into());
            }
            Some(Err(NoChild::BadName)) | None => return Err(no_child(&address, NOT_SPAWNED)),
        };
        self.hold_back(Effect::Spawn(child), 0);
        Ok(asked)
    }

    pub(super) fn stop(&mut self, child: &str) -> Result<(), SupervisionError> {
        if let Some(child) = self.child(Operation::Stop, child)? {
            self.hold_back(Effect::Stop(child.found()?), 0);
        }
        Ok(())
    }

    pub(super) fn monitor(&mut self, child: &str) -> Result<(), SupervisionError> {
        if !self.hears {
            return Err(SupervisionError::Deaf);
        }
        let Some(of) = self.child(Operation::Monitor, child)? else { return Ok(()) };
        let most = self.identity.terms.limits.monitors;
        let room = Room::take(&self.identity.monitors, most).ok_or_else(|| {
            SupervisionError::NotSent(SendError::Overloaded {
                what: format!("the set of {most} monitors of {}", self.identity.address()),
            })
        })?;
        self.hold_back(Effect::Monitor { of, room }, 0);
        Ok(())
    }

    pub(super) fn demonitor(&mut self, child: &str) -> Result<(), SupervisionError> {
        if let Some(Watched::Child(child)) = self.child(Operation::Monitor, child)? {
            self.hold_back(Effect::Demonitor(child), 0);
        }
        Ok(())
    }

    pub(super) fn link(&mut self, child: &str) -> Result<(), SupervisionError> {
        if let Some(child) = self.child(Operation::Link, child)? {
            self.hold_back(Effect::Link(child.found()?), 0);
        }
        Ok(())
    }

    /// The child of this address that is there, or that this turn spawns. None where a layer of the stack has handled it.
    fn child(&self, operation: Operation, child: &str) -> Result<Option<Watched>, SupervisionError> {
        is_address(child, None)?;
        self.room_for_effect(0)?;
        // Before anything is looked up, so that who may not does not learn who is there.
        if !self.permit(operation, child, &mut Bytes::new())? {
            return Ok(None);
        }
        let address: Address = child.parse()?;
        let service = self.family(&address)?;
        let Route::Spawned(children) = &service.route else { return Err(no_child(&address, NOT_SPAWNED)) };
        let known = address.key().and_then(|name| children.known(name));
        let unborn = || self.unborn(child, None).and_then(|target| target.child().cloned());
        Ok(Some(match known.or_else(unborn) {
            Some(child) => Watched::Child(child),
            None => Watched::Absent { service, address },
        }))
    }

    /// The service whose children are addressed so.
    fn family(&self, address: &Address) -> Result<Arc<Service>, SupervisionError> {
        let service = self.identity.mesh.service(address.service());
        match service.filter(|service| matches!(service.route, Route::Spawned(_))) {
            Some(_) if address.key().is_none() => Err(no_child(address, "a child is addressed as service/name")),
            Some(service) => Ok(service),
            None => Err(no_child(address, NOT_SPAWNED)),
        }
    }

    /// The child of this address that this turn is about to spawn.
    pub(super) fn unborn(&self, to: &str, key: Option<&str>) -> Option<Target> {
        let (service, name) = split(to);
        let name = name.or(key)?;
        self.effects.iter().find_map(|effect| match effect {
            Effect::Spawn(child) if child.address().service() == service && child.address().key() == Some(name) => {
                Some(child.clone())
            }
            _ => None,
        })
    }
}

impl Watched {
    fn found(self) -> Result<Arc<Child>, SupervisionError> {
        match self {
            Self::Child(child) => Ok(child),
            Self::Absent { address, .. } => Err(no_child(&address, "nobody has spawned it, or it is gone")),
        }
    }
}

fn no_child(address: &Address, hint: &'static str) -> SupervisionError {
    SendError::NoSuchService { address: address.to_string(), hint }.into()
}
