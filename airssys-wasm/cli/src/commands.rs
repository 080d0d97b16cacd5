//! What an operator does about an error, as commands: the library says only what there is to do.

use std::fmt::Display;

use airssys_wasm::command::Act;
use airssys_wasm::hint::Hint;

/// A hint with the commands of this program in it.
pub(crate) fn told(hint: &Hint) -> String {
    hint.told(command)
}

/// What is said, and what to do about it, in one line.
pub(crate) fn in_one_line(said: impl Display, hint: Option<&Hint>) -> String {
    hint.map_or_else(|| said.to_string(), |hint| format!("{said}; hint: {}", told(hint)))
}

fn command(act: &Act) -> String {
    match act {
        Act::ListServices => "`airssys ps` lists the services".to_owned(),
        Act::Start { service } => format!("`airssys start {service}` starts it"),
        Act::StopAgain => "`airssys stop SERVICE` stops one again".to_owned(),
        Act::Deploy { service, release } => format!("`airssys deploy {service} {release}` brings that in"),
        Act::ApplyOther => "apply another topology while no host runs (`airssys apply FILE`)".to_owned(),
        Act::ReadLog { service } => format!("`airssys logs {service}` says why"),
        Act::WaitLonger => "`--timeout` says how long to wait".to_owned(),
        Act::WriteCall => {
            "write it as NAME(VALUE, ...), with quotes around it for the shell, such as 'add(2, 3)'; `airssys wit --service SERVICE` shows its functions".to_owned()
        }
        Act::ListDeadLetters => "`airssys dead-letters list` shows those that are kept".to_owned(),
        Act::DropDeadLetter => "`airssys dead-letters drop` forgets it".to_owned(),
        Act::GoBack => "go back with `airssys rollback`".to_owned(),
        Act::KeepState => "`airssys rollback` keeps the state".to_owned(),
        Act::AllowDowngrade => "say `--allow-downgrade`".to_owned(),
        Act::SameVersion => "say `--same-version`".to_owned(),
        Act::Allow { ways } => format!("say `--allow {ways}`"),
        Act::DoWithoutMemory => "without `--keep-memory` the new one begins without that memory".to_owned(),
        Act::DumpState { service } => format!("`airssys state dump {service}` shows those that have state"),
        Act::OtherFolder => "give the other one a data folder of its own: `airssys run FILE --data DIR`".to_owned(),
        Act::PublishSigned => "`airssys publish --sign KEY` it, and name it NAME@VERSION".to_owned(),
        Act::Sign => "`airssys publish --sign KEY` signs it, also later".to_owned(),
        Act::Publish => "`airssys publish` makes one, and --data names another data folder".to_owned(),
        Act::Remove { release } => format!("`airssys remove {release}`"),
        Act::DeployFile => "deploy the file as it is: `airssys deploy SERVICE FILE --same-version`".to_owned(),
        Act::StartAsWritten => "start with what the topology says: `airssys run --as-written`".to_owned(),
        Act::ForgetDeployed => "`airssys run --as-written` forgets what was deployed".to_owned(),
        Act::ForgetRecord { record } => format!("`airssys state forget-record {record}`"),
        Act::VerifyState => "`airssys state verify` names all that is damaged and copies out what is well".to_owned(),
        Act::LoadState => "`airssys state load` puts a dump of a service back".to_owned(),
        Act::DataFolder => "name a data folder with --data".to_owned(),
        Act::MakeKey => "`airssys keygen` prints one".to_owned(),
        Act::NameKey => "name the file that `airssys keygen` wrote".to_owned(),
        Act::NewFile => "name another file with --out".to_owned(),
        Act::Build { folder } => format!("run `airssys build {folder}`"),
        Act::WriteNew => "write it with the SDK (`airssys new`)".to_owned(),
        Act::MakeComponent => "make a component of it with `airssys build`".to_owned(),
        Act::NameBuilt => "name the .wasm file that `airssys build` wrote".to_owned(),
        Act::NameRelease => "name its component with --release, or a data folder that has it with --data".to_owned(),
        other => other.to_string(),
    }
}
