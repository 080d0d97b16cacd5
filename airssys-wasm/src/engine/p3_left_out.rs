//! What stands in the place of `p3/` where this host is built without the feature `wasi-0-3`. No component that needs
//! it gets as far as this: [`super::Inspection`] refuses it, and no engine is made for it.

use std::sync::Arc;

use wasmtime::component::{Func, Linker};
use wasmtime::{Config, Store, StoreContextMut};

use super::abi::{Crossing, Given, MOST_FLATS};
use super::guest::Guest;
use super::mappings::Instances;
use crate::typed::FunctionType;

pub(super) use std::convert::Infallible as TooManyTasks;

fn left_out<T>() -> wasmtime::Result<T> {
    Err(wasmtime::Error::msg("this host was built without WASI 0.3"))
}

pub(super) fn check_tasks(_: &mut StoreContextMut<'_, Guest>) -> Result<(), TooManyTasks> {
    Ok(())
}

pub(super) fn room(_: &mut StoreContextMut<'_, Guest>) -> usize {
    usize::MAX
}

pub(super) fn count_stacks(_: &mut Config, _: &Arc<Instances>) {}

pub(super) fn add_to_linker(_: &mut Linker<Guest>) -> wasmtime::Result<()> {
    left_out()
}

pub(super) async fn settle(_: &mut Store<Guest>) -> wasmtime::Result<()> {
    left_out()
}

pub(super) async fn call(
    _: &mut Store<Guest>,
    _: Func,
    _: &FunctionType,
    _: Given<&[u8], MOST_FLATS>,
) -> wasmtime::Result<Crossing> {
    left_out()
}

pub(super) mod http {
    pub(in crate::engine) use std::convert::Infallible as Begun;
    use std::sync::Arc;

    use wasmtime::Store;
    use wasmtime::component::Func;
    use wasmtime_wasi_http::WasiHttpCtxView;

    use crate::engine::guest::Guest;
    use crate::engine::http::Collected;
    use crate::http::{Request, Streams};

    /// There is none.
    #[derive(Clone, Copy)]
    pub(in crate::engine) enum Handle {}

    impl Handle {
        pub(in crate::engine) fn of(_: Func, _: &Store<Guest>) -> Option<Self> {
            None
        }

        pub(in crate::engine) fn begin(
            self,
            _: WasiHttpCtxView<'_>,
            _: Request,
            _: Option<&Arc<Streams>>,
            _: usize,
        ) -> wasmtime::Result<(Begun, Collected)> {
            match self {}
        }

        pub(in crate::engine) async fn call(self, _: &mut Store<Guest>, _: Begun) -> wasmtime::Result<Option<String>> {
            match self {}
        }
    }
}
