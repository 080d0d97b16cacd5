//! `airssys new`: a guest project from a template, or a whole mesh, which builds and runs as it is.
//!
//! The project is made beside its place and moved there when it is complete: it is there or it is not. Refuses a folder
//! that holds anything, and a name that cargo would refuse later.

mod name;

use std::io;
use std::path::{Path, PathBuf};

use crate::explain::{self, Explain};

/// The SDK of the checkout that this command was built from.
const SDK_OF_CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/rust");

/// What the project consists of: path and text. `{{name}}` and `{{sdk}}` are filled in.
const TEMPLATE: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.txt")),
    ("Component.toml", include_str!("template/Component.toml.txt")),
    ("src/lib.rs", include_str!("template/lib.rs.txt")),
    (".gitignore", include_str!("template/gitignore.txt")),
    ("README.md", include_str!("template/README.md.txt")),
];

/// The same for a mesh: a topology, two components, an input, and a test of all of it.
const MESH: [(&str, &str); 14] = [
    ("Cargo.toml", include_str!("template/mesh/Cargo.toml.txt")),
    ("airssys.toml", include_str!("template/mesh/airssys.toml.txt")),
    ("visitors.jsonl", include_str!("template/mesh/visitors.jsonl.txt")),
    ("greeter/Cargo.toml", include_str!("template/mesh/greeter.Cargo.toml.txt")),
    ("greeter/Component.toml", include_str!("template/mesh/greeter.Component.toml.txt")),
    ("greeter/src/lib.rs", include_str!("template/mesh/greeter.rs.txt")),
    ("porter/Cargo.toml", include_str!("template/mesh/porter.Cargo.toml.txt")),
    ("porter/Component.toml", include_str!("template/mesh/porter.Component.toml.txt")),
    ("porter/src/lib.rs", include_str!("template/mesh/porter.rs.txt")),
    ("check/Cargo.toml", include_str!("template/mesh/check.Cargo.toml.txt")),
    ("check/src/lib.rs", include_str!("template/mesh/check.lib.rs.txt")),
    ("check/tests/mesh.rs", include_str!("template/mesh/check.mesh.rs.txt")),
    (".gitignore", include_str!("template/mesh/gitignore.txt")),
    ("README.md", include_str!("template/mesh/README.md.txt")),
];

/// The same for a component in Python, which has a topology with it: its functions are called by their own types.
const PYTHON: [(&str, &str); 6] = [
    ("Component.toml", include_str!("template/Component.toml.txt")),
    ("app.py", include_str!("template/python/app.py.txt")),
    ("wit/world.wit", include_str!("template/python/world.wit.txt")),
    ("airssys.toml", include_str!("template/python/airssys.toml.txt")),
    (".gitignore", include_str!("template/python/gitignore.txt")),
    ("README.md", include_str!("template/python/README.md.txt")),
];

/// What a component is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Lang {
    Rust,
    Python,
}

/// Makes a guest project that builds, or a mesh that runs.
///
/// A project is one component. With --mesh it is a topology, two components that it starts, an input for them, and a
/// test of the whole.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys new pricing && airssys build pricing\n  airssys new pricing --lang python && airssys build pricing\n  airssys new hello --mesh && cd hello && airssys build && airssys run --input porter=visitors.jsonl"
)]
pub(crate) struct Args {
    /// The name of the component and of its crate, or of the mesh.
    #[arg(value_name = "NAME")]
    name: String,
    /// Make a whole mesh instead of one component.
    #[arg(long)]
    mesh: bool,
    /// What the component is written in.
    #[arg(long, value_name = "LANG", default_value = "rust", conflicts_with = "mesh")]
    lang: Lang,
    /// Where to put it. Default: a folder of that name, here.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The folder of the crate airssys-sdk. Default: that of the checkout this command was built from.
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

/// Why there is no project.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NewError {
    #[error("`{name}` is no name for a component: {reason}")]
    BadName { name: String, reason: &'static str },
    #[error("`{}` exists and is not empty", .dir.display())]
    NotEmpty { dir: PathBuf },
    #[error("`{}` is not the folder of airssys-sdk", .dir.display())]
    NoSdk { dir: PathBuf },
    #[error("cannot make the project in `{}`", .dir.display())]
    Unwritable { dir: PathBuf, source: io::Error },
}

impl Explain for NewError {
    fn code(&self) -> &'static str {
        match self {
            Self::BadName { .. } => "AB201",
            Self::NotEmpty { .. } => "AB202",
            Self::NoSdk { .. } => "AB203",
            Self::Unwritable { .. } => "AB204",
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::BadName { .. } => {
                "begin with a letter and go on with letters, digits, `-` and `_`, such as `price-list`"
            }
            Self::NotEmpty { .. } => "name another folder with --path",
            Self::NoSdk { .. } => "name it with --sdk: it is `airssys-wasm/sdk/rust` in a checkout of airssys",
            Self::Unwritable { .. } => "look at the path and its permissions",
        };
        Some(hint.to_owned())
    }
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), NewError> {
    name::check(&args.name).map_err(|reason| NewError::BadName { name: args.name.clone(), reason })?;
    let dir = args.path.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    // That of Rust is part of the project; others need none.
    let sdk = match args.lang {
        Lang::Rust => sdk(args.sdk.as_deref().unwrap_or(Path::new(SDK_OF_CHECKOUT)))?,
        Lang::Python => PathBuf::new(),
    };
    if holds_anything(&dir) {
        return Err(NewError::NotEmpty { dir });
    }
    let template: &[(&str, &str)] = match args.lang {
        Lang::Rust if args.mesh => &MESH,
        Lang::Rust => &TEMPLATE,
        Lang::Python => &PYTHON,
    };
    make(&dir, template, &args.name, &sdk).map_err(|source| NewError::Unwritable { dir: dir.clone(), source })?;
    let (name, folder) = (&args.name, dir.display());
    explain::say(&match args.mesh {
        false => format!("{name}: made. Next: airssys build {folder}"),
        true => {
            format!("{name}: made. Next: cd {folder} && airssys build && airssys run --input porter=visitors.jsonl")
        }
    });
    Ok(())
}

fn sdk(dir: &Path) -> Result<PathBuf, NewError> {
    let no_sdk = || NewError::NoSdk { dir: dir.into() };
    let found = dir.canonicalize().map_err(|_| no_sdk())?;
    let manifest = std::fs::read_to_string(found.join("Cargo.toml")).map_err(|_| no_sdk())?;
    if manifest.contains("name = \"airssys-sdk\"") { Ok(found) } else { Err(no_sdk()) }
}

/// Also true of what is no folder, or cannot be looked into.
fn holds_anything(dir: &Path) -> bool {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn make(dir: &Path, template: &[(&str, &str)], name: &str, sdk: &Path) -> io::Result<()> {
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent)?;
    let beside = tempfile::Builder::new().prefix(".airssys-new-").tempdir_in(parent)?;
    let project = beside.path().join("project");
    // Quoted and escaped as TOML wants it.
    let sdk = toml::Value::String(sdk.display().to_string()).to_string();
    for (path, text) in template {
        let file = project.join(path);
        std::fs::create_dir_all(file.parent().unwrap_or(&project))?;
        std::fs::write(file, text.replace("{{name}}", name).replace("{{sdk}}", &sdk))?;
    }
    // An empty folder in its place gives way.
    if dir.exists() {
        std::fs::remove_dir(dir)?;
    }
    std::fs::rename(project, dir)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn args(name: &str, dir: &Path) -> Args {
        Args { name: name.to_owned(), mesh: false, lang: Lang::Rust, path: Some(dir.into()), sdk: None }
    }

    #[test]
    fn a_project_is_complete_and_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("deep").join("price-list");
        let mesh = folder.path().join("mesh");
        run(&args("price-list", &dir)).unwrap();
        run(&Args { mesh: true, ..args("hello", &mesh) }).unwrap();
        for (dir, template) in [(&dir, &TEMPLATE[..]), (&mesh, &MESH[..])] {
            for (path, _) in template {
                let text = std::fs::read_to_string(dir.join(path)).unwrap();
                assert!(!text.contains("{{name}}") && !text.contains("{{sdk}}"), "{path}");
            }
        }
        let snake = folder.path().join("snake");
        run(&Args { lang: Lang::Python, ..args("snake", &snake) }).unwrap();
        for (path, _) in PYTHON {
            assert!(!std::fs::read_to_string(snake.join(path)).unwrap().contains("{{"), "{path}");
        }
        let cargo: toml::Table = std::fs::read_to_string(dir.join("Cargo.toml")).unwrap().parse().unwrap();
        assert_eq!(cargo["package"]["name"].as_str(), Some("price-list"));
        assert_eq!(std::fs::read_dir(folder.path().join("deep")).unwrap().count(), 1, "something was left beside it");
    }

    #[test]
    fn an_empty_folder_is_used_and_a_full_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        run(&args("a", folder.path())).unwrap();
        assert!(matches!(run(&args("a", folder.path())), Err(NewError::NotEmpty { .. })));
        let file = folder.path().join("README.md");
        assert!(matches!(run(&args("a", &file)), Err(NewError::NotEmpty { .. })));
    }

    #[test]
    fn another_folder_is_no_sdk() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a");
        let wrong = Args { sdk: Some(folder.path().into()), ..args("a", &dir) };
        assert!(matches!(run(&wrong), Err(NewError::NoSdk { .. })));
        assert!(!dir.exists());
    }
}
