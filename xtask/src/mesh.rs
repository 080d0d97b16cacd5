//! The guests of `examples/mesh` in other languages than Rust.

use std::path::Path;

use crate::error::Error;
use crate::language::{Guest, Language, Place};

const WIT: &str = "examples/mesh/wit";

/// By the name of their language's module.
const GUESTS: [(&str, &[Guest]); 1] = [(
    "python",
    &[
        Guest { name: "tax", wit: WIT, world: "taxes", with: &[] },
        Guest { name: "pricing-next", wit: "examples/mesh/guests/pricing-next/wit", world: "next", with: &[] },
    ],
)];

/// Builds those of a language; whether all are there now.
pub(crate) fn build(language: &Language, root: &Path, target: &Path) -> Result<bool, Error> {
    let place = Place { folder: "examples/mesh".to_owned(), sources: "guests", kept: "mesh" };
    let guests: &[Guest] = GUESTS.iter().find(|(module, _)| *module == language.module).map_or(&[], |(_, own)| own);
    language.build(root, target, &place, guests)
}
