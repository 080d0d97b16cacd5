//! WASI 0.3 is linked beside 0.2: components import both. What the host does to 0.2 beyond wasmtime it does here as
//! well.

use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::p3::bindings::cli::environment;
use wasmtime_wasi::p3::bindings::clocks::{monotonic_clock, system_clock};
use wasmtime_wasi::p3::bindings::filesystem::preopens;
use wasmtime_wasi::p3::bindings::random::{insecure, insecure_seed, random};

use crate::engine::guest::Guest;

fn same(guest: &mut Guest) -> &mut Guest {
    guest
}

/// Links WASI 0.3: wasmtime's, with the door for time, chance and environment in front.
pub(in crate::engine) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p3::add_to_linker(linker)?;
    linker.allow_shadowing(true);
    system_clock::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    monotonic_clock::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    environment::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    random::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    insecure::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    insecure_seed::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    preopens::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    linker.allow_shadowing(false);
    Ok(())
}
