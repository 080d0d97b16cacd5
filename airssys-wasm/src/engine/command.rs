//! Commands: components that export `wasi:cli/run` and nothing else that is called. The body of a message is what such
//! a program reads from its stdin, and what it writes to its stdout is the answer.

use wasmtime::component::{Component, ComponentExportIndex};

/// The interface of a command, in any version that this host calls, and the type of its function.
const RUN: [(&str, &str); 2] =
    [("wasi:cli/run@0.2.", "func() -> result"), ("wasi:cli/run@0.3.", "async func() -> result")];

/// Where its one function is.
#[derive(Clone, Copy)]
pub(super) struct Command(pub(super) ComponentExportIndex);

/// Whether an export makes a component a command.
pub(super) fn is_run(export: &str) -> bool {
    run_of(export).is_some()
}

/// What the function of an export is that makes a component a command.
pub(super) fn run_of(export: &str) -> Option<&'static str> {
    RUN.iter().find(|(run, _)| export.starts_with(run)).map(|(_, function)| *function)
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
