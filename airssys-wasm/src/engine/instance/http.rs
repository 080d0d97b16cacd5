//! A request of HTTP, handled in an ordinary turn, on the instance that is there: what a guest keeps in its memory is
//! there for its next request.

use std::future::ready;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::pulse::Early;
use wasmtime::AsContextMut as _;
use wasmtime::component::TypedFunc;
use wasmtime_wasi_http::WasiHttpView as _;

use super::{Answered, Instance, Ran, bounded, renew};
use crate::engine::crash::classify;
use crate::engine::host::resources;
use crate::engine::http::{self, Collected, Handle};
use crate::engine::lanes::Calls;
use crate::engine::p3;
use crate::error::Fault;
use crate::http::{Streams, read_request, write_response};
use crate::message::Envelope;

/// A request that is handled.
type Handling<'a> = Pin<Box<dyn Future<Output = Ran<Answered>> + Send + 'a>>;

/// One that has ended already.
#[cold]
fn ended<'a>(ran: Ran<Answered>) -> Handling<'a> {
    Box::pin(ready(ran))
}

impl Instance {
    /// Lets the guest handle a request, which has `deadline` for it, waiting included. What is done before the guest is
    /// called is in no future: one of more than a kilobyte costs a slow allocation with each request.
    pub(super) fn handle_http<'a>(
        &'a mut self,
        handle: Handle,
        envelope: &'a Envelope,
        deadline: Duration,
    ) -> Handling<'a> {
        let streams = envelope.streams.as_ref();
        let request = match streams.and_then(|streams| streams.request(&envelope.body)) {
            Some(request) => request,
            None => match read_request(&envelope.body) {
                Ok(request) => request,
                Err(no) => return ended(Ran::Fault(Fault::Invalid(format!("it is no request: {no}")))),
            },
        };
        if streams.is_some_and(|streams| streams.is_used()) {
            let gone = "another turn has read of the request, or begun to respond, and it cannot be handled again";
            return ended(Ran::Fault(Fault::Unavailable(gone.to_owned())));
        }
        let guest = self.store.data_mut();
        let most = usize::try_from(guest.turn.identity.terms.limits.message_bytes).unwrap_or(usize::MAX);
        if let (Handle::Third(_), Some(true)) = (handle, streams.map(|streams| streams.has_rest())) {
            guest.is_unrecorded("the body of a request by WASI 0.3");
        }
        match handle {
            Handle::Second(handle) => match http::begin(guest.http(), request, streams, most) {
                Ok((arguments, response)) => Box::pin(self.second(handle, arguments, response, streams, deadline)),
                Err(error) => ended(Ran::Crashed(classify(&error, self.store.data()))),
            },
            Handle::Third(handle) => match handle.begin(guest.http(), request, streams, most) {
                Ok((begun, response)) => Box::pin(self.third(handle, begun, response, streams, deadline)),
                Err(error) => ended(Ran::Crashed(classify(&error, self.store.data()))),
            },
        }
    }

    #[allow(clippy::manual_async_fn, reason = "what an async function takes by value is in its future twice")]
    fn second<'a>(
        &'a mut self,
        handle: TypedFunc<http::Arguments, ()>,
        arguments: http::Arguments,
        mut response: Collected,
        streams: Option<&'a Arc<Streams>>,
        deadline: Duration,
    ) -> impl Future<Output = Ran<Answered>> + 'a {
        async move {
            renew(&mut self.store, self.budget_ticks);
            let has_tasks = matches!(self.calls, Calls::Tasks(_));
            let ended = {
                let guest = pin!(async {
                    handle.call_async(&mut self.store, arguments).await?;
                    // Boxed: one without tasks does not carry this around.
                    if has_tasks { Box::pin(p3::settle(&mut self.store)).await } else { Ok(()) }
                });
                let called = pin!(response.of(guest));
                bounded(&self.pulse, &self.clock, &self.cut, called, deadline).await
            };
            self.responded(ended.map(|ended| ended.map(|()| None)), response, streams, deadline)
        }
    }

    #[allow(clippy::manual_async_fn, reason = "see above")]
    fn third<'a>(
        &'a mut self,
        handle: p3::http::Handle,
        begun: p3::http::Begun,
        mut response: Collected,
        streams: Option<&'a Arc<Streams>>,
        deadline: Duration,
    ) -> impl Future<Output = Ran<Answered>> + 'a {
        async move {
            renew(&mut self.store, self.budget_ticks);
            let ended = {
                let guest = pin!(handle.call(&mut self.store, begun));
                let called = pin!(response.of(guest));
                bounded(&self.pulse, &self.clock, &self.cut, called, deadline).await
            };
            self.responded(ended, response, streams, deadline)
        }
    }

    fn look_at_what_is_left(&mut self) {
        let store = &mut self.store;
        let has_tasks = matches!(self.calls, Calls::Tasks(_));
        self.wear.look(store.data().turn.identity.terms.limits.resources, || {
            let room = resources::room(&mut store.data_mut().table);
            if has_tasks { room.min(p3::room(&mut store.as_context_mut())) } else { room }
        });
    }

    /// Whether the requests that it had have left so many resources behind that it has no room for many more. Where
    /// others have handles of resources of its own, which would be dead without it, it is never.
    pub(crate) fn is_short(&self) -> bool {
        self.wear.is_short() && self.store.data().handles.is_empty()
    }

    /// Whether there is something to look at before the next turn: it is short of resources, or the host is seeded.
    pub(crate) fn is_to_be_looked_at(&self) -> bool {
        self.wear.is_to_be_looked_at()
    }

    /// No other instance comes in its place now.
    pub(crate) fn stays(&mut self) {
        self.wear.forget();
    }

    /// What became of a request: the error that the guest answered with, or its response.
    fn responded(
        &mut self,
        ended: Result<wasmtime::Result<Option<String>>, Early<String>>,
        response: Collected,
        streams: Option<&Arc<Streams>>,
        deadline: Duration,
    ) -> Ran<Answered> {
        let ran = match self.ran(ended.map(|ended| ended.map(Ok)), deadline, |error| error) {
            Ran::Done(error) => {
                // Whatever the guest keeps of the request ends here.
                streams.inspect(|streams| streams.close());
                answered(error.map_or_else(|| response.whole(), Err), streams)
            }
            Ran::Fault(fault) => Ran::Fault(fault),
            // There is nothing to look at.
            Ran::Crashed(crash) => return Ran::Crashed(crash),
        };
        self.look_at_what_is_left();
        ran
    }
}

/// An error of the guest's is an answer as well, and what the turn did does not happen then.
fn answered(response: crate::http::Response, streams: Option<&Arc<Streams>>) -> Ran<Answered> {
    let block = match write_response(&response) {
        Ok(block) => block,
        Err(misfit) => return Ran::Fault(Fault::Internal(misfit.to_string())),
    };
    let commits = response.is_ok();
    if let (Ok(response), Some(streams)) = (response, streams) {
        streams.respond(response, &block);
    }
    Ran::Done(Answered { body: Some(block), commits })
}
