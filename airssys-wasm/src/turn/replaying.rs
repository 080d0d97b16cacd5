//! A script that is told to the same release again: each call as it was asked, in its order, with what was told then in
//! the place of the host. Nothing of it gets out but lines of its log.

use std::collections::VecDeque;

use super::awaited::Names;
use super::host_call::{HostCall, Reply};
use super::outside::{Look, Said};
use super::told::{Frame, Frames, Line, Scripted};
use crate::limits::{REASON_BYTES, cut};

/// What may be otherwise than it was.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Slack {
    /// Whether the turn went on after what is written down: it asked more than was kept, or time was up.
    pub(crate) is_open: bool,
    /// Whether time was up over it: how much is asked until then is another thing each time.
    pub(crate) is_timed: bool,
    /// Whether turns before it are lost: this instance then does for the first time what that one had done.
    pub(crate) is_late: bool,
}

/// A script that is told again.
#[derive(Debug, Default)]
pub(crate) struct Replaying {
    /// The folders that it was granted.
    folders: Vec<String>,
    lines: VecDeque<Line>,
    /// How many were told.
    told: usize,
    slack: Slack,
    /// Where it asked something else.
    parted: Option<String>,
    pub(super) names: Names,
    pub(super) frames: Frames,
}

impl Replaying {
    pub(crate) fn new(lines: Vec<Line>, slack: Slack) -> Self {
        Self { lines: lines.into(), slack, ..Self::default() }
    }

    /// With these folders, where it asks for them late.
    pub(crate) fn with_folders(self, folders: &[String]) -> Self {
        Self { folders: folders.to_owned(), ..self }
    }

    /// What a guest is told that asks this next.
    pub(super) fn tell(&mut self, call: &HostCall) -> Scripted {
        if self.parted.is_some() {
            return Scripted::Instead(parted());
        }
        let is_next = self.lines.front().is_some_and(|(asked, _)| asked.asks_the_same(call));
        match (call, self.slack) {
            (HostCall::OpenState { .. }, Slack { is_late: true, .. }) if !is_next => {
                return Scripted::Instead(Reply::Kept(Ok(())));
            }
            (HostCall::Folders, Slack { is_late: true, .. }) if !is_next => {
                return Scripted::Instead(Reply::Names(self.folders.clone()));
            }
            (HostCall::Look { at, look: Look::Type }, Slack { is_late: true, .. })
                if !is_next && self.folders.contains(at) =>
            {
                return Scripted::Instead(Reply::Said(Ok(Said::Word("directory".to_owned()))));
            }
            (HostCall::RandomBytes { .. } | HostCall::RandomNumber, Slack { is_late: true, .. }) if !is_next => {
                return Scripted::Nobody;
            }
            _ => {}
        }
        match self.lines.pop_front() {
            Some((asked, told)) if is_next => {
                self.told += 1;
                match (told, call) {
                    (Reply::Unanswered, _) => Scripted::Never,
                    (_, HostCall::Log { .. }) => Scripted::Nobody,
                    (told, _) => Scripted::Instead(told.in_words_of(call, &asked)),
                }
            }
            Some((asked, _)) => self.part(format!("it was recorded to {asked}, and would {call}")),
            None if self.slack.is_open => match call {
                // As often as it likes: what was said then is not known, and is nothing new.
                HostCall::Log { .. } => Scripted::Instead(Reply::Nothing(())),
                HostCall::WallClock | HostCall::MonotonicClock => Scripted::Nobody,
                HostCall::RandomBytes { .. } | HostCall::RandomNumber => Scripted::Nobody,
                call => self.part(format!(
                    "no more of this turn was kept: it asked for more than `bytes` of the recorder; and it would {call}"
                )),
            },
            None => self.part(format!("it was recorded to ask nothing more, and would {call}")),
        }
    }

    fn part(&mut self, how: String) -> Scripted {
        self.parted = Some(cut(format!("at call {} of this turn, {how}", self.told + 1), REASON_BYTES));
        Scripted::Instead(parted())
    }

    /// Where it asked something else than it was recorded to, or less; and where it was when it crashed.
    pub(crate) fn end(mut self) -> (Option<String>, Vec<Frame>) {
        let left = self.lines.pop_front().filter(|_| !self.slack.is_timed).map(|(asked, _)| {
            let at = self.told + 1;
            cut(format!("at call {at} of this turn, it was recorded to {asked}, and has ended before"), REASON_BYTES)
        });
        (self.parted.or(left), self.frames.take())
    }
}

fn parted() -> Reply {
    Reply::Refused("the replay has parted from the recording".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::host_call::{HostCall, Reply};
    use super::super::told::Scripted;
    use super::{Replaying, Slack};

    fn get(key: &str) -> HostCall {
        HostCall::GetState { key: key.to_owned() }
    }

    #[test]
    fn it_is_told_in_order_and_where_it_parts_is_told() {
        let line = |key: &str| (get(key), Reply::Value(Some(key.to_owned().into())));
        let told = |replaying: &mut Replaying, key: &str| match replaying.tell(&get(key)) {
            Scripted::Instead(Reply::Value(Some(value))) => String::from_utf8_lossy(&value).into_owned(),
            Scripted::Instead(Reply::Refused(_)) => "refused".to_owned(),
            _ => "something else".to_owned(),
        };
        let mut whole = Replaying::new(vec![line("a"), line("b")], Slack::default());
        assert_eq!((told(&mut whole, "a").as_str(), told(&mut whole, "b").as_str()), ("a", "b"));
        assert_eq!(whole.end().0, None);

        let mut swapped = Replaying::new(vec![line("a"), line("b")], Slack::default());
        assert_eq!((told(&mut swapped, "b").as_str(), told(&mut swapped, "a").as_str()), ("refused", "refused"));
        let why = swapped.end().0.unwrap_or_default();
        assert!(why.contains("call 1") && why.contains("get a") && why.contains("get b"), "both sides: {why}");

        let mut less = Replaying::new(vec![line("a"), line("b")], Slack::default());
        told(&mut less, "a");
        assert!(less.end().0.is_some_and(|why| why.contains("call 2") && why.contains("get b")));

        let mut slower = Replaying::new(vec![line("a"), line("b")], Slack { is_timed: true, ..Slack::default() });
        told(&mut slower, "a");
        assert_eq!(slower.end().0, None, "time was up before it came to that");

        let mut more = Replaying::new(vec![line("a")], Slack { is_open: true, ..Slack::default() });
        assert_eq!((told(&mut more, "a").as_str(), told(&mut more, "b").as_str()), ("a", "refused"));
        assert!(more.end().0.is_some_and(|why| why.contains("no more of this turn was kept")));
    }

    #[test]
    fn one_that_comes_late_does_for_the_first_time_what_was_done_before() {
        let open = HostCall::OpenState { name: String::new() };
        let mut late =
            Replaying::new(vec![(get("a"), Reply::Value(None))], Slack { is_late: true, ..Slack::default() });
        assert!(matches!(late.tell(&open), Scripted::Instead(Reply::Kept(Ok(())))));
        assert!(matches!(late.tell(&HostCall::RandomNumber), Scripted::Nobody));
        assert!(matches!(late.tell(&get("a")), Scripted::Instead(Reply::Value(None))));
        assert_eq!(late.end().0, None);
    }

    #[test]
    fn what_was_never_answered_is_not() {
        let mut waits = Replaying::new(vec![(get("a"), Reply::Unanswered)], Slack::default());
        assert!(matches!(waits.tell(&get("a")), Scripted::Never));
    }
}
