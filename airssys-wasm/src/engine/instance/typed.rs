//! Calls by a function's own type: with values of its types, and with the handles that are among them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::pulse::Early;
use bytes::Bytes;
use wasmtime::component::{Func, ResourceAny};

use super::{Answered, Called, Instance, Ran, answered, bounded, no_such_function, renew, renew_sync};
use crate::engine::abi::{self, Crossing, Given, Taken};
use crate::engine::http::Handle;
use crate::engine::lanes::Calls;
use crate::engine::p3;
use crate::error::{DeadHandle, Fault};
use crate::typed::FunctionType;

/// How many of the types that an instance was called by it remembers.
const MOST_FOUND: usize = 32;

impl Instance {
    /// The function that takes calls of this type. Who calls over a wire has a type of its own, and each call has the
    /// same one: so types are compared once.
    pub(super) fn find(&mut self, ty: &Arc<FunctionType>) -> Option<Called> {
        if let Some((_, called)) = self.found.iter().find(|(known, _)| Arc::ptr_eq(known, ty)) {
            return Some(*called);
        }
        let found = self.functions.find(ty)?;
        let handles_http = found.handles_http();
        let called = match found.index {
            Some(index) => match self.exports.get_func(&mut self.store, index)? {
                handle if handles_http => Called::Http(Handle::of(handle, &self.store)?),
                function if matches!(self.calls, Calls::Tasks(_)) => Called::Task(function),
                function => Called::Function(function),
            },
            None => Called::Drop,
        };
        // Each release of each caller has its own: an instance that outlives many of them forgets.
        if self.found.len() == MOST_FOUND {
            self.found.clear();
        }
        self.found.push((Arc::clone(ty), called));
        Some(called)
    }

    /// Whether the handles that are given with a call are of resources that are there.
    ///
    /// # Errors
    ///
    /// One is dead.
    pub(crate) fn check_handles(&self, function: &FunctionType, arguments: &[u8]) -> Result<(), DeadHandle> {
        let guest = self.store.data();
        guest.handles.check(guest.turn.identity.address().as_str(), function, arguments)
    }

    async fn call(
        &mut self,
        function: Func,
        ty: &FunctionType,
        given: Given<&[u8], { abi::MOST_FLATS }>,
        deadline: Duration,
    ) -> Result<wasmtime::Result<Crossing>, Early<String>> {
        let crossing = |taken: wasmtime::Result<Taken<1>>| taken.map(|Taken(block, resources)| (block, resources));
        match &self.calls {
            Calls::Async(_) => {
                renew(&mut self.store, self.budget_ticks);
                let function = abi::typed(function);
                let called = pin!(function.call_async(&mut self.store, given));
                bounded(&self.pulse, &self.clock, &self.cut, called, deadline).await.map(crossing)
            }
            Calls::Tasks(_) => {
                renew(&mut self.store, self.budget_ticks);
                let called = pin!(p3::call(&mut self.store, function, ty, given));
                bounded(&self.pulse, &self.clock, &self.cut, called, deadline).await
            }
            Calls::Sync(_) => {
                renew_sync(&mut self.store);
                Ok(crossing(abi::typed(function).call(&mut self.store, given)))
            }
        }
    }

    /// Calls a function of WASI 0.3 that takes and gives no handles.
    pub(super) async fn handle_task(
        &mut self,
        function: Func,
        ty: &FunctionType,
        arguments: &[u8],
        deadline: Duration,
    ) -> Ran<Answered> {
        let ended = self.call(function, ty, Given(arguments, Vec::new()), deadline).await;
        self.ran(ended.map(|ended| ended.map(Ok)), deadline, |(block, _)| answered(ty, block))
    }

    /// Calls a function that takes handles, or gives some.
    pub(super) async fn handle_with_handles(
        &mut self,
        ty: &Arc<FunctionType>,
        arguments: &[u8],
        deadline: Duration,
    ) -> Ran<Answered> {
        let Some(called) = self.find(ty) else { return Ran::Fault(no_such_function(ty)) };
        let Some((arguments, resources)) = self.store.data_mut().handles.resources(ty, arguments) else {
            // Seldom: whoever runs a turn has looked.
            return Ran::Fault(Fault::Invalid("it is given a dead handle".to_owned()));
        };
        let function = match (called, resources.first()) {
            (Called::Function(function) | Called::Task(function), _) => function,
            (Called::Drop, Some(resource)) => {
                let ended = self.drop_resource(*resource, deadline).await;
                return self.ran(ended.map(|ended| ended.map(Ok)), deadline, |()| answered(ty, Bytes::new()));
            }
            (Called::Drop | Called::Http(_), _) => return Ran::Fault(Fault::Internal("no handle".to_owned())),
        };
        let ended = self.call(function, ty, Given(&arguments, resources), deadline).await;
        let ran = self.ran(ended.map(|ended| ended.map(Ok)), deadline, |taken| taken);
        let (block, returned) = match ran {
            Ran::Done(taken) => taken,
            Ran::Fault(fault) => return Ran::Fault(fault),
            Ran::Crashed(crash) => return Ran::Crashed(crash),
        };
        let mut block = Vec::from(block);
        let given = match &ty.result {
            Some(result) => {
                let guest = self.store.data_mut();
                let identity = &guest.turn.identity;
                let (most, seeded) = (identity.terms.limits.handles, identity.mesh.seeded.as_ref());
                guest.handles.give(result, &mut block, &returned, (most, seeded))
            }
            None => Ok(()),
        };
        let Err(why) = given else { return Ran::Done(answered(ty, block.into())) };
        self.store.data().turn.identity.reach("handles", &why);
        for resource in returned {
            let ended = self.drop_resource(resource, deadline).await;
            if let Ran::Crashed(crash) = self.ran(ended.map(|ended| ended.map(Ok)), deadline, |()| ()) {
                return Ran::Crashed(crash);
            }
        }
        Ran::Fault(Fault::Unavailable(why.to_string()))
    }

    /// Drops a resource: the guest's destructor runs, where it has one.
    async fn drop_resource(
        &mut self,
        resource: ResourceAny,
        deadline: Duration,
    ) -> Result<wasmtime::Result<()>, Early<String>> {
        match &self.calls {
            Calls::Async(_) | Calls::Tasks(_) => {
                renew(&mut self.store, self.budget_ticks);
                let dropped = pin!(resource.resource_drop_async(&mut self.store));
                bounded(&self.pulse, &self.clock, &self.cut, dropped, deadline).await
            }
            Calls::Sync(_) => {
                renew_sync(&mut self.store);
                Ok(resource.resource_drop(&mut self.store))
            }
        }
    }
}
