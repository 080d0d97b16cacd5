//! A layer that is a component: what is written of it, and what it is asked, as calls of functions by their types.
//! Plain data; who asks is `middleware/guards.rs`, and how a question reaches the component is `router/questions.rs`.

mod block;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

pub(crate) use self::block::{
    Said, after, before, functions, on_error, read_error_verdict, read_verdict, write_after, write_before,
    write_on_error,
};
use crate::operation::{Operation, Operations};
use crate::schema::Words;

/// A layer that is a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guard {
    /// The service that it is.
    pub(crate) service: String,
    /// What it is asked about.
    pub(crate) applies_to: Vec<Operation>,
    /// The services that it guards; none for all that are no layers.
    pub(crate) guards: Vec<String>,
    pub(crate) priority: u32,
    pub(crate) when_down: WhenDown,
    /// How long its answer may take.
    pub(crate) timeout: Duration,
    /// Whether it is shown what is sent and written.
    pub(crate) bodies: bool,
    /// Which of its functions are called.
    pub(crate) hooks: Vec<Hook>,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            service: String::new(),
            applies_to: vec![Operation::Send, Operation::Call, Operation::Invoke],
            guards: Vec::new(),
            priority: 100,
            when_down: WhenDown::default(),
            timeout: Duration::from_secs(1),
            bodies: false,
            hooks: vec![Hook::Before],
        }
    }
}

impl Guard {
    /// What it can be asked about: what somebody can wait for.
    pub(crate) const ABOUT: Operations = Operations::of(Operation::Send)
        .and(Operation::Call)
        .and(Operation::Invoke)
        .and(Operation::SocketBind)
        .and(Operation::SocketAccept)
        .and(Operation::SocketConnect)
        .and(Operation::SocketSend)
        .and(Operation::Lookup)
        .and(Operation::Http)
        .and_all(Operations::FILES);

    /// What it is asked about.
    pub(crate) fn about(&self) -> Operations {
        self.applies_to.iter().fold(Operations::NONE, |all, one| all.and(*one))
    }

    /// Whether this function of it is called.
    pub(crate) fn has(&self, hook: Hook) -> bool {
        self.hooks.contains(&hook)
    }
}

/// What a word of `applies_to` stands for; none where it stands for nothing that a layer can be asked about.
pub(crate) fn operations(word: &str) -> Option<Vec<Operation>> {
    let all = |of: Operations| Operation::ALL.into_iter().filter(|one| of.contains(*one)).collect();
    match word {
        "messages" => Some(vec![Operation::Send, Operation::Call, Operation::Invoke]),
        "files" => Some(all(Operations::FILES)),
        "sockets" => Some(all(Operations::SOCKETS)),
        word => {
            let one = Operation::ALL.into_iter().find(|one| one.name() == word)?;
            Guard::ABOUT.contains(one).then(|| vec![one])
        }
    }
}

/// What becomes of what a layer guards while it is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum WhenDown {
    /// It waits until the layer is there, as long as whoever asks can wait.
    Wait,
    #[default]
    Refuse,
    Allow,
}

impl Words for WhenDown {
    const WHAT: &'static str = "thing to do while a layer is down";
    const LIST: &'static str = "wait, refuse, allow";
    const ALL: &'static [(&'static str, Self)] =
        &[("refuse", Self::Refuse), ("wait", Self::Wait), ("allow", Self::Allow)];
}

/// A function of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    Before,
    After,
    OnError,
}

impl Hook {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Before, Self::After, Self::OnError];
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before",
            Self::After => "after",
            Self::OnError => "on-error",
        })
    }
}
