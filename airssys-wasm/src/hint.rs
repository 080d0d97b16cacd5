//! What an error says beside its text: a word that stays the same ([`Coded`]), and what to do about it ([`Hinted`]).
//!
//! What to do is data. The library says what there is to do; how that is done, by a command or a call, is for whoever
//! shows the error.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that an operator does, and the library has no words for: a clause of a [`Hint`]. Its text is for those who
/// have no command for it either.
///
/// # Example
///
/// ```
/// use airssys_wasm::hint::{Act, Hint};
///
/// /// What the acts are called in a program of your own.
/// fn told(hint: &Hint) -> String {
///     hint.told(|act| match act {
///         Act::Start { service } => format!("press START beside {service}"),
///         other => other.to_string(),
///     })
/// }
///
/// assert_eq!(told(&Act::Start { service: "shop".to_owned() }.into()), "press START beside shop");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Act {
    /// To ask which services there are.
    ListServices,
    /// To start a service that is stopped.
    Start {
        /// The service.
        service: String,
    },
    /// To stop services one by one.
    StopAgain,
    /// To deploy what lies at a path.
    Deploy {
        /// The service.
        service: String,
        /// The path.
        release: String,
    },
    /// To bring another topology into force while no host runs.
    ApplyOther,
    /// To read what a service has logged.
    ReadLog {
        /// The service.
        service: String,
    },
    /// To go back to the release before.
    GoBack,
    /// To go back and keep the state.
    KeepState,
    /// To allow a release that is older.
    AllowDowngrade,
    /// To allow another release of the very same version.
    SameVersion,
    /// Not to ask for the memory of the live release.
    DoWithoutMemory,
    /// To see which keys of a service have state.
    DumpState {
        /// The service.
        service: String,
    },
    /// To give a mesh a data folder of its own.
    OtherFolder,
    /// To publish a release, with a signature, so that it has a name and a version.
    PublishSigned,
    /// To sign a release that is published.
    Sign,
    /// To publish something at all.
    Publish,
    /// To remove a release that is published.
    Remove {
        /// Its name and version.
        release: String,
    },
    /// To deploy a file as it is, while developing.
    DeployFile,
    /// To start with what the topology says, and forget what was deployed.
    StartAsWritten,
    /// To forget what was deployed of all services, by the same.
    ForgetDeployed,
    /// To forget one record of what is to run.
    ForgetRecord {
        /// Its name.
        record: String,
    },
    /// To look through all durable state.
    VerifyState,
    /// To put a dump of a service back.
    LoadState,
    /// To name a data folder.
    DataFolder,
    /// To make a pair of keys.
    MakeKey,
    /// To name the file of a private key.
    NameKey,
    /// To name a file that is not there yet.
    NewFile,
    /// To build what lies in a folder.
    Build {
        /// The folder.
        folder: String,
    },
    /// To begin a component with the SDK.
    WriteNew,
    /// To make a component of a module.
    MakeComponent,
    /// To name what the build has written.
    NameBuilt,
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ListServices => f.write_str("name one of the services that there are"),
            Self::Start { service } => write!(f, "a start of {service} brings it up"),
            Self::StopAgain => f.write_str("each can be stopped again"),
            Self::Deploy { service, release } => write!(f, "a deployment of {service} brings {release} in"),
            Self::ApplyOther => f.write_str("apply another topology while no host runs"),
            Self::ReadLog { service } => write!(f, "the log of {service} says why"),
            Self::GoBack => f.write_str("go back to the release before"),
            Self::KeepState => f.write_str("going back without the state from before keeps the state"),
            Self::AllowDowngrade => f.write_str("allow a downgrade"),
            Self::SameVersion => f.write_str("allow the same version"),
            Self::DoWithoutMemory => f.write_str("where the memory is not required, the new release begins without it"),
            Self::DumpState { service } => write!(f, "a dump of the state of {service} shows the keys that have state"),
            Self::OtherFolder => f.write_str("give the other one a data folder of its own"),
            Self::PublishSigned => f.write_str("publish and sign it, and name it NAME@VERSION"),
            Self::Sign => f.write_str("sign it; also a release that is published can be signed"),
            Self::Publish => f.write_str("publish one, or name another data folder"),
            Self::Remove { release } => write!(f, "remove {release}"),
            Self::DeployFile => f.write_str("deploy the file as it is, and allow the same version"),
            Self::StartAsWritten => f.write_str("start with what the topology says"),
            Self::ForgetDeployed => f.write_str("a start with what the topology says forgets what was deployed"),
            Self::ForgetRecord { record } => write!(f, "forget the record {record}"),
            Self::VerifyState => f.write_str("the file can be looked through, and what is well copied out"),
            Self::LoadState => f.write_str("a dump of a service can be put back"),
            Self::DataFolder => f.write_str("name a data folder"),
            Self::MakeKey => f.write_str("a pair of keys has one"),
            Self::NameKey => f.write_str("name the file that a key was written to"),
            Self::NewFile => f.write_str("name another file"),
            Self::Build { folder } => write!(f, "build {folder}"),
            Self::WriteNew => f.write_str("write it with the SDK"),
            Self::MakeComponent => f.write_str("make a component of it"),
            Self::NameBuilt => f.write_str("name the .wasm file of a component"),
        }
    }
}

/// What to do about an error: words, and what has a command.
///
/// # Example
///
/// ```
/// use airssys_wasm::hint::{Act, Hint};
///
/// let hint = Hint::from(Act::AllowDowngrade);
/// assert_eq!(hint.to_string(), "allow a downgrade");
/// assert_eq!(hint.told(|_| "say `--old`".to_owned()), "say `--old`");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hint(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Part {
    Words(String),
    Act(Act),
}

impl From<&str> for Hint {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

/// No words are no hint.
impl From<String> for Hint {
    fn from(words: String) -> Self {
        Self(if words.is_empty() { Vec::new() } else { vec![Part::Words(words)] })
    }
}

impl From<Act> for Hint {
    fn from(act: Act) -> Self {
        Self(vec![Part::Act(act)])
    }
}

impl Hint {
    /// Whether there is nothing to do.
    #[doc(hidden)]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hint, where there is one.
    #[must_use]
    pub(crate) fn some(self) -> Option<Self> {
        if self.is_empty() { None } else { Some(self) }
    }

    /// Both, one after the other.
    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        if !self.is_empty() && !other.is_empty() {
            self.0.push(Part::Words("; ".to_owned()));
        }
        self.0.extend(other.0);
        self
    }

    /// The same, and then this.
    #[must_use]
    pub(crate) fn act(mut self, act: Act) -> Self {
        self.0.push(Part::Act(act));
        self
    }

    /// The same, and then these words.
    #[must_use]
    pub(crate) fn words(mut self, words: impl Into<String>) -> Self {
        self.0.push(Part::Words(words.into()));
        self
    }

    /// As text, by those who know what each act is called where they are.
    pub fn told(&self, act: impl Fn(&Act) -> String) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Words(words) => words.clone(),
            Part::Act(of) => act(of),
        });
        parts.collect()
    }
}

/// An error that says what to do about it.
///
/// # Example
///
/// ```
/// use airssys_wasm::hint::Hinted;
/// use airssys_wasm::topology::Topology;
///
/// let error = Topology::parse("name = 7", ".".as_ref()).unwrap_err();
/// println!("{error}");
/// if let Some(hint) = error.hint() {
///     println!("hint: {hint}");
/// }
/// ```
pub trait Hinted {
    /// What to do about it; none where there is nothing that the text does not say.
    #[must_use]
    fn hint(&self) -> Option<Hint>;
}

/// What has a stable word for programs: texts change, these do not.
///
/// # Example
///
/// ```
/// use airssys_wasm::error::Fault;
/// use airssys_wasm::hint::Coded;
///
/// assert_eq!(Fault::Refused("sold out".to_owned()).code(), "refused");
/// ```
pub trait Coded {
    /// The word, such as `no-such-service`.
    #[must_use]
    fn code(&self) -> &'static str;
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(ToString::to_string))
    }
}
