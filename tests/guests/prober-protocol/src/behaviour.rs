//! How the prober starts, stops and feels, chosen by configuration values.

use std::str::FromStr;

/// The value of the configuration keys `init`, `stop` and `health`: `MODE` or `MODE@ADDRESS:FROM-TO`.
///
/// Without a condition the mode always applies. With one it applies from the FROM-th to the TO-th time (from 1; TO may
/// be left away) that any instance of the service comes there, and at all other times the prober is well. The times are
/// counted by the prober at ADDRESS, in its state, under the key `init of SERVICE` (or `stop of`, `health of`), by a
/// call: so a failure does not undo the count.
///
/// # Example
///
/// ```
/// use prober_protocol::{Behaviour, Mode};
///
/// let always: Behaviour = "send:recorder".parse().unwrap();
/// assert_eq!(always.mode, Mode::Send("recorder".into()));
///
/// let second_and_third: Behaviour = "panic@recorder:2-3".parse().unwrap();
/// assert!(second_and_third.applies(2) && !second_and_third.applies(1) && !second_and_third.applies(4));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// What it does.
    pub mode: Mode,
    /// Who counts; none where it always applies.
    pub counter: Option<String>,
    from: u64,
    to: u64,
}

/// What the prober does when it is started, stopped or asked for its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// `ok`: all is well.
    Ok,
    /// `fault`: answers with the fault `unavailable`. Where it is stopped, the same as `ok`.
    Fault,
    /// `panic`: panics.
    Panic,
    /// `hang`: a loop without end.
    Hang,
    /// `sleep:MS`: sleeps, and then all is well.
    Sleep(u64),
    /// `send:ADDRESS`: sends the command `record` to the address, with the text `init SERVICE` (or `stop`, `health`),
    /// and then all is well.
    Send(String),
    /// `call:ADDRESS`: calls the same, and then all is well.
    Call(String),
}

impl Behaviour {
    /// Whether the mode applies to the `time`-th time, from 1.
    #[must_use]
    pub fn applies(&self, time: u64) -> bool {
        (self.from..=self.to).contains(&time)
    }
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { mode: Mode::Ok, counter: None, from: 1, to: u64::MAX }
    }
}

impl FromStr for Behaviour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no behaviour: MODE or MODE@ADDRESS:FROM-TO");
        let Some((mode, condition)) = text.split_once('@') else {
            return Ok(Self { mode: text.parse()?, ..Self::default() });
        };
        let (counter, times) = condition.rsplit_once(':').ok_or_else(wrong)?;
        let (from, to) = times.split_once('-').ok_or_else(wrong)?;
        let to = if to.is_empty() { Ok(u64::MAX) } else { to.parse() };
        Ok(Self {
            mode: mode.parse()?,
            counter: Some(counter.to_owned()),
            from: from.parse().map_err(|_| wrong())?,
            to: to.map_err(|_| wrong())?,
        })
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no mode: ok, fault, panic, hang, sleep:MS, send:ADDRESS or call:ADDRESS");
        Ok(match text.split_once(':') {
            None if text == "ok" => Self::Ok,
            None if text == "fault" => Self::Fault,
            None if text == "panic" => Self::Panic,
            None if text == "hang" => Self::Hang,
            Some(("sleep", ms)) => Self::Sleep(ms.parse().map_err(|_| wrong())?),
            Some(("send", to)) => Self::Send(to.to_owned()),
            Some(("call", to)) => Self::Call(to.to_owned()),
            _ => return Err(wrong()),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_condition_may_have_no_end() {
        let behaviour: Behaviour = "fault@shelf/a:2-".parse().unwrap();
        assert_eq!(behaviour.counter.as_deref(), Some("shelf/a"));
        assert!(!behaviour.applies(1) && behaviour.applies(2) && behaviour.applies(u64::MAX));
    }

    #[test]
    fn a_mode_with_an_address_may_have_a_condition() {
        let behaviour: Behaviour = "send:a@b:1-1".parse().unwrap();
        assert_eq!((behaviour.mode, behaviour.counter), (Mode::Send("a".into()), Some("b".into())));
    }

    #[test]
    fn what_is_misspelt_is_refused() {
        for bad in ["", "okay", "sleep:long", "ok:1", "fault@a", "fault@a:1", "fault@a:x-2", "send"] {
            assert!(bad.parse::<Behaviour>().is_err(), "{bad}");
        }
    }
}
