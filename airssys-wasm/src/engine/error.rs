//! Why a component cannot be hosted.

use std::path::{Path, PathBuf};

use super::obstacle::Obstacle;

/// A component that cannot be hosted.
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
    #[error("{} is no WebAssembly component: it is {found}; hint: {hint}", .path.display())]
    NoComponent {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// The component is damaged, or uses what this engine does not have.
    #[error("{} is not a valid component: {detail}; hint: build it again", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// This host cannot run it as it is, or not under these limits.
    #[error("{} cannot run here: {}; hint: {}", .path.display(), Told(.obstacles), Hints(.obstacles))]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Everything that is in the way; at least one.
        obstacles: Vec<Obstacle>,
    },
    /// It is not the binary that was published.
    #[error("{} has the digest {found} and should have {expected}; hint: publish the release again from the same files, which mends it", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The digest of what was published.
        expected: String,
        /// The digest of what is there.
        found: String,
    },
    /// There is no engine for it.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl TemplateError {
    /// An error where there is an obstacle.
    pub(super) fn of(path: &Path, obstacles: Vec<Obstacle>) -> Result<(), Self> {
        if obstacles.is_empty() { Ok(()) } else { Err(Self::Unsupported { path: path.to_owned(), obstacles }) }
    }
}

struct Told<'a>(&'a [Obstacle]);

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&told.join("; "))
    }
}

struct Hints<'a>(&'a [Obstacle]);

impl std::fmt::Display for Hints<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut hints: Vec<String> = self.0.iter().map(Obstacle::hint).collect();
        hints.dedup();
        f.write_str(&hints.join("; "))
    }
}

/// The engines cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// wasmtime refused the configuration; the address space may be limited.
    #[error(
        "cannot make room for {instances} instances, those counted that replace others, with slots of {slot_bytes} bytes; hint: let there be fewer of them, or lower `memory`, `memories`, `tables`, `table_elements` or `stack` of their limits; or is the address space limited (ulimit -v)?"
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
        "instances of another shape find no room beside {shapes} others, which may be {taken} instances, and {most} is the most here; hint: let the limits `memory`, `memories`, `table_elements`, `tables` and `stack` be those of another service, or raise vm.max_map_count (sysctl)"
    )]
    TooManyShapes {
        /// The shapes that are in use.
        shapes: usize,
        /// The instances that they have room for.
        taken: usize,
        /// The most that there may be.
        most: usize,
    },
    /// The thread that ticks cannot be started.
    #[error("cannot start the thread that ticks the engines")]
    Clock(#[source] std::io::Error),
}
