//! What an operator does about an error, as commands: the library says only what there is to do.

use airssys_wasm::hint::{Act, Hint};
use airssys_wasm::registry::StoreError;

/// A hint with the commands of this program in it.
pub(crate) fn told(hint: &Hint) -> String {
    hint.told(command)
}

/// An error in one line, with what to do about it.
pub(crate) fn in_one_line(error: &StoreError) -> String {
    error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}; hint: {}", told(&hint)))
}

fn command(act: &Act) -> String {
    match act {
        Act::ListServices => "`airssys ps` lists the services".to_owned(),
        Act::Start { service } => format!("start it first: `airssys start {service}`"),
        Act::ReadLog { service } => format!("`airssys logs {service}` says why"),
        Act::GoBack => "go back with `airssys rollback`".to_owned(),
        Act::KeepState => "`airssys rollback` keeps the state".to_owned(),
        Act::AllowDowngrade => "say `--allow-downgrade`".to_owned(),
        Act::SameVersion => "say `--same-version`".to_owned(),
        Act::DoWithoutMemory => "without `--keep-memory` the new one begins without that memory".to_owned(),
        Act::DumpState { service } => format!("`airssys state dump {service}` shows those that have state"),
        Act::OtherFolder => "give the other one a data folder of its own: `airssys run FILE --data DIR`".to_owned(),
        Act::PublishSigned => "`airssys publish --sign KEY` it, and name it NAME@VERSION".to_owned(),
        Act::Sign => "`airssys publish --sign KEY` signs it, also later".to_owned(),
        Act::Publish => "`airssys publish` makes one, and --data names another data folder".to_owned(),
        Act::Remove { release } => format!("`airssys remove {release}`"),
        Act::DeployFile => "deploy the file as it is: `airssys deploy SERVICE FILE --same-version`".to_owned(),
        Act::StartAsWritten => "start with what the topology says: `airssys run --as-written`".to_owned(),
        Act::MakeComponent => "make a component of it with `airssys build`".to_owned(),
        Act::NameBuilt => "name the .wasm file that `airssys build` wrote".to_owned(),
        other => other.to_string(),
    }
}
