//! What a turn asked of the mesh and what it was told: written down while a release serves, and read back to another
//! one that is shown the same message. Nothing that is asked while a script is read gets out.

use super::awaited::Names;
use super::host_call::{HostCall, Kind, Reply, Scope};
use super::identity::Identity;
use crate::error::{CallError, SendError};
use crate::limits::{OVERHEAD_BYTES, REASON_BYTES, SCRIPT_BYTES, cut};
use crate::middleware::Authorize;

/// How many differences of one turn are told; that there are more is.
const MOST_DIFFERENCES: usize = 16;

/// What was asked, and what was told.
pub(crate) type Line = (HostCall, Reply);

/// The script of one turn.
#[derive(Debug)]
pub(crate) enum Script {
    Written(Writing),
    Read(Reading),
}

/// What a script makes of a call.
pub(crate) enum Scripted {
    /// Nothing: the call is carried out.
    Nobody,
    /// It is told this, and nothing is carried out.
    Told(Reply),
    /// It is carried out, and this is written down with the reply. Boxed: a turn that is not compared does not carry it
    /// around.
    Writes(Box<HostCall>),
}

impl Script {
    /// What is to be done about a call of this guest. What a guest has from itself alone is in no script. What it waits
    /// for becomes ready in the order in which it did for the live one, where that waited for the same; to wait
    /// otherwise is no difference.
    #[cold]
    pub(super) fn ask(&mut self, call: &HostCall, who: &Identity) -> Scripted {
        match (self, call.scope()) {
            (_, Scope::Own) => Scripted::Nobody,
            (Self::Written(_), _) => Scripted::Writes(Box::new(call.clone())),
            (Self::Read(reading), Scope::Order) => reading.find(call).map_or(Scripted::Nobody, Scripted::Told),
            (Self::Read(reading), Scope::Mesh) => Scripted::Told(match denial(call, who) {
                Some(denial) => reading.deny(call, denial),
                None => reading.tell(call),
            }),
        }
    }

    /// How this turn names what it waits for.
    pub(super) fn names(&mut self) -> &mut Names {
        match self {
            Self::Written(writing) => &mut writing.names,
            Self::Read(reading) => &mut reading.names,
        }
    }
}

/// Why this guest may not do this; none where it may. Nobody audits it: nothing would happen.
fn denial(call: &HostCall, who: &Identity) -> Option<SendError> {
    let (policy, address) = (&who.terms.policy, who.address());
    let denied = match call {
        HostCall::Invoke { to, function, .. } => Authorize::no_function(address, policy, to, function),
        _ => {
            let (operation, target) = call.permission()?;
            Authorize::nothing(address, policy, operation, &target)
        }
    };
    Some(SendError::Denied(Box::new(denied?)))
}

/// A script that is written.
#[derive(Debug, Default)]
pub(crate) struct Writing {
    lines: Vec<Line>,
    bytes: usize,
    names: Names,
}

impl Writing {
    /// Adds a line. Beyond [`SCRIPT_BYTES`] there is no script of this turn: a guest may ask as often as it likes, also
    /// for what it is refused.
    pub(super) fn push(&mut self, asked: HostCall, told: Reply) {
        self.bytes = self.bytes.saturating_add(asked.bytes() + told.bytes() + OVERHEAD_BYTES);
        if self.bytes > SCRIPT_BYTES {
            self.lines = Vec::new();
        } else {
            self.lines.push((asked, told));
        }
    }

    /// The lines, and their bytes; none where there are too many.
    pub(crate) fn finish(self) -> Option<(Vec<Line>, usize)> {
        (self.bytes <= SCRIPT_BYTES).then_some((self.lines, self.bytes))
    }
}

/// A script that is read back.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Those that were not read back yet.
    lines: Vec<Option<Line>>,
    /// Where those of the mesh stood that were, in the order in which they were.
    used: Vec<usize>,
    differences: Vec<String>,
    /// Those that are not told.
    more: usize,
    names: Names,
}

impl Reading {
    pub(crate) fn new(lines: Vec<Line>) -> Self {
        Self { lines: lines.into_iter().map(Some).collect(), ..Self::default() }
    }

    fn differ(&mut self, what: String) {
        if self.differences.len() < MOST_DIFFERENCES {
            self.differences.push(cut(what, REASON_BYTES));
        } else {
            self.more += 1;
        }
    }

    /// What the live turn was told when it asked this; none where it did not ask it.
    fn find(&mut self, call: &HostCall) -> Option<Reply> {
        self.find_told(call, |_| true)
    }

    /// The same, where it was told so.
    fn find_told(&mut self, call: &HostCall, so: impl Fn(&Reply) -> bool) -> Option<Reply> {
        let is_it =
            |line: &Option<Line>| line.as_ref().is_some_and(|(asked, told)| asked.asks_the_same(call) && so(told));
        let at = self.lines.iter().position(is_it)?;
        if call.scope() == Scope::Mesh {
            self.used.push(at);
        }
        let (asked, told) = self.lines.get_mut(at)?.take()?;
        Some(told.in_words_of(call, &asked))
    }

    /// What it is told that it may not do.
    fn deny(&mut self, call: &HostCall, denial: SendError) -> Reply {
        // What both may not is no difference.
        if let Some(told) = self.find_told(call, Reply::is_denied) {
            return told;
        }
        self.differ(format!("it may not {call}"));
        match call.kind() {
            Kind::Answer => Reply::Answer(Err(denial.into())),
            Kind::Child => Reply::Child(Err(denial.into())),
            _ => Reply::Sent(Err(denial)),
        }
    }

    /// What the live turn was told, or what a turn is told that nobody answers.
    fn tell(&mut self, call: &HostCall) -> Reply {
        if let Some(told) = self.find(call) {
            return told;
        }
        self.differ(format!("it alone would {call}"));
        // Nobody knows what it would have been told.
        match call.kind() {
            Kind::Answer => Reply::Answer(Err(CallError::Dropped(
                "the live release did not make this call, and only what it was answered is known".to_owned(),
            ))),
            Kind::Timer => Reply::Timer(Ok(0)),
            Kind::Cancelled => Reply::Cancelled(false),
            Kind::Child => Reply::Child(Ok(call.permission().map(|(_, child)| child.into_owned()).unwrap_or_default())),
            _ => Reply::Sent(Ok(())),
        }
    }

    /// In what it differs from the live turn.
    pub(crate) fn differences(mut self) -> Vec<String> {
        for (asked, _) in std::mem::take(&mut self.lines).into_iter().flatten() {
            if asked.scope() == Scope::Mesh {
                self.differ(format!("it would not {asked}"));
            }
        }
        if self.differences.is_empty() && !self.used.is_sorted() {
            self.differences.push("it asks the same of the mesh in another order".to_owned());
        }
        if self.more > 0 {
            self.differences.push(format!("and {} more", self.more));
        }
        self.differences
    }
}

#[cfg(test)]
mod tests {
    use super::super::awaited::{Awaited, Maker};
    use super::{HostCall, Reading, Reply};

    fn poll(of: &[u32]) -> HostCall {
        HostCall::Poll { of: of.iter().map(|number| Awaited { made_by: Maker::Duration, number: *number }).collect() }
    }

    fn ready(places: &[u32]) -> Reply {
        Reply::Ready(places.to_vec())
    }

    fn send() -> HostCall {
        HostCall::Send { to: "a".to_owned(), key: None, body: bytes::Bytes::new() }
    }

    #[test]
    fn waiting_otherwise_is_no_difference() {
        let lines = vec![
            (poll(&[0, 1]), ready(&[1])),
            (send(), Reply::Sent(Ok(()))),
            (poll(&[0, 1]), ready(&[0, 1])),
            (HostCall::Block { on: Awaited { made_by: Maker::Duration, number: 0 } }, Reply::Nothing(())),
        ];
        let mut reading = Reading::new(lines);
        let mut polled = |of: &[u32]| reading.find(&poll(of)).and_then(|told| told.ready().ok());
        assert_eq!((polled(&[0, 1]), polled(&[0, 1, 2])), (Some(vec![1]), None));
        assert_eq!((polled(&[0, 2]), polled(&[0, 0])), (None, None), "as many, and not the same");
        assert_eq!((polled(&[0, 1]), polled(&[0, 1])), (Some(vec![0, 1]), None), "each is read back once");
        assert!(reading.find(&send()).is_some());
        assert_eq!(reading.differences(), Vec::<String>::new(), "nor is to wait less often, or at another time");
    }

    #[test]
    fn what_is_ready_is_told_by_its_name_wherever_it_stands() {
        let polled = |of: &[u32], places: &[u32], asks: &[u32]| {
            let told = Reading::new(vec![(poll(of), ready(places))]).find(&poll(asks));
            told.and_then(|told| told.ready().ok())
        };
        assert_eq!(polled(&[0, 1], &[0], &[1, 0]), Some(vec![1]));
        assert_eq!(polled(&[3, 1, 2], &[0, 2], &[1, 2, 3]), Some(vec![1, 2]));
        // What stands there twice is ready twice.
        assert_eq!(polled(&[0, 1, 0], &[0, 2], &[1, 0, 0]), Some(vec![1, 2]));
        // No release can say what is not there; if it does, nothing is ready by it.
        assert_eq!(polled(&[0, 1], &[7], &[1, 0]), Some(vec![]));
    }
}
