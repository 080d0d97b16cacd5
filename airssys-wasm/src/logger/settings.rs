//! What an operator writes of a log: where its lines go, how, and which there are. Plain data.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::{Spanned, Table, Value};

use crate::operation::{Operation, Operations};
use crate::schema::{Bytes, Count, Humane, MILLISECOND, Word, Words, Written, YEAR, schema};

/// A log of a topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogSettings {
    pub(crate) name: String,
    pub(crate) to: LogTo,
    pub(crate) format: Format,
    /// How much a line must matter to be logged,
    pub(crate) level: LogLevel,
    /// and of these services.
    pub(crate) levels: BTreeMap<String, LogLevel>,
    /// The services whose lines there are; empty for all.
    pub(crate) services: Vec<String>,
    /// Whether what guests say is logged.
    pub(crate) guests: bool,
    /// Which of what they do is logged.
    pub(crate) operations: Operations,
    /// How many bytes of each body are logged.
    pub(crate) bodies: u64,
    /// The file, where it goes to one.
    pub(crate) path: Option<PathBuf>,
    /// How large that becomes, and how old, before the next one is begun.
    pub(crate) rotate_bytes: u64,
    pub(crate) rotate_after: Duration,
    /// How many are kept beside the one that is written.
    pub(crate) keep: usize,
    /// Whether those are compressed.
    pub(crate) compress: bool,
    /// How many bytes of lines may wait to be written.
    pub(crate) queue: usize,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            to: LogTo::Console,
            format: Format::Json,
            level: LogLevel::Info,
            levels: BTreeMap::new(),
            services: Vec::new(),
            guests: true,
            operations: Operations::NONE,
            bodies: 0,
            path: None,
            rotate_bytes: 16 << 20,
            rotate_after: Duration::from_secs(24 * 60 * 60),
            keep: 8,
            compress: true,
            queue: 4 << 20,
        }
    }
}

schema! {
    of LogSettings, written WrittenLog {
        /// its name, by which its [level is changed](logging.md#while-a-host-runs)
        name: Spanned<String> => name, needed "required", kind "name";
        /// where its lines go: to the `console` (stderr), to a `file`, or to `tracing`, which is what the program
        /// around the host makes of it: the command shows it on stderr, and keeps it
        to: Spanned<Word<LogTo>> => to, needed "required", by StartOrStop;
        /// how a line is written: as `json`, an object; `compact`, for people; or `pretty`, for people, in several
        /// lines. Not for `tracing`
        format: Word<Format> => format, by InPlace, default "`\"json\"`";
        /// how much a line must matter to be logged: `error`, `warn`, `info`, `debug`, `trace`, or `off` for none
        level: Word<LogLevel> => level, by InPlace, default "`\"info\"`";
        /// the same of some services, such as `{ till = "debug", cart = "off" }`
        levels: BTreeMap<Spanned<String>, Word<LogLevel>> => levels, by InPlace, default "none: as `level` says";
        /// the services of whose guests there are lines
        services: Vec<Spanned<String>> => services, by InPlace, kind "list of names", default "all";
        /// whether what guests log and write to stdout and stderr is in it
        guests: bool => guests, by InPlace, default "`true`";
        /// what guests do, and the host to them, that is in it: `messages`, `files`, `sockets`, `state`, `all`, or an
        /// operation by its name, such as `send`, `http` or `file-open`: see [operations](logging.md#operations)
        operations: Vec<Spanned<String>> => operations, by InPlace, kind "list of words", default "none";
        /// how many bytes of the body of each of those are in it
        bodies: Bytes => bodies, in 0..=1 << 20, by InPlace, default "`\"0 B\"`: none";
        /// the file that lines are added to; needed for `file`, and only there
        path: Spanned<PathBuf> => path, by StartOrStop, default "none";
        /// how large the file becomes before it is put aside as `path.1`, `path.2` and so on, and the next one is begun
        rotate_bytes: Bytes => rotate_bytes, in 4 << 10..=1 << 40, by InPlace, default "`\"16 MiB\"`";
        /// how old it becomes. It is looked at when a line comes
        rotate_after: Humane => rotate_after, in MILLISECOND..=YEAR, by InPlace, default "`\"1day\"`";
        /// the files that are kept beside it; the oldest ones go
        keep: Count<usize> => keep, in 0..=10_000, by InPlace, default "`8`";
        /// whether those are compressed, as `path.1.gz`
        compress: bool => compress, by InPlace, default "`true`";
        /// the bytes of lines that may wait to be written. A line that has no room is lost, and how many were lost
        /// stands in the log: nobody waits for it
        queue: Bytes => queue, in 4 << 10..=1 << 30, by InPlace, default "`\"4 MiB\"`";
    }
}

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogTo {
    /// stderr of the process.
    #[default]
    Console,
    /// A file, which is put aside when it is large or old.
    File,
    /// Whoever listens by `tracing`.
    Tracing,
}

impl Words for LogTo {
    const WHAT: &'static str = "place for a log";
    const LIST: &'static str = "console, file, tracing";
    const ALL: &'static [(&'static str, Self)] =
        &[("console", Self::Console), ("file", Self::File), ("tracing", Self::Tracing)];
}

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    #[default]
    Json,
    Compact,
    Pretty,
}

impl Words for Format {
    const WHAT: &'static str = "format of a log";
    const LIST: &'static str = "json, compact, pretty";
    const ALL: &'static [(&'static str, Self)] =
        &[("json", Self::Json), ("compact", Self::Compact), ("pretty", Self::Pretty)];
}

/// How much a line matters; of a log, how much it must.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::LogLevel;
///
/// let level: LogLevel = "warn".parse()?;
/// assert!(level < LogLevel::Error && level > LogLevel::Info);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// For who looks for an error.
    Debug,
    /// What is worth knowing.
    #[default]
    Info,
    /// What is not as it should be.
    Warn,
    /// What failed.
    Error,
    /// No line matters as much.
    Off,
}

impl Words for LogLevel {
    const WHAT: &'static str = "level";
    const LIST: &'static str = "off, error, warn, info, debug, trace";
    const ALL: &'static [(&'static str, Self)] = &[
        ("info", Self::Info),
        ("off", Self::Off),
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

impl LogLevel {
    /// Its word.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, level)| *level == self).map_or("info", |(name, _)| name)
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(word, _)| *word == text);
        found.map(|(_, level)| *level).ok_or_else(|| format!("{text:?} is no level: it is one of {}", Self::LIST))
    }
}

/// Which they are, those say who have the file.
impl Written<BTreeMap<String, LogLevel>> for BTreeMap<Spanned<String>, Word<LogLevel>> {
    const KIND: &'static str = "table of words";

    fn put(&self, field: &mut BTreeMap<String, LogLevel>) {
        *field = self.iter().map(|(service, level)| (service.get_ref().clone(), level.0)).collect();
    }

    fn value(field: &BTreeMap<String, LogLevel>) -> Option<Value> {
        let each = field.iter().map(|(service, level)| (service.clone(), level.name().into()));
        Some(each.collect::<Table>().into())
    }
}

/// The words for several operations.
const GROUPS: [(&str, Operations); 5] = [
    ("messages", Operations::MESSAGES),
    ("files", Operations::FILES),
    ("sockets", Operations::SOCKETS),
    ("state", Operations::STATE),
    ("all", Operations::ALL),
];

/// The operations that a word stands for.
pub(crate) fn operations_of(word: &str) -> Option<Operations> {
    let group = GROUPS.iter().find(|(name, _)| *name == word).map(|(_, operations)| *operations);
    group.or_else(|| Operation::ALL.into_iter().find(|one| one.name() == word).map(Operations::of))
}

/// Whether they are operations, those look who have the file.
impl Written<Operations> for Vec<Spanned<String>> {
    const KIND: &'static str = "list of words";

    fn put(&self, field: &mut Operations) {
        let each = self.iter().filter_map(|word| operations_of(word.get_ref()));
        *field = each.fold(Operations::NONE, |all, some| all | some);
    }

    fn value(field: &Operations) -> Option<Value> {
        if *field == Operations::ALL {
            return Some(vec!["all".to_owned()].into());
        }
        let names = Operation::ALL.into_iter().filter(|one| field.contains(*one)).map(|one| one.name().to_owned());
        Some(names.collect::<Vec<_>>().into())
    }
}

impl LogSettings {
    /// The log that there is where a topology has none of its own to `tracing`: all that guests say.
    pub(crate) fn of_guests() -> Self {
        Self { name: "tracing".to_owned(), to: LogTo::Tracing, level: LogLevel::Trace, ..Self::default() }
    }

    /// Whether a line of a service that matters so much is in it.
    pub(super) fn hears(&self, service: &str, level: LogLevel) -> bool {
        let least = self.levels.get(service).copied().unwrap_or(self.level);
        level >= least && (self.services.is_empty() || self.services.iter().any(|name| name == service))
    }
}

/// A folder or a file is known by where it is.
pub(super) fn same_place(one: &LogSettings, other: &LogSettings) -> bool {
    one.name == other.name && one.to == other.to && one.path == other.path
}
