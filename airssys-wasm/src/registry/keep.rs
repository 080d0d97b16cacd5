//! What serves from a path, kept in the data folder: its binary and its `Component.toml`, under their digests. So it
//! can always be started again, whatever becomes of the path.
//!
//! ```text
//! DATA/kept/DIGEST.wasm    binaries, by their SHA-256
//! DATA/kept/DIGEST.toml    descriptions
//! ```
//!
//! It refuses to give out what is not what its name says: that is an error, unless the same bytes are still at the
//! path. What is published is in the store already, and is not kept here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::files::{self, Hold, UNFINISHED};
use super::{Digest, Found, Manifest, Release, StoreError};
use crate::config_file::Source;

/// Where they are in the data folder.
const FOLDER: &str = "kept";
/// Nobody writes to them again.
const MODE: u32 = 0o444;
const BINARY: &str = "wasm";
const DESCRIPTION: &str = "toml";

/// What is kept of a release beside its binary, as records have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// The SHA-256 of its `Component.toml`; none where it has none.
    pub(crate) sha256: Option<Digest>,
}

/// Where the kept binary of a release is, and what it is held to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptFiles {
    pub(crate) binary: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) description: Description,
    text: Option<PathBuf>,
}

impl KeptFiles {
    /// Says that it is needed.
    pub(super) fn hold(&self) -> Result<Hold, StoreError> {
        Hold::on([&self.binary].into_iter().chain(&self.text))
    }
}

/// The kept releases of a data folder.
#[derive(Debug)]
pub(crate) struct Keep {
    folder: PathBuf,
    /// Nothing is removed between its being written and its being held.
    changing: Mutex<()>,
}

impl Keep {
    pub(crate) fn new(data: &Path) -> Self {
        Self { folder: data.join(FOLDER), changing: Mutex::default() }
    }

    /// Where the binary with this digest is, where it is kept.
    pub(crate) fn binary(&self, digest: Digest) -> Option<PathBuf> {
        Some(self.kept(digest, None).binary).filter(|path| path.is_file())
    }

    /// Keeps a release that was found by a path, whose component has this digest, and holds it. Reads and writes files:
    /// not for a runtime's thread.
    ///
    /// # Errors
    ///
    /// It cannot be written, or the component is not at its path any more.
    pub(crate) fn take(&self, release: &Release, digest: &str) -> Result<(Release, Hold), StoreError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let rebuilt = |found: Option<Digest>| StoreError::Rebuilt { path: release.component.clone(), found };
        let digest = Digest::of_text(digest).ok_or_else(|| rebuilt(None))?;
        let kept = self.kept(digest, release.description.as_deref().map(|text| Digest::of(text.as_bytes())));
        files::make_folder(&self.folder)?;
        if !is_whole(&kept.binary, digest) {
            let bytes = fs::read(&release.component).map_err(StoreError::file("read", &release.component))?;
            match Digest::of(&bytes) {
                found if found == digest => files::write_whole(&kept.binary, &bytes, MODE)?,
                found => return Err(rebuilt(Some(found))),
            }
        }
        if let (Some(path), Some(text), Some(digest)) = (&kept.text, &release.description, kept.description.sha256)
            && !is_whole(path, digest)
        {
            files::write_whole(path, text.as_bytes(), MODE)?;
        }
        let hold = kept.hold()?;
        Ok((Release { kept: Some(kept), ..release.clone() }, hold))
    }

    /// The release that was found at this path and has these digests, and no other one. What is damaged here is mended
    /// where the same bytes are still at the path. Reads files: not for a runtime's thread.
    ///
    /// # Errors
    ///
    /// [`StoreError::KeptDamaged`]; the file system refuses.
    pub(crate) fn find(&self, path: &Path, digest: &str, description: &Description) -> Result<Release, StoreError> {
        let rebuilt = || StoreError::Rebuilt { path: path.to_owned(), found: None };
        let digest = Digest::of_text(digest).ok_or_else(rebuilt)?;
        let kept = self.kept(digest, description.sha256);
        if !is_whole(&kept.binary, digest) {
            let bytes = fs::read(path).ok().filter(|bytes| Digest::of(bytes) == digest);
            self.mend(&kept.binary, bytes, path)?;
        }
        let component = path.to_owned();
        let Some((file, sum)) = kept.text.as_ref().zip(kept.description.sha256) else {
            let manifest = Manifest::of_bare_file(path);
            return Ok(Release { kept: Some(kept), ..Release::of(component, manifest) });
        };
        if !is_whole(file, sum) {
            let beside = Found::at(path).ok().and_then(|found| found.source).map(|source| source.text.into_bytes());
            self.mend(file, beside.filter(|text| Digest::of(text) == sum), path)?;
        }
        let text = fs::read_to_string(file).map_err(StoreError::file("read", file))?;
        let manifest = Manifest::of_source(&Source { path: file.clone(), text: text.clone() })?;
        Ok(Release { description: Some(text.into()), kept: Some(kept), ..Release::of(component, manifest) })
    }

    /// Removes what nobody needs and nobody holds; `needed` are the digests of binaries and descriptions. What cannot
    /// be removed now is left for the next time.
    pub(crate) fn sweep(&self, needed: &BTreeSet<String>) -> Result<(), StoreError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        for name in files::names(&self.folder)? {
            let path = self.folder.join(&name);
            let orphan = digest_of(&name).is_some_and(|digest| !needed.contains(&digest.to_string()));
            if name.starts_with(UNFINISHED) || (orphan && !Hold::is_on(&path)?) {
                files::remove(&path)?;
            }
        }
        Ok(())
    }

    /// What of it is not what its name says, and what of `needed` is not there. Those are releases by their paths,
    /// digests and descriptions. Reads all of it, and changes nothing.
    pub(crate) fn damage<'a>(
        &self,
        needed: impl IntoIterator<Item = (&'a Path, &'a str, &'a Description)>,
    ) -> Result<Vec<StoreError>, StoreError> {
        let mut all = BTreeMap::new();
        for name in files::names(&self.folder)? {
            let file = self.folder.join(&name);
            if let Some(digest) = digest_of(&name) {
                all.insert(file.clone(), (digest, file));
            }
        }
        for (path, digest, description) in needed {
            let Some(digest) = Digest::of_text(digest) else { continue };
            let kept = self.kept(digest, description.sha256);
            all.insert(kept.binary, (digest, path.to_owned()));
            all.extend(kept.text.zip(description.sha256).map(|(text, sum)| (text, (sum, path.to_owned()))));
        }
        let damaged = |(file, (digest, from)): (PathBuf, (Digest, PathBuf))| {
            let found = Digest::of_file(&file).ok().map(|(found, _)| found);
            (found != Some(digest)).then_some(StoreError::KeptDamaged { file, found, from })
        };
        Ok(all.into_iter().filter_map(damaged).collect())
    }

    fn kept(&self, digest: Digest, description: Option<Digest>) -> KeptFiles {
        let path = |digest: Digest, kind: &str| self.folder.join(format!("{digest}.{kind}"));
        KeptFiles {
            binary: path(digest, BINARY),
            digest,
            text: description.map(|digest| path(digest, DESCRIPTION)),
            description: Description { sha256: description },
        }
    }

    /// Writes a file again that is damaged or gone, where its bytes are to be had.
    fn mend(&self, file: &Path, bytes: Option<Vec<u8>>, from: &Path) -> Result<(), StoreError> {
        let Some(bytes) = bytes else {
            let found = Digest::of_file(file).ok().map(|(found, _)| found);
            let (file, from) = (file.to_owned(), from.to_owned());
            return Err(StoreError::KeptDamaged { file, found, from });
        };
        tracing::warn!(target: "airssys", file = %file.display(), from = %from.display(), "was damaged, and is mended");
        files::make_folder(&self.folder)?;
        files::write_whole(file, &bytes, MODE)
    }
}

/// What a file should have, by its name; none for one that is not kept here.
fn digest_of(name: &str) -> Option<Digest> {
    let (digest, kind) = name.split_once('.')?;
    [BINARY, DESCRIPTION].contains(&kind).then(|| Digest::of_text(digest))?
}

fn is_whole(path: &Path, digest: Digest) -> bool {
    Digest::of_file(path).is_ok_and(|(found, _)| found == digest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::{BTreeSet, Digest, Keep, Path, Release, StoreError, fs};
    use crate::hint::Coded;

    const TOML: &str = "name = \"a\"\nversion = \"1.0.0\"\n";

    fn release(folder: &Path) -> (Release, String) {
        fs::write(folder.join("a.wasm"), "binary").unwrap();
        fs::write(folder.join("a.toml"), TOML).unwrap();
        (Release::find(&folder.join("a.wasm")).unwrap(), Digest::of(b"binary").to_string())
    }

    #[test]
    fn what_is_kept_is_found_when_its_path_is_gone_and_forgotten_when_nobody_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Keep::new(folder.path());
        let (release, digest) = release(folder.path());
        let (kept, hold) = keep.take(&release, &digest).unwrap();
        for gone in ["a.wasm", "a.toml"] {
            fs::remove_file(folder.path().join(gone)).unwrap();
        }
        let description = kept.kept.as_ref().unwrap().description.clone();
        let find = || keep.find(&release.component, &digest, &description);
        assert_eq!(find().unwrap(), kept);
        assert_eq!(fs::read(find().unwrap().binary()).unwrap(), b"binary");
        // Held, and then needed, and then neither.
        keep.sweep(&BTreeSet::new()).unwrap();
        assert_eq!(find().unwrap(), kept);
        drop(hold);
        let needed = BTreeSet::from([digest.clone(), Digest::of(TOML.as_bytes()).to_string()]);
        keep.sweep(&needed).unwrap();
        assert_eq!(find().unwrap(), kept);
        keep.sweep(&BTreeSet::new()).unwrap();
        assert_eq!(fs::read_dir(folder.path().join("kept")).unwrap().count(), 0);
        assert!(matches!(find().unwrap_err(), StoreError::KeptDamaged { found: None, .. }));
    }

    #[test]
    fn what_is_damaged_is_mended_from_its_path_or_named_and_never_given_out() {
        for file in ["wasm", "toml"] {
            let folder = tempfile::tempdir().unwrap();
            let keep = Keep::new(folder.path());
            let (release, digest) = release(folder.path());
            let (kept, _hold) = keep.take(&release, &digest).unwrap();
            let description = kept.kept.as_ref().unwrap().description.clone();
            let find = || keep.find(&release.component, &digest, &description);
            let sum = if file == "wasm" { digest.clone() } else { Digest::of(TOML.as_bytes()).to_string() };
            let path = folder.path().join(format!("kept/{sum}.{file}"));
            let damage = || {
                fs::remove_file(&path).unwrap();
                fs::write(&path, "other").unwrap();
            };
            damage();
            assert_eq!(find().unwrap(), kept, "the same is at its path still");
            damage();
            fs::write(folder.path().join(format!("a.{file}")), "name = \"b\"\nversion = \"1.0.0\"\n").unwrap();
            let said = find().unwrap_err();
            assert!(matches!(&said, StoreError::KeptDamaged { file, found: Some(_), .. } if *file == path), "{said}");
            assert!(said.to_string().contains(&sum) && said.hint().is_some(), "{said}");
        }
    }

    #[test]
    fn what_was_written_over_meanwhile_is_not_kept_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let (release, digest) = release(folder.path());
        fs::write(&release.component, "newer").unwrap();
        let keep = Keep::new(folder.path());
        let said = keep.take(&release, &digest).unwrap_err();
        assert!(matches!(said, StoreError::Rebuilt { found: Some(_), .. }), "{said}");
    }
}
