//! What there is to do about an error that a command may be for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that an operator does, and the library has no words for: a clause of a [`Hint`](super::Hint). Its text is
/// for those who have no command for it either.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Act;
/// use airssys_wasm::hint::Hint;
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
    /// To wait for an answer for longer.
    WaitLonger,
    /// To write a call so that it is understood.
    WriteCall,
    /// To ask which dead letters are kept.
    ListDeadLetters,
    /// To forget a dead letter.
    DropDeadLetter,
    /// To go back to the release before.
    GoBack,
    /// To go back and keep the state.
    KeepState,
    /// To allow a release that is older.
    AllowDowngrade,
    /// To allow another release of the very same version.
    SameVersion,
    /// To let a release differ from what was recorded.
    Allow {
        /// In which ways.
        ways: String,
    },
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
    /// To name a release that lies elsewhere.
    NameRelease,
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
            Self::WaitLonger => f.write_str("wait for longer"),
            Self::WriteCall => f.write_str("write it as NAME(VALUE, ...), such as add(2, 3)"),
            Self::ListDeadLetters => f.write_str("look at the dead letters that are kept"),
            Self::DropDeadLetter => f.write_str("the letter can be dropped"),
            Self::GoBack => f.write_str("go back to the release before"),
            Self::KeepState => f.write_str("going back without the state from before keeps the state"),
            Self::AllowDowngrade => f.write_str("allow a downgrade"),
            Self::SameVersion => f.write_str("allow the same version"),
            Self::Allow { ways } => write!(f, "allow it to differ in {ways}"),
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
            Self::NameRelease => f.write_str("name its component"),
        }
    }
}
