//! The guests of `examples/mesh` in other languages than Rust.

use std::path::Path;

use crate::error::Error;
use crate::language::{Guest, Language, Place};
use crate::python;

const CONTRACT: &str = "wit";
const WIT: &str = "examples/mesh/wit";

/// By the name of their language's module.
const GUESTS: [(&str, &[Guest]); 3] = [
    (
        "python",
        &[
            Guest { name: "tax", wit: WIT, world: "taxes", with: &[] },
            Guest { name: "pricing-next", wit: "examples/mesh/guests/pricing-next/wit", world: "next", with: &[] },
            Guest { name: "letters", wit: CONTRACT, world: python::FOUND_OUT, with: &[python::SDK] },
        ],
    ),
    ("javascript", &[Guest { name: "post", wit: WIT, world: "post-office", with: &["airssys-wasm/sdk/js", CONTRACT] }]),
    (
        "c",
        &[
            Guest { name: "courier", wit: WIT, world: "courier", with: &[] },
            Guest { name: "fraud", wit: WIT, world: "suspicion", with: &[] },
            Guest { name: "luhn", wit: WIT, world: "luhn", with: &[] },
        ],
    ),
];

/// Builds those of a language; whether all are there now.
pub(crate) fn build(language: &Language, root: &Path, target: &Path) -> Result<bool, Error> {
    let place = Place { folder: "examples/mesh".to_owned(), sources: "guests", kept: "mesh" };
    let guests: &[Guest] = GUESTS.iter().find(|(module, _)| *module == language.module).map_or(&[], |(_, own)| own);
    language.build(root, target, &place, guests)
}
