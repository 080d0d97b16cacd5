//! The exports of a release: looked up once, loaded into each instance. Each lane has bindings of its own, with types
//! of their own; what is done with them is written here once.

use wasmtime::Store;
use wasmtime::component::{Component, Instance, InstancePre};

use super::contract::{HANDLER, HEALTH, LIFECYCLE, Lane, MONITORING, UPGRADE};
use super::generation::Generation;
use super::guest::Guest;

/// What both lanes have, with the types of one.
macro_rules! lane {
    ($lane:ident) => {
        pub(super) mod $lane {
            use super::{
                Component, Guest, HANDLER, HEALTH, Instance, InstancePre, LIFECYCLE, MONITORING, Store, UPGRADE,
            };
            use crate::engine::bindings::$lane::{self as bindings, health, lifecycle, monitoring, upgrade};

            /// Where the exports are.
            #[derive(Clone)]
            pub(in super::super) struct Found {
                pub(in super::super) handler: Option<bindings::ActorIndices>,
                pub(in super::super) lifecycle: Option<lifecycle::WithLifecycleIndices>,
                pub(in super::super) health: Option<health::WithHealthIndices>,
                pub(in super::super) upgrade: Option<upgrade::WithUpgradeIndices>,
                pub(in super::super) monitoring: Option<monitoring::WithMonitoringIndices>,
            }

            /// The exports of one instance.
            pub(in super::super) struct Loaded {
                pub(in super::super) handler: Option<bindings::Actor>,
                pub(in super::super) lifecycle: Option<lifecycle::WithLifecycle>,
                pub(in super::super) health: Option<health::WithHealth>,
                pub(in super::super) upgrade: Option<upgrade::WithUpgrade>,
                pub(in super::super) monitoring: Option<monitoring::WithMonitoring>,
            }

            impl Found {
                pub(in super::super) fn find(
                    component: &Component,
                    pre: &InstancePre<Guest>,
                ) -> wasmtime::Result<Self> {
                    let has = |name: &str| component.get_export_index(None, name).is_some();
                    Ok(Self {
                        handler: has(HANDLER).then(|| bindings::ActorIndices::new(pre)).transpose()?,
                        lifecycle: has(LIFECYCLE).then(|| lifecycle::WithLifecycleIndices::new(pre)).transpose()?,
                        health: has(HEALTH).then(|| health::WithHealthIndices::new(pre)).transpose()?,
                        upgrade: has(UPGRADE).then(|| upgrade::WithUpgradeIndices::new(pre)).transpose()?,
                        monitoring: has(MONITORING).then(|| monitoring::WithMonitoringIndices::new(pre)).transpose()?,
                    })
                }

                pub(in super::super) fn load(
                    &self,
                    store: &mut Store<Guest>,
                    instance: &Instance,
                ) -> wasmtime::Result<Loaded> {
                    Ok(Loaded {
                        handler: self.handler.as_ref().map(|at| at.load(&mut *store, instance)).transpose()?,
                        lifecycle: self.lifecycle.as_ref().map(|at| at.load(&mut *store, instance)).transpose()?,
                        health: self.health.as_ref().map(|at| at.load(&mut *store, instance)).transpose()?,
                        upgrade: self.upgrade.as_ref().map(|at| at.load(&mut *store, instance)).transpose()?,
                        monitoring: self.monitoring.as_ref().map(|at| at.load(&mut *store, instance)).transpose()?,
                    })
                }
            }
        }
    };
}

lane!(async_lane);
lane!(sync_lane);

/// Where the exports of a release are.
#[derive(Clone)]
pub(super) enum Exports {
    Async(async_lane::Found),
    Sync(sync_lane::Found),
    /// In the async lane, and of WASI 0.3.
    Tasks(async_lane::Found),
}

/// The exports of one instance.
pub(super) enum Calls {
    Async(async_lane::Loaded),
    Sync(sync_lane::Loaded),
    /// In the async lane, and of WASI 0.3: what they have begun is waited for.
    Tasks(async_lane::Loaded),
}

impl Exports {
    pub(super) fn find(component: &Component, pre: &InstancePre<Guest>, lane: Lane) -> wasmtime::Result<Self> {
        Ok(match lane {
            Lane::Async if Generation::of_engine(component.engine()).has_tasks() => {
                Self::Tasks(async_lane::Found::find(component, pre)?)
            }
            Lane::Async => Self::Async(async_lane::Found::find(component, pre)?),
            Lane::Sync => Self::Sync(sync_lane::Found::find(component, pre)?),
        })
    }

    /// Whether its guests handle messages of bytes.
    pub(super) fn handler(&self) -> bool {
        match self {
            Self::Async(found) | Self::Tasks(found) => found.handler.is_some(),
            Self::Sync(found) => found.handler.is_some(),
        }
    }

    /// Whether its guests are told of the ends of those they monitor.
    pub(super) fn monitoring(&self) -> bool {
        match self {
            Self::Async(found) | Self::Tasks(found) => found.monitoring.is_some(),
            Self::Sync(found) => found.monitoring.is_some(),
        }
    }

    /// Whether its guests hand over and take over.
    pub(super) fn upgrade(&self) -> bool {
        match self {
            Self::Async(found) | Self::Tasks(found) => found.upgrade.is_some(),
            Self::Sync(found) => found.upgrade.is_some(),
        }
    }
}
