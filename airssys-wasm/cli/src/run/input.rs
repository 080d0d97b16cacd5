//! `--input`: whom the lines are for, and the file they are in. The file is open before anything starts.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use airssys_wasm::address::{Address, AddressError};
use airssys_wasm::command::Actors;
use airssys_wasm::topology::Topology;

use crate::explain::Explain;
use crate::output::Exit;

/// What `--input` says.
#[derive(Debug, Clone)]
pub(super) struct InputSpec {
    target: Address,
    /// None is stdin.
    file: Option<PathBuf>,
}

/// An input that is open.
pub(super) struct Input {
    pub(super) target: Address,
    pub(super) reader: BufReader<Box<dyn Read + Send>>,
    /// What it is called in errors.
    pub(super) name: String,
    /// The longest line, in bytes.
    pub(super) limit_bytes: u64,
}

/// What is wrong with an input.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error("the input `{}` cannot be read", .file.display())]
    Open { file: PathBuf, source: io::Error },
    #[error("the input is for `{target}`, and there is no service `{service}`")]
    NoService { target: Address, service: String, known: Vec<String> },
    #[error("`{target}` has no key, and this service has an actor a key")]
    NeedsKey { target: Address },
    #[error("`{target}` has a key, and this service is not keyed")]
    TakesNoKey { target: Address },
    #[error("the input `{name}` ended in line {line}: it cannot be read further")]
    Read { name: String, line: u64, source: io::Error },
}

/// A text that is no `SERVICE=FILE`.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoInput {
    #[error("write it as SERVICE=FILE, such as gateway=orders.jsonl, or gateway=- for stdin")]
    Form,
    #[error(transparent)]
    Address(#[from] AddressError),
}

impl FromStr for InputSpec {
    type Err = NoInput;

    fn from_str(text: &str) -> Result<Self, NoInput> {
        let (target, file) = text.split_once('=').filter(|(_, file)| !file.is_empty()).ok_or(NoInput::Form)?;
        Ok(Self { target: target.parse()?, file: (file != "-").then(|| file.into()) })
    }
}

impl InputSpec {
    /// Opens the file.
    pub(super) fn open(&self) -> Result<Input, InputError> {
        let (reader, name): (Box<dyn Read + Send>, _) = match &self.file {
            None => (Box::new(io::stdin()), "stdin".to_owned()),
            Some(file) => {
                let opened = open(file).map_err(|source| InputError::Open { file: file.clone(), source })?;
                (Box::new(opened), file.display().to_string())
            }
        };
        Ok(Input {
            target: self.target.clone(),
            reader: BufReader::with_capacity(1 << 16, reader),
            name,
            limit_bytes: u64::MAX,
        })
    }
}

fn open(file: &Path) -> io::Result<File> {
    let opened = File::open(file)?;
    // A folder opens well, and fails at its first line.
    if opened.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(opened) }
}

impl Input {
    /// Whether the topology has the service, and it takes such an address. Learns from it how long a line may be.
    pub(super) fn check_target(&mut self, topology: &Topology) -> Result<(), InputError> {
        let target = self.target.clone();
        let mut declared = topology.declared();
        let Some(at) = declared.iter().position(|service| service.name == target.service()) else {
            let known = declared.into_iter().map(|service| service.name).collect();
            return Err(InputError::NoService { service: target.service().to_owned(), target, known });
        };
        let service = declared.swap_remove(at);
        self.limit_bytes = service.limits.message_bytes;
        match (service.actors, target.key()) {
            (Actors::Keyed(_) | Actors::Spawned(_), None) => Err(InputError::NeedsKey { target }),
            (Actors::One | Actors::Stateless(_), Some(_)) => Err(InputError::TakesNoKey { target }),
            _ => Ok(()),
        }
    }
}

impl Explain for InputError {
    fn code(&self) -> &'static str {
        match self {
            Self::Open { .. } => "AR201",
            Self::NoService { .. } => "AR202",
            Self::NeedsKey { .. } => "AR203",
            Self::TakesNoKey { .. } => "AR204",
            Self::Read { .. } => "AR205",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Open { .. } => "nothing was started; name a file with a message a line, or `-` for stdin".to_owned(),
            Self::NoService { known, .. } if known.is_empty() => "the topology has no services at all".to_owned(),
            Self::NoService { known, .. } => format!("name one of: {}", known.join(", ")),
            Self::NeedsKey { target } => format!("name one of its actors, such as {target}/alice"),
            Self::TakesNoKey { target } => format!("write {} without the slash", target.service()),
            Self::Read { .. } => "the lines before it were sent".to_owned(),
        })
    }

    fn exit(&self) -> Exit {
        Exit::BadInput
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::InputSpec;

    #[test]
    fn an_input_is_a_service_and_a_file() {
        let input: InputSpec = "carts/alice=a=b.jsonl".parse().unwrap();
        assert_eq!((input.target.as_ref(), input.file.unwrap().to_str().unwrap()), ("carts/alice", "a=b.jsonl"));
        assert!("echo=-".parse::<InputSpec>().unwrap().file.is_none());
        for bad in ["echo", "echo=", "=file", "a b=file"] {
            assert!(bad.parse::<InputSpec>().is_err(), "{bad}");
        }
    }
}
