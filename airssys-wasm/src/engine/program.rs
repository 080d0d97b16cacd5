//! What an instance of a command has besides: how it is run, and what it reads and writes.

use std::sync::Arc;

use super::command::Command;
use super::output::Lines;
use super::stdio::Stdio;
use super::template::Template;
use crate::settings::Run;
use crate::turn::Identity;

/// What an instance of a command has besides.
pub(super) struct Program {
    pub(super) command: Command,
    pub(super) template: Arc<Template>,
    /// None where it runs by itself.
    pub(super) stdio: Option<Arc<Stdio>>,
    /// Whether it ran over a message: the next one needs another instance.
    pub(super) is_used: bool,
}

impl Program {
    /// None where the release is no command.
    pub(super) fn of(template: &Arc<Template>, identity: &Arc<Identity>) -> Option<Box<Self>> {
        let command = template.command?;
        Some(Box::new(Self { command, template: Arc::clone(template), stdio: stdio(identity), is_used: false }))
    }

    pub(super) fn stdio(&self) -> Option<&Arc<Stdio>> {
        self.stdio.as_ref()
    }
}

/// What a run reads and writes.
pub(super) fn stdio(identity: &Arc<Identity>) -> Option<Arc<Stdio>> {
    match identity.terms.run {
        Run::Message => Some(Stdio::new(Lines::of_command(identity), identity.terms.limits.boundary_bytes)),
        Run::Service => None,
    }
}
