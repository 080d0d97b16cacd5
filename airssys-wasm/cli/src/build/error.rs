//! Why a build failed: each case names the thing, and its hint what to do.

use std::path::PathBuf;
use std::process::ExitStatus;

use crate::explain::Explain;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error("`{}` holds no Cargo.toml, and no app.py, app.js, app.ts or app.c", .dir.display())]
    NoCrate { dir: PathBuf },
    #[error("`{}` holds no guest: no crate of it has a Component.toml beside its Cargo.toml", .dir.display())]
    NoGuest { dir: PathBuf },
    #[error("`{}` holds no guest `{name}`; it holds {guests}", .dir.display())]
    NoSuchGuest { name: String, dir: PathBuf, guests: String },
    #[error("`{}` holds `{program}` and no Component.toml", .dir.display())]
    NoManifest { dir: PathBuf, program: &'static str },
    #[error("`{}` holds `{first}` and `{second}`: which one is the component?", .dir.display())]
    TwoPrograms { dir: PathBuf, first: &'static str, second: &'static str },
    #[error("cannot read `{}`", .file.display())]
    Unreadable { file: PathBuf, source: std::io::Error },
    #[error("`{}` is no Component.toml", .file.display())]
    BadManifest { file: PathBuf, source: toml::de::Error },
    #[error("`{}`: the name `{name}` is not of letters, digits, `-`, `_` and `.`, beginning with a letter or a digit", .file.display())]
    BadName { file: PathBuf, name: String },
    #[error("two guests are named `{name}`: `{}` and `{}`", .first.display(), .second.display())]
    TwoOfOneName { name: String, first: PathBuf, second: PathBuf },
    #[error("`{}` does not build to a module: its crate type is not `cdylib`", .manifest.display())]
    NotCdylib { manifest: PathBuf },
    #[error("--out names one file, and there are {guests} guests to build")]
    OneFileForMany { guests: usize },
    #[error("no toolchain here builds for {wanted}: {missing}")]
    NoToolchain { wanted: &'static str, missing: String, remedy: String },
    #[error("cannot start `{program}`")]
    NotStarted { program: String, source: std::io::Error },
    #[error("`{program}` failed ({status}) in `{}`", .dir.display())]
    ToolFailed { program: String, dir: PathBuf, status: ExitStatus, output: String },
    #[error("cargo answered something unexpected in `{}`", .dir.display())]
    CargoAnswer { dir: PathBuf, source: serde_json::Error },
    #[error("cargo built no module for `{name}`")]
    NoModule { name: String },
    #[error("the module of `{name}` does not make a component: {reason}")]
    NotComponent { name: String, reason: String },
    #[error("the component `{name}` exports nothing")]
    ExportsNothing { name: String },
    #[error("cannot write `{}`", .file.display())]
    Unwritable { file: PathBuf, source: std::io::Error },
    #[error("cannot print the result")]
    Json(#[source] serde_json::Error),
}

impl Explain for BuildError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoCrate { .. } => "AB101",
            Self::NoGuest { .. } => "AB102",
            Self::Unreadable { .. } => "AB103",
            Self::BadManifest { .. } => "AB104",
            Self::BadName { .. } => "AB105",
            Self::TwoOfOneName { .. } => "AB106",
            Self::NotCdylib { .. } => "AB107",
            Self::OneFileForMany { .. } => "AB108",
            Self::NoToolchain { .. } => "AB109",
            Self::NotStarted { .. } => "AB110",
            Self::ToolFailed { .. } => "AB111",
            Self::CargoAnswer { .. } => "AB112",
            Self::NoModule { .. } => "AB113",
            Self::NotComponent { .. } => "AB114",
            Self::ExportsNothing { .. } => "AB115",
            Self::Unwritable { .. } => "AB116",
            Self::Json(_) => "AB117",
            Self::NoManifest { .. } => "AB118",
            Self::TwoPrograms { .. } => "AB119",
            Self::NoSuchGuest { .. } => "AB120",
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoCrate { .. } => "name the folder of a guest, or make one: `airssys new NAME`",
            Self::NoGuest { .. } => "put a Component.toml with `name` and `version` beside the Cargo.toml of the guest",
            Self::NoManifest { .. } => "put one there, with at least: name = \"echo\" and version = \"0.1.0\"",
            Self::NoSuchGuest { .. } => "name one of those with --only, as its Component.toml does",
            Self::TwoPrograms { .. } => "put each component into a folder of its own",
            Self::BadManifest { .. } => "it needs at least: name = \"echo\" and version = \"0.1.0\"",
            Self::BadName { .. } | Self::TwoOfOneName { .. } => "change `name` in Component.toml",
            Self::NotCdylib { .. } => "add to it: [lib] crate-type = [\"cdylib\"], or for a command a src/main.rs",
            Self::OneFileForMany { .. } => "leave --out away, or name the folder of one guest",
            Self::NoToolchain { remedy, .. } => remedy,
            Self::NotStarted { program, .. } if program.contains("cargo") => "install Rust: https://rustup.rs",
            Self::NotStarted { .. } => "install it, and put it on PATH",
            Self::ToolFailed { output, .. } if output.is_empty() => "what it printed above says why",
            Self::ToolFailed { output, .. } => output,
            Self::NotComponent { .. } => "is airssys-sdk of the same version as this command?",
            Self::ExportsNothing { .. } => "mark its handler with #[component]",
            Self::Unreadable { .. } | Self::Unwritable { .. } => "look at the path and its permissions",
            Self::NoModule { .. } | Self::CargoAnswer { .. } | Self::Json(_) => return None,
        };
        Some(hint.to_owned())
    }
}
