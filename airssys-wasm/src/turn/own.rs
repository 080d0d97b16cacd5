//! What a guest asks of what is its own, where a layer applies to it: its state, clocks, randomness, its environment
//! and its configuration. Nothing of it waits.

use bytes::Bytes;

use super::{HostCall, Reply, StateRefused, Turn};
use crate::error::CallError;
use crate::message::Answer;
use crate::operation::Operations;

impl Turn {
    /// Does it as the layers let it.
    #[cold]
    pub(super) fn pass(&mut self, mut call: HostCall) -> Reply {
        let Some((operation, target)) = call.permission() else { return self.carry_out_now(call) };
        let needs = match call {
            HostCall::IncrementState { .. } => Operations::STATE,
            _ => operation.into(),
        };
        let Some(mut asked) = self.asks(operation, needs, || target.into()) else { return self.carry_out_now(call) };
        if let HostCall::RandomBytes { count } = call {
            asked.wants_bytes = count;
        }
        let original = call.clone();
        loop {
            let mut body = call.body().cloned().unwrap_or_default();
            let passing = match asked.enter_now(&mut body) {
                Ok(passing) => passing,
                Err(answer) => return original.replied(answer),
            };
            if let Some(written) = call.body() {
                *written = body;
            }
            let reply = self.carry_out_now(call);
            let outcome = reply.outcome();
            match passing.settle(outcome.clone()) {
                Ok(answer) if answer == outcome => return reply,
                Ok(answer) => return original.replied(answer),
                Err(again) => (asked, call) = (again, original.clone()),
            }
        }
    }
}

impl HostCall {
    /// What it would write.
    fn body(&mut self) -> Option<&mut Bytes> {
        match self {
            Self::SetState { value, .. } => Some(value),
            _ => None,
        }
    }

    /// What a guest is told where a layer has answered.
    fn replied(&self, answer: Answer) -> Reply {
        let text = |body: Option<Bytes>| body.map(|body| String::from_utf8_lossy(&body).into_owned());
        let failed = |why: String| StateRefused::Failed(why);
        match (self, answer) {
            (Self::GetState { .. }, Ok(body)) => Reply::Value(body),
            (Self::Config { .. }, Ok(body)) => Reply::Text(text(body)),
            (Self::SetState { .. } | Self::DeleteState { .. }, Ok(_)) => Reply::Kept(Ok(())),
            (Self::Environment | Self::AllConfig, Ok(_)) => Reply::Pairs(Vec::new()),
            // Without it there is nothing to see.
            (Self::Environment, Err(_)) => Reply::Pairs(Vec::new()),
            (_, answer) => {
                let why = match answer {
                    Ok(_) => "a layer has handled it, and has no answer to this".to_owned(),
                    Err(error) => error.to_string(),
                };
                match self {
                    Self::SetState { .. } | Self::DeleteState { .. } => Reply::Kept(Err(failed(why))),
                    Self::IncrementState { .. } => Reply::Number(Err(failed(why))),
                    Self::StateKeys { .. } => Reply::Keys(Err(failed(why))),
                    _ => Reply::Refused(why),
                }
            }
        }
    }
}

impl Reply {
    /// What came of it, as layers are told.
    fn outcome(&self) -> Answer {
        let failed = |why: &dyn ToString| Err(CallError::Failed { code: why.to_string() });
        match self {
            Self::Value(body) => Ok(body.clone()),
            Self::Text(text) => Ok(text.clone().map(Bytes::from)),
            Self::Kept(Err(error)) | Self::Number(Err(error)) | Self::Keys(Err(error)) => failed(error),
            Self::BytesDrawn(Err(error)) | Self::NumberDrawn(Err(error)) => failed(error),
            Self::Refused(why) => failed(why),
            _ => Ok(None),
        }
    }
}
