//! What a release is, needs and asks for, without compiling it or starting anything.

use super::adapt::Adapted;
use super::{Digest, Part, Release};
use crate::capability::Requests;
use crate::engine::{Needs, Obstacle, TemplateError, read_component};
use crate::limits::Limits;

/// What [`Release::inspect`] found.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Inspected;
/// use airssys_wasm::registry::Release;
///
/// # let folder = tempfile::tempdir()?;
/// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
/// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
/// let Inspected { needs, obstacles, .. } = Release::find(&folder.path().join("echo.wasm"))?.inspect()?;
/// assert!(obstacles.is_empty());
/// assert_eq!(needs.map(|needs| needs.memory_bytes), Some(65_536));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Inspected {
    /// The SHA-256 of its component.
    pub sha256: Digest,
    /// The size of that, in bytes.
    pub size_bytes: usize,
    /// The world of the contract that its description names.
    pub world: &'static str,
    /// What the component imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// Whether its functions may be async: it is of WASI 0.3, and runs in an engine of its own.
    pub is_wasi_03: bool,
    /// What the release asks for.
    pub requests: Requests,
    /// The limits that it runs under where the topology says nothing else.
    pub limits: Limits,
    /// What an instance takes when it starts; none where the engine cannot read the component.
    pub needs: Option<Needs>,
    /// How it was made of a core module of WASI 0.1, where it was.
    pub adapted: Option<Adapted>,
    /// Whether it is a command: a message is its stdin, and its stdout the answer.
    pub is_command: bool,
    /// What it was fused of, the one with its exports first; nothing where it was not.
    pub parts: Vec<Part>,
    /// Why this host cannot run it under those limits; none where it can.
    pub obstacles: Vec<Obstacle>,
}

impl Release {
    /// Looks at the component and its description. It takes as long as reading and validating the component.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::registry::Release;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
    /// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
    /// let release = Release::find(&folder.path().join("echo.wasm"))?;
    /// let inspected = release.inspect()?;
    /// assert_eq!(inspected.exports, ["airssys:actor/handler@0.1.0"]);
    /// inspected.check(&release)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// It has no component, or a damaged one.
    #[doc(hidden)]
    pub fn inspect(&self) -> Result<Inspected, TemplateError> {
        let bytes = read_component(&self.component)?;
        let found = self.manifest.inspect(&bytes, &self.component)?;
        let parts = Part::all_of(&bytes, &self.component)?;
        let mut limits = Limits::default();
        self.manifest.limits.apply(&mut limits);
        let is_wasi_03 = found.has_tasks();
        let is_command = found.is_command();
        Ok(Inspected {
            sha256: Digest::of(&bytes),
            size_bytes: bytes.len(),
            world: self.manifest.world.name(),
            imports: found.anatomy.imports,
            exports: found.anatomy.exports,
            is_wasi_03,
            requests: self.manifest.requests.clone(),
            limits,
            needs: found.needs,
            adapted: Adapted::of(&bytes),
            is_command,
            parts,
            obstacles: found.obstacles,
        })
    }
}

impl Inspected {
    /// Whether this host can run it.
    ///
    /// # Errors
    ///
    /// [`TemplateError::Unsupported`], with all that is in the way.
    pub fn check(&self, release: &Release) -> Result<(), TemplateError> {
        TemplateError::of(&release.component, self.obstacles.clone())
    }
}
