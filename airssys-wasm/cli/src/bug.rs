//! What is told where the command itself is wrong.

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use crate::explain;
use crate::output::Exit;

/// Runs the command. A panic in it is told as what it is, a bug; one in an actor is its supervisor's, and told in a
/// line.
pub(crate) fn catching(command: impl FnOnce() -> ExitCode) -> ExitCode {
    panic::set_hook(Box::new(|panic| explain::note(&format!("a bug in airssys: {panic}"))));
    panic::catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|_told_by_the_hook| {
        explain::note_lines(
            "error[AX700]: airssys ended because of a bug in it\n  hint: report the lines above, and what you did",
        );
        Exit::Bug.into()
    })
}
