//! Drops what a service, or one key of it, remembers, while the mesh runs.
//!
//! Whoever runs on the state does it itself, between two turns or instead of a start, and begins anew. Where nobody
//! runs it is done from here, and whoever starts meanwhile waits for it. So no turn sees a part of the state, and none
//! that was begun before it writes after it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::Runtime;
use crate::actor::{Placed, Post};
use crate::apply::{Act, Hosted};
use crate::audit::Unrecorded;
use crate::deploy::begin_anew;
use crate::error::Crash;
use crate::hint::{self, Coded, Hint};
use crate::router::directory::{Directory, Keys};
use crate::router::place::{Misaddressed, Place};
use crate::router::service::Service;
use crate::state::State;

/// How long it waits before it looks again at an actor that ended over what it was asked.
const ASK_AGAIN: Duration = Duration::from_millis(2);

/// What was forgotten.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use std::time::Duration;
///
/// use airssys_wasm::command::Forgotten;
///
/// let Forgotten { actor, values, .. } = runtime.forget("echo", None, Duration::from_secs(5)).await?;
/// assert_eq!((actor.as_str(), values), ("", 0));
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Forgotten {
    /// The service.
    pub service: String,
    /// The key of the actor; empty where the service has one state only.
    pub actor: String,
    /// How many values it had.
    pub values: usize,
    /// How many commits had changed it.
    pub commits: u64,
    /// How many messages wait for the actor. They are handled with its state empty.
    pub waiting: usize,
}

/// Why nothing was forgotten.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::command::ForgetError;
/// use airssys_wasm::hint::Coded;
///
/// let error: ForgetError = runtime.plan_forget("nobody", None).unwrap_err();
/// assert_eq!(error.code(), "no-such-service");
/// # Ok(()) });
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForgetError {
    /// No such service runs.
    #[error("there is no service {service:?}")]
    NoSuchService {
        /// What was named.
        service: String,
    },
    /// Nobody has written to that key, or was sent anything under it.
    #[error("{service:?} knows no key {key:?}")]
    NoSuchKey {
        /// The service.
        service: String,
        /// What was named.
        key: String,
    },
    /// The service has a state for each of its actors.
    #[error("each actor of {service:?} has a state of its own")]
    NeedsKey {
        /// The service.
        service: String,
    },
    /// The service has one state only.
    #[error("{service:?} has one state and no keys")]
    TakesNoKey {
        /// The service.
        service: String,
    },
    /// The service has no state.
    #[error("{service:?} is a pool whose actors share a mailbox, and has no state")]
    NoState {
        /// The service.
        service: String,
    },
    /// The mesh is being brought to another topology.
    #[error("an apply is under way")]
    UnderWay,
    /// The audit is required and cannot record it. Nothing was forgotten.
    #[error(transparent)]
    Unrecorded(#[from] Unrecorded),
    /// Its actor did not drop it in time, although its turn was cut off.
    #[error(
        "{address} did not come to the end of its turn within {}, also when that was cut off, and nothing was forgotten",
        humantime::format_duration(*.patience)
    )]
    Late {
        /// Who.
        address: String,
        /// How long it was waited for.
        patience: Duration,
    },
    /// It could not be written down.
    #[error("the state of {address} was not forgotten: {crash}")]
    NotDurable {
        /// Whose.
        address: String,
        /// Why not.
        crash: Crash,
    },
}

impl Coded for ForgetError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchService { .. } => "no-such-service",
            Self::NoSuchKey { .. } => "no-such-key",
            Self::NeedsKey { .. } => "needs-key",
            Self::TakesNoKey { .. } => "takes-no-key",
            Self::NoState { .. } => "no-state",
            Self::UnderWay => "under-way",
            Self::Unrecorded(error) => error.code(),
            Self::Late { .. } => "timeout",
            Self::NotDurable { .. } => "not-durable",
        }
    }

    fn hint(&self) -> Option<Hint> {
        let hint = match self {
            Self::NoSuchService { .. } => hint::Act::ListServices.into(),
            Self::NoSuchKey { service, .. } => hint::Act::DumpState { service: service.clone() }.into(),
            Self::NeedsKey { service } => format!("name the key of one, as in {service}/KEY").into(),
            Self::TakesNoKey { .. } => "name the service alone".into(),
            Self::NoState { .. } => "there is nothing to forget".into(),
            Self::UnderWay => "try again when it is over".into(),
            Self::Unrecorded(error) => return error.hint(),
            Self::Late { .. } => "try again, or stop the host, and forget it in the data folder".into(),
            Self::NotDurable { .. } => return None,
        };
        Some(hint)
    }
}

/// Whose state it is, and who looks after it.
struct Found {
    placed: Arc<Placed>,
    target: Arc<Place>,
    state: Arc<State>,
    told: Forgotten,
}

#[doc(hidden)]
impl Runtime {
    /// Drops all that a service remembers, or one key of a service that has several states: on disk and in memory, as
    /// one step, and what its instance knows. It is there as a whole or not at all, whenever the host ends. Also one
    /// that is set aside because it crashed too often, or suspended, is let in again.
    ///
    /// What waits in its mailbox stays there, and is handled on a state that nobody has written to. A turn that runs is
    /// waited for. Where it is not over within `patience` it is cut off, as a crash. The instance is not told to stop.
    /// A release that is on its way back, or comes back later, finds no state from before.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use airssys_wasm::Runtime;
    /// use airssys_wasm::command::ForgetError;
    /// use airssys_wasm::topology::Topology;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
    /// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
    /// let file = folder.path().join("airssys.toml");
    /// let text = "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\nkeyed = {}\n";
    /// std::fs::write(&file, text)?;
    /// let runtime = Runtime::builder().start(&Topology::read(&file)?).await?;
    /// runtime.call("echo/alice", "hello", Duration::from_secs(5)).await?;
    /// let forgotten = runtime.forget("echo", Some("alice"), Duration::from_secs(5)).await?;
    /// assert_eq!((forgotten.actor.as_str(), forgotten.values), ("alice", 0));
    /// let nobody = runtime.forget("echo", Some("bob"), Duration::from_secs(5)).await;
    /// assert!(matches!(nobody, Err(ForgetError::NoSuchKey { .. })));
    /// runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ForgetError`]; nothing was forgotten then.
    pub async fn forget(&self, service: &str, key: Option<&str>, patience: Duration) -> Result<Forgotten, ForgetError> {
        let act = Act::on("forget", service).to(key.unwrap_or_default());
        self.hosted.acting(act, self.hosted.forget(service, key, patience)).await
    }

    /// What [`Runtime::forget`] would drop. Changes nothing.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::command::{ForgetError, Forgotten};
    ///
    /// let Forgotten { values, commits, waiting, .. } = runtime.plan_forget("echo", None)?;
    /// assert_eq!((values, commits, waiting), (0, 0, 0));
    /// assert!(matches!(runtime.plan_forget("echo", Some("alice")), Err(ForgetError::TakesNoKey { .. })));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Runtime::forget`], as far as it can be known before.
    pub fn plan_forget(&self, service: &str, key: Option<&str>) -> Result<Forgotten, ForgetError> {
        self.hosted.plan_forget(service, key)
    }
}

impl Hosted {
    /// See [`crate::Runtime::forget`].
    pub(crate) async fn forget(
        &self,
        service: &str,
        key: Option<&str>,
        patience: Duration,
    ) -> Result<Forgotten, ForgetError> {
        // An apply may put another service in the place of this one, with what this one has committed.
        let no_apply = self.change_alone().ok_or(ForgetError::UnderWay)?;
        let found = self.find_to_forget(service, key)?;
        let address = address(service, &found.told.actor);
        // In a task of its own: who waits may be cut off, and is not to leave an order behind that is carried out
        // without a word in the log.
        let forgetting = tokio::spawn(async move {
            let _no_apply = no_apply;
            found.forget(patience).await
        });
        let lost = |panic| Err(Crash::Host { detail: format!("{panic}") });
        match forgetting.await.unwrap_or_else(lost) {
            Ok(Some(told)) => Ok(told),
            Ok(None) => Err(ForgetError::Late { address, patience }),
            Err(crash) => Err(ForgetError::NotDurable { address, crash }),
        }
    }

    /// See [`crate::Runtime::plan_forget`].
    pub(crate) fn plan_forget(&self, service: &str, key: Option<&str>) -> Result<Forgotten, ForgetError> {
        self.find_to_forget(service, key).map(|found| found.told)
    }

    fn find_to_forget(&self, service: &str, key: Option<&str>) -> Result<Found, ForgetError> {
        let (name, of) = (service, || service.to_owned());
        let no_service = || ForgetError::NoSuchService { service: of() };
        let placed =
            self.actual.placed(name).filter(|placed| placed.service.address.as_str() == name).ok_or_else(no_service)?;
        let service = Arc::clone(&placed.service);
        let no_key = |key: &str| ForgetError::NoSuchKey { service: of(), key: key.to_owned() };
        let key = match (service.directory.keys(), key) {
            (Keys::Never, Some(_)) => return Err(ForgetError::TakesNoKey { service: of() }),
            (Keys::Must, None) => return Err(ForgetError::NeedsKey { service: of() }),
            // A message without a key has the state of the empty one.
            (_, key) => key.unwrap_or_default(),
        };
        if let Directory::One(place) = &service.directory
            && place.states.state(None).is_none()
        {
            return Err(ForgetError::NoState { service: of() });
        }
        let state = service.known_state(key).ok_or_else(|| no_key(key))?;
        let target = target(&service, key).map_err(|_| no_key(key))?;
        let dumped = state.dump();
        let told = Forgotten {
            service: of(),
            actor: key.to_owned(),
            values: dumped.values.len(),
            commits: dumped.commits,
            waiting: target.inbox.mailbox().len(),
        };
        Ok(Found { placed, target, state, told })
    }
}

impl Found {
    /// None where it was not done in time.
    async fn forget(self, patience: Duration) -> Result<Option<Forgotten>, Crash> {
        let (until, known) = (Instant::now() + patience, self.state.forgotten());
        while !self.is_forgotten(known, until).await? {
            if Instant::now() >= until {
                return Ok(None);
            }
            sleep(ASK_AGAIN).await;
        }
        let Forgotten { service, actor, values, commits, waiting } = &self.told;
        tracing::warn!(
            target: "airssys::state", service = %address(service, actor), values, commits, waiting,
            "forgotten, as it was asked for: it begins anew, with nothing of what it had committed"
        );
        Ok(Some(self.told))
    }

    /// Tries it once; whether it is done.
    async fn is_forgotten(&self, known: u64, until: Instant) -> Result<bool, Crash> {
        let begin = || self.state.forget(known);
        let saving = match &self.placed.roster {
            Some(roster) => match roster.forget(self.target.address(), begin) {
                Ok(saving) => saving,
                Err(awake) => return self.is_begun_anew(&awake, known, until).await,
            },
            None => {
                let own = |post: &&Post| Arc::ptr_eq(&post.live.serving().identity.own, &self.target);
                let Some(post) = self.placed.actors.iter().find(own) else { return Ok(false) };
                // One that waits for its back-off, or for another one of its group, is not waited for.
                let _is_vacant = post.vacate();
                match post.live.forget_where_empty(begin) {
                    Some(saving) => {
                        // The one that its group waits for may not have been asked about.
                        if !post.is_held_back().await {
                            post.hurry(&Arc::default());
                        }
                        saving
                    }
                    None => return self.is_begun_anew(post, known, until).await,
                }
            }
        };
        if let Some(saving) = saving {
            saving.done().await?;
        }
        if let Some(roster) = &self.placed.roster {
            roster.forget_past(self.target.address());
        }
        Ok(true)
    }

    async fn is_begun_anew(&self, post: &Post, known: u64, until: Instant) -> Result<bool, Crash> {
        begin_anew(post, &self.state, known, until).await.map_or(Ok(false), |done| done.map(|()| true))
    }
}

fn target(service: &Arc<Service>, key: &str) -> Result<Arc<Place>, Misaddressed> {
    let key = (service.directory.keys() != Keys::Never).then_some(key);
    service.find(None, key)?.place().cloned()
}

/// As it is told.
fn address(service: &str, key: &str) -> String {
    if key.is_empty() { service.to_owned() } else { format!("{service}/{key}") }
}
