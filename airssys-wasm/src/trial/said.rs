//! What is said to a mesh that is tried, and to whom.

use std::borrow::Cow;

use super::http::Request;

/// What is said to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// A call of a function by its own type, in WAVE.
    Call(String),
    /// A message of bytes, with an answer.
    Ask(String),
    /// One without.
    Send(String),
    /// A request of HTTP, to a listener.
    Http(Request),
}

impl Said {
    /// As it is said the `number`th time: `{n}` stands for that.
    pub(super) fn numbered(&self, number: u64) -> Self {
        let text = |text: &String| text.replace("{n}", &number.to_string());
        match self {
            Self::Call(call) => Self::Call(text(call)),
            Self::Ask(body) => Self::Ask(text(body)),
            Self::Send(body) => Self::Send(text(body)),
            Self::Http(request) => Self::Http(request.each(text)),
        }
    }

    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Call(text) | Self::Ask(text) | Self::Send(text) => text.into(),
            Self::Http(request) => request.to_string().into(),
        }
    }
}

/// To whom, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Of a request of HTTP: where the listener listens, as it is written; empty for the only one.
    pub(super) service: String,
    pub(super) key: Option<String>,
    pub(super) said: Said,
}

impl Message {
    /// As it is said the `number`th time.
    pub(super) fn numbered(&self, number: u64) -> Self {
        let key = self.key.as_ref().map(|key| key.replace("{n}", &number.to_string()));
        Self { service: self.service.clone(), key, said: self.said.numbered(number) }
    }
}
