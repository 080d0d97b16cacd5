//! The command `airssys`, run as a process of its own.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// How long the command may take before it counts as hung, in seconds, as `timeout` wants it.
const HUNG_AFTER_S: &str = "120";

/// The built command, which lies beside the tests of the same profile.
///
/// # Panics
///
/// It is not built.
#[must_use]
pub fn airssys() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.ancestors().nth(2).expect("a test lies in PROFILE/deps");
    let command = profile.join("airssys");
    assert!(command.is_file(), "{} is not there; run `cargo build -p airssys-cli`", command.display());
    command
}

/// What a run of the command left.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; none where a signal ended it.
    pub exit: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes UTF-8");
        Self { exit: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ran {
    /// It went well.
    ///
    /// # Panics
    ///
    /// It did not.
    #[must_use]
    pub fn well(self) -> Self {
        assert_eq!(self.exit, Some(0), "{self:#?}");
        self.no_panic()
    }

    /// It was refused: with this exit code, this error code, a text with all of `names`, a hint, and no panic.
    ///
    /// # Panics
    ///
    /// Any of it is not so.
    #[must_use]
    pub fn refused(self, exit: i32, code: &str, names: &[&str]) -> Self {
        assert_eq!(self.exit, Some(exit), "{self:#?}");
        let begin = self.stderr.find(&format!("error[{code}]: ")).unwrap_or_else(|| panic!("no {code}: {self:#?}"));
        let error = &self.stderr[begin..];
        for name in names {
            assert!(error.contains(name), "no {name:?}: {self:#?}");
        }
        assert!(error.contains("\n  hint: "), "{self:#?}");
        self.no_panic()
    }

    /// The host did not panic.
    ///
    /// # Panics
    ///
    /// It did.
    #[must_use]
    pub fn no_panic(self) -> Self {
        // A guest's own panic is a line of its log; the host's begins so.
        assert!(!self.stderr.contains("a bug in airssys"), "{self:#?}");
        self
    }

    /// The lines of stdout, sorted.
    #[must_use]
    pub fn sorted_lines(&self) -> Vec<&str> {
        let mut lines: Vec<&str> = self.stdout.lines().collect();
        lines.sort_unstable();
        lines
    }

    /// The lines of stdout as JSON, without the summary, and the summary.
    ///
    /// # Panics
    ///
    /// A line is no JSON, or the last one is no summary.
    #[must_use]
    pub fn answers_and_summary(&self) -> (Vec<Value>, Value) {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let mut lines: Vec<Value> = self.stdout.lines().map(parse).collect();
        let last = lines.pop().unwrap_or_else(|| panic!("nothing on stdout: {self:#?}"));
        (lines, last.get("summary").unwrap_or_else(|| panic!("no summary: {last}")).clone())
    }
}

/// A folder to run the command in.
#[derive(Debug)]
pub struct Desk(TempDir);

impl Desk {
    /// An empty one.
    ///
    /// # Panics
    ///
    /// There is no room for it.
    #[must_use]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// One with an `airssys.toml`, in which `"@prober"` stands for the path of a test guest.
    ///
    /// # Panics
    ///
    /// The guest is not built.
    #[must_use]
    pub fn with(topology: &str) -> Self {
        let desk = Self::new();
        desk.write("airssys.toml", crate::with_guests(topology));
        desk
    }

    /// A component in it, ready to be published: the guest `echo` under another name and version.
    ///
    /// # Panics
    ///
    /// The guest is not built.
    pub fn component(&self, name: &str, version: &str) -> PathBuf {
        let echo = crate::guest("echo").parent().expect("it is in a folder").join("target/airssys/echo.wasm");
        self.write(&format!("{name}.toml"), format!("name = \"{name}\"\nversion = \"{version}\"\n"));
        self.write(&format!("{name}.wasm"), std::fs::read(echo).expect("a component"))
    }

    /// Where the command keeps published releases, where nothing else is said.
    #[must_use]
    pub fn releases(&self) -> PathBuf {
        self.path().join(".airssys/releases")
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file in it.
    ///
    /// # Panics
    ///
    /// It cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.path().join(name);
        std::fs::create_dir_all(file.parent().expect("it is in the folder")).expect("a folder");
        std::fs::write(&file, content).expect("a file");
        file
    }

    /// The command, to be run here. Compiled code is kept between tests.
    #[must_use]
    pub fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(airssys());
        self.set(&mut command, arguments);
        command
    }

    fn set<A: AsRef<OsStr>>(&self, command: &mut Command, arguments: &[A]) {
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/target/cache");
        command.args(arguments).current_dir(self.path()).env("XDG_CACHE_HOME", cache);
        command.env_remove("AIRSSYS_LOG").env_remove("RUST_BACKTRACE").env_remove("RUST_LIB_BACKTRACE");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    /// Runs the command to its end.
    ///
    /// # Panics
    ///
    /// It cannot be run.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Ran {
        self.run_with(arguments, "")
    }

    /// [`Desk::run`] with something on stdin.
    ///
    /// # Panics
    ///
    /// It cannot be run.
    pub fn run_with<A: AsRef<OsStr>>(&self, arguments: &[A], stdin: impl AsRef<[u8]>) -> Ran {
        let mut command = Command::new("timeout");
        command.arg(HUNG_AFTER_S).arg(airssys());
        self.set(&mut command, arguments);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("`timeout` is there");
        let (mut input, text) = (child.stdin.take().expect("it is piped"), stdin.as_ref().to_owned());
        // Both at once: it answers while it reads. That it does not read to the end is its own affair.
        let writer = std::thread::spawn(move || drop(input.write_all(&text)));
        let output = child.wait_with_output().expect("it ends");
        writer.join().expect("it wrote");
        output.into()
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}
