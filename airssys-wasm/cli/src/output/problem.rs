//! What can be wrong with a mesh before it runs, and with releases.

use std::io;
use std::path::PathBuf;

use airssys_wasm::command::{EngineError, ListenError, Obstacle, RecordError, StateError, TemplateError, Ungranted};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::{KeyError, StoreError};
use airssys_wasm::{ConfigError, RuntimeError};

use super::Exit;
use crate::commands::told;
use crate::explain::Explain;

/// Why a mesh, or a component of it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Component(#[from] TemplateError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("the data folder `{}` is that of the mesh {in_force}, and the topology is that of {written}", .data.display())]
    OtherMesh { data: PathBuf, in_force: String, written: String },
    #[error("{0}")]
    NotGranted(Box<Ungranted>),
    #[error("`{name}` may be any of its versions")]
    NoVersion { name: String },
    #[error("the folder for compiled code, `{}`, cannot be used", .folder.display())]
    Cache { folder: PathBuf, source: io::Error },
    #[error("cannot start the threads of the runtime")]
    Threads(#[source] io::Error),
    #[error("cannot write to stdout")]
    Output(#[source] io::Error),
    #[error("cannot write the result as JSON")]
    Json(#[source] serde_json::Error),
}

fn component_code(error: &TemplateError) -> &'static str {
    match error {
        TemplateError::Read { .. } => "AC101",
        TemplateError::TooLarge { .. } => "AC102",
        TemplateError::NoComponent { .. } => "AC103",
        TemplateError::Invalid { .. } => "AC104",
        // By what is told first.
        TemplateError::Unsupported { obstacles, .. } => obstacles.first().map_or("AC100", Obstacle::code),
        TemplateError::Engine(_) => "AC107",
        TemplateError::Damaged { .. } => "AC108",
        _ => "AC100",
    }
}

fn store_code(error: &StoreError) -> &'static str {
    match error {
        StoreError::Manifest(_) => "AT101",
        StoreError::Component(error) => component_code(error),
        StoreError::Reference { .. } => "AS101",
        StoreError::NoSuchRelease { .. } => "AS102",
        StoreError::Differs { .. } => "AS103",
        StoreError::Damaged { .. } => "AS104",
        StoreError::NewerFormat { .. } => "AS105",
        StoreError::InUse { .. } => "AS106",
        StoreError::Busy { .. } => "AS107",
        StoreError::File { .. } => "AS108",
        StoreError::KeptDamaged { .. } => "AS109",
        StoreError::Rebuilt { .. } => "AS110",
        _ => "AS100",
    }
}

fn record_code(error: &RecordError) -> &'static str {
    match error {
        RecordError::Deployed { .. } | RecordError::History { .. } | RecordError::Full { .. } => "AR111",
        RecordError::Stopped { .. } => "AR112",
        _ => "AR108",
    }
}

fn state_code(error: &StateError) -> &'static str {
    match error {
        StateError::InUse { .. } => "AD101",
        StateError::NewerFormat { .. } => "AD102",
        StateError::Damaged { .. } => "AD103",
        StateError::File { .. } => "AD104",
        StateError::OlderCopy { .. } => "AD105",
        _ => "AD100",
    }
}

fn key_code(error: &KeyError) -> &'static str {
    match error {
        KeyError::Public { .. } => "AK101",
        KeyError::Secret { .. } => "AK102",
        KeyError::Exists { .. } => "AK103",
        KeyError::File { .. } => "AK104",
        KeyError::Random(_) => "AK105",
        _ => "AK100",
    }
}

/// Whether what was given is wrong, and not what is there.
fn is_input(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Manifest(_)
            | StoreError::Component(_)
            | StoreError::Reference { .. }
            | StoreError::NoSuchRelease { .. }
            | StoreError::Differs { .. }
    )
}

/// For those that the library has no hint for.
fn component_hint(error: &TemplateError) -> Option<&'static str> {
    match error {
        TemplateError::Read { .. } => Some("look at the path and its permissions; `airssys build` writes components"),
        TemplateError::TooLarge { .. } => {
            Some("is it the right file? build it in release mode, without debug information")
        }
        TemplateError::Engine(EngineError::TooLarge { .. }) => {
            Some("lower `memory` in the [limits] of the service or of its Component.toml")
        }
        _ => None,
    }
}

impl Explain for Problem {
    fn code(&self) -> &'static str {
        match self {
            Self::Config(_) | Self::Runtime(RuntimeError::NoRelease(_)) => "AT101",
            Self::Component(error) | Self::Runtime(RuntimeError::Release { source: error, .. }) => {
                component_code(error)
            }
            Self::Store(error) => store_code(error),
            Self::Key(error) => key_code(error),
            Self::NoVersion { .. } => "AS101",
            Self::Runtime(RuntimeError::Untrusted { .. }) => "AS201",
            Self::Runtime(RuntimeError::Engine(_)) => "AR101",
            Self::Runtime(RuntimeError::NameTaken { .. }) => "AR102",
            Self::Runtime(RuntimeError::TooManyInstances { .. }) => "AR103",
            Self::Runtime(RuntimeError::Start(_)) => "AR104",
            Self::State(error) | Self::Runtime(RuntimeError::State(error)) => state_code(error),
            Self::Record(error) | Self::Runtime(RuntimeError::Record(error)) => record_code(error),
            Self::OtherMesh { .. } => "AR109",
            Self::NotGranted(_) => "AT102",
            Self::Runtime(RuntimeError::Wire(_)) => "AT103",
            Self::Runtime(RuntimeError::Listener(ListenError::Bind { .. })) => "AR113",
            Self::Runtime(RuntimeError::Listener(_)) => "AT104",
            Self::Runtime(RuntimeError::Folder(_)) => "AR110",
            Self::Runtime(_) => "AR100",
            Self::Cache { .. } => "AR105",
            Self::Threads(_) => "AR106",
            Self::Output(_) => "AO101",
            Self::Json(_) => "AO102",
        }
    }

    fn hint(&self) -> Option<String> {
        let component = match self {
            Self::Component(error)
            | Self::Store(StoreError::Component(error))
            | Self::Runtime(RuntimeError::Release { source: error, .. }) => component_hint(error),
            _ => None,
        };
        if let Some(hint) = component {
            return Some(hint.to_owned());
        }
        let hint = match self {
            Self::NoVersion { .. } => "write NAME@VERSION; `airssys releases` tells the versions",
            Self::Runtime(RuntimeError::Start(_)) => {
                "nothing runs; the log lines above, or those with `--log debug`, say what the service did in its start"
            }
            Self::Cache { .. } => "name a folder that can be written, or leave --code-cache out",
            Self::Threads(_) => "is the number of threads limited (ulimit -u)?",
            Self::Output(_) => "is the disk full?",
            Self::Config(error) | Self::Store(StoreError::Manifest(error)) if error.hint.is_empty() => {
                "the book's reference of this file tells every key, its values and its default"
            }
            Self::Component(error) => return error.hint().as_ref().map(told),
            Self::Runtime(error) => return error.hint().as_ref().map(told),
            Self::Store(error) => return error.hint().as_ref().map(told),
            Self::Record(error) => return error.hint().as_ref().map(told),
            Self::Config(error) => return error.hint().as_ref().map(told),
            Self::Key(error) => return error.hint().as_ref().map(told),
            Self::State(error) => return error.hint().as_ref().map(told),
            Self::OtherMesh { .. } => {
                "give it a folder of its own with --data, or start over in this one with `airssys run --as-written`"
            }
            Self::NotGranted(found) => return Some(found.line.clone()),
            Self::Json(_) => return None,
        };
        Some(hint.to_owned())
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Config(_)
            | Self::Component(_)
            | Self::Runtime(
                RuntimeError::Release { .. }
                | RuntimeError::NoRelease(_)
                | RuntimeError::NameTaken { .. }
                | RuntimeError::Untrusted { .. }
                | RuntimeError::Folder(_)
                | RuntimeError::Listener(ListenError::Certificate { .. } | ListenError::NoHandler { .. })
                | RuntimeError::Wire(_),
            )
            | Self::Key(KeyError::Public { .. } | KeyError::Secret { .. } | KeyError::Exists { .. })
            | Self::NoVersion { .. }
            | Self::NotGranted(_) => Exit::BadInput,
            Self::Store(error) if is_input(error) => Exit::BadInput,
            Self::Runtime(_) | Self::Record(_) | Self::OtherMesh { .. } | Self::Cache { .. } | Self::Threads(_) => {
                Exit::CannotStart
            }
            Self::Store(_) | Self::Key(_) | Self::State(_) | Self::Output(_) | Self::Json(_) => Exit::Failed,
        }
    }
}
