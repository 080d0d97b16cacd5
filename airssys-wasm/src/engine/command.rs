//! Commands: components that export `wasi:cli/run` and nothing else that is called. The body of a message is what such
//! a program reads from its stdin, and what it writes to its stdout is the answer.

use wasmtime::component::{Component, ComponentExportIndex};

/// The interface of a command, in any version that this host calls.
const RUN: [&str; 2] = ["wasi:cli/run@0.2.", "wasi:cli/run@0.3."];

/// Where its one function is.
#[derive(Clone, Copy)]
pub(super) struct Command(pub(super) ComponentExportIndex);

/// Whether an export makes a component a command.
pub(super) fn is_run(export: &str) -> bool {
    RUN.iter().any(|run| export.starts_with(run))
}

impl Command {
    /// None where the component is no command.
    pub(super) fn of(component: &Component) -> Option<Self> {
        let ty = component.component_type();
        let (name, _) = ty.exports(component.engine()).find(|(name, _)| is_run(name))?;
        let interface = component.get_export_index(None, name)?;
        component.get_export_index(Some(&interface), "run").map(Self)
    }
}
