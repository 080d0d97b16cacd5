//! The contract of this host, `wit/`: brought along, so that a service in any language is built against what this
//! command's host has, and nothing is to be copied by hand.

use std::io;
use std::path::Path;

/// The files: path and text.
const FILES: [(&str, &str); 17] = [
    ("handler.wit", include_str!("../../../../wit/handler.wit")),
    ("health.wit", include_str!("../../../../wit/health.wit")),
    ("layer.wit", include_str!("../../../../wit/layer.wit")),
    ("lifecycle.wit", include_str!("../../../../wit/lifecycle.wit")),
    ("log.wit", include_str!("../../../../wit/log.wit")),
    ("messaging.wit", include_str!("../../../../wit/messaging.wit")),
    ("supervision.wit", include_str!("../../../../wit/supervision.wit")),
    ("types.wit", include_str!("../../../../wit/types.wit")),
    ("upgrade.wit", include_str!("../../../../wit/upgrade.wit")),
    ("worlds.wit", include_str!("../../../../wit/worlds.wit")),
    ("deps/config/store.wit", include_str!("../../../../wit/deps/config/store.wit")),
    ("deps/config/world.wit", include_str!("../../../../wit/deps/config/world.wit")),
    ("deps/keyvalue/atomic.wit", include_str!("../../../../wit/deps/keyvalue/atomic.wit")),
    ("deps/keyvalue/batch.wit", include_str!("../../../../wit/deps/keyvalue/batch.wit")),
    ("deps/keyvalue/store.wit", include_str!("../../../../wit/deps/keyvalue/store.wit")),
    ("deps/keyvalue/watch.wit", include_str!("../../../../wit/deps/keyvalue/watch.wit")),
    ("deps/keyvalue/world.wit", include_str!("../../../../wit/deps/keyvalue/world.wit")),
];

/// Writes it into a folder.
pub(super) fn write(folder: &Path) -> io::Result<()> {
    for (name, text) in FILES {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().unwrap_or(folder))?;
        std::fs::write(file, text)?;
    }
    Ok(())
}

/// Writes it beside the dependencies of another package: of those there is one level.
pub(super) fn write_as_dependency(deps: &Path) -> io::Result<()> {
    let own = deps.join("airssys-actor");
    write(&own)?;
    for name in ["config", "keyvalue"] {
        std::fs::rename(own.join("deps").join(name), deps.join(name))?;
    }
    std::fs::remove_dir(own.join("deps"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn no_file_of_it_is_left_out() {
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let mut files = 0;
        for folder in [wit.clone(), wit.join("deps/config"), wit.join("deps/keyvalue")] {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            files += entries.filter(|file| file.extension().is_some_and(|end| end == "wit")).count();
        }
        assert_eq!(files, FILES.len());
        assert_eq!(
            std::fs::read_dir(wit.join("deps")).unwrap().filter(|one| one.as_ref().unwrap().path().is_dir()).count(),
            2
        );
    }
}
