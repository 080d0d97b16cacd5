//! `airssys new`: a guest project from a template, or a whole mesh, which builds and runs as it is.
//!
//! The project is made beside its place and moved there when it is complete: it is there or it is not. Refuses a folder
//! that holds anything, and a name that cargo would refuse later.

mod name;
mod template;

use std::io;
use std::path::{Path, PathBuf};

use self::template::Template;
use crate::explain::{self, Explain};

/// The SDKs of the checkout that this command was built from.
const SDKS_OF_CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk");

/// What a component is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Lang {
    Rust,
    Python,
    #[value(name = "javascript", alias = "js")]
    JavaScript,
    #[value(name = "typescript", alias = "ts")]
    TypeScript,
    C,
}

impl Lang {
    fn template(self) -> Template {
        match self {
            Self::Rust => template::RUST,
            Self::Python => template::PYTHON,
            Self::JavaScript => template::JAVASCRIPT,
            Self::TypeScript => template::TYPESCRIPT,
            Self::C => template::C,
        }
    }

    /// The SDK that is part of the project, and how the project names it; another language needs none for a component
    /// with an interface of its own.
    fn sdk(self, named: Option<&Path>) -> Result<String, NewError> {
        match self {
            Self::Rust => {
                let dir = sdk("rust", "Cargo.toml", "name = \"airssys-sdk\"", named)?;
                // Quoted and escaped as TOML wants it, and as JSON does below.
                Ok(toml::Value::String(dir.display().to_string()).to_string())
            }
            Self::JavaScript | Self::TypeScript => {
                let dir = sdk("js", "package.json", "\"name\": \"airssys\"", named)?;
                Ok(serde_json::Value::String(format!("file:{}", dir.display())).to_string())
            }
            Self::Python | Self::C => Ok(String::new()),
        }
    }

    /// What is to be done before the first build.
    fn first(self) -> &'static str {
        match self {
            Self::Rust | Self::Python | Self::C => "",
            Self::JavaScript | Self::TypeScript => "npm install && ",
        }
    }
}

/// Makes a guest project that builds, or a mesh that runs.
///
/// A project is one component. With --mesh it is a topology, two components that it starts, an input for them, and a
/// test of the whole.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys new pricing && airssys build pricing\n  airssys new pricing --lang python && airssys build pricing\n  airssys new pricing --lang javascript && cd pricing && npm install && airssys build\n  airssys new hello --mesh && cd hello && airssys build && airssys run --input porter=visitors.jsonl"
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
    /// The folder of the SDK for that language. Default: that of the checkout this command was built from.
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
    #[error("`{}` is not the folder of the SDK: no {file} of it is there", .dir.display())]
    NoSdk { dir: PathBuf, language: &'static str, file: &'static str },
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
            Self::NoSdk { language, .. } => {
                return Some(format!(
                    "name it with --sdk: it is `airssys-wasm/sdk/{language}` in a checkout of airssys"
                ));
            }
            Self::BadName { .. } => {
                "begin with a letter and go on with letters, digits, `-` and `_`, such as `price-list`"
            }
            Self::NotEmpty { .. } => "name another folder with --path",
            Self::Unwritable { .. } => "look at the path and its permissions",
        };
        Some(hint.to_owned())
    }
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), NewError> {
    name::check(&args.name).map_err(|reason| NewError::BadName { name: args.name.clone(), reason })?;
    let dir = args.path.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    let sdk = args.lang.sdk(args.sdk.as_deref())?;
    if holds_anything(&dir) {
        return Err(NewError::NotEmpty { dir });
    }
    let template = if args.mesh { template::MESH } else { args.lang.template() };
    make(&dir, template, &args.name, &sdk).map_err(|source| NewError::Unwritable { dir: dir.clone(), source })?;
    let (name, folder) = (&args.name, dir.display());
    let next = match args.lang.first() {
        _ if args.mesh => format!("cd {folder} && airssys build && airssys run --input porter=visitors.jsonl"),
        "" => format!("airssys build {folder}"),
        first => format!("cd {folder} && {first}airssys build"),
    };
    explain::say(&format!("{name}: made. Next: {next}"));
    Ok(())
}

/// The folder of an SDK, by a file of it and what stands in there.
fn sdk(language: &'static str, file: &'static str, says: &str, named: Option<&Path>) -> Result<PathBuf, NewError> {
    let dir = named.map_or_else(|| Path::new(SDKS_OF_CHECKOUT).join(language), Path::to_owned);
    let found = dir.canonicalize().unwrap_or_else(|_| dir.clone());
    match std::fs::read_to_string(found.join(file)) {
        Ok(text) if text.contains(says) => Ok(found),
        _ => Err(NewError::NoSdk { dir, language, file }),
    }
}

/// Also true of what is no folder, or cannot be looked into.
fn holds_anything(dir: &Path) -> bool {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn make(dir: &Path, template: Template, name: &str, sdk: &str) -> io::Result<()> {
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent)?;
    let beside = tempfile::Builder::new().prefix(".airssys-new-").tempdir_in(parent)?;
    let project = beside.path().join("project");
    for (path, text) in template {
        let file = project.join(path);
        std::fs::create_dir_all(file.parent().unwrap_or(&project))?;
        std::fs::write(file, text.replace("{{name}}", name).replace("{{sdk}}", sdk))?;
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
        let mut made = vec![(dir.clone(), template::RUST), (mesh, template::MESH)];
        for lang in <Lang as clap::ValueEnum>::value_variants() {
            let dir = folder.path().join(format!("{lang:?}"));
            run(&Args { lang: *lang, ..args("a-b", &dir) }).unwrap();
            made.push((dir, lang.template()));
        }
        for (dir, template) in made {
            for (path, _) in template {
                let text = std::fs::read_to_string(dir.join(path)).unwrap();
                assert!(!text.contains("{{"), "{path}");
            }
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
