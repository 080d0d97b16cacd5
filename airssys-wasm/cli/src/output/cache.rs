//! Where compiled code is kept between two runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Problem;

/// The folder of compiled code.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct CacheArgs {
    /// Where compiled code is kept; by default airssys/code in the user's cache folder.
    ///
    /// A folder given here must be usable. The default one need not: without it, each start compiles.
    #[arg(long, value_name = "DIR")]
    code_cache: Option<PathBuf>,
}

impl CacheArgs {
    /// The folder to use; one that was asked for is made, and known to be writable.
    pub(crate) fn folder(&self) -> Result<Option<PathBuf>, Problem> {
        let Some(folder) = &self.code_cache else { return Ok(default()) };
        prove(folder).map_err(|source| Problem::Cache { folder: folder.clone(), source })?;
        Ok(Some(folder.clone()))
    }
}

fn prove(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    // What is in it is run: it is for its owner only.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    tempfile::NamedTempFile::new_in(folder)?.close()
}

fn default() -> Option<PathBuf> {
    let absolute = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(caches.join("airssys").join("code"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::{CacheArgs, Problem};

    #[test]
    fn a_folder_that_was_asked_for_is_made_or_refused() {
        let here = tempfile::tempdir().unwrap();
        let folder = here.path().join("a/b");
        let args = CacheArgs { code_cache: Some(folder.clone()) };
        assert_eq!(args.folder().unwrap(), Some(folder.clone()));
        assert_eq!(folder.read_dir().unwrap().count(), 0);

        let file = here.path().join("file");
        std::fs::write(&file, "").unwrap();
        let args = CacheArgs { code_cache: Some(file.join("code")) };
        assert!(matches!(args.folder(), Err(Problem::Cache { .. })));
    }
}
