//! Trials of a mesh: a file says what is asked of it, what goes wrong meanwhile and what has to hold afterwards, and
//! each seed is one run of that in a [seeded host](crate::seeded).
//!
//! [`Trial::run`] is one run, [`Trial::explore`] runs seed after seed until one fails, and [`Trial::shrink`] makes that
//! one shorter. What services have of the world outside is made for each run: those whom they ask by HTTP
//! (`peer.rs`), copies of their folders (`folders.rs`), and requests to their listeners (`http.rs`). It refuses a mesh
//! of which something would not follow from the seed: sockets and programs.

mod act;
mod always;
mod authority;
mod closures;
mod explicit;
mod explore;
mod file;
mod folders;
mod http;
mod invariant;
mod jobs;
mod judge;
mod judges;
mod listeners;
mod operator;
mod peer;
mod run;
mod said;
mod shrink;
mod watch;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use self::always::Always;
pub use self::closures::{Terms, run};
pub use self::explore::{Explored, Exploring, Seeds};
pub use self::shrink::{Bounds, Progress, Shrunk, Size};

use self::file::Plan;
use crate::apply::RuntimeError;
use crate::config_file::{ConfigError, Source};
use crate::hint::{Coded, Hint};
use crate::seeded::{Fault, Reached};
use crate::topology::Topology;

/// Why a mesh cannot be tried.
///
/// # Example
///
/// ```
/// use airssys_wasm::hint::Coded;
/// use airssys_wasm::trial::{Trial, TrialError};
///
/// let error = Trial::read("no-such.test.toml".as_ref()).unwrap_err();
/// assert!(matches!(error, TrialError::Config(_)) && error.code() == "config", "{error}");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// The test file or the topology is not right.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A service is granted what would not follow from a seed.
    #[error("service {service} is granted `{grant}`, and no seeded host has {what}")]
    NotSeeded {
        /// The service.
        service: String,
        /// The key of the grant, such as `sockets`.
        grant: &'static str,
        /// What that would be.
        what: &'static str,
    },
    /// The mesh does not start, without a fault of the test.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// There is no folder for what its services keep.
    #[error("cannot make a folder for what services keep")]
    Folder(#[source] io::Error),
    /// A folder that services are granted is too large to be copied for each run.
    #[error("the granted folder {} has {what}: each run has a copy of it", .folder.display())]
    TooLarge {
        /// The folder.
        folder: PathBuf,
        /// What it has too much of.
        what: String,
    },
    /// A folder that services are granted cannot be copied.
    #[error("the granted folder {} cannot be copied for a run: {}", .folder.display(), .at.display())]
    Copy {
        /// The folder.
        folder: PathBuf,
        /// What of it.
        at: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no thread to run it on.
    #[error("cannot start the thread of a run")]
    Thread(#[source] io::Error),
}

impl Coded for TrialError {
    fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::NotSeeded { .. } => "not-seeded",
            Self::Runtime(error) => error.code(),
            Self::Folder(_) => "no-folder",
            Self::TooLarge { .. } => "folder-too-large",
            Self::Copy { .. } => "folder-not-copied",
            Self::Thread(_) => "no-thread",
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Config(error) => error.hint(),
            Self::NotSeeded { .. } => Some(
                "name a topology without that grant as `topology` in the test file; HTTP goes to a [[peer]]".into(),
            ),
            Self::Runtime(error) => error.hint(),
            Self::Folder(_) => Some("is the folder for temporary files full, or not to be written?".into()),
            Self::TooLarge { .. } => {
                Some("grant a smaller one, in a topology for tests that the test file names as `topology`".into())
            }
            Self::Copy { .. } => Some("may it be read, and is it a file, a folder or a link?".into()),
            Self::Thread(_) => None,
        }
    }
}

/// One run of a trial.
///
/// # Example
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
/// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
/// # let text = "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n";
/// # std::fs::write(folder.path().join("airssys.toml"), text)?;
/// # let file = folder.path().join("airssys.test.toml");
/// # std::fs::write(&file, "[[workload]]\nservice = \"echo\"\nask = \"hello\"\n")?;
/// let trial = airssys_wasm::trial::Trial::read(&file)?;
/// assert_eq!(trial.run(7, None, false)?.digest, trial.run(7, None, false)?.digest);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tried {
    /// What it follows from.
    pub seed: u64,
    /// The faults that were forced in it, beside what the seed says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forced: Vec<Fault>,
    /// The SHA-256 of all its steps.
    pub digest: String,
    /// How many turns began.
    pub turns: u64,
    /// How many turns each service had.
    pub turns_of: BTreeMap<String, u64>,
    /// What came, and where: faults, and what supervisors and other parts of the host did.
    pub reached: BTreeSet<Reached>,
    /// How often each fault came.
    pub faults: BTreeMap<String, u64>,
    /// What the acts of an operator came to, such as `deploy till 1.1.0: live`, and how often.
    pub acts: BTreeMap<String, u64>,
    /// How many messages of the workloads were answered or accepted, and how many were not.
    pub answered: u64,
    /// See there.
    pub failed: u64,
    /// The time that passed in it, in milliseconds.
    pub passed_ms: u64,
    /// What did not hold; empty where all did.
    pub broken: Vec<String>,
    /// Its steps, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
}

/// A test file that was read, and its topology.
///
/// # Example
///
/// ```
/// use airssys_wasm::trial::Trial;
///
/// # let folder = tempfile::tempdir()?;
/// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
/// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
/// # let text = "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n";
/// # std::fs::write(folder.path().join("airssys.toml"), text)?;
/// let file = folder.path().join("airssys.test.toml");
/// std::fs::write(&file, r#"
///     [[workload]]
///     service = "echo"
///     ask = "hello {n}"
///     times = 20
///
///     [[fault]]
///     kind = "crash"
///     service = "echo"
///     nth = 3
///
///     [[check]]
///     service = "echo"
///     ask = "still there?"
///     equals = "still there?"
/// "#)?;
/// let tried = Trial::read(&file)?.run(7, None, false)?;
/// assert_eq!((tried.failed, tried.broken), (1, Vec::<String>::new()), "one died over its message");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Trial {
    plan: Plan,
    topology: Topology,
}

impl Trial {
    /// A test file from its text, as if it were in that folder.
    ///
    /// # Example
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let text = "name = \"empty\"\n[[supervisor]]\nname = \"later\"\n";
    /// # std::fs::write(folder.path().join("airssys.toml"), text)?;
    /// use airssys_wasm::trial::Trial;
    ///
    /// let trial = Trial::parse("[[workload]]\nservice = \"echo\"\nask = \"hello\"\n", folder.path())?;
    /// assert_eq!(trial.topology(), folder.path().join("airssys.toml"));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Trial::read`].
    pub fn parse(text: &str, folder: &Path) -> Result<Self, TrialError> {
        let source = Source { path: folder.join("airssys.test.toml"), text: text.to_owned() };
        Self::of(Plan::of(&source)?)
    }

    /// Reads a test file and its topology.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::trial::Trial;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let file = folder.path().join("airssys.test.toml");
    /// std::fs::write(&file, "seeds = 3\n")?;
    /// let error = Trial::read(&file).unwrap_err();
    /// assert!(error.to_string().contains("it has no [[workload]]"), "{error}");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TrialError`]: something in it is wrong, or the mesh has what no seeded host has.
    pub fn read(file: &Path) -> Result<Self, TrialError> {
        Self::of(Plan::read(file)?)
    }

    fn of(mut plan: Plan) -> Result<Self, TrialError> {
        let topology = Topology::read(&plan.topology)?;
        listeners::find(&mut plan, &topology)?;
        let brought_in = plan.acts.iter().filter_map(act::Act::topology);
        if let Some(fault) = plan.faults.iter().find(|fault| fault.kind.is_of_the_disk())
            && !run::is_durable(&topology)
        {
            let what = format!(
                "a fault is `{}`, and no service of the topology has durable state: nothing is written",
                fault.kind
            );
            return Err(ConfigError::whole(
                &plan.file,
                what,
                "write `state = \"durable\"` for a service, or leave the fault out",
            )
            .into());
        }
        plan.know(std::iter::once(&topology).chain(plan.acts.iter().filter_map(act::Act::topology)))?;
        let unseeded = [&topology].into_iter().chain(brought_in).find_map(run::unseeded);
        match unseeded {
            Some(error) => Err(error),
            None => Ok(Self { plan, topology }),
        }
    }

    /// The file of its topology.
    ///
    /// # Example
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let text = "name = \"empty\"\n[[supervisor]]\nname = \"later\"\n";
    /// # std::fs::write(folder.path().join("airssys.toml"), text)?;
    /// # let file = folder.path().join("airssys.test.toml");
    /// # std::fs::write(&file, "[[workload]]\nservice = \"echo\"\nask = \"hello\"\n")?;
    /// let trial = airssys_wasm::trial::Trial::read(&file)?;
    /// assert_eq!(trial.topology(), folder.path().join("airssys.toml"));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn topology(&self) -> PathBuf {
        self.plan.topology.clone()
    }

    /// Runs one seed. Compiled code is kept in that folder, where one is named; the steps are told where they are
    /// wanted.
    ///
    /// # Example
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let text = "name = \"empty\"\n[[supervisor]]\nname = \"later\"\n";
    /// # std::fs::write(folder.path().join("airssys.toml"), text)?;
    /// # let file = folder.path().join("airssys.test.toml");
    /// # std::fs::write(&file, "[[workload]]\nservice = \"echo\"\nask = \"hello\"\n")?;
    /// let tried = airssys_wasm::trial::Trial::read(&file)?.run(7, None, true)?;
    /// assert_eq!((tried.turns, tried.failed), (0, 1), "there is no such service");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TrialError`]: the mesh does not start, or there is no thread.
    pub fn run(&self, seed: u64, code_cache: Option<&Path>, with_steps: bool) -> Result<Tried, TrialError> {
        let seeded = run::seeded(&self.plan, seed);
        let seeded = if with_steps { seeded.keep_text() } else { seeded };
        run::run(&self.plan, &self.topology, &seeded, code_cache)
    }

    /// Runs seed after seed until one fails, and tells each when it is over, in their order. How is [`Seeds`], or
    /// [`Exploring`] where it is to be on several threads. After the first 16 runs every second one is guided: it has
    /// faults that are forced, first those that have not come by chance.
    ///
    /// # Example
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let text = "name = \"empty\"\n[[supervisor]]\nname = \"later\"\n";
    /// # std::fs::write(folder.path().join("airssys.toml"), text)?;
    /// # let file = folder.path().join("airssys.test.toml");
    /// # std::fs::write(&file, "[[workload]]\nservice = \"echo\"\nask = \"hello\"\n")?;
    /// use airssys_wasm::trial::{Seeds, Trial};
    ///
    /// let mut seeds = Vec::new();
    /// Trial::read(&file)?.explore(Seeds::Many(3), None, |tried| seeds.push(tried.seed))?;
    /// assert_eq!(seeds, [1, 2, 3]);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Trial::run`].
    pub fn explore(
        &self,
        how: impl Into<Exploring>,
        code_cache: Option<&Path>,
        mut tell: impl FnMut(&Tried),
    ) -> Result<Explored, TrialError> {
        explore::explore((&self.plan, &self.topology), how.into(), code_cache, &mut tell)
    }

    /// How many runs that is at most; none where time ends it.
    ///
    /// # Example
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let text = "name = \"empty\"\n[[supervisor]]\nname = \"later\"\n";
    /// # std::fs::write(folder.path().join("airssys.toml"), text)?;
    /// use airssys_wasm::trial::{Seeds, Trial};
    ///
    /// let trial = Trial::parse("seeds = 7\n[[workload]]\nservice = \"echo\"\nask = \"hello\"\n", folder.path())?;
    /// assert_eq!(trial.runs(Seeds::AsWritten), Some(7));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn runs(&self, seeds: Seeds) -> Option<u64> {
        explore::range(&self.plan, seeds).1
    }

    /// Makes a run that failed shorter: leaves out of its messages, faults, kills, acts and pauses what can be left out
    /// while the same does not hold. Each shorter one is told. None where the run is well when it is run again.
    ///
    /// # Example
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let text = "name = \"empty\"\n[[supervisor]]\nname = \"later\"\n";
    /// # std::fs::write(folder.path().join("airssys.toml"), text)?;
    /// use airssys_wasm::trial::{Bounds, Seeds, Trial};
    ///
    /// let file = folder.path().join("airssys.test.toml");
    /// std::fs::write(&file, r#"
    ///     [[workload]]
    ///     service = "echo"
    ///     ask = "hello"
    ///     times = 100
    ///
    ///     [[check]]
    ///     service = "echo"
    ///     ask = "still there?"
    ///     equals = "still there?"
    /// "#)?;
    /// let trial = Trial::read(&file)?;
    /// let failure = trial.explore(Seeds::Many(1), None, |_| ())?.failure.ok_or("there is no such service")?;
    /// let shrunk = trial.shrink(&failure, Bounds::default(), None, |_| ())?.ok_or("it fails again")?;
    /// assert_eq!((shrunk.from.messages, shrunk.to.messages), (100, 0), "no message is needed for that");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Trial::run`].
    pub fn shrink(
        &self,
        failure: &Tried,
        bounds: Bounds,
        code_cache: Option<&Path>,
        mut tell: impl FnMut(&Progress),
    ) -> Result<Option<Shrunk>, TrialError> {
        shrink::shrink((&self.plan, &self.topology), failure, bounds, code_cache, &mut tell)
    }

    /// The test file again, as one that runs this failure alone, with the faults that were forced in it.
    ///
    /// # Example
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let text = "name = \"empty\"\n[[supervisor]]\nname = \"later\"\n";
    /// # std::fs::write(folder.path().join("airssys.toml"), text)?;
    /// use airssys_wasm::trial::Trial;
    ///
    /// let trial = Trial::parse("[[workload]]\nservice = \"echo\"\nask = \"hello\"\n", folder.path())?;
    /// let tried = trial.run(17, None, false)?;
    /// assert_eq!(trial.again(&tried), trial.with_seed(17), "nothing was forced");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn again(&self, tried: &Tried) -> String {
        if tried.forced.is_empty() {
            return self.with_seed(tried.seed);
        }
        let plan = self.plan.forced(&tried.forced);
        Plan { seed: Some(tried.seed), seeds: None, ..plan }.written()
    }

    /// The test file again, as one that runs this seed alone. A topology that is not named is the one beside it.
    ///
    /// # Example
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let text = "name = \"empty\"\n[[supervisor]]\nname = \"later\"\n";
    /// # std::fs::write(folder.path().join("airssys.toml"), text)?;
    /// # let file = folder.path().join("airssys.test.toml");
    /// std::fs::write(&file, "seeds = 1000\n\n[[workload]]\nservice = \"echo\"\nask = \"hello\"\n")?;
    /// let again = airssys_wasm::trial::Trial::read(&file)?.with_seed(17);
    /// assert_eq!(again, "seed = 17\n\n[[workload]]\nservice = \"echo\"\nask = \"hello\"\n");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_seed(&self, seed: u64) -> String {
        self.plan.with_seed(seed)
    }
}
