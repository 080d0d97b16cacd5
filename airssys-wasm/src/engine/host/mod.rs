//! The host's functions, an interface a file. None of them calls back into a guest.

pub(crate) mod config;
pub(crate) mod keyvalue;
pub(crate) mod log;
pub(crate) mod messaging;

use wasmtime::component::{HasSelf, Linker};

use super::bindings::{prompt, waiting};
use super::guest::Guest;
use super::template::Lane;

/// Links the contract's interfaces for a lane.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>, lane: Lane) -> wasmtime::Result<()> {
    fn same(guest: &mut Guest) -> &mut Guest {
        guest
    }
    match lane {
        Lane::Async => waiting::airssys::actor::messaging::add_to_linker::<_, HasSelf<Guest>>(linker, same)?,
        Lane::Sync => prompt::airssys::actor::messaging::add_to_linker::<_, HasSelf<Guest>>(linker, same)?,
    }
    waiting::airssys::actor::types::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    waiting::airssys::actor::log::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    waiting::wasi::keyvalue::store::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    waiting::wasi::keyvalue::atomics::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    waiting::wasi::keyvalue::batch::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    waiting::wasi::config::store::add_to_linker::<_, HasSelf<Guest>>(linker, same)
}

impl waiting::airssys::actor::types::Host for Guest {}
