//! How it starts, stops and feels: what the configuration says.

use airssys_sdk::prelude::*;
use prober_protocol::{Behaviour, Command, Mode, Outcome};

use crate::crash;

/// How long it waits for the one who counts or records.
const PATIENCE: Duration = Duration::from_secs(5);

/// Comes to `place` (`init`, `stop` or `health`) and does there what the configuration says.
pub(crate) fn come(place: &str) -> Result<()> {
    let Some(behaviour) = config::parse::<Behaviour>(place)? else {
        return Ok(());
    };
    if let Some(counter) = &behaviour.counter {
        let count = Command::Increment { key: format!("{place} of {}", self_address()), by: 1 };
        let counted: Outcome = call(counter, &count, PATIENCE)?;
        let Outcome::Ok(time) = counted else {
            return Err(Fault::unavailable("nobody counts"));
        };
        if !behaviour.applies(time.as_u64().unwrap_or_default()) {
            return Ok(());
        }
    }
    let record = || Command::Record(format!("{place} {}", self_address()).into());
    match behaviour.mode {
        Mode::Ok => {}
        Mode::Fault => return Err(Fault::unavailable(format_args!("told to fail at {place}"))),
        Mode::Panic => panic!("told to panic at {place}"),
        Mode::Hang => crash::endless(),
        Mode::Sleep(ms) => std::thread::sleep(Duration::from_millis(ms)),
        Mode::Send(to) => send(&to, &record())?,
        Mode::Call(to) => {
            call::<Outcome>(&to, &record(), PATIENCE)?;
        }
    }
    Ok(())
}
