//! Why a component cannot be hosted.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::obstacle::Obstacle;
use crate::hint::{Coded, Hint};

/// A component that cannot be hosted.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::TemplateError;
/// use airssys_wasm::registry::Release;
///
/// # let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("echo.wasm"), "(component)")?;
/// let release = Release::find(&folder.path().join("echo.wasm"))?;
/// assert!(matches!(release.inspect(), Err(TemplateError::NoComponent { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is too large.
    #[error("{} has {size_bytes} bytes; the most is {limit_bytes}", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The file is no component.
    #[error("{} is no WebAssembly component: it is {found}", .path.display())]
    NoComponent {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: Cow<'static, str>,
        /// What to do.
        hint: Hint,
    },
    /// The component is damaged, or uses what this engine does not have.
    #[error("{} is not a valid component: {detail}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// This host cannot run it as it is, or not under these limits.
    #[error("{} cannot run here: {}", .path.display(), Told(.obstacles))]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Everything that is in the way; at least one.
        obstacles: Vec<Obstacle>,
    },
    /// It is not the binary that was published.
    #[error("{} has the digest {found} and should have {expected}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The digest of what was published.
        expected: String,
        /// The digest of what is there.
        found: String,
    },
    /// Its code cannot be written out for a debugger.
    #[error("its compiled code cannot be written out for a debugger: {detail}")]
    Image {
        /// Why.
        detail: String,
    },
    /// There is no engine for it.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl TemplateError {
    /// An error where there is an obstacle.
    pub(crate) fn of(path: &Path, obstacles: Vec<Obstacle>) -> Result<(), Self> {
        if obstacles.is_empty() { Ok(()) } else { Err(Self::Unsupported { path: path.to_owned(), obstacles }) }
    }
}

impl Coded for TemplateError {
    fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::TooLarge { .. } => "too-large",
            Self::NoComponent { .. } => "no-component",
            Self::Invalid { .. } => "invalid",
            Self::Unsupported { .. } => "unsupported",
            Self::Damaged { .. } => "damaged",
            Self::Image { .. } => "image",
            Self::Engine(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::NoComponent { hint, .. } => Some(hint.clone()),
            Self::Invalid { .. } => Some("build it again".into()),
            Self::Unsupported { obstacles, .. } => {
                let mut hints: Vec<Hint> = obstacles.iter().filter_map(Obstacle::hint).collect();
                hints.dedup();
                hints.into_iter().reduce(Hint::and)
            }
            Self::Damaged { .. } => Some("publish the release again from the same files, which mends it".into()),
            Self::Engine(error) => error.hint(),
            _ => None,
        }
    }
}

struct Told<'a>(&'a [Obstacle]);

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&told.join("; "))
    }
}

/// The engines cannot be made.
///
/// # Example
///
/// ```
/// use airssys_wasm::RuntimeError;
/// use airssys_wasm::command::EngineError;
///
/// /// Whether less memory for each instance would help.
/// fn is_too_much(error: &RuntimeError) -> bool {
///     matches!(error, RuntimeError::Engine(EngineError::Config { .. } | EngineError::TooLarge { .. }))
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// wasmtime refused the configuration; the address space may be limited.
    #[error(
        "cannot make room for {instances} instances, those counted that replace others, with slots of {slot_bytes} bytes"
    )]
    Config {
        /// The instances.
        instances: usize,
        /// The slot.
        slot_bytes: u64,
        /// What wasmtime said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No slot is large enough.
    #[error("a memory limit of {memory_bytes} bytes is more than the largest slot, {most_bytes} bytes, holds")]
    TooLarge {
        /// What was asked for.
        memory_bytes: u64,
        /// The largest slot.
        most_bytes: u64,
    },
    /// The instances of those shapes that are in use take all the mappings there are.
    #[error(
        "instances of another shape find no room beside {shapes} others, which may be {taken} instances, and {most} is the most here"
    )]
    TooManyShapes {
        /// The shapes that are in use.
        shapes: usize,
        /// The instances that they have room for.
        taken: usize,
        /// The most that there may be.
        most: usize,
    },
    /// The memory mappings of this process are in use.
    #[error("no room for {instances} instances, those counted that replace others: {detail}")]
    NoMappings {
        /// The instances.
        instances: usize,
        /// What has them.
        detail: String,
    },
    /// The thread that ticks cannot be started.
    #[error("cannot start the thread that ticks the engines")]
    Clock(#[source] std::io::Error),
}

impl Coded for EngineError {
    fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "engine-config",
            Self::TooLarge { .. } => "too-large",
            Self::TooManyShapes { .. } => "too-many-shapes",
            Self::NoMappings { .. } => "no-mappings",
            Self::Clock(_) => "clock",
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Config { .. } => Some(
                "let there be fewer of them, or lower `memory`, `memories`, `tables`, `table_elements` or `stack` of their limits; or is the address space limited (ulimit -v)?"
                    .into(),
            ),
            Self::TooManyShapes { .. } => Some(
                "let the limits `memory`, `memories`, `table_elements`, `tables` and `stack` be those of another service, or raise vm.max_map_count (sysctl)"
                    .into(),
            ),
            Self::NoMappings { .. } => Some(
                "let there be fewer instances, in this mesh or in the others of this process, or raise vm.max_map_count (sysctl)"
                    .into(),
            ),
            Self::TooLarge { .. } | Self::Clock(_) => None,
        }
    }
}
