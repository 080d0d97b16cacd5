//! The steps of a run, as they are written in its trace.

/// One of them, and the time of the run at which it was taken, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step<'a> {
    pub(super) at: &'a str,
    pub(super) what: What<'a>,
    /// All that is written of it.
    pub(super) line: &'a str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What<'a> {
    /// An actor begins a turn over a message.
    Turn { actor: &'a str, id: &'a str, delivery: &'a str, sender: &'a str, attempt: &'a str, fault: Option<&'a str> },
    /// That turn is over.
    Over { actor: &'a str, id: &'a str, outcome: &'a str },
    /// Whoever asked from outside has an answer, or waits no longer.
    Client { service: &'a str, said: &'a str, told: &'a str },
    /// It was asked when all was over.
    Check { text: &'a str },
    /// A message did not come into a mailbox.
    Lost { to: &'a str, fault: &'a str },
    /// An actor is up.
    Up { actor: &'a str, again: bool, text: &'a str },
    /// An actor has ended; not well, where nobody wanted that.
    Ended { actor: &'a str, well: bool, text: &'a str },
    /// A message is a dead letter.
    Buried { to: &'a str, text: &'a str },
    /// Something did not hold.
    Broken { text: &'a str },
    /// The whole host begins, or is killed.
    Host { text: &'a str },
    /// Anything else.
    Other { text: &'a str },
}

impl<'a> Step<'a> {
    pub(super) fn read(line: &'a str) -> Self {
        let (at, text) = line.split_once(' ').unwrap_or(("", line));
        Self { at, what: What::read(text), line: text }
    }
}

impl<'a> What<'a> {
    fn read(text: &'a str) -> Self {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let known = match word {
            "turn" => turn(rest),
            "over" => over(rest),
            "client" => client(rest),
            "check" => Some(Self::Check { text: rest }),
            "message" => lost(rest),
            "event" => Some(event(rest)),
            "BROKEN" => Some(Self::Broken { text: rest }),
            _ if text.contains("host") => Some(Self::Host { text }),
            _ => None,
        };
        known.unwrap_or(Self::Other { text })
    }
}

/// `goal #3 call from asker key - try 0 body 0a1b FAULT crash after the turn`.
fn turn(text: &str) -> Option<What<'_>> {
    let (message, fault) = match text.split_once(" FAULT ") {
        Some((message, fault)) => (message, Some(fault)),
        None => (text, None),
    };
    let (actor, rest) = message.split_once(" #")?;
    let (id, rest) = rest.split_once(' ')?;
    let (delivery, rest) = rest.split_once(" from ")?;
    let (sender, rest) = rest.split_once(" key ")?;
    let (_, rest) = rest.split_once(" try ")?;
    let attempt = rest.split(' ').next()?;
    Some(What::Turn { actor, id, delivery, sender, attempt, fault })
}

/// `goal #3 done answer 0a1b after 1200`.
fn over(text: &str) -> Option<What<'_>> {
    let (actor, rest) = text.split_once(" #")?;
    let (id, rest) = rest.split_once(' ')?;
    let (outcome, _) = rest.rsplit_once(" after ")?;
    Some(What::Over { actor, id, outcome })
}

/// `goal "what was said": "the answer"`, both with what Rust writes for quotes in them.
fn client(text: &str) -> Option<What<'_>> {
    let (service, rest) = text.split_once(" \"")?;
    let (said, told) = rest.strip_suffix('"')?.split_once("\": \"")?;
    Some(What::Client { service, said, told })
}

/// `to goal FAULT full`.
fn lost(text: &str) -> Option<What<'_>> {
    let (to, fault) = text.strip_prefix("to ")?.split_once(" FAULT ")?;
    Some(What::Lost { to, fault })
}

fn event(text: &str) -> What<'_> {
    if let Some((actor, _)) = text.split_once(" is up again, incarnation ") {
        return What::Up { actor, again: true, text };
    }
    if let Some((actor, _)) = text.split_once(" is up, incarnation ") {
        return What::Up { actor, again: false, text };
    }
    if let Some((actor, why)) = text.split_once(" has ended, incarnation ") {
        let well = why.ends_with(": shutdown") || why.ends_with(": normal");
        return What::Ended { actor, well, text };
    }
    let letter = text.strip_prefix("message ").and_then(|rest| rest.split_once(" to "));
    match letter.and_then(|(_, rest)| rest.split_once(": ")) {
        Some((to, _)) => What::Buried { to, text },
        None => What::Other { text },
    }
}

#[cfg(test)]
mod tests {
    use super::{Step, What};

    #[test]
    fn what_is_written_is_read() {
        let turn = Step::read("0.012000 turn goal #3 call from asker key - try 0 body 0a1b FAULT crash after the turn");
        assert_eq!(turn.at, "0.012000");
        let fault = Some("crash after the turn");
        let what = What::Turn { actor: "goal", id: "3", delivery: "call", sender: "asker", attempt: "0", fault };
        assert_eq!(turn.what, what);
        let over = Step::read("0.012000 over goal #3 crash planned: it ended after the turn after 1200").what;
        assert_eq!(over, What::Over { actor: "goal", id: "3", outcome: "crash planned: it ended after the turn" });
        let client = Step::read(r#"0.1 client goal "{\"n\": \"1\"}": "{\"ok\":1}""#).what;
        let (said, told) = (r#"{\"n\": \"1\"}"#, r#"{\"ok\":1}"#);
        assert_eq!(client, What::Client { service: "goal", said, told });
        let ended = Step::read("61.0 event goal has ended, incarnation 2: shutdown").what;
        assert!(matches!(ended, What::Ended { actor: "goal", well: true, .. }), "{ended:?}");
        let up = Step::read("1.000000 event goal is up again, incarnation 2").what;
        assert!(matches!(up, What::Up { actor: "goal", again: true, .. }), "{up:?}");
        let buried = Step::read("1.000000 event message 4, a call of (host) to goal: it crashed").what;
        assert!(matches!(buried, What::Buried { to: "goal", .. }), "{buried:?}");
        assert!(matches!(Step::read("1.0 the host is killed").what, What::Host { .. }));
        assert!(matches!(Step::read("1.0 something new").what, What::Other { .. }));
        assert!(matches!(Step::read("").what, What::Other { .. }));
    }
}
