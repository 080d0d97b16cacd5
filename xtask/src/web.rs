//! `examples/web`: its guest in another language than Rust, and where it listens.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::language::{Guest, Language, Place, write};
use crate::python;

/// Where the page is, unless another port is asked for.
pub(crate) const PORT: u16 = 8080;

const FOLDER: &str = "examples/web";
const PRICES: Guest = Guest { name: "prices", wit: "examples/web/guests/prices/wit", world: "pricing", with: &[] };

/// Builds those of a language; whether all are there now.
pub(crate) fn build(language: &Language, root: &Path, target: &Path) -> Result<bool, Error> {
    if language.module != python::LANGUAGE.module {
        return Ok(true);
    }
    let place = Place { folder: FOLDER.to_owned(), sources: "guests", kept: "web" };
    language.build(root, target, &place, &[PRICES])
}

/// The folder of the example.
pub(crate) fn folder(root: &Path) -> PathBuf {
    root.join(FOLDER)
}

/// Its topology, as seen from its folder: as it is written, or a copy that listens at another port.
pub(crate) fn topology(root: &Path, port: u16) -> Result<PathBuf, Error> {
    let written = PathBuf::from("airssys.toml");
    if port == PORT {
        return Ok(written);
    }
    let file = folder(root).join(&written);
    let text = std::fs::read_to_string(&file).map_err(Error::unreadable(&file))?;
    let copy = Path::new("target").join(written);
    write(&folder(root).join(&copy), elsewhere(&text, port))?;
    Ok(copy)
}

/// The topology at another port, to lie one folder deeper.
fn elsewhere(topology: &str, port: u16) -> String {
    topology.replace(&format!("127.0.0.1:{PORT}"), &format!("127.0.0.1:{port}")).replace("\"guests/", "\"../guests/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_topology_listens_elsewhere_and_finds_its_guests() {
        let copy = elsewhere(include_str!("../../examples/web/airssys.toml"), 9000);
        assert!(copy.contains("listen = \"127.0.0.1:9000\"") && !copy.contains(&PORT.to_string()), "{copy}");
        assert!(copy.contains("release = \"../guests/cart\"") && !copy.contains("\"guests/"), "{copy}");
    }
}
