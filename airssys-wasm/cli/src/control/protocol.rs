//! What is said over the control socket: one JSON object a line, each way.
//!
//! The client's first line is `{"airssys":1}`. Each line of the client has one line of the host: `{"ok":...}` or
//! `{"error":{"code":...,"message":...,"hint":...}}`; to some there are as many lines as there is to say, and then
//! `{"ok":null}`. To add a request: a variant of [`Request`] here, a row in `handle.rs` that says what is done for it,
//! its subcommand in `ask/`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use airssys_wasm::command::{AuditStatus, LogLevel, PlanRefusal, Rollout, unique_map};
use airssys_wasm::deploy::{MemoryHandover, RecordedGate};
use airssys_wasm::hint::Hint;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use super::dump::{Body, Dump};
use crate::commands;

/// The version that is spoken here. Another one is refused.
pub(crate) const VERSION: u64 = 1;
/// The largest body of a message, in bytes.
pub(crate) const MAX_BODY: usize = 1 << 20;
/// The longest line to the host, in bytes: the largest body as hex, and what stands around it.
pub(crate) const MAX_LINE: usize = 2 * MAX_BODY + (16 << 10);
/// The longest that a call may wait.
pub(crate) const MAX_PATIENCE: Duration = Duration::from_secs(60 * 60);
/// How long the host works on what waits for nobody.
const QUICK: Duration = Duration::from_secs(10);
/// How long the host may take to compile a release: a large one takes tens of seconds on a busy machine.
const COMPILING: Duration = Duration::from_secs(10 * 60);
/// The most dead letters in one listing.
pub(crate) const MAX_LETTERS: usize = 10_000;

/// The client's first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hello {
    pub(crate) airssys: u64,
}

/// The most keys and values in one answer, in bytes.
pub(crate) const MAX_DUMP: usize = 16 << 20;

/// What a host can be asked. Those that say nothing more have braces: of a unit variant serde would let any field pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Answers [`Status`].
    Status {},
    /// Answers a list of `ServiceStatus`.
    Services {},
    /// Answers a list of `ListenerStatus`.
    Listeners {},
    /// Answers a list of [`Child`].
    Tree {},
    /// Answers `null` when the message is in its mailbox. With a `function`, the body is its arguments in JSON.
    Send {
        to: String,
        key: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        function: Option<String>,
        body: Body,
    },
    /// Answers the service's answer: a [`Body`], or `null` where it has none. With a `function`, the body is its
    /// arguments in JSON. The result of a function is in JSON with `json`.
    Call {
        to: String,
        key: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        function: Option<String>,
        body: Body,
        timeout_ms: u64,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        json: bool,
    },
    /// Answers the path of the component that serves it now.
    Component { service: String },
    /// Answers the names by which its functions are called, as texts.
    Functions { service: String },
    /// Answers `null`.
    Emit { topic: String, body: Body },
    /// Answers [`Letters`]: the youngest, at most so many.
    DeadLetters { limit: usize },
    /// Answers [`Letter`].
    DeadLetter { id: u64 },
    /// Answers `null` when the body is in its mailbox again.
    ReplayDeadLetter { id: u64 },
    /// Answers the [`Letter`] that is gone.
    DropDeadLetter { id: u64 },
    /// Answers `airssys_wasm::deploy::Status` when the release is compiled and takes over, or is refused. `release` is
    /// an absolute path, or `NAME@VERSION`.
    Deploy(Deploy),
    /// Answers a list of `airssys_wasm::deploy::Status` when all services are switched, in the order in which they
    /// were, or are back. `releases` has a release by service.
    DeploySet(DeploySet),
    /// Answers `airssys_wasm::Applied` when all of it has come about. `topology` is an absolute path.
    Apply(Apply),
    /// Answers `airssys_wasm::command::ApplyPlan`: what [`Request::Apply`] would change. Changes nothing.
    PlanApply(PlanApply),
    /// Answers `airssys_wasm::command::Plan`: what [`Request::Deploy`] would change. Changes nothing.
    Plan(Plan),
    /// Answers a list of `airssys_wasm::command::Ungranted`: what these releases, by service, ask for and are not
    /// granted; `null` is what a rollback brings back.
    Ungranted {
        #[serde(deserialize_with = "unique_map")]
        releases: BTreeMap<String, Option<String>>,
    },
    /// Answers `airssys_wasm::deploy::Status`: that of the way back, or the one that is cancelled. `restore_state`
    /// discards the turns that were committed since the live release brought the state over.
    Rollback {
        service: String,
        probation_ms: u64,
        handover_ms: u64,
        #[serde(default)]
        restore_state: bool,
        #[serde(default)]
        memory: MemoryHandover,
    },
    /// Answers `airssys_wasm::deploy::Status`: the last one of the service, or `null`.
    Deployment { service: String },
    /// Answers many lines: `airssys_wasm::deploy::Status` of the deployment of the service that has this number there,
    /// as it is and each time that it has come further, until it is over.
    FollowDeployment { service: String, number: u64 },
    /// Answers [`Recorded`] when the turns that the recorder of the service has are in the file, by its absolute path.
    Record { service: String, out: PathBuf },
    /// Answers [`Dump`]: the state that the turn over a message had, after it or before it.
    Rewind {
        service: String,
        message: u64,
        #[serde(default)]
        before: bool,
    },
    /// Answers [`Dump`].
    State { service: String },
    /// Answers a [`Body`], or `null` where there is no such value. `actor` is empty where the service has one state
    /// only.
    StateValue { service: String, actor: String, key: String },
    /// Answers [`Forgotten`] when what the service remembers is dropped; `actor` is the key of one of its actors, or of
    /// a pool's messages.
    Forget { service: String, actor: Option<String>, timeout_ms: u64 },
    /// Answers [`Forgotten`]: what [`Request::Forget`] would drop. Changes nothing.
    PlanForget { service: String, actor: Option<String> },
    /// Answers many lines: an `airssys_wasm::events::Event` each, or `{"kind":"lost","events":N}`. Those that are kept,
    /// and with `follow` those that come, until the host ends. No `kinds` are all kinds.
    Events {
        service: Option<String>,
        #[serde(default)]
        kinds: Vec<String>,
        #[serde(default)]
        follow: bool,
    },
    /// Answers a list of `Ended`: the deployments of the service that are over, the youngest last.
    History { service: String },
    /// Answers [`ServiceStop`] when the service has stopped. It stays so, also when the host starts again,
    /// until [`Request::StartService`].
    StopService { service: String },
    /// Answers [`ServiceStop`] when the service is up.
    StartService { service: String },
    /// Answers a list of `airssys_wasm::command::Capability`.
    Capabilities { service: String },
    /// Answers `airssys_wasm::command::Why`: what would become of an operation, by the key that its grants stand under.
    Why { service: String, key: String, target: String },
    /// Answers a list of `airssys_wasm::command::Learned`: what was learned of each service so far.
    Learned {},
    /// Answers a list of `airssys_wasm::command::Unused`: the grants that nobody used.
    Unused {},
    /// Answers `airssys_wasm::Applied` when the service has the grant, or `null` where it had it.
    Grant { service: String, key: String, grant: String, probation_ms: u64, handover_ms: u64 },
    /// Answers [`Revoked`] when the service has the grant no more.
    Revoke { service: String, key: String, grant: String },
    /// Answers a list of `airssys_wasm::command::LogStatus`.
    Logs {},
    /// Answers `airssys_wasm::Applied` when lines are logged from this level up, or `null` where it was so: each line,
    /// or those of a service.
    Log {
        log: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
        level: LogLevel,
    },
    /// Answers [`Stopped`] when the tree has stopped.
    Stop {},
}

impl Request {
    /// How long the host may work on it; none where it takes as long as the mesh says.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let most = |ms: u64| Duration::from_millis(ms).min(MAX_PATIENCE);
        match self {
            Self::Stop {} => None,
            Self::Call { timeout_ms, .. } | Self::Forget { timeout_ms, .. } => Some(most(*timeout_ms) + QUICK),
            Self::Deploy(_)
            | Self::Plan(_)
            | Self::DeploySet(_)
            | Self::PlanApply(_)
            | Self::StopService { .. }
            | Self::StartService { .. } => Some(COMPILING),
            // It is so at once, and written down when what is under way is over.
            Self::Revoke { .. } | Self::Log { .. } => Some(COMPILING),
            Self::Apply(Apply { probation_ms, handover_ms, .. }) | Self::Grant { probation_ms, handover_ms, .. } => {
                // One that takes longer goes on, and is waited for no more.
                Some(COMPILING + most(*probation_ms) + 2 * most(*handover_ms))
            }
            _ => Some(QUICK),
        }
    }
}

/// What was written of the recorder of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recorded {
    pub(crate) service: String,
    /// The release whose turns these are.
    pub(crate) release: String,
    pub(crate) turns: usize,
    pub(crate) actors: usize,
    /// Where.
    pub(crate) path: PathBuf,
}

/// A release for a service. It is an absolute path, or `NAME@VERSION`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deploy {
    pub(crate) service: String,
    pub(crate) release: String,
    pub(crate) probation_ms: u64,
    pub(crate) handover_ms: u64,
    #[serde(default)]
    pub(crate) allow_downgrade: bool,
    #[serde(default)]
    pub(crate) same_version: bool,
    #[serde(default)]
    pub(crate) strict: bool,
    #[serde(default)]
    pub(crate) memory: MemoryHandover,
    #[serde(default)]
    pub(crate) way: Rollout,
    /// What it has to show over the turns that were recorded, before anything is switched.
    #[serde(default)]
    pub(crate) recorded: Option<RecordedGate>,
}

/// Releases by service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeploySet {
    #[serde(deserialize_with = "unique_map")]
    pub(crate) releases: BTreeMap<String, String>,
    pub(crate) probation_ms: u64,
    pub(crate) handover_ms: u64,
    #[serde(default)]
    pub(crate) allow_downgrade: bool,
    #[serde(default)]
    pub(crate) same_version: bool,
    #[serde(default)]
    pub(crate) strict: bool,
    #[serde(default)]
    pub(crate) memory: MemoryHandover,
}

/// A topology, by its absolute path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Apply {
    pub(crate) topology: String,
    pub(crate) probation_ms: u64,
    pub(crate) handover_ms: u64,
    #[serde(default)]
    pub(crate) allow_downgrade: bool,
    #[serde(default)]
    pub(crate) same_version: bool,
    #[serde(default)]
    pub(crate) strict: bool,
    #[serde(default)]
    pub(crate) memory: MemoryHandover,
}

/// A topology, by its absolute path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanApply {
    pub(crate) topology: String,
    #[serde(default)]
    pub(crate) allow_downgrade: bool,
    #[serde(default)]
    pub(crate) same_version: bool,
    #[serde(default)]
    pub(crate) strict: bool,
}

/// A release for a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    pub(crate) service: String,
    pub(crate) release: String,
    #[serde(default)]
    pub(crate) allow_downgrade: bool,
    #[serde(default)]
    pub(crate) same_version: bool,
    #[serde(default)]
    pub(crate) strict: bool,
    #[serde(default)]
    pub(crate) way: Rollout,
    #[serde(default)]
    pub(crate) recorded: Option<RecordedGate>,
}

/// What the host says to a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Ok(Value),
    Error(Refusal),
}

/// Why it did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Refusal {
    /// A stable word.
    pub(crate) code: String,
    /// What the code alone does not say: which fault, which crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    pub(crate) message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

impl Refusal {
    pub(crate) fn new(code: &str, message: impl ToString) -> Self {
        Self { code: code.to_owned(), kind: None, message: message.to_string(), hint: None }
    }

    pub(super) fn no_service(service: &str) -> Self {
        Self::new("no-such-service", format!("there is no service {service:?}"))
    }

    /// The same, with what to do about it.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()).filter(|hint| !hint.is_empty()), ..self }
    }

    /// The same, with what to do about it where that is known.
    pub(crate) fn hinted(self, hint: Option<&Hint>) -> Self {
        Self { hint: hint.map(commands::told), ..self }
    }
}

impl From<&PlanRefusal> for Refusal {
    fn from(refusal: &PlanRefusal) -> Self {
        Self::new(&refusal.code, &refusal.message).hinted(refusal.hint.as_ref())
    }
}

/// How the host is.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) mesh: String,
    /// Of airssys.
    pub(crate) version: String,
    pub(crate) process: u32,
    pub(crate) uptime_seconds: f64,
    pub(crate) services: usize,
    pub(crate) instances: usize,
    pub(crate) most_instances: usize,
    /// All that there were.
    pub(crate) dead_letters: u64,
    pub(crate) dead_letters_kept: usize,
    /// Of all durable states together; none where there are none.
    pub(crate) durable_bytes: Option<u64>,
    /// None where there is no bound.
    pub(crate) most_durable_bytes: Option<u64>,
    /// None where none is kept.
    #[serde(default)]
    pub(crate) audit: Option<AuditStatus>,
}

/// What a service, or one actor of it, remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Forgotten {
    pub(crate) service: String,
    /// The key of the actor; empty where the service has one state only.
    pub(crate) actor: String,
    pub(crate) values: usize,
    pub(crate) commits: u64,
    /// Messages that wait for it; 0 without a host.
    pub(crate) waiting: usize,
}

/// A child of a supervisor.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Child {
    pub(crate) name: String,
    pub(crate) supervisor: bool,
    pub(crate) status: String,
    pub(crate) restarts: u64,
    pub(crate) last_exit: Option<String>,
    pub(crate) uptime_seconds: Option<f64>,
    pub(crate) children: Vec<Child>,
}

/// Dead letters, oldest first.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Letters {
    /// All that there were.
    pub(crate) total: u64,
    pub(crate) kept: usize,
    pub(crate) letters: Vec<LetterHead>,
}

/// A dead letter without its body.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LetterHead {
    pub(crate) id: u64,
    pub(crate) at: String,
    /// None is the host.
    pub(crate) sender: Option<String>,
    pub(crate) target: String,
    pub(crate) key: Option<String>,
    pub(crate) delivery: String,
    pub(crate) attempt: u32,
    pub(crate) code: String,
    pub(crate) reason: String,
    pub(crate) body_bytes: usize,
}

/// A dead letter.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Letter {
    #[serde(flatten)]
    pub(crate) head: LetterHead,
    /// The message from outside that it came of.
    pub(crate) trace: u64,
    pub(crate) body: Body,
    /// The function that was called, with its arguments, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<String>,
}

/// What a stop or a start of a service did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceStop {
    pub(crate) service: String,
    /// Whether it is stopped now.
    pub(crate) stopped: bool,
    /// Whether that outlives the host.
    pub(crate) kept: bool,
}

/// What was taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Revoked {
    pub(crate) service: String,
    pub(crate) key: String,
    pub(crate) grant: String,
    /// Whether that outlives the host.
    pub(crate) kept: bool,
}

/// How the tree stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stopped {
    pub(crate) seconds: f64,
    pub(crate) killed: Vec<String>,
    pub(crate) unresponsive: Vec<String>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::{Body, MAX_BODY, MAX_LINE, Refusal, Reply, Request};

    #[test]
    fn a_request_is_one_line_and_what_it_does_not_know_it_refuses() {
        let body = Body::of(b"x\n");
        let call = Request::Call { to: "a".into(), key: None, function: None, body, timeout_ms: 5, json: false };
        let line = r#"{"request":"call","to":"a","key":null,"body":{"text":"x\n"},"timeout_ms":5}"#;
        assert_eq!(serde_json::to_string(&call).unwrap(), line);
        assert_eq!(serde_json::from_str::<Request>(line).unwrap(), call);
        let set = r#"{"request":"deploy_set","releases":{"a":"1","a":"2"},"probation_ms":1,"handover_ms":1}"#;
        let twice = r#"{"request":"replay_dead_letter","id":1,"id":2}"#;
        let too_large = r#"{"request":"replay_dead_letter","id":18446744073709551616}"#;
        let loud = r#"{"request":"emit","topic":"t","body":{"text":""},"loud":1}"#;
        let both = r#"{"request":"emit","topic":"t","body":{"text":"","hex":""}}"#;
        for bad in [r#"{"request":"fly"}"#, loud, "[]", set, twice, too_large, both] {
            assert!(serde_json::from_str::<Request>(bad).is_err(), "{bad}");
        }
        let no = Reply::Error(Refusal::new("busy", "later"));
        assert_eq!(serde_json::to_string(&no).unwrap(), r#"{"error":{"code":"busy","message":"later"}}"#);
    }

    #[test]
    fn every_body_comes_back_and_the_largest_fits_a_line() {
        for bytes in [&b""[..], b"text", "\u{e9}\n".as_bytes(), b"\xff\x00", b"\x00", b"\x7f"] {
            assert_eq!(Body::of(bytes).bytes().unwrap(), bytes);
        }
        for bad in ["f", "fg", "+1"] {
            assert_eq!(Body::Hex(bad.into()).bytes(), None, "{bad}");
        }
        for byte in [0, b'"', b'x', 0xff] {
            let body = Body::of(&vec![byte; MAX_BODY]);
            let send = Request::Send { to: "a".repeat(320), key: Some("\u{1}".repeat(256)), function: None, body };
            assert!(serde_json::to_string(&send).unwrap().len() < MAX_LINE);
        }
    }
}
