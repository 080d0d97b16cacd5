//! Which toolchain builds the guests: rustup's, where its standard library for the target is installed, else Debian's
//! `rustc-web` with `build-std`, else none, and then it is told what is missing.
//!
//! `Probe` looks at the machine and decides nothing; `choose` is pure. Installs nothing: `cargo xtask guests` does that
//! for this repository.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::BuildError;

/// The oldest Rust that the SDK compiles with, as (major, minor).
const OLDEST: (u32, u32) = (1, 95);
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_WASI_LIBC: &str = "/usr/lib/wasm32-wasi";

/// What a module is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// WASI 0.2: the linker makes the component.
    WasiP2,
    /// WASI 0.1: the adapter makes it WASI 0.2.
    WasiP1,
    /// No WASI.
    Unknown,
}

impl Target {
    /// As rustc names it.
    pub(super) fn triple(self) -> &'static str {
        match self {
            Self::WasiP2 => "wasm32-wasip2",
            Self::WasiP1 => "wasm32-wasip1",
            Self::Unknown => "wasm32-unknown-unknown",
        }
    }
}

/// Who compiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Toolchain {
    /// The active Rust, with its own standard library for the target.
    Rustup,
    /// Debian's Rust, which compiles the standard library too, and this linker.
    Debian { linker: PathBuf },
}

impl Toolchain {
    /// A folder name: artefacts of different toolchains do not mix.
    pub(super) fn folder(&self) -> &'static str {
        match self {
            Self::Rustup => "rustup",
            Self::Debian { .. } => "debian",
        }
    }
}

/// How to build one kind of guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) toolchain: Toolchain,
    pub(super) target: Target,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.toolchain {
            Toolchain::Rustup => "the active toolchain",
            Toolchain::Debian { .. } => "Debian's rustc, compiling the standard library too (cached afterwards)",
        };
        write!(f, "{} with {by}", self.target.triple())
    }
}

impl Plan {
    /// Cargo, and how it differs from plain `cargo`: for programs, or for libraries.
    pub(super) fn cargo(&self, of_programs: bool) -> Command {
        let Toolchain::Debian { linker } = &self.toolchain else {
            return Command::new("cargo");
        };
        let mut cargo = Command::new(DEBIAN_CARGO);
        // A cargo that runs us leaves its own toolchain in these.
        for foreign in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTDOC", "LD_LIBRARY_PATH", "RUSTFLAGS", "RUSTC_WRAPPER"] {
            cargo.env_remove(foreign);
        }
        // build-std is unstable; Debian's compiler and Debian's library sources are of one version, so that here it
        // holds.
        cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", DEBIAN_RUSTC).args(["-Z", "build-std=std,panic_abort"]);
        let mut flags = vec![format!("-Clinker={}", linker.display())];
        if self.target == Target::WasiP1 {
            flags.push(format!("-Lnative={DEBIAN_WASI_LIBC}"));
            flags.push("-Clink-self-contained=no".to_owned());
            if of_programs {
                // What calls `main`.
                flags.push(format!("-Clink-arg={DEBIAN_WASI_LIBC}/crt1-command.o"));
            }
        }
        // The encoded form, so that a path may hold a space.
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        cargo
    }
}

/// What the machine has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Probe {
    /// The active Rust has a standard library for `wasm32-wasip2`.
    wasi_p2: bool,
    /// The active Rust has a standard library for `wasm32-unknown-unknown`.
    unknown: bool,
    /// The version of `/usr/bin/rustc`, where it stands beside `/usr/bin/cargo`.
    debian: Option<(u32, u32)>,
    /// Debian's sources of the standard library.
    debian_sources: bool,
    wasi_libc: bool,
    /// A linker for wasm: rustup's `rust-lld`, or `wasm-ld`.
    linker: Option<PathBuf>,
}

impl Probe {
    /// Looks at this machine. `dir` matters, as a folder may choose its own toolchain.
    pub(super) fn of_machine(dir: &Path) -> Self {
        let active = ask("rustc", &["--print", "sysroot"], dir).map(PathBuf::from);
        let has = |triple: &str| active.as_ref().is_some_and(|root| root.join("lib/rustlib").join(triple).is_dir());
        let debian = if Path::new(DEBIAN_CARGO).is_file() {
            ask(DEBIAN_RUSTC, &["--version"], dir).as_deref().and_then(version)
        } else {
            None
        };
        Self {
            wasi_p2: has("wasm32-wasip2"),
            unknown: has("wasm32-unknown-unknown"),
            debian,
            debian_sources: Path::new("/usr/lib/rustlib/src/rust/library/std").is_dir(),
            wasi_libc: Path::new(DEBIAN_WASI_LIBC).join("libc.a").is_file(),
            linker: active.as_deref().and_then(rust_lld).or_else(wasm_ld),
        }
    }
}

/// Chooses how to build guests with, or without, WASI.
pub(super) fn choose(probe: &Probe, wasi: bool) -> Result<Plan, BuildError> {
    let (installed, wanted, fallback) = match wasi {
        true => (probe.wasi_p2, Target::WasiP2, Target::WasiP1),
        false => (probe.unknown, Target::Unknown, Target::Unknown),
    };
    if installed {
        return Ok(Plan { toolchain: Toolchain::Rustup, target: wanted });
    }
    let missing = missing(probe, wasi);
    match (&probe.linker, missing.is_empty()) {
        (Some(linker), true) => Ok(Plan { toolchain: Toolchain::Debian { linker: linker.clone() }, target: fallback }),
        _ => Err(BuildError::NoToolchain {
            wanted: wanted.triple(),
            missing: format!(
                "the active Rust has no standard library for it, and of Debian's there is no {}",
                missing.join(", no ")
            ),
            remedy: format!(
                "`rustup target add {}`, or on Debian `apt-get install rustc-web cargo-web rust-web-src wasi-libc lld`",
                wanted.triple()
            ),
        }),
    }
}

fn missing(probe: &Probe, wasi: bool) -> Vec<&'static str> {
    let parts = [
        (probe.debian.is_some_and(|found| found >= OLDEST), "rustc-web and cargo-web (1.95 or later)"),
        (probe.debian_sources, "rust-web-src"),
        (probe.wasi_libc || !wasi, "wasi-libc"),
        (probe.linker.is_some(), "rust-lld or wasm-ld"),
    ];
    parts.into_iter().filter(|(there, _)| !there).map(|(_, name)| name).collect()
}

/// `rustc 1.96.0 (…)` to (1, 96).
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.strip_prefix("rustc ")?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn rust_lld(sysroot: &Path) -> Option<PathBuf> {
    let hosts = std::fs::read_dir(sysroot.join("lib/rustlib")).ok()?;
    hosts.flatten().map(|host| host.path().join("bin").join("rust-lld")).find(|lld| lld.is_file())
}

fn wasm_ld() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("wasm-ld")).find(|lld| lld.is_file())
}

/// The first line that a program prints; none where it is not there or fails.
fn ask(program: &str, args: &[&str], dir: &Path) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(dir).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn debian() -> Probe {
        Probe {
            wasi_p2: false,
            unknown: false,
            debian: Some((1, 96)),
            debian_sources: true,
            wasi_libc: true,
            linker: Some("/lld".into()),
        }
    }

    #[test]
    fn rustup_comes_first() {
        let both = Probe { wasi_p2: true, unknown: true, ..debian() };
        assert_eq!(choose(&both, true).unwrap(), Plan { toolchain: Toolchain::Rustup, target: Target::WasiP2 });
        assert_eq!(choose(&both, false).unwrap(), Plan { toolchain: Toolchain::Rustup, target: Target::Unknown });
    }

    #[test]
    fn one_of_rustups_targets_does_not_stand_for_the_other() {
        let one = Probe { wasi_p2: true, ..debian() };
        assert_eq!(choose(&one, false).unwrap().toolchain.folder(), "debian");
    }

    #[test]
    fn debian_adapts_wasi_0_1() {
        assert_eq!(choose(&debian(), true).unwrap().target, Target::WasiP1);
        assert_eq!(choose(&debian(), false).unwrap().target, Target::Unknown);
    }

    #[test]
    fn wasi_libc_is_needed_for_wasi_only() {
        let without = Probe { wasi_libc: false, ..debian() };
        assert!(choose(&without, false).is_ok());
        assert!(choose(&without, true).is_err());
    }

    #[test]
    fn what_is_missing_is_named() {
        let old = Probe { debian: Some((1, 63)), linker: None, ..debian() };
        let Err(BuildError::NoToolchain { missing, remedy, .. }) = choose(&old, true) else { unreachable!() };
        assert!(missing.contains("rustc-web") && missing.contains("wasm-ld") && !missing.contains("wasi-libc"));
        assert!(remedy.contains("rustup target add wasm32-wasip2"));
        assert!(choose(&Probe::default(), false).is_err());
    }

    #[test]
    fn a_version_is_read() {
        assert_eq!(version("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)"), Some((1, 96)));
        assert_eq!(version("clang 14"), None);
    }
}
