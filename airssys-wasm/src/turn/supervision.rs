//! Children of one's own.
//!
//! Everything is held back until the commit. What could fail then is taken or looked at now: the grant, the name, the
//! place among the children, the room for a notice. Nothing in it waits.

use std::sync::Arc;

use bytes::Bytes;

use super::Turn;
use super::effect::{Effect, Watched};
use super::messaging::is_address;
use crate::address::{Address, split};
use crate::capability::Operation;
use crate::error::{NotFound, SendError, SupervisionError};
use crate::message::Room;
use crate::middleware::Entry;
use crate::router::child::NoChild;
use crate::router::place::Place;
use crate::router::service::Service;

impl Turn {
    pub(super) fn spawn(&mut self, service: &str, name: &str) -> Result<String, SupervisionError> {
        is_address(service, Some(name))?;
        self.room_for_effect(0)?;
        let asked = format!("{service}/{name}");
        let Some(entry) = self.permit(Operation::Spawn, &asked, &mut Bytes::new())? else { return Ok(asked) };
        let child = self.reserve_child(&asked, name);
        self.hold(&asked, entry, child, Effect::Spawn).map(|()| asked)
    }

    pub(super) fn stop(&mut self, child: &str) -> Result<(), SupervisionError> {
        let Some(entry) = self.permit_child(Operation::Stop, child)? else { return Ok(()) };
        let found = self.child(child).and_then(Watched::found);
        self.hold(child, entry, found, Effect::Stop)
    }

    pub(super) fn monitor(&mut self, child: &str) -> Result<(), SupervisionError> {
        if !self.hears {
            return Err(SupervisionError::Deaf);
        }
        let Some(entry) = self.permit_child(Operation::Monitor, child)? else { return Ok(()) };
        let watched = self.child(child).and_then(|of| Ok((of, self.monitor_room()?)));
        self.hold(child, entry, watched, |(of, room), entry| Effect::Monitor { of, room, entry })
    }

    pub(super) fn demonitor(&mut self, child: &str) -> Result<(), SupervisionError> {
        let Some(entry) = self.permit_child(Operation::Monitor, child)? else { return Ok(()) };
        let watched = self.child(child);
        self.hold(child, entry, watched, Effect::Demonitor)
    }

    pub(super) fn link(&mut self, child: &str) -> Result<(), SupervisionError> {
        let Some(entry) = self.permit_child(Operation::Link, child)? else { return Ok(()) };
        let found = self.child(child).and_then(Watched::found);
        self.hold(child, entry, found, Effect::Link)
    }

    /// Asks the stack, before anything is looked up: who may not does not learn who is there.
    fn permit_child(&self, operation: Operation, child: &str) -> Result<Option<Entry>, SupervisionError> {
        is_address(child, None)?;
        self.room_for_effect(0)?;
        Ok(self.permit(operation, child, &mut Bytes::new())?)
    }

    /// Holds back what the stack let on, where what it takes is there.
    fn hold<T>(
        &mut self,
        child: &str,
        entry: Entry,
        taken: Result<T, SupervisionError>,
        effect: impl FnOnce(T, Entry) -> Effect,
    ) -> Result<(), SupervisionError> {
        match taken {
            Ok(taken) => {
                self.hold_back(effect(taken, entry), 0);
                Ok(())
            }
            Err(error) => self.refuse(child, entry, error).supervised(),
        }
    }

    fn reserve_child(&self, asked: &str, name: &str) -> Result<Arc<Place>, SupervisionError> {
        let address: Address = asked.parse()?;
        let family = self.family(&address)?;
        match family.reserve_child(name) {
            Some(Ok(child)) => Ok(child),
            Some(Err(NoChild::Taken)) => Err(SupervisionError::Taken { child: address }),
            Some(Err(NoChild::TooMany)) => {
                family.tell_of_too_many_children(&self.identity.mesh.events);
                let what = format!("the set of children of {}", family.address);
                Err(SendError::Overloaded { what }.into())
            }
            Some(Err(NoChild::BadName)) | None => Err(no_child(&address, NotFound::SpawnsNobody)),
        }
    }

    fn monitor_room(&self) -> Result<Room, SupervisionError> {
        let most = self.identity.terms.limits.monitors;
        Room::take(&self.identity.monitors, most).ok_or_else(|| {
            self.identity.reach("monitors", format_args!("has {most} monitors, and asks for another one"));
            let what = format!("the set of {most} monitors of {}", self.identity.address());
            SendError::Overloaded { what }.into()
        })
    }

    /// The child of this address that is there, or that this turn spawns.
    fn child(&self, child: &str) -> Result<Watched, SupervisionError> {
        let address: Address = child.parse()?;
        let service = self.family(&address)?;
        let Some(children) = service.directory.spawned() else {
            return Err(no_child(&address, NotFound::SpawnsNobody));
        };
        let known = address.key().and_then(|name| children.known(name));
        let unborn = || self.unborn(child, None);
        Ok(match known.or_else(unborn) {
            Some(child) => Watched::Child(child),
            None => Watched::Absent { service, address },
        })
    }

    /// The service whose children are addressed so.
    fn family(&self, address: &Address) -> Result<Arc<Service>, SupervisionError> {
        let service = self.identity.mesh.service(address.service());
        match service.filter(|service| service.directory.spawned().is_some()) {
            Some(_) if address.key().is_none() => Err(no_child(address, NotFound::NeedsName)),
            Some(service) => Ok(service),
            None => Err(no_child(address, NotFound::SpawnsNobody)),
        }
    }

    /// The child of this address that this turn is about to spawn.
    pub(super) fn unborn(&self, to: &str, key: Option<&str>) -> Option<Arc<Place>> {
        let (service, name) = split(to);
        let name = name.or(key)?;
        self.effects.iter().find_map(|effect| match effect {
            Effect::Spawn(child, _) if child.address().service() == service && child.address().key() == Some(name) => {
                Some(child.clone())
            }
            _ => None,
        })
    }
}

impl Watched {
    fn found(self) -> Result<Arc<Place>, SupervisionError> {
        match self {
            Self::Child(child) => Ok(child),
            Self::Absent { address, .. } => Err(no_child(&address, NotFound::NotSpawned)),
        }
    }
}

fn no_child(address: &Address, why: NotFound) -> SupervisionError {
    SendError::NoSuchService { address: address.to_string(), why }.into()
}
