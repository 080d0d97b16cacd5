//! Handles as they cross a wire, at the end of who calls: a component gives and takes resources of its host, and each
//! of these stands for a handle that another service made.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, ResourceAny, ResourceDynamic, ResourceType};

use super::abi::Crossing;
use super::foreign::{Imported, Owned};
use super::guest::Guest;
use crate::error::CallError;
use crate::typed::{FunctionType, Handle, Laid, put_handle};

/// A component gave something else than a handle that it has.
#[derive(Debug, thiserror::Error)]
#[error("a handle that it does not have")]
struct NoSuchHandle;

/// Defines a resource that is imported: who drops a handle of it tells its owner.
pub(super) fn define(instance: &mut LinkerInstance<'_, Guest>, imported: &Imported) -> wasmtime::Result<()> {
    let ty = ResourceType::host_dynamic(imported.which);
    instance.resource(&imported.name, ty, |mut store: StoreContextMut<'_, Guest>, number| {
        let guest = store.data_mut();
        if let Some(owned) = guest.foreign.remove(number) {
            guest.release(owned);
        }
        Ok(())
    })
}

/// Writes the handles of arguments into their block, in place of the resources that a component gave for them; those
/// that it gave away.
pub(super) fn give(
    mut store: StoreContextMut<'_, Guest>,
    function: &FunctionType,
    block: &mut Vec<u8>,
    resources: &[ResourceAny],
) -> wasmtime::Result<Vec<Owned>> {
    let mut given = Vec::new();
    for (found, resource) in function.params.handles_in(block)?.into_iter().zip(resources) {
        let number = ResourceDynamic::try_from_resource_any(*resource, &mut store)?.rep();
        let foreign = &mut store.data_mut().foreign;
        let handle = foreign.get(number).ok_or(NoSuchHandle)?;
        handle.append(block, found.at).ok_or(NoSuchHandle)?;
        if found.is_own {
            given.extend(foreign.remove(number));
        }
    }
    Ok(given)
}

/// Takes the handles of a result, and writes into its block which of the resources each is that go with it. Where that
/// would be more than it may have, they are dropped.
pub(super) fn take(
    mut store: StoreContextMut<'_, Guest>,
    wire: &str,
    resources: &[Imported],
    result: &Laid,
    block: &Bytes,
) -> wasmtime::Result<Result<Crossing, CallError>> {
    let returned = result.handles_in(block)?;
    if returned.is_empty() {
        return Ok(Ok((block.clone(), Vec::new())));
    }
    let guest = store.data_mut();
    let to: Arc<str> = guest.turn.identity.terms.wire(wire).map_or("", |wire| wire.to.as_str()).into();
    let mut owned = Vec::new();
    for found in &returned {
        let imported = resources.iter().find(|imported| *imported.full == *found.resource).ok_or(NoSuchHandle)?;
        let handle = Handle::read(block, found.at).ok_or(NoSuchHandle)?;
        owned.push((imported.which, Owned { handle, to: Arc::clone(&to), drop: Arc::clone(&imported.drop) }));
    }
    let most = guest.turn.identity.terms.limits.handles;
    if guest.foreign.len() + owned.len() > most {
        owned.into_iter().for_each(|(_, owned)| guest.release(owned));
        let why = format!("it has as many handles of others as it may, {most}");
        guest.turn.identity.reach("handles", &why);
        return Ok(Err(CallError::Dropped(why)));
    }
    let (mut block, mut taken) = (block.to_vec(), Vec::new());
    for (found, (which, owned)) in returned.iter().zip(owned) {
        let number = store.data_mut().foreign.hold(owned);
        put_handle(&mut block, found.at, u32::try_from(taken.len())?).ok_or(NoSuchHandle)?;
        taken.push(ResourceDynamic::new_own(number, which).try_into_resource_any(&mut store)?);
    }
    Ok(Ok((block.into(), taken)))
}
