//! A mesh in a unit test: the components that go to production, under the tree that goes to production, with crashes,
//! in virtual time, and each run again as often as somebody needs to look at it.
//!
//! ```no_run
//! use airssys_testkit::{Mesh, SECOND};
//!
//! // In a function with `#[test]`:
//! Mesh::read("airssys.toml").crashes(0.05).seeds(50).test(
//!     async |mesh| drop(mesh.call("echo", "hello", SECOND).await),
//!     async |mesh| assert!(mesh.call("echo", "still there?", SECOND).await.is_ok()),
//! );
//! ```
//!
//! Everything that is not a component's own choice follows from the seed of a run. The first seed that fails is told
//! with what went wrong in it, and with the variable that runs it alone: `AIRSSYS_SEED=17 cargo test everybody`.
//! Another one, `AIRSSYS_SEEDS=10000`, says how many seeds each test runs.
//!
//! This is `airssys_wasm::trial` and `airssys_wasm::seeded` for `#[test]`, and nothing else: what they refuse is
//! refused here. It shrinks nothing; a test file does, with `airssys test`.

#![allow(clippy::panic, reason = "a test says so by panicking")]

use std::any::Any;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use airssys_wasm::Runtime;
pub use airssys_wasm::seeded::{Fault, FaultKind, Moment, Report, Seeded};
use airssys_wasm::topology::Topology;
use airssys_wasm::trial::{self, Always, Terms};
pub use tokio::time::sleep;

/// What most answers are waited for.
pub const SECOND: Duration = Duration::from_secs(1);

/// The variable that has one seed alone run.
const ONE: &str = "AIRSSYS_SEED";
/// The variable that says how many seeds are run.
const MANY: &str = "AIRSSYS_SEEDS";
/// How many seeds are run where nobody says.
const SEEDS: u64 = 20;
/// How many of the last steps of a failing run are told.
const LAST: usize = 20;

/// A mesh that is tested.
///
/// # Example
///
/// ```
/// use airssys_testkit::{Mesh, SECOND};
///
/// # let folder = tempfile::tempdir()?;
/// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/../doc/echo.wat"))?;
/// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
/// let topology = "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n";
/// Mesh::parse(topology, folder.path()).crashes(0.1).seeds(10).test(
///     async |mesh| drop(mesh.call("echo", "hello", SECOND).await),
///     async |mesh| {
///         let answer = mesh.call("echo", "still there?", SECOND).await;
///         assert_eq!(answer.unwrap().unwrap(), "still there?");
///     },
/// );
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Mesh {
    topology: Topology,
    faults: Vec<Fault>,
    first: u64,
    seeds: u64,
    terms: Terms,
}

/// What came of all runs of a test.
///
/// # Example
///
/// ```
/// use airssys_testkit::Tested;
///
/// let Tested { runs, turns, .. } = Tested::default();
/// assert_eq!((runs, turns), (0, 0));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tested {
    /// How many seeds were run.
    pub runs: u64,
    /// How many turns they had.
    pub turns: u64,
    /// How many faults came in them.
    pub faults: u64,
}

impl Mesh {
    /// The mesh of a topology file.
    ///
    /// # Example
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// let file = folder.path().join("airssys.toml");
    /// std::fs::write(&file, "name = \"empty\"\n[[supervisor]]\nname = \"later\"\n")?;
    /// let tested = airssys_testkit::Mesh::read(&file).seeds(2).test(async |_| (), async |_| ());
    /// assert_eq!(tested.runs, 2);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// There is no such file, or something in it is wrong.
    #[must_use]
    pub fn read(file: impl AsRef<Path>) -> Self {
        Self::of(Topology::read(file.as_ref()).unwrap_or_else(|error| panic!("{}", told(&error))))
    }

    /// The mesh of a topology that is written in the test. Its paths are from that folder, such as
    /// `env!("CARGO_MANIFEST_DIR")`.
    ///
    /// # Example
    ///
    /// ```
    /// let mesh = airssys_testkit::Mesh::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", ".");
    /// assert_eq!(mesh.test(async |_| (), async |_| ()).turns, 0);
    /// ```
    ///
    /// # Panics
    ///
    /// Something in it is wrong.
    #[must_use]
    pub fn parse(text: &str, folder: impl AsRef<Path>) -> Self {
        Self::of(Topology::parse(text, folder.as_ref()).unwrap_or_else(|error| panic!("{}", told(&error))))
    }

    /// The mesh of a topology that somebody has read.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::topology::Topology;
    ///
    /// let topology = Topology::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", ".".as_ref())?;
    /// let _mesh = airssys_testkit::Mesh::of(topology);
    /// # Ok::<_, airssys_wasm::ConfigError>(())
    /// ```
    #[must_use]
    pub fn of(topology: Topology) -> Self {
        let terms = Terms { code_cache: usual_cache(), ..Terms::default() };
        Self { topology, faults: Vec::new(), first: 1, seeds: SEEDS, terms }
    }

    /// What else goes wrong.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_testkit::{Fault, FaultKind, Mesh};
    ///
    /// let mesh = Mesh::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", ".");
    /// let _mesh = mesh.fault(Fault { nth: Some(3), ..Fault::new(FaultKind::Crash) });
    /// ```
    ///
    /// # Panics
    ///
    /// It says too little, or too much: see [`Fault::check`].
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        if let Err(wrong) = fault.check() {
            panic!("{wrong}: {fault:?}");
        }
        self.faults.push(fault);
        self
    }

    /// This part of all turns crashes, from 0 to 1, in some moment of the turn.
    ///
    /// # Example
    ///
    /// ```
    /// let mesh = airssys_testkit::Mesh::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", ".");
    /// let _one_turn_in_twenty = mesh.crashes(0.05);
    /// ```
    ///
    /// # Panics
    ///
    /// It is no such part.
    #[must_use]
    pub fn crashes(self, rate: f64) -> Self {
        self.fault(Fault { rate: Some(rate), ..Fault::new(FaultKind::Crash) })
    }

    /// So many seeds are run, from 1 on; 20 by default. `AIRSSYS_SEEDS` says it for all tests.
    ///
    /// # Example
    ///
    /// ```
    /// let mesh = airssys_testkit::Mesh::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", ".");
    /// assert_eq!(mesh.seeds(3).test(async |_| (), async |_| ()).runs, 3);
    /// ```
    #[must_use]
    pub fn seeds(mut self, seeds: u64) -> Self {
        (self.first, self.seeds) = (1, seeds);
        self
    }

    /// This seed alone is run, as with `AIRSSYS_SEED`.
    ///
    /// # Example
    ///
    /// ```
    /// let mesh = airssys_testkit::Mesh::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", ".");
    /// assert_eq!(mesh.seed(17).test(async |_| (), async |_| ()).runs, 1);
    /// ```
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        (self.first, self.seeds) = (seed, 1);
        self
    }

    /// How long the mesh is left alone between the work and the judgement, in virtual time; a minute by default.
    ///
    /// # Example
    ///
    /// ```
    /// let mesh = airssys_testkit::Mesh::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", ".");
    /// let _a_day = mesh.settles(std::time::Duration::from_secs(24 * 3600));
    /// ```
    #[must_use]
    pub fn settles(mut self, time: Duration) -> Self {
        self.terms.settle = time;
        self
    }

    /// What has to hold after each commit of a turn, of what the services have committed; its error says what is there
    /// in the place of what should be. It is called between two steps, so it cannot wait.
    ///
    /// # Example
    ///
    /// ```
    /// let mesh = airssys_testkit::Mesh::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", ".");
    /// let mesh = mesh.always(|mesh| match mesh.state("cart").len() {
    ///     carts if carts < 100 => Ok(()),
    ///     carts => Err(format!("there are {carts} carts")),
    /// });
    /// assert_eq!(mesh.test(async |_| (), async |_| ()).turns, 0);
    /// ```
    #[must_use]
    pub fn always(mut self, holds: impl Fn(&Runtime) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.terms.always = Some(Always::new(holds));
        self
    }

    /// Where compiled code is kept; by default beside the tests, in the target folder.
    ///
    /// # Example
    ///
    /// ```
    /// let mesh = airssys_testkit::Mesh::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", ".");
    /// let _mesh = mesh.code_cache("target/compiled");
    /// ```
    #[must_use]
    pub fn code_cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.terms.code_cache = Some(folder.into());
        self
    }

    /// Runs seed after seed: starts the mesh, does the work while things go wrong, leaves it alone for a while, and
    /// then, when nothing goes wrong any more, has it judged. What holds for each mesh is looked at besides: no message
    /// is lost, handled twice, or out of order.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_testkit::{Mesh, SECOND, sleep};
    ///
    /// let mesh = Mesh::parse("name = \"empty\"\n[[supervisor]]\nname = \"later\"\n", ".");
    /// mesh.seeds(1).test(
    ///     async |_| sleep(24 * 3600 * SECOND).await,
    ///     async |mesh| assert!(mesh.call("nobody", "hello", SECOND).await.is_err()),
    /// );
    /// ```
    ///
    /// # Panics
    ///
    /// With a seed something does not hold, the work panics, or the mesh does not start; the text says how that seed is
    /// run again.
    pub fn test(&self, work: impl AsyncFn(&Runtime) + Sync, holds: impl AsyncFn(&Runtime) + Sync) -> Tested {
        let number = |name: &str| {
            let text = std::env::var(name).ok()?;
            Some(text.parse::<u64>().unwrap_or_else(|error| panic!("{name} is {text:?}, and no number: {error}")))
        };
        let (first, seeds) = match (number(ONE), number(MANY)) {
            (Some(seed), _) => (seed, 1),
            (None, Some(many)) => (1, many),
            (None, None) => (self.first, self.seeds),
        };
        let mut tested = Tested::default();
        for seed in (0..seeds).map(|next| first.wrapping_add(next)) {
            let report = self.one(seed, &work, &holds);
            tested.runs += 1;
            tested.turns += report.turns;
            tested.faults += report.faults.values().sum::<u64>();
        }
        tested
    }

    fn one(
        &self,
        seed: u64,
        work: &(impl AsyncFn(&Runtime) + Sync),
        holds: &(impl AsyncFn(&Runtime) + Sync),
    ) -> Report {
        let seeded = Seeded::with_faults(seed, self.faults.clone()).keep_choices().keep_text();
        let ran = catch_unwind(AssertUnwindSafe(|| trial::run(&self.topology, &seeded, &self.terms, work, holds)));
        let report = seeded.report();
        let why = match ran {
            Ok(Ok(())) => report.broken.first().cloned(),
            Ok(Err(error)) => Some(told(&error)),
            Err(panicked) => Some(said(panicked.as_ref())),
        };
        if let Some(why) = why {
            panic!("{}", failure(seed, &why, &seeded, &report));
        }
        report
    }
}

/// What is told of a seed that fails.
fn failure(seed: u64, why: &str, seeded: &Seeded, report: &Report) -> String {
    let mut text = format!("with the seed {seed} it does not hold: {why}\n");
    let faults = seeded.choices().faults;
    if !faults.is_empty() {
        text.push_str("what went wrong before:\n");
    }
    for (at, Fault { kind, at: moment, service, nth, .. }) in &faults {
        let moment = moment.map(|moment| format!(" {moment}")).unwrap_or_default();
        let (place, nth) = (service.as_deref().unwrap_or("anybody"), nth.unwrap_or_default());
        let _text_has_room = writeln!(text, "  {:.6} {kind}{moment} at {place}, number {nth}", at.as_secs_f64());
    }
    text.push_str("its last steps:\n");
    for line in report.lines.iter().skip(report.lines.len().saturating_sub(LAST)) {
        let _text_has_room = writeln!(text, "  {line}");
    }
    let test = std::thread::current().name().filter(|name| *name != "main").unwrap_or_default().to_owned();
    let _text_has_room = write!(text, "run it again: {}", format!("{ONE}={seed} cargo test {test}").trim_end());
    text
}

/// What an error says, and what it comes from.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let _text_has_room = write!(text, ": {error}");
        source = error.source();
    }
    text
}

/// What a panic said.
fn said(panicked: &(dyn Any + Send)) -> String {
    let text = panicked.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panicked.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}

/// Where compiled code is kept: in the target folder, beside the tests.
fn usual_cache() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let profile = own.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "deps"))?.parent()?;
    Some(profile.join("airssys-code"))
}
