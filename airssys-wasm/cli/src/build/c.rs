//! Components in C: all files `*.c` of a folder, one of which is `app.c`, with the bindings that wit-bindgen makes of
//! the world in its folder `wit`. The compiler is zig's, which has the C library for WASI in it.
//!
//! Without a folder `wit` it is a service by the contract, and the SDK is compiled with it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::driver::{self, Driver, Source};
use super::error::BuildError;
use super::{componentize, contract};
use crate::explain;

pub(super) const DRIVER: Driver = Driver { language: "C", programs: &["app.c"], check, build };

const BINDGEN: &str = "wit-bindgen";
const BINDGEN_REMEDY: &str = "install it: cargo install wit-bindgen-cli@0.63.0";
const ZIG_REMEDY: &str = "install it: pip install ziglang==0.15.1, or https://ziglang.org";

/// zig by itself, and as the package of Python's index has it.
const ZIG: [&[&str]; 2] = [&["zig"], &["python3", "-m", "ziglang"]];

/// As small as it gets, and a component rather than a program with a `main`.
const FLAGS: [&str; 6] = ["-target", "wasm32-wasi", "-mexec-model=reactor", "-Os", "-std=gnu17", "-Wall"];

const SDK: [(&str, &str); 2] =
    [("airssys.h", include_str!("../../../sdk/c/airssys.h")), ("airssys.c", include_str!("../../../sdk/c/airssys.c"))];
/// The world of a service, which one's own may include, and the contract that it includes itself.
const SDK_WORLD: &str = include_str!("../../../sdk/c/wit/world.wit");
const SERVICE: &str = "package airssys:made;\nworld service {\n  include airssys:c/service;\n}\n";

fn zig() -> Option<&'static [&'static str]> {
    ZIG.into_iter().find(|zig| driver::says(zig, "version").is_some())
}

fn check(source: &Source) -> Result<(), BuildError> {
    if driver::says(&[BINDGEN], "--version").is_none() {
        let missing = format!("`{BINDGEN}`, which makes the bindings, is not on PATH, or does not run");
        return Err(source.missing(missing, BINDGEN_REMEDY.to_owned()));
    }
    match zig() {
        Some(_) => Ok(()),
        None => Err(source.missing(
            "neither `zig` nor `python3 -m ziglang`, which compiles it, is there".to_owned(),
            ZIG_REMEDY.to_owned(),
        )),
    }
}

fn build(source: &Source, component: &Path, more: &[String]) -> Result<(), BuildError> {
    let between = source.between()?;
    let unwritable = |error| BuildError::Unwritable { file: between.path().to_owned(), source: error };
    let wit = interfaces(&source.dir.join("wit"), between.path()).map_err(unwritable)?;
    let bindings = bindings(source, &wit)?;
    let module = between.path().join("module.wasm");
    compile(source, &bindings, &module, more)?;
    let module = std::fs::read(&module).map_err(|error| BuildError::Unreadable { file: module, source: error })?;
    let bytes = componentize::component(&source.manifest.name, &module)?;
    std::fs::write(component, bytes).map_err(unwritable)
}

/// The folder with the world: one's own, or where it has to do with the contract, a copy beside that.
fn interfaces(own: &Path, between: &Path) -> std::io::Result<PathBuf> {
    let text = text_of(own)?;
    if text.as_ref().is_some_and(|text| !text.contains("airssys:")) {
        return Ok(own.to_owned());
    }
    let folder = between.join("wit");
    let (deps, c) = (folder.join("deps"), folder.join("deps").join("airssys-c"));
    std::fs::create_dir_all(&c)?;
    contract::write_as_dependency(&deps)?;
    std::fs::write(c.join("world.wit"), SDK_WORLD)?;
    match text {
        Some(_) => copy(own, &folder)?,
        None => std::fs::write(folder.join("service.wit"), SERVICE)?,
    }
    Ok(folder)
}

/// Makes the bindings; they are left where an editor finds them.
fn bindings(source: &Source, wit: &Path) -> Result<PathBuf, BuildError> {
    // Those of an earlier world would be compiled as well.
    let folder = source.emptied("bindings")?;
    let unwritable = |error| BuildError::Unwritable { file: folder.clone(), source: error };
    let mut bindgen = Command::new(BINDGEN);
    bindgen.arg("c").arg(wit).arg("--out-dir").arg(&folder);
    if let Some(world) = &source.manifest.build.world {
        bindgen.args(["--world", world]);
    }
    let _written = source.run(&mut bindgen)?;
    if folder.join("service.h").is_file() {
        for (name, text) in SDK {
            std::fs::write(folder.join(name), text).map_err(unwritable)?;
        }
    }
    Ok(folder)
}

fn compile(source: &Source, bindings: &Path, module: &Path, more: &[String]) -> Result<(), BuildError> {
    let [program, arguments @ ..] = zig().unwrap_or(ZIG[0]) else { return check(source) };
    let mut compiling = Command::new(program);
    // It would leave a folder beside the sources.
    compiling.env("ZIG_LOCAL_CACHE_DIR", source.dir.join("target").join("zig"));
    compiling.args(arguments).arg("cc").args(FLAGS).arg("-I.").arg("-I").arg(bindings).arg("-o").arg(module);
    for folder in [&source.dir, bindings] {
        let unreadable = |error| BuildError::Unreadable { file: folder.to_owned(), source: error };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            files.push(entry.map_err(unreadable)?.path());
        }
        files.retain(|file| file.extension().is_some_and(|end| end == "c" || end == "o"));
        files.sort();
        compiling.args(files);
    }
    let warnings = source.run(compiling.args(more))?;
    if !warnings.is_empty() {
        explain::note_lines(&warnings);
    }
    Ok(())
}

/// What the files of a folder say; none where there is no such folder.
fn text_of(folder: &Path) -> std::io::Result<Option<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    let mut text = String::new();
    for entry in entries {
        let file = entry?.path();
        if file.extension().is_some_and(|end| end == "wit") {
            text.push_str(&std::fs::read_to_string(file)?);
        }
    }
    Ok(Some(text))
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let copied = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &copied)?;
        } else {
            let _bytes = std::fs::copy(entry.path(), copied)?;
        }
    }
    Ok(())
}
