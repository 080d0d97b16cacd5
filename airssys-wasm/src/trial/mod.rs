//! Trials of a mesh: a file says what is asked of it, what goes wrong meanwhile and what has to hold afterwards, and
//! each seed is one run of that in a [seeded host](crate::seeded).
//!
//! [`Trial::run`] is one run, and [`Trial::explore`] runs seed after seed until one fails. It refuses a mesh of which
//! something would not follow from the seed: files, sockets, HTTP and programs.

mod act;
mod file;
mod operator;
mod run;
mod written;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use sha2::{Digest, Sha256};

use self::file::Plan;
use crate::apply::RuntimeError;
use crate::config_file::ConfigError;
use crate::hex;
use crate::hint::{Coded, Hint};
use crate::topology::Topology;

/// How many seeds are run where nobody says.
const SEEDS: u64 = 100;

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
    /// A service is granted or keeps what would not follow from a seed.
    #[error("service {service} has {what}, which no seeded host has yet")]
    NotSeeded {
        /// The service; a listener by where it listens.
        service: String,
        /// What it has.
        what: &'static str,
    },
    /// The mesh does not start, without a fault of the test.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// There is no folder for what its services keep.
    #[error("cannot make a folder for what services keep")]
    Folder(#[source] io::Error),
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
            Self::Thread(_) => "no-thread",
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Config(error) => error.hint(),
            Self::NotSeeded { .. } => {
                Some("write a topology for tests that does without, and name it as `topology` in the test file".into())
            }
            Self::Runtime(error) => error.hint(),
            Self::Folder(_) => Some("is the folder for temporary files full, or not to be written?".into()),
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Tried {
    /// What it follows from.
    pub seed: u64,
    /// The SHA-256 of all its steps.
    pub digest: String,
    /// How many turns began.
    pub turns: u64,
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

/// What came of many runs.
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
/// use airssys_wasm::trial::{Explored, Seeds, Trial};
///
/// let Explored { runs, failure, .. } = Trial::read(&file)?.explore(Seeds::Many(3), None, |_| ())?;
/// assert_eq!((runs, failure), (3, None));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explored {
    /// How many seeds were run.
    pub runs: u64,
    /// The turns of all of them.
    pub turns: u64,
    /// How often each fault came.
    pub faults: BTreeMap<String, u64>,
    /// What the acts of an operator came to, and how often.
    pub acts: BTreeMap<String, u64>,
    /// The SHA-256 of the digests of all runs, each after that of those before.
    pub digest: String,
    /// The first run of which something did not hold. It is the last one.
    pub failure: Option<Tried>,
}

impl Explored {
    /// One run alone.
    ///
    /// # Example
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let text = "name = \"empty\"\n[[supervisor]]\nname = \"later\"\n";
    /// # std::fs::write(folder.path().join("airssys.toml"), text)?;
    /// # let file = folder.path().join("airssys.test.toml");
    /// # std::fs::write(&file, "[[workload]]\nservice = \"echo\"\nask = \"hello\"\n")?;
    /// use airssys_wasm::trial::{Explored, Trial};
    ///
    /// let explored = Explored::of(Trial::read(&file)?.run(7, None, false)?);
    /// assert_eq!((explored.runs, explored.failure), (1, None));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of(tried: Tried) -> Self {
        let mut explored = Self::default();
        explored.add(&tried);
        if !tried.broken.is_empty() {
            explored.failure = Some(tried);
        }
        explored
    }

    fn add(&mut self, tried: &Tried) {
        self.runs += 1;
        self.turns += tried.turns;
        self.digest = hex::encode(&Sha256::digest(format!("{}{}", self.digest, tried.digest)));
        for (fault, times) in &tried.faults {
            *self.faults.entry(fault.clone()).or_default() += times;
        }
        for (act, times) in &tried.acts {
            *self.acts.entry(act.clone()).or_default() += times;
        }
    }
}

/// Which seeds are run.
///
/// # Example
///
/// ```
/// use airssys_wasm::trial::Seeds;
///
/// assert_ne!(Seeds::One(7), Seeds::Many(7));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seeds {
    /// What the file says: its `seed`, or as many as its `seeds`; 100 where it says neither.
    AsWritten,
    /// This one alone.
    One(u64),
    /// So many, from 1 on.
    Many(u64),
    /// As many as there is time for, from 1 on, and one at least.
    For(Duration),
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
        let plan = Plan::read(file)?;
        let topology = Topology::read(&plan.topology)?;
        let brought_in = plan.acts.iter().filter_map(act::Act::topology);
        if let Some(fault) = plan.faults.iter().find(|fault| fault.kind.is_of_the_disk())
            && !run::is_durable(&topology)
        {
            let what = format!(
                "a fault is `{}`, and no service of the topology has durable state: nothing is written",
                fault.kind
            );
            return Err(ConfigError::whole(
                file,
                what,
                "write `state = \"durable\"` for a service, or leave the fault out",
            )
            .into());
        }
        let unseeded = [&topology].into_iter().chain(brought_in).find_map(run::unseeded);
        match unseeded {
            Some((service, what)) => Err(TrialError::NotSeeded { service, what }),
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
        run::run(&self.plan, &self.topology, seed, code_cache, with_steps)
    }

    /// Runs seed after seed until one fails, and tells each when it is over.
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
        seeds: Seeds,
        code_cache: Option<&Path>,
        mut tell: impl FnMut(&Tried),
    ) -> Result<Explored, TrialError> {
        let begun = Instant::now();
        let (first, most, time) = match seeds {
            Seeds::AsWritten => match self.plan.seed {
                Some(seed) => (seed, self.plan.seeds.unwrap_or(1), None),
                None => (1, self.plan.seeds.unwrap_or(SEEDS), None),
            },
            Seeds::One(seed) => (seed, 1, None),
            Seeds::Many(most) => (1, most, None),
            Seeds::For(time) => (1, u64::MAX, Some(time)),
        };
        let mut explored = Explored::default();
        for seed in (0..most).map(|next| first.wrapping_add(next)) {
            let tried = self.run(seed, code_cache, false)?;
            explored.add(&tried);
            tell(&tried);
            if !tried.broken.is_empty() {
                explored.failure = Some(tried);
                break;
            }
            if time.is_some_and(|time| begun.elapsed() >= time) {
                break;
            }
        }
        Ok(explored)
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
