//! Guests in C: all files `*.c` of each, beside the bindings that are made for its world.
//!
//! The compiler is zig's, whose package for Python has all of it in it: clang, a linker, and the C library for WASI.

use std::path::Path;
use std::process::Command;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;
use wit_component::ComponentEncoder;

use crate::error::Error;
use crate::language::{Building, Guest, Language, files, write};
use crate::tool::{LIMIT, Tool};
use crate::{progress, root};

pub(crate) const LANGUAGE: Language = Language {
    name: "C",
    module: "c",
    tool: Tool { name: "ziglang", version: "0.15.1", lock: WIT_BINDGEN, install },
    remedy: "install python3 with its venv, and let pip and cargo reach their indices",
    guests: &[
        Guest { name: "pricing", wit: "tests/guests/pricing/wit", world: "shop", with: &[] },
        Guest { name: "conformance", wit: "airssys-wasm/sdk/c/wit", world: "service", with: &[SDK, CONTRACT] },
    ],
    recipe: include_str!("c.rs"),
    build,
};

/// What makes bindings, for who builds components with the command: its tests do. Here the same is called as a library.
const WIT_BINDGEN: &str = "wit-bindgen-cli@0.63.0";

fn install(tool: &Tool, folder: &Path) -> Result<(), Error> {
    tool.by_pip(folder)?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // It runs for a moment: what counts is how long it takes to compile.
    cargo.args(["install", WIT_BINDGEN, "--locked", "--debug", "--no-default-features", "--features", "c"]);
    let build = folder.join("build");
    cargo.arg("--root").arg(folder).arg("--target-dir").arg(&build);
    progress::run("cargo install wit-bindgen-cli", &mut cargo, Some(LIMIT))?;
    std::fs::remove_dir_all(&build).map_err(Error::unreadable(&build))
}

const SDK: &str = "airssys-wasm/sdk/c";
const CONTRACT: &str = "wit";

/// As small as it gets, a component rather than a program with a `main`, and without a warning.
const FLAGS: [&str; 7] = ["-target", "wasm32-wasi", "-mexec-model=reactor", "-Os", "-std=gnu17", "-Wall", "-Werror"];

fn build(tool: &Path, guest: &Building) -> Result<(), Error> {
    bindings(guest).map_err(|reason| wrong(guest, "no bindings can be made of its interface", &reason))?;
    let module = guest.between.join("module.wasm");
    let mut compiling = Command::new(tool.join("bin").join("python"));
    // Its C library, which it compiles itself, once.
    compiling.env("ZIG_GLOBAL_CACHE_DIR", tool.join("cache")).env("ZIG_LOCAL_CACHE_DIR", tool.join("cache"));
    compiling.args(["-m", "ziglang", "cc"]).args(FLAGS).arg("-o").arg(&module);
    for folder in [&guest.source, &guest.between].into_iter().chain(&guest.with) {
        compiling.arg("-I").arg(folder);
        let built = files(folder)?.into_iter().filter(|file| file.extension().is_some_and(|is| is == "c" || is == "o"));
        compiling.args(built);
    }
    progress::run(&guest.label, &mut compiling, None)?;
    let module = std::fs::read(&module).map_err(Error::unreadable(&module))?;
    let component = component(&module).map_err(|reason| wrong(guest, "it makes no component", &reason))?;
    write(&guest.component, component)
}

/// Writes a header, a source, and an object that carries the world to the component.
fn bindings(guest: &Building) -> Result<(), String> {
    let mut made = Files::default();
    let mut resolve = Resolve::default();
    resolve.push_dir(root().join(CONTRACT)).map_err(all)?;
    let (package, _) = resolve.push_dir(&guest.wit).map_err(all)?;
    let world = resolve.select_world(&[package], Some(guest.world)).map_err(all)?;
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut made).map_err(all)?;
    for (name, bytes) in made.iter() {
        write(&guest.between.join(name), bytes).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// WASI 0.1, which the C library calls, becomes the WASI of components.
fn component(module: &[u8]) -> Result<Vec<u8>, String> {
    let mut encoder = ComponentEncoder::default();
    let encoder = encoder.validate(true).module(module).map_err(all)?;
    let adapter = (WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER);
    encoder.adapter(adapter.0, adapter.1).map_err(all)?.encode().map_err(all)
}

/// With all its causes.
fn all(error: impl std::fmt::Display) -> String {
    format!("{error:#}")
}

fn wrong(guest: &Building, what: &str, reason: &str) -> Error {
    Error::NotBuilt { guest: guest.source.display().to_string(), reason: format!("{what}: {reason}") }
}
