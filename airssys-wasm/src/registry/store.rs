//! The store of releases: what was published, under its digests, for as long as it is kept.
//!
//! ```text
//! DATA/releases/blobs/sha256/DIGEST          binaries and manifests, by the SHA-256 of what stands in them
//! DATA/releases/index/NAME/VERSION.json      a record a release, which names its blobs
//! DATA/releases/lock                         held by the one who changes something
//! ```
//!
//! What is published never changes. A release is there when its record is, and that is written last; so a writer that
//! is killed leaves a release or none, and blobs that nobody names, which the next change sweeps away. What is read is
//! compared with its digest, and never given out where it differs. Readers take no lock and write nothing, so a data
//! folder that cannot be written to can be read.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use semver::Version;
use serde::Serialize;
use tracing::warn;

use super::files::{self, Hold, Lock, UNFINISHED};
use super::{Digest, Draft, Manifest, Record, Reference, Release, StoreError};
use crate::config_file::Source;
use crate::hint::{Act, Hint};

#[cfg(test)]
mod tests;

/// How the name of a record's file ends.
const RECORD: &str = ".json";
/// Nobody writes to a blob: it is what its name says.
const BLOB_MODE: u32 = 0o444;
const RECORD_MODE: u32 = 0o644;

/// The releases of a data folder.
///
/// # Example
///
/// ```no_run
/// use std::path::Path;
/// use airssys_wasm::registry::{Draft, Store};
///
/// let store = Store::open(Path::new("/var/lib/airssys"))?;
/// let (record, _new) = store.publish(&Draft::read(Path::new("target/airssys/pricing.wasm"))?)?;
/// let release = store.resolve("pricing")?;
/// println!("{} is {}", release.component.display(), record.id());
/// # Ok::<(), airssys_wasm::registry::StoreError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// What publishing a release has changed.
///
/// # Example
///
/// ```
/// use airssys_wasm::registry::{Draft, Published, Store};
///
/// fn told(published: Published) -> &'static str {
///     match published {
///         Published::New => "is published",
///         Published::Already => "was published already",
///         Published::Signed => "has a signature more",
///         Published::Mended => "is whole again",
///     }
/// }
///
/// # let folder = tempfile::tempdir()?;
/// # let binary = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
/// # let draft = Draft::new(binary, "name = \"echo\"\nversion = \"1.2.0\"\n".to_owned())?;
/// # let store = Store::open(folder.path())?;
/// let (record, published) = store.publish(&draft)?;
/// assert_eq!(format!("{record} {}", told(published)), "echo@1.2.0 is published");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Published {
    /// It is there now.
    New,
    /// It was there already, the same to the last byte. Nothing was done.
    Already,
    /// It was there already, and has another signature now.
    Signed,
    /// It was there already, and damaged. It is whole now.
    Mended,
}

impl Store {
    /// The store in a data folder. Nothing is made before something is published.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::registry::Store;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let data = folder.path();
    /// assert!(Store::open(data)?.releases()?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// There is something else in its place.
    pub fn open(data_folder: &Path) -> Result<Self, StoreError> {
        let folder = data_folder.join("releases");
        match fs::metadata(&folder) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(StoreError::file("read", &folder)(ErrorKind::NotADirectory.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::file("read", &folder)(error)),
        }
        Ok(Self { folder })
    }

    /// Publishes a release. Publishing the same again does nothing, but for adding signatures, and for mending a blob
    /// that was damaged. Answers with the release as the store has it now, and with what has changed.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::registry::{Draft, Published, Store};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let data = folder.path();
    /// # let binary = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
    /// # let draft = Draft::new(binary, "name = \"echo\"\nversion = \"1.2.0\"\n".to_owned())?;
    /// let store = Store::open(data)?;
    /// let (record, published) = store.publish(&draft)?;
    /// assert_eq!((record.to_string().as_str(), published), ("echo@1.2.0", Published::New));
    /// assert_eq!(store.publish(&draft)?.1, Published::Already);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The version is there with other bytes; its record is damaged; somebody else holds the lock; the file system
    /// refuses. Then the release is not there, or as it was.
    pub fn publish(&self, draft: &Draft) -> Result<(Record, Published), StoreError> {
        let lock = self.lock()?;
        self.sweep(&lock);
        let (manifest, seal) = (&draft.manifest, &draft.seal);
        let release = Reference::of(&manifest.name, &manifest.version);
        let known = self.record(&release)?;
        if let Some(known) = &known {
            let differs = |what, published, offered| {
                let release = Box::new(release.clone());
                Err(StoreError::Differs { release, what, published, offered })
            };
            if known.binary != seal.binary {
                return differs("the binary", known.binary, seal.binary);
            }
            if known.manifest != seal.manifest {
                return differs("the manifest", known.manifest, seal.manifest);
            }
        }
        let blobs = self.blobs();
        files::make_folder(&blobs)?;
        let wrote_binary = self.put(&seal.binary, &draft.binary)?;
        let wrote_manifest = self.put(&seal.manifest, draft.text.as_bytes())?;
        self.settle()?;
        let Some(mut record) = known else {
            let record = Record {
                name: manifest.name.clone(),
                version: manifest.version.clone(),
                binary: seal.binary,
                size_bytes: draft.binary.len() as u64,
                manifest: seal.manifest,
                signatures: seal.signatures.clone(),
                published_ms: Record::now_ms(),
                parts: draft.parts.clone(),
            };
            self.write(&record)?;
            return Ok((record, Published::New));
        };
        let signed = |record: &Record, key| record.signatures.iter().any(|signature| signature.key == key);
        let more: Vec<_> = seal.signatures.iter().filter(|new| !signed(&record, new.key)).cloned().collect();
        if !more.is_empty() {
            record.signatures.extend(more);
            self.write(&record)?;
            return Ok((record, Published::Signed));
        }
        Ok((record, if wrote_binary || wrote_manifest { Published::Mended } else { Published::Already }))
    }

    fn get(&self, name: &str, version: &Version) -> Result<Release, StoreError> {
        let release = Reference::of(name, version);
        let Some(record) = self.record(&release)? else { return Err(self.no_such(release)?) };
        match self.verified(&record) {
            // It was removed while it was read.
            Err(StoreError::Damaged { .. }) if self.record(&release)?.is_none() => Err(self.no_such(release)?),
            verified => verified,
        }
    }

    /// The release that a text names, each byte of which was compared with its digest: `NAME@VERSION`, or `NAME` for
    /// the newest. A version such as `2.0.0-rc.1` is the newest only where there are no others.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::hint::Coded;
    /// use airssys_wasm::registry::{Draft, Store};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let data = folder.path();
    /// # let binary = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
    /// # let draft = Draft::new(binary, "name = \"echo\"\nversion = \"1.2.0\"\n".to_owned())?;
    /// let store = Store::open(data)?;
    /// store.publish(&draft)?;
    /// assert_eq!(store.resolve("echo")?, store.resolve("echo@1.2.0")?);
    /// assert_eq!(store.resolve("echo@2.0.0").unwrap_err().code(), "no-such-release");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The text names no release; there is none, or it is damaged.
    pub fn resolve(&self, text: &str) -> Result<Release, StoreError> {
        let reference: Reference = text.parse()?;
        let version = match &reference.version {
            Some(version) => version.clone(),
            None => match self.versions(&reference.name)?.into_iter().max_by(by_age) {
                Some(newest) => newest,
                None => return Err(self.no_such(reference)?),
            },
        };
        self.get(&reference.name, &version)
    }

    /// What the store holds: the releases by name and version, the newest version last, and in the place of one whose
    /// record cannot be used, why. Their blobs are not looked at.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::registry::{Draft, Store};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let data = folder.path();
    /// # let binary = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
    /// # let draft = Draft::new(binary, "name = \"echo\"\nversion = \"1.2.0\"\n".to_owned())?;
    /// let store = Store::open(data)?;
    /// store.publish(&draft)?;
    /// for release in store.releases()? {
    ///     match release {
    ///         Ok(record) => assert_eq!(record.to_string(), "echo@1.2.0"),
    ///         Err(damaged) => println!("{damaged}"),
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn releases(&self) -> Result<Vec<Result<Record, StoreError>>, StoreError> {
        let mut releases = Vec::new();
        for name in self.names()? {
            for version in self.versions(&name)? {
                match self.record(&Reference::of(&name, &version)) {
                    Err(error) if !matches!(error, StoreError::Damaged { .. } | StoreError::NewerFormat { .. }) => {
                        return Err(error);
                    }
                    found => releases.extend(found.transpose()),
                }
            }
        }
        Ok(releases)
    }

    /// What of it is not as it was published: a record, or a release with a blob that has other bytes. Reads all of it,
    /// and changes nothing.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(crate) fn verify(&self) -> Result<Vec<StoreError>, StoreError> {
        let mut damaged = Vec::new();
        for record in self.releases()? {
            match record.and_then(|record| self.get(&record.name, &record.version)) {
                // It was removed meanwhile.
                Ok(_) | Err(StoreError::NoSuchRelease { .. }) => {}
                Err(error) => damaged.push(error),
            }
        }
        Ok(damaged)
    }

    /// The record of a release, where there is one.
    ///
    /// # Errors
    ///
    /// It is damaged, or of a newer format.
    pub(crate) fn record(&self, release: &Reference) -> Result<Option<Record>, StoreError> {
        let Some(path) = self.record_path(release) else { return Ok(None) };
        match fs::read(&path) {
            Ok(bytes) => Record::of_bytes(&bytes, release, &path).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::file("read", &path)(error)),
        }
    }

    /// Removes a release, also one that is damaged. It is in use where the caller says so, such as for a rollback, or
    /// where a running mesh of any process holds it.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::registry::{Store, StoreError};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let data = folder.path();
    /// let removed = Store::open(data)?.remove("pricing", &"1.2.0".parse()?, |_, _| false);
    /// assert!(matches!(removed, Err(StoreError::NoSuchRelease { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// There is none; it is in use; somebody else holds the lock; the file system refuses.
    pub fn remove(
        &self,
        name: &str,
        version: &Version,
        in_use: impl Fn(&str, &Version) -> bool,
    ) -> Result<(), StoreError> {
        let release = Reference::of(name, version);
        if !self.versions(name)?.contains(version) {
            return Err(self.no_such(release)?);
        }
        let lock = self.lock()?;
        if in_use(name, version) || self.is_held(&release)? {
            return Err(StoreError::InUse { release: Box::new(release) });
        }
        self.forget(&release)?;
        self.sweep(&lock);
        Ok(())
    }

    /// Removes what nobody needs any more: of each name, the newest `keep` versions stay, those that were published
    /// within `keep_for`, those in use, and what is damaged. Answers with those removed.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use airssys_wasm::command;
    /// use airssys_wasm::registry::Store;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let data = folder.path();
    /// let needed = command::needed(data)?;
    /// let month = Duration::from_secs(30 * 24 * 60 * 60);
    /// let in_use = |name: &str, version: &_| needed.contains(&format!("{name}@{version}"));
    /// let removed = Store::open(data)?.retention(3, month, in_use)?;
    /// assert!(removed.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Somebody else holds the lock; the file system refuses. Some may have been removed then.
    #[doc(hidden)]
    pub fn retention(
        &self,
        keep: usize,
        keep_for: Duration,
        in_use: impl Fn(&str, &Version) -> bool,
    ) -> Result<Vec<Record>, StoreError> {
        if self.names()?.is_empty() {
            return Ok(Vec::new());
        }
        let lock = self.lock()?;
        let known = self.releases()?.into_iter().flatten().collect();
        let mut doomed = doomed(known, keep, keep_for, SystemTime::now(), in_use);
        for at in (0..doomed.len()).rev() {
            let release = doomed[at].reference();
            if self.is_held(&release)? {
                doomed.remove(at);
            } else {
                self.forget(&release)?;
            }
        }
        self.sweep(&lock);
        Ok(doomed)
    }

    fn blobs(&self) -> PathBuf {
        self.folder.join("blobs").join("sha256")
    }

    fn index(&self) -> PathBuf {
        self.folder.join("index")
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.to_string())
    }

    /// None where no version is named, and for a name that is none: nothing leads out of the store.
    fn record_path(&self, release: &Reference) -> Option<PathBuf> {
        let version = release.version.as_ref()?.to_string();
        super::reference::check(&release.name, Some(&version)).ok()?;
        Some(self.index().join(&release.name).join(format!("{version}{RECORD}")))
    }

    fn lock(&self) -> Result<Lock, StoreError> {
        files::make_folder(&self.folder)?;
        Lock::take(&self.folder.join("lock"))
    }

    /// Puts a blob where it is not yet, or is damaged. Says whether it did.
    fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<bool, StoreError> {
        let path = self.blob_path(digest);
        match Digest::of_file(&path) {
            Ok((found, _)) if found == *digest => return Ok(false),
            _ => files::write_whole(&path, bytes, BLOB_MODE)?,
        }
        Ok(true)
    }

    /// What was found may have been made by one who was killed before it was there for good: no record may name it
    /// before it is.
    fn settle(&self) -> Result<(), StoreError> {
        let (blobs, index) = (self.blobs(), self.index());
        files::make_folder(&index)?;
        let above = [blobs.parent(), self.folder.parent()].into_iter().flatten();
        for folder in above.chain([&*blobs, &index, &self.folder]).filter(|folder| !folder.as_os_str().is_empty()) {
            files::sync_folder(folder).map_err(StoreError::file("write", folder))?;
        }
        Ok(())
    }

    fn write(&self, record: &Record) -> Result<(), StoreError> {
        let Some(path) = self.record_path(&record.reference()) else { return Ok(()) };
        files::make_folder(&self.index().join(&record.name))?;
        let bytes = record.to_bytes().map_err(|error| StoreError::file("write", &path)(error.into()))?;
        files::write_whole(&path, &bytes, RECORD_MODE)
    }

    /// Whether a running mesh needs a release. Of one whose record is damaged nobody can.
    fn is_held(&self, release: &Reference) -> Result<bool, StoreError> {
        match self.record(release) {
            Ok(Some(record)) => Hold::is_on(&self.blob_path(&record.binary)),
            Ok(None) | Err(StoreError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn forget(&self, release: &Reference) -> Result<(), StoreError> {
        self.record_path(release).map_or(Ok(()), |path| files::remove(&path))
    }

    /// The names in the index.
    fn names(&self) -> Result<Vec<String>, StoreError> {
        let mut names = files::names(&self.index())?;
        names.retain(|name| super::reference::check(name, None).is_ok());
        Ok(names)
    }

    /// The versions of a name, the newest last.
    fn versions(&self, name: &str) -> Result<Vec<Version>, StoreError> {
        if super::reference::check(name, None).is_err() {
            return Ok(Vec::new());
        }
        let files = files::names(&self.index().join(name))?;
        let mut versions: Vec<Version> =
            files.iter().filter_map(|file| file.strip_suffix(RECORD)?.parse().ok()).collect();
        versions.sort();
        Ok(versions)
    }

    fn no_such(&self, release: Reference) -> Result<StoreError, StoreError> {
        let versions = self.versions(&release.name)?;
        let known = if versions.is_empty() {
            self.names()?
        } else {
            versions.iter().map(|version| format!("{}@{version}", &release.name)).collect()
        };
        Ok(StoreError::NoSuchRelease { release: Box::new(release), folder: self.folder.clone(), known })
    }

    fn verified(&self, record: &Record) -> Result<Release, StoreError> {
        let release = record.reference();
        let damaged = |path: &Path, detail: String| StoreError::Damaged {
            release: Box::new(release.clone()),
            path: path.to_owned(),
            detail,
            hint: Hint::from(format!("publish {release} again from the same files, which mends it, or "))
                .act(Act::Remove { release: release.to_string() }),
        };
        let compared = |path: &Path, found: Digest, digest: &Digest| {
            if found == *digest { Ok(()) } else { Err(damaged(path, format!("has the digest {found}"))) }
        };
        let unread = |path: &Path, error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => damaged(path, "is not there".to_owned()),
            _ => StoreError::file("read", path)(error),
        };
        let component = self.blob_path(&record.binary);
        let (found, _) = Digest::of_file(&component).map_err(|error| unread(&component, error))?;
        compared(&component, found, &record.binary)?;
        let path = self.blob_path(&record.manifest);
        let bytes = fs::read(&path).map_err(|error| unread(&path, error))?;
        compared(&path, Digest::of(&bytes), &record.manifest)?;
        let text = String::from_utf8(bytes).map_err(|_| damaged(&path, "is no text".to_owned()))?;
        let manifest = Manifest::of_source(&Source { path: format!("the Component.toml of {release}").into(), text })?;
        if (&manifest.name, &manifest.version) != (&record.name, &record.version) {
            return Err(damaged(&path, format!("is the manifest of {}@{}", manifest.name, manifest.version)));
        }
        let seal = record.seal();
        if let Some(bad) = seal.signatures.iter().find(|signature| !signature.is_of(&seal)) {
            let path = self.record_path(&release).unwrap_or_default();
            return Err(damaged(&path, format!("holds a signature of {} that is not one of this release", bad.key)));
        }
        Ok(Release { seal: Some(seal), ..Release::of(component, manifest) })
    }

    /// Removes what killed writers left: unfinished files, and blobs that no record names. What cannot be removed now
    /// is left for the next time.
    fn sweep(&self, _lock: &Lock) {
        if let Err(error) = self.try_sweep() {
            warn!(%error, "cannot remove what an earlier change of the releases left");
        }
    }

    fn try_sweep(&self) -> Result<(), StoreError> {
        for name in self.names()? {
            let folder = self.index().join(name);
            for file in files::names(&folder)?.iter().filter(|file| file.starts_with(UNFINISHED)) {
                files::remove(&folder.join(file))?;
            }
            // Only an empty one goes.
            let _not_empty = fs::remove_dir(&folder);
        }
        let releases = self.releases()?;
        let is_damaged = releases.iter().any(Result::is_err);
        let named: BTreeSet<Digest> =
            releases.iter().flatten().flat_map(|record| [record.binary, record.manifest]).collect();
        let blobs = self.blobs();
        for file in files::names(&blobs)? {
            let orphan = Digest::of_text(&file).is_some_and(|digest| !named.contains(&digest));
            // Which blobs a damaged record names cannot be known: then all stay.
            if file.starts_with(UNFINISHED) || (orphan && !is_damaged) {
                files::remove(&blobs.join(file))?;
            }
        }
        Ok(())
    }
}

/// Older first: a release before its successors, and each pre-release before all releases.
fn by_age(a: &Version, b: &Version) -> std::cmp::Ordering {
    (a.pre.is_empty(), a).cmp(&(b.pre.is_empty(), b))
}

/// Which releases are kept no longer.
fn doomed(
    mut releases: Vec<Record>,
    keep: usize,
    keep_for: Duration,
    now: SystemTime,
    in_use: impl Fn(&str, &Version) -> bool,
) -> Vec<Record> {
    releases.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| by_age(&b.version, &a.version)));
    let mut doomed = Vec::new();
    for group in releases.chunk_by(|a, b| a.name == b.name) {
        doomed.extend(group.iter().skip(keep).filter(|record| {
            // One from the future is new: the clock was set back.
            let age = now.duration_since(record.published()).unwrap_or_default();
            age >= keep_for && !in_use(&record.name, &record.version)
        }));
    }
    doomed.into_iter().cloned().collect()
}
