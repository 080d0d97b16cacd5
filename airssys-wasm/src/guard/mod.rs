//! A layer that is a component: what is written of it, and what it is asked, as calls of functions by their types.
//! Plain data; who asks is `middleware/guards.rs`, and how a question reaches the component is `router/questions.rs`.

mod block;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use toml::Spanned;

pub(crate) use self::block::{
    Said, after, before, functions, on_error, read_error_verdict, read_verdict, write_after, write_before,
    write_on_error,
};
use crate::operation::{Operation, Operations};
use crate::schema::{Count, Humane, MILLISECOND, Word, Words, schema};

/// The longest that an answer of a layer is waited for, in nanoseconds: an hour.
const LONGEST: u64 = 3_600 * 1_000 * MILLISECOND;

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

schema! {
    of Guard, written WrittenGuard {
        /// the service that it is: one whose component exports `airssys:actor/layer`. It has one actor, or is a pool
        /// with one mailbox
        service: Spanned<String> => service, needed "required", kind "name of a service";
        /// what it is asked about: `send`, `call`, `invoke`, or all three by `messages`; `file-open` and the like, or
        /// `files`; `socket-bind`, `socket-connect`, `socket-send`, or `sockets`; `lookup`; `http`. What nobody can
        /// wait for is not among them
        applies_to: Vec<Spanned<String>> => applies_to, by InPlace, kind "list of words", default "`[\"messages\"]`";
        /// the services that it guards: what they do, and what is sent to them
        guards: Vec<Spanned<String>> => guards, by InPlace, kind "list of names", default "all that are no layers";
        /// of several layers that are components, the one with the highest is asked first; of equal ones the first in
        /// the file
        priority: Count<u32> => priority, in 0..=1_000, by InPlace, default "`100`";
        /// what becomes of what it guards while it is down: it is to `wait`, `refuse` it, or `allow` it
        when_down: Word<WhenDown> => when_down, by InPlace, default "`\"refuse\"`";
        /// how long its answer may take; then it counts as down
        timeout: Humane => timeout, in MILLISECOND..=LONGEST, by InPlace, default "`\"1s\"`";
        /// whether it is shown what is sent and written
        bodies: bool => bodies, by InPlace, default "`false`";
        /// which of its functions are called: `before`, `after`, `on-error`
        hooks: Vec<Spanned<String>> => hooks, by InPlace, kind "list of words", default "`[\"before\"]`";
    }
}

impl Guard {
    /// What it can be asked about: what somebody can wait for.
    pub(crate) const ABOUT: Operations = Operations::of(Operation::Send)
        .and(Operation::Call)
        .and(Operation::Invoke)
        .and(Operation::SocketBind)
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
