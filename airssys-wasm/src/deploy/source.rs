//! Where a release was found, so that it is found again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::registry::{Description, Digest, Keep, Release, Store};

/// Where a release was found, and the digest by which it is known again.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{Ended, Source};
///
/// fn served(ended: &Ended) -> &Source {
///     if ended.live { &ended.to } else { &ended.from }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name and version in the store, where it was published.
    pub published: Option<String>,
    /// Its component.
    pub component: PathBuf,
    /// The SHA-256 of that.
    pub digest: String,
    /// The schema that it keeps its state in.
    pub schema: u32,
    /// What the data folder keeps of it, so that it is found whatever lies at its path; none where it was published, or
    /// nothing is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<Description>,
}

impl Source {
    /// Where a release was found, whose component has this digest.
    pub(crate) fn new(release: &Release, digest: &str) -> Self {
        let manifest = &release.manifest;
        Self {
            published: release.seal.is_some().then(|| format!("{}@{}", manifest.name, manifest.version)),
            component: std::path::absolute(&release.component).unwrap_or_else(|_| release.component.clone()),
            digest: digest.to_owned(),
            schema: manifest.state_schema,
            kept: release.kept.as_ref().map(|kept| kept.description.clone()),
        }
    }

    /// Whether it is the same whenever it is found again.
    pub(crate) fn is_for_good(&self) -> bool {
        self.published.is_some() || self.kept.is_some()
    }

    /// Whether it is what was found at a path, and not a release of the store.
    pub(super) fn lies_at(&self, path: &Path) -> bool {
        self.published.is_none() && self.component == *path
    }

    /// The digests of what the data folder keeps of it.
    pub(super) fn digests(&self) -> impl Iterator<Item = String> {
        let kept = self.kept.iter();
        kept.flat_map(|kept| std::iter::once(self.digest.clone()).chain(kept.sha256.map(|sum| sum.to_string())))
    }

    /// Finds it again, and nothing else in its place. Reads its component: not for a runtime's thread.
    ///
    /// # Errors
    ///
    /// A text that says why not.
    pub(crate) fn find(&self, data: &Path) -> Result<Release, String> {
        let release = match (&self.published, &self.kept) {
            (Some(reference), _) => {
                Store::open(data).and_then(|store| store.resolve(reference)).map_err(|error| error.to_string())?
            }
            (None, Some(kept)) => {
                // What to do is for the one who asks to say.
                return Keep::new(data).find(&self.component, &self.digest, kept).map_err(|error| error.to_string());
            }
            (None, None) => {
                let mut found = Release::find(&self.component).map_err(|error| error.to_string())?;
                found.manifest.state_schema = self.schema;
                found
            }
        };
        let bytes = std::fs::read(&release.component)
            .map_err(|error| format!("cannot read {}: {error}", release.component.display()))?;
        let found = Digest::of(&bytes).to_string();
        if found == self.digest {
            Ok(release)
        } else {
            Err(format!("{} has the digest {found} now", release.component.display()))
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.published {
            Some(reference) => f.write_str(reference),
            None => write!(f, "{} ({})", self.component.display(), self.digest.get(..12).unwrap_or(&self.digest)),
        }
    }
}
