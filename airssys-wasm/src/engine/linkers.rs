//! What releases are linked with, made once for each engine: all of WASI takes as long to list as a small release takes
//! to load.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::Engine;
use wasmtime::component::Linker;

use super::contract::{Beyond, Lane};
use super::generation::Generation;
use super::guest::Guest;
use super::{host, p3};

/// All linkers of a host.
#[derive(Default)]
pub(super) struct Linkers(Mutex<Vec<Known>>);

struct Known {
    engine: Engine,
    lane: Lane,
    beyond: Beyond,
    linker: Arc<Linker<Guest>>,
}

impl Linkers {
    /// What a release of this lane is linked with; with what it asks for beyond the baseline.
    pub(super) fn get(&self, engine: &Engine, lane: Lane, beyond: Beyond) -> wasmtime::Result<Arc<Linker<Guest>>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = all.iter().filter(|known| (known.lane, known.beyond) == (lane, beyond));
        if let Some(known) = known.find(|known| Engine::same(&known.engine, engine)) {
            return Ok(Arc::clone(&known.linker));
        }
        let mut linker = Linker::new(engine);
        host::add_to_linker(&mut linker, lane)?;
        if lane == Lane::Async {
            host::add_wasi_to_linker(&mut linker)?;
            if Generation::of_engine(engine).has_tasks() {
                p3::add_to_linker(&mut linker)?;
            }
        }
        if beyond.supervision {
            host::add_supervision_to_linker(&mut linker)?;
        }
        if beyond.processes && lane == Lane::Async {
            host::add_processes_to_linker(&mut linker)?;
        }
        if beyond.files && lane == Lane::Async {
            host::add_files_to_linker(&mut linker)?;
        }
        let linker = Arc::new(linker);
        all.push(Known { engine: engine.clone(), lane, beyond, linker: Arc::clone(&linker) });
        Ok(linker)
    }

    /// Lets go of an engine. Its linkers are made again where it is used all the same.
    pub(super) fn forget(&self, engine: &Engine) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| !Engine::same(&known.engine, engine));
    }
}

impl std::fmt::Debug for Linkers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linkers").finish_non_exhaustive()
    }
}
