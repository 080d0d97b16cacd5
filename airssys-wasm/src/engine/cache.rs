//! Compiled code on disk: named by the component's SHA-256 and the engine's configuration, mapped rather than read.
//!
//! Compiled code is trusted code, so a file is used only where its own sum, kept beside the code, matches: what is
//! damaged is compiled again and never loaded. The sum is against damage and not against people, so it is 128 bits of
//! XXH3, which takes a fraction of the time of SHA-256. Writes are atomic: a new file gets its name last. It refuses to
//! fail a release: where the folder cannot be used, it says so and the code is compiled each time.
//!
//! After the sum stands what was read of the binary ([`Facts`]), and the sum is over that as well. Where it is not
//! there, or from another reader, the binary is read anew, and the code is used.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracing::{debug, warn};
use wasmtime::Engine;
use wasmtime::component::Component;
use xxhash_rust::xxh3::Xxh3;

use super::facts::Facts;

use crate::hex;

/// A folder of compiled code.
#[derive(Debug)]
pub(super) struct CodeCache {
    folder: PathBuf,
    /// What the names of an engine's files end with; it takes a while to make out.
    endings: Mutex<Vec<(Engine, String)>>,
}

/// What a cache has of a component.
pub(super) struct CachedCode {
    pub(super) component: Component,
    /// What was read of its binary; none where an earlier host kept it.
    pub(super) facts: Option<Facts>,
}

impl CodeCache {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, endings: Mutex::default() }
    }

    /// The compiled component with this digest, where there is one that is whole.
    pub(super) fn load(&self, engine: &Engine, digest: &str) -> Option<CachedCode> {
        let (code, sum) = self.paths(engine, digest);
        let beside = fs::read_to_string(&sum).ok()?;
        let (expected, facts) = beside.split_once('\n').unwrap_or((&beside, ""));
        match sum_of_file(&code, facts) {
            Ok(found) if text(found) == expected => {}
            Ok(_) => {
                warn!(file = %code.display(), "compiled code is damaged; compiling again");
                return None;
            }
            Err(error) => {
                debug!(file = %code.display(), %error, "no compiled code");
                return None;
            }
        }
        // SAFETY: the file was written by this host from its own compiler's output, and the sum beside it says that it
        // still is that. Somebody who can write to the folder can write both; the folder is made for its owner only.
        #[allow(unsafe_code, reason = "mapping compiled code is what a cache of it is for")]
        let loaded = unsafe { Component::deserialize_file(engine, &code) };
        match loaded {
            Ok(component) => Some(CachedCode { component, facts: Facts::of_text(facts) }),
            Err(error) => {
                warn!(file = %code.display(), %error, "compiled code is not usable; compiling again");
                None
            }
        }
    }

    /// Keeps compiled code, and what was read of the binary. A failure is said and changes nothing.
    pub(super) fn store(&self, engine: &Engine, digest: &str, component: &Component, facts: &Facts) {
        let kept = component.serialize().map_err(|error| io::Error::other(error.to_string())).and_then(|code| {
            make_private_folder(&self.folder)?;
            let (path, sum) = self.paths(engine, digest);
            // The sum last: code without its sum is not used.
            write_whole(&path, &code)?;
            let facts = facts.to_text().unwrap_or_default();
            let mut summed = Xxh3::new();
            summed.update(&code);
            summed.update(facts.as_bytes());
            write_whole(&sum, format!("{}\n{facts}", text(summed.digest128())).as_bytes())
        });
        if let Err(error) = kept {
            warn!(folder = %self.folder.display(), %error, "cannot keep compiled code; it will be compiled at every start");
        }
    }

    /// Lets go of an engine.
    pub(super) fn forget(&self, engine: &Engine) {
        let mut known = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(known, _)| !Engine::same(known, engine));
    }

    fn ending(&self, engine: &Engine) -> String {
        let mut known = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, ending)) = known.iter().find(|(known, _)| Engine::same(known, engine)) {
            return ending.clone();
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let ending = format!("{:016x}", hasher.finish());
        known.push((engine.clone(), ending.clone()));
        ending
    }

    fn paths(&self, engine: &Engine, digest: &str) -> (PathBuf, PathBuf) {
        let name = format!("{digest}-{}", self.ending(engine));
        (self.folder.join(format!("{name}.cwasm")), self.folder.join(format!("{name}.xxh3")))
    }
}

fn text(sum: u128) -> String {
    hex::encode(&sum.to_be_bytes())
}

/// The sum of a file and of what is kept beside it.
fn sum_of_file(path: &Path, beside: &str) -> io::Result<u128> {
    let mut file = fs::File::open(path)?;
    let mut sum = Xxh3::new();
    let mut block = [0; 1 << 14];
    loop {
        match file.read(&mut block)? {
            0 => {
                sum.update(beside.as_bytes());
                return Ok(sum.digest128());
            }
            read => sum.update(&block[..read]),
        }
    }
}

fn make_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::fs;

    use wasmtime::component::Component;
    use wasmtime::{Config, Engine};
    use xxhash_rust::xxh3::xxh3_128;

    use super::super::anatomy::Anatomy;
    use super::super::facts::Facts;
    use super::super::needs::Needs;
    use super::{CodeCache, text};

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn facts() -> Facts {
        let mut facts = Facts::new(Anatomy::default(), Needs::default(), Vec::new());
        facts.needs.memory_bytes = 65_536;
        facts.anatomy.exports.push("a:b/c\nd".to_owned());
        facts
    }

    #[test]
    fn damaged_code_is_compiled_again_and_never_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache::new(folder.path().join("code"));
        let engine = Engine::default();
        let component = Component::new(&engine, EMPTY).unwrap();
        assert!(cache.load(&engine, "abc").is_none());
        cache.store(&engine, "abc", &component, &facts());
        assert_eq!(cache.load(&engine, "abc").unwrap().facts, Some(facts()));
        assert!(cache.load(&engine, "other").is_none());
        let other = Engine::new(Config::new().epoch_interruption(true)).unwrap();
        assert!(cache.load(&other, "abc").is_none(), "compiled for another configuration");

        let (code, sum) = cache.paths(&engine, "abc");
        for file in [&code, &sum] {
            let well = fs::read(file).unwrap();
            let step = well.len().div_ceil(200);
            for at in (0..well.len()).step_by(step) {
                let mut bytes = well.clone();
                bytes[at] ^= 1;
                fs::write(file, &bytes).unwrap();
                assert!(cache.load(&engine, "abc").is_none(), "byte {at} of {}", file.display());
                fs::write(file, &well[..at]).unwrap();
                assert!(cache.load(&engine, "abc").is_none(), "{at} bytes of {}", file.display());
            }
            fs::write(file, &well).unwrap();
            assert!(cache.load(&engine, "abc").is_some());
        }
        fs::remove_file(sum).unwrap();
        assert!(cache.load(&engine, "abc").is_none(), "code without its sum");
    }

    #[test]
    fn code_that_another_host_kept_is_used_and_what_it_read_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache::new(folder.path().join("code"));
        let engine = Engine::default();
        cache.store(&engine, "abc", &Component::new(&engine, EMPTY).unwrap(), &facts());
        let (code, sum) = cache.paths(&engine, "abc");
        let code = fs::read(code).unwrap();
        let known = facts().to_text().unwrap();
        for (what, beside) in [
            ("an earlier one, which kept the sum alone", String::new()),
            ("another reader", known.replacen("\"reader\":", "\"reader\":1", 1)),
            ("a field that is not known", known.replacen('{', "{\"more\":1,", 1)),
            ("a field that is not there", known.replacen("\"memories\":0,", "", 1)),
            ("something else", "[]".to_owned()),
        ] {
            assert_ne!(beside, known);
            let summed = text(xxh3_128(&[&code, beside.as_bytes()].concat()));
            let line = if beside.is_empty() { summed } else { format!("{summed}\n{beside}") };
            fs::write(&sum, line).unwrap();
            assert_eq!(cache.load(&engine, "abc").unwrap().facts, None, "{what}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_used_loses_only_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let cache = CodeCache::new(file);
        let engine = Engine::default();
        let component = Component::new(&engine, EMPTY).unwrap();
        cache.store(&engine, "abc", &component, &facts());
        assert!(cache.load(&engine, "abc").is_none());
    }
}
