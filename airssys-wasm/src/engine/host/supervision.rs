//! `airssys:actor/supervision`: children of one's own.
//!
//! Everything is held back until the commit. What could fail then is taken or looked at now: the grant, the name, the place among the children, the
//! room for a notice. Nothing in it waits.

use bytes::Bytes;

use super::messaging::is_address;
use crate::address::{Address, split};
use crate::capability::Operation;
use crate::engine::bindings::supervision::airssys::actor::supervision as wit;
use crate::engine::guest::{Effect, Guest, Watched};
use crate::engine::script::{Asked, Told};
use crate::error::{SendError, SupervisionError};
use crate::message::Room;
use crate::router::service::Child;
use crate::router::service::{Route, Service, Target};
use crate::router::spawned::NoChild;

use std::sync::Arc;

type Done<T> = wasmtime::Result<Result<T, wit::SupervisionError>>;

impl wit::Host for Guest {
    fn spawn(&mut self, service: String, name: String) -> Done<String> {
        let child = || format!("{service}/{name}");
        Ok(self.supervise("spawn", child, |guest| guest.hold_spawn(&service, &name)))
    }

    fn stop(&mut self, child: String) -> Done<()> {
        Ok(self.supervise("stop", || child.clone(), |guest| guest.hold_stop(&child).map(done)).map(drop))
    }

    fn monitor(&mut self, child: String) -> Done<()> {
        Ok(self.supervise("monitor", || child.clone(), |guest| guest.hold_monitor(&child).map(done)).map(drop))
    }

    fn demonitor(&mut self, child: String) -> Done<()> {
        Ok(self.supervise("demonitor", || child.clone(), |guest| guest.hold_demonitor(&child).map(done)).map(drop))
    }

    fn link(&mut self, child: String) -> Done<()> {
        Ok(self.supervise("link to", || child.clone(), |guest| guest.hold_link(&child).map(done)).map(drop))
    }
}

/// Only a spawn has something to tell.
fn done((): ()) -> String {
    String::new()
}

impl Guest {
    /// Does it, or, where this turn is only shown its message, tells what the live one was told: see `engine/script.rs`.
    fn supervise(
        &mut self,
        what: &'static str,
        child: impl Fn() -> String,
        hold: impl FnOnce(&mut Self) -> Result<String, SupervisionError>,
    ) -> Result<String, wit::SupervisionError> {
        let asked = || Asked::Supervise { what, child: child().into() };
        match self.read_back(asked) {
            Some(Told::Supervised(told)) => return told,
            // Nobody knows what it would have been told.
            Some(_) => return Ok(child()),
            None => {}
        }
        let held = hold(self).map_err(|error| to_wit(&error));
        self.write_down(|| (asked(), Told::Supervised(held.clone())));
        held
    }

    fn hold_spawn(&mut self, service: &str, name: &str) -> Result<String, SupervisionError> {
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

    fn hold_stop(&mut self, child: &str) -> Result<(), SupervisionError> {
        if let Some(child) = self.child(Operation::Stop, child)? {
            self.hold_back(Effect::Stop(child.found()?), 0);
        }
        Ok(())
    }

    fn hold_monitor(&mut self, child: &str) -> Result<(), SupervisionError> {
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

    fn hold_demonitor(&mut self, child: &str) -> Result<(), SupervisionError> {
        if let Some(Watched::Child(child)) = self.child(Operation::Monitor, child)? {
            self.hold_back(Effect::Demonitor(child), 0);
        }
        Ok(())
    }

    fn hold_link(&mut self, child: &str) -> Result<(), SupervisionError> {
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
        self.turn.effects.iter().find_map(|effect| match effect {
            Effect::Spawn(child) if child.address().service() == service && child.address().key() == Some(name) => {
                Some(child.clone())
            }
            _ => None,
        })
    }
}

const NOT_SPAWNED: &str = "there is no service of this name whose actors are spawned";

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

fn to_wit(error: &SupervisionError) -> wit::SupervisionError {
    match error {
        SupervisionError::Taken { .. } => wit::SupervisionError::Taken,
        SupervisionError::Deaf => wit::SupervisionError::Deaf,
        SupervisionError::NotSent(error) => match error {
            SendError::Denied(denied) => wit::SupervisionError::Denied(denied.to_string()),
            SendError::Rejected { .. } => wit::SupervisionError::Denied(error.to_string()),
            SendError::Overloaded { .. } => wit::SupervisionError::Overloaded,
            other => wit::SupervisionError::NoSuchChild(other.to_string()),
        },
    }
}
