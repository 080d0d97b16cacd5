//! The host's functions, an interface a file. None of them calls back into a guest.

pub(super) mod bounded_writer;
pub(crate) mod bucket;
mod clocks;
pub(crate) mod config;
mod environment;
mod file_asks;
pub(super) mod file_door;
pub(super) mod file_names;
pub(super) mod file_passing;
pub(super) mod file_rights;
mod file_streams;
mod file_tape;
mod files;
mod http;
mod http_tape;
pub(crate) mod keyvalue;
pub(super) mod listings;
pub(crate) mod log;
mod lookups;
pub(crate) mod messaging;
pub(super) mod opening;
mod os_files;
mod outside;
pub(super) mod outside_names;
pub(super) mod passed;
mod poll;
mod processes;
pub(crate) mod random;
pub(crate) mod resources;
pub(crate) mod running;
mod stream_tape;
mod streams;
pub(crate) mod supervision;
pub(crate) mod watched;

use wasmtime::component::{HasSelf, Linker};

use super::bindings::{self, async_lane, sync_lane};
use super::contract::Lane;
use super::guest::Guest;

fn same(guest: &mut Guest) -> &mut Guest {
    guest
}

/// Links the contract's interfaces for a lane.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>, lane: Lane) -> wasmtime::Result<()> {
    match lane {
        Lane::Async => async_lane::airssys::actor::messaging::add_to_linker::<_, HasSelf<Guest>>(linker, same)?,
        Lane::Sync => sync_lane::airssys::actor::messaging::add_to_linker::<_, HasSelf<Guest>>(linker, same)?,
    }
    async_lane::airssys::actor::types::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    async_lane::airssys::actor::log::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    async_lane::wasi::keyvalue::store::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    async_lane::wasi::keyvalue::atomics::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    async_lane::wasi::keyvalue::batch::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    async_lane::wasi::config::store::add_to_linker::<_, HasSelf<Guest>>(linker, same)
}

/// Links what lets a guest have children.
pub(crate) fn add_supervision_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    bindings::supervision::airssys::actor::supervision::add_to_linker::<_, HasSelf<Guest>>(linker, same)
}

/// Links what lets a guest start programs.
pub(crate) fn add_processes_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    bindings::os::airssys::os::processes::add_to_linker::<_, HasSelf<Guest>>(linker, same)
}

/// Links what lets a guest work with files beyond what WASI has words for.
pub(crate) fn add_files_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    bindings::os_files::airssys::os::files::add_to_linker::<_, HasSelf<Guest>>(linker, same)
}

/// Links WASI: wasmtime's, with the door for time, chance, environment and the order of what is waited for, and our own
/// files in front, a look for room before something is opened, and streams that
/// hand over at once what is there.
pub(crate) fn add_wasi_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    use wasmtime_wasi::p2::bindings::cli::environment;
    use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
    use wasmtime_wasi::p2::bindings::filesystem;
    use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    wall_clock::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    monotonic_clock::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    environment::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    wasmtime_wasi_io::bindings::wasi::io::poll::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    random::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    insecure::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    insecure_seed::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    filesystem::preopens::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    filesystem::types::add_to_linker::<_, file_tape::FileTapes>(linker, file_tape::at_the_tape)?;
    stream_tape::add_to_linker(linker)?;
    poll::add_to_linker(linker)?;
    lookups::add_to_linker(linker)?;
    resources::add_to_linker(linker)?;
    http::add_to_linker(linker)?;
    http_tape::add_to_linker(linker)?;
    streams::add_to_linker(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl async_lane::airssys::actor::types::Host for Guest {}
