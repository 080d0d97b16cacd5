//! Where a service finds the place of a key: there are always as many, one a key, or one a child.

use std::sync::Arc;

use super::on_demand::OnDemand;
use super::place::{Place, lane_of};
use super::spawned::Spawned;

/// The places of a service.
#[derive(Debug)]
pub(crate) enum Directory {
    /// One for all messages.
    One(Arc<Place>),
    /// A lane a member of a pool, chosen by the key's hash.
    Lanes(Lanes),
    /// One a key.
    OnDemand(Box<OnDemand>),
    /// One for each that somebody spawned.
    Spawned(Box<Spawned>),
}

/// The lanes of a pool: one or more.
#[derive(Debug)]
pub(crate) struct Lanes(Box<[Arc<Place>]>);

/// What a key is for in the address of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// There is none.
    Never,
    /// It chooses a lane and a state; there may be none.
    May,
    /// It chooses the actor.
    Must,
}

impl Directory {
    pub(crate) fn keys(&self) -> Keys {
        match self {
            Self::One(_) => Keys::Never,
            Self::Lanes(_) => Keys::May,
            Self::OnDemand(_) | Self::Spawned(_) => Keys::Must,
        }
    }

    /// Those that are always there.
    pub(crate) fn fixed(&self) -> &[Arc<Place>] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Lanes(lanes) => lanes.places(),
            Self::OnDemand(_) | Self::Spawned(_) => &[],
        }
    }

    /// Those that are made when somebody sends to them.
    pub(crate) fn on_demand(&self) -> Option<&OnDemand> {
        match self {
            Self::OnDemand(on_demand) => Some(on_demand),
            _ => None,
        }
    }

    /// Those that are spawned.
    pub(crate) fn spawned(&self) -> Option<&Spawned> {
        match self {
            Self::Spawned(spawned) => Some(spawned),
            _ => None,
        }
    }

    /// There may be so many of those that come and go from now on. Those that are there stay.
    pub(crate) fn bound(&self, most: usize) {
        match self {
            Self::One(_) | Self::Lanes(_) => {}
            Self::OnDemand(on_demand) => on_demand.bound(most),
            Self::Spawned(spawned) => spawned.bound(most),
        }
    }

    /// How many of them come and go.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(_) | Self::Lanes(_) => 0,
            Self::OnDemand(on_demand) => on_demand.len(),
            Self::Spawned(spawned) => spawned.len(),
        }
    }

    /// Each one that is there.
    pub(crate) fn each(&self, mut see: impl FnMut(&Arc<Place>)) {
        match self {
            Self::One(_) | Self::Lanes(_) => self.fixed().iter().for_each(see),
            Self::OnDemand(on_demand) => on_demand.each(&mut see),
            Self::Spawned(spawned) => spawned.each(&mut see),
        }
    }
}

impl Lanes {
    pub(super) fn new(lanes: usize, make: impl Fn(usize) -> Arc<Place>) -> Self {
        Self((0..lanes.max(1)).map(make).collect())
    }

    /// The lane of a key.
    #[allow(clippy::indexing_slicing, reason = "the remainder is smaller than the number of lanes")]
    pub(super) fn of(&self, key: Option<&str>) -> &Arc<Place> {
        &self.0[self.at(key)]
    }

    /// Which of them the lane of a key is.
    pub(super) fn at(&self, key: Option<&str>) -> usize {
        lane_of(key, self.0.len())
    }

    pub(crate) fn places(&self) -> &[Arc<Place>] {
        &self.0
    }
}
