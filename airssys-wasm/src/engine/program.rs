//! What an instance of a command has besides: how it is run, and what it reads and writes.

use std::sync::Arc;

use super::command::Command;
use super::output::Lines;
use super::stdio::Stdio;
use super::template::Template;
use crate::turn::Identity;

/// What an instance of a command has besides.
pub(super) struct Program {
    pub(super) command: Command,
    pub(super) template: Arc<Template>,
    pub(super) stdio: Arc<Stdio>,
    /// Whether it ran over a message: the next one needs another instance.
    pub(super) is_used: bool,
}

impl Program {
    /// None where the release is no command.
    pub(super) fn of(template: &Arc<Template>, identity: &Arc<Identity>) -> Option<Box<Self>> {
        let command = template.command?;
        Some(Box::new(Self { command, template: Arc::clone(template), stdio: stdio(identity), is_used: false }))
    }

    pub(super) fn stdio(&self) -> &Arc<Stdio> {
        &self.stdio
    }
}

/// What a run reads and writes.
pub(super) fn stdio(identity: &Arc<Identity>) -> Arc<Stdio> {
    Stdio::new(Lines::of_command(identity), identity.terms.limits.boundary_bytes)
}
