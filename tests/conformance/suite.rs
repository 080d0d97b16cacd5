//! What a behaviour is, as data; what plays it to a guest; and the languages.

use std::path::PathBuf;

use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, PATIENCE, guest, guest_in, log, until};
use airssys_wasm::Runtime;
use airssys_wasm::deploy::{MemoryHandover, Progress};
use airssys_wasm::error::{CallError, Fault};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use serde_json::Value;

/// A language that has the guest. One that has it is added here, and to [`table`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Language {
    Rust,
    JavaScript,
    C,
    Python,
}

impl Language {
    /// The folder of the guest; the test fails where it is not built.
    pub(crate) fn guest(self) -> PathBuf {
        match self {
            Self::Rust => guest("conformance"),
            Self::C => guest_in("c", "conformance"),
            Self::JavaScript => guest_in("javascript", "conformance"),
            Self::Python => guest_in("python", "conformance"),
        }
    }
}

/// Makes a test of each behaviour in each language. A behaviour is written as `name { more, [steps] }`: more of the
/// topology, see [`Behaviour`], and what happens.
macro_rules! table {
    ($($(#[doc = $doc:literal])* $name:ident { $more:expr, [$($step:expr),* $(,)?] })*) => {
        $($(#[doc = $doc])* fn $name() -> crate::conformance::suite::Behaviour {
            crate::conformance::suite::Behaviour { more: $more, steps: vec![$($step),*] }
        })*
        cells! { rust Rust: $($name)* }
        cells! { c C: $($name)* }
        cells! { javascript JavaScript: $($name)* }
        cells! { python Python: $($name)* }
    };
}

/// The cells of one language.
macro_rules! cells {
    ($module:ident $language:ident: $($name:ident)*) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::conformance::suite::play(crate::conformance::suite::Language::$language, super::$name()).await;
            })*
        }
    };
}

/// Something that is so of a guest, whatever its language.
pub(crate) struct Behaviour {
    /// What the topology says behind `[[service]] name = "tested" release = ...`: more keys of that service, and other
    /// services. `@tested` is the release under test, and `@peer` one in Rust, whatever the language is.
    pub(crate) more: &'static str,
    /// What happens, in this order.
    pub(crate) steps: Vec<Step>,
}

/// One thing that is done, or looked at. In texts, `LANGUAGE` is the language.
pub(crate) enum Step {
    /// A command for a service, and its answer.
    Call(&'static str, Value, Expected),
    /// A command for a service that nobody waits for.
    Send(&'static str, Value),
    /// Sooner or later, the only actor of a service, or that of a key, has this in its committed state: `service/key`,
    /// the name, and the value.
    State(&'static str, &'static str, Value),
    /// Sooner or later, so many instances of a service were started.
    Started(&'static str, u64),
    /// All that became dead letters, by their reasons.
    Dead(&'static [&'static str]),
    /// How a service says it is: well, or the kind of a fault and what it says.
    Health(&'static str, Option<(&'static str, &'static str)>),
    /// This release is deployed, with this schema of its state: it lives, or the one before goes on.
    Deploy(Who, u32, Ends),
    /// The tested service has logged this line, on this level.
    Logged(&'static str, &'static str),
}

/// Whose release is deployed.
#[derive(Clone, Copy)]
pub(crate) enum Who {
    /// The one under test.
    Tested,
    /// One in Rust, of the same guest.
    Peer,
}

/// How a deployment ends.
#[derive(Clone, Copy)]
pub(crate) enum Ends {
    /// The new release lives.
    Live,
    /// The one before goes on, and this is why.
    Fails(&'static str),
}

/// What is answered.
#[derive(Debug)]
pub(crate) enum Expected {
    /// This value.
    Is(Value),
    /// An object that has these fields, and maybe others.
    Has(Value),
    /// An error of the host of this name, with this in its text.
    Error(&'static str, &'static str),
    /// An answer without a body.
    Nothing,
    /// A fault of this kind, which says exactly this.
    Fault(&'static str, &'static str),
    /// A fault of this kind, which says this or more.
    FaultLike(&'static str, &'static str),
    /// A crash of this code, which says this or more.
    Crashed(&'static str, &'static str),
}

/// Plays a behaviour to the guest of a language.
pub(crate) async fn play(language: Language, behaviour: Behaviour) {
    log::listen();
    let release = language.guest();
    let topology = format!(
        "name = \"conformance\"\n[root]\nintensity = 1000\n[[service]]\nname = \"tested\"\nrelease = \"@tested\"\n{}",
        behaviour.more
    );
    let topology = topology.replace("\"@tested\"", &format!("{release:?}"));
    let mesh = Mesh::start(&topology.replace("\"@peer\"", &format!("{:?}", Language::Rust.guest()))).await;
    for (number, step) in behaviour.steps.into_iter().enumerate() {
        println!("step {number}");
        take(&mesh, language, step).await;
    }
    mesh.stop().await;
}

async fn take(mesh: &Mesh, language: Language, step: Step) {
    let named = |text: &str| text.replace("LANGUAGE", &format!("{language:?}"));
    match step {
        Step::Call(to, command, expected) => {
            let command = named(&command.to_string());
            let answered = mesh.runtime.call(to, command.clone(), PATIENCE).await;
            let told = read(answered);
            assert!(expected.is(&told), "{to} is told {command}: {told:?} instead of {expected:?}");
        }
        Step::Send(to, command) => mesh.runtime.send(to, named(&command.to_string())).await.unwrap(),
        Step::State(service, name, value) => state_becomes(&mesh.runtime, service, name, &value).await,
        Step::Started(service, instances) => {
            mesh.until("so many are started", |mesh| mesh.status(service).started == instances).await;
        }
        Step::Dead(reasons) => {
            mesh.until("so many letters are dead", |mesh| mesh.dead().len() >= reasons.len()).await;
            assert_eq!(mesh.dead(), reasons);
        }
        Step::Health(service, expected) => {
            let said = mesh.runtime.health(service, PATIENCE).await.unwrap().map_err(parts);
            let said = said.as_ref().err().map(|(kind, reason)| (*kind, reason.as_str()));
            assert_eq!(said, expected);
        }
        Step::Deploy(who, schema, ends) => deploy(mesh, language, who, schema, ends).await,
        Step::Logged(level, line) => {
            let line = named(line);
            let lines = log::of("airssys::guest", "tested");
            let found = lines.iter().any(|(on, fields)| on == level && fields["message"] == line.as_str());
            assert!(found, "no {line:?} on {level} in {lines:?}");
        }
    }
}

async fn deploy(mesh: &Mesh, language: Language, who: Who, schema: u32, ends: Ends) {
    let mut release = match who {
        Who::Tested => Release::find(&language.guest()).unwrap(),
        // Not the very bytes of the one under test, which may be in Rust: a section that nobody reads is more.
        Who::Peer => {
            let built = Language::Rust.guest().with_file_name("target").join("airssys/conformance.wasm");
            let path = mesh.folder.path().join("peer.wasm");
            std::fs::write(&path, [&std::fs::read(built).unwrap()[..], &[0, 2, 1, b'x']].concat()).unwrap();
            Release::find(&path).unwrap()
        }
    };
    release.manifest = Release::find(&language.guest()).unwrap().manifest;
    release.manifest.state_schema = schema;
    let mut options = quick();
    options.allow_downgrade = true;
    options.memory = MemoryHandover::Required;
    let ended = mesh.runtime.deploy("tested", release, options).await.unwrap().ended().await;
    match ends {
        Ends::Live => assert_eq!(ended, Progress::Live),
        Ends::Fails(said) => {
            let Progress::RolledBack { reason } = &ended else { panic!("{ended:?}") };
            let setback = reason.to_string();
            assert!(setback.contains(said), "{ended:?}: {setback}");
        }
    }
}

async fn state_becomes(runtime: &Runtime, address: &str, name: &str, value: &Value) {
    let (service, key) = address.split_once('/').unwrap_or((address, ""));
    let now = || {
        let states = runtime.state(service);
        let bytes = states.get(key).and_then(|state| state.get(name)).cloned();
        bytes.map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap())
    };
    let what = format!("`{name}` of {address} is {value}");
    until(&what, async || now() == *value).await;
}

/// What was answered, or how it failed: the kind, and what was said.
#[derive(Debug)]
enum Told {
    Value(Value),
    Nothing,
    Fault(&'static str, String),
    Crashed(&'static str, String),
}

fn read(answered: Result<Option<bytes::Bytes>, CallError>) -> Told {
    match answered {
        Ok(None) => Told::Nothing,
        Ok(Some(body)) => match serde_json::from_slice(&body) {
            Ok(value) => Told::Value(value),
            Err(error) => panic!("{error}: {body:?}"),
        },
        Err(CallError::Fault(fault)) => {
            let (kind, reason) = parts(fault);
            Told::Fault(kind, reason)
        }
        Err(CallError::Crashed(crash)) => Told::Crashed(crash.code(), crash.to_string()),
        Err(other) => panic!("{other}"),
    }
}

/// The kind of a fault, and what it says.
fn parts(fault: Fault) -> (&'static str, String) {
    let kind = fault.code();
    let said = match fault {
        Fault::Invalid(said) | Fault::Refused(said) | Fault::Unavailable(said) | Fault::Internal(said) => said,
        ended @ (Fault::Exit { .. } | Fault::Oversized { .. }) => ended.to_string(),
    };
    (kind, said)
}

impl Expected {
    fn is(&self, told: &Told) -> bool {
        match (self, told) {
            (Self::Is(value), Told::Value(found)) => value == found,
            (Self::Has(part), Told::Value(found)) => {
                part.as_object().unwrap().iter().all(|(field, value)| found[field] == *value)
            }
            (Self::Error(name, text), Told::Value(found)) => {
                found["error"] == *name && found["text"].as_str().is_some_and(|found| found.contains(text))
            }
            (Self::Nothing, Told::Nothing) => true,
            (Self::Fault(kind, reason), Told::Fault(found, said)) => kind == found && reason == said,
            (Self::FaultLike(kind, part), Told::Fault(found, said)) => kind == found && said.contains(part),
            (Self::Crashed(code, part), Told::Crashed(found, said)) => code == found && said.contains(part),
            _ => false,
        }
    }
}
