//! `airssys:actor/supervision`: children of one's own.

use crate::engine::bindings::supervision::airssys::actor::supervision as wit;
use crate::engine::guest::Guest;
use crate::error::{SendError, SupervisionError};
use crate::turn::HostCall;

type Done<T> = wasmtime::Result<Result<T, wit::SupervisionError>>;

impl wit::Host for Guest {
    fn spawn(&mut self, service: String, name: String) -> Done<String> {
        self.supervise(HostCall::Spawn { service, name })
    }

    fn stop(&mut self, child: String) -> Done<()> {
        Ok(self.supervise(HostCall::Stop { child })?.map(drop))
    }

    fn monitor(&mut self, child: String) -> Done<()> {
        Ok(self.supervise(HostCall::Monitor { child })?.map(drop))
    }

    fn demonitor(&mut self, child: String) -> Done<()> {
        Ok(self.supervise(HostCall::Demonitor { child })?.map(drop))
    }

    fn link(&mut self, child: String) -> Done<()> {
        Ok(self.supervise(HostCall::Link { child })?.map(drop))
    }
}

impl Guest {
    fn supervise(&mut self, call: HostCall) -> Done<String> {
        Ok(self.turn.perform_now(call).child()?.map_err(|error| to_wit(&error)))
    }
}

fn to_wit(error: &SupervisionError) -> wit::SupervisionError {
    match error {
        SupervisionError::Taken { .. } => wit::SupervisionError::Taken,
        SupervisionError::Deaf => wit::SupervisionError::Deaf,
        SupervisionError::NotSent(error) => match error {
            SendError::Denied(denied) => wit::SupervisionError::Denied(denied.to_string()),
            SendError::Rejected { .. } => wit::SupervisionError::Denied(error.to_string()),
            SendError::Overloaded { .. } => wit::SupervisionError::Overloaded,
            other => wit::SupervisionError::NoSuchChild(other.to_string()),
        },
    }
}
