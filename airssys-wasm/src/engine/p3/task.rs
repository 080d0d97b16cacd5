//! Calls in a store that has tasks.

use std::future::poll_fn;

use wasmtime::Store;
use wasmtime::component::Func;

use crate::engine::abi::{self, Crossing, Given, MOST_FLATS, Taken};
use crate::engine::guest::Guest;
use crate::typed::FunctionType;

/// Waits until no task of the guest runs any more.
pub(in crate::engine) async fn settle(store: &mut Store<Guest>) -> wasmtime::Result<()> {
    settle_after(store, std::future::ready(())).await
}

/// The same, and until something else is over that is done for the guest: the store runs meanwhile, and with it what
/// the host reads for the guest and writes for it.
pub(super) async fn settle_after<T>(store: &mut Store<Guest>, other: impl Future<Output = T>) -> wasmtime::Result<T> {
    store
        .run_concurrent(async |tasks| {
            let ended = other.await;
            poll_fn(|context| tasks.poll_no_interesting_tasks(context)).await;
            ended
        })
        .await
}

/// Calls a function by its own type, and waits for what it has begun.
pub(in crate::engine) async fn call(
    store: &mut Store<Guest>,
    function: Func,
    ty: &FunctionType,
    given: Given<&[u8], MOST_FLATS>,
) -> wasmtime::Result<Crossing> {
    // An async function returns as many values of a core function as it could take, and the engine wants to know when
    // the host is compiled how many these are.
    macro_rules! by_count {
        ($($count:literal)*) => {
            match ty.result.as_ref().map_or(0, |laid| laid.ty.flats()) {
                $($count => {
                    let Taken(block, resources) = abi::typed_as::<$count>(function).call_async(&mut *store, given).await?;
                    (block, resources)
                })*
                // More of them lie in memory.
                _ => {
                    let Taken(block, resources) = abi::typed(function).call_async(&mut *store, given).await?;
                    (block, resources)
                }
            }
        };
    }
    let returned = by_count!(0 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
    settle(store).await?;
    Ok(returned)
}
