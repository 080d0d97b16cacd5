//! Programs that nobody here wrote are services as they are, by tool chains that nobody here wrote: out of packages
//! that others publish, and a handler of HTTP that is a library of npm's for the most part. What one answers is what
//! the same binary answers in plain wasmtime; and each is crashed, replaced and rolled back under load. One that no
//! message can crash, since it reads nothing, is killed in its turns by a sibling that crashes.
//!
//! Each kind has a module of its own, whose tests are left out where it cannot be had.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

mod javascript;
mod plain;
mod programs;
mod web;

use std::path::{Path, PathBuf};
use std::time::Duration;

use airssys_tests::calling::Callers;
use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, keeping};
use airssys_wasm::deploy::Progress;
use airssys_wasm::hint::Coded;
use airssys_wasm::message::{DeadLetter, DeadReason};
use airssys_wasm::registry::Release;

/// A mesh with one service, of this component.
async fn of_one(name: &str, component: &Path, more: &str) -> Mesh {
    let topology = format!(
        "name = \"m\"\n[root]\nintensity = 100\n[settings]\nreserve_timeout = \"60s\"\n\
         [[service]]\nname = {name:?}\nrelease = {component:?}\n{more}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let runtime = keeping(folder.path());
    Mesh::start_in(folder, &topology, &[], runtime).await
}

/// The same with a custom section called `next`, and nothing in it: another release that does the same.
fn next(mesh: &Mesh, binary: &[u8]) -> Release {
    let next = mesh.folder.path().join("next.wasm");
    std::fs::write(&next, [binary, &[0, 5, 4], b"next"].concat()).unwrap();
    Release::find(&next).unwrap()
}

/// Crashes a service with `crash`, which it is to end with `how`, replaces it with [`next`] and rolls it back, while
/// callers ask who panic where an answer is not as it should be. The message that crashed it is all that is lost.
async fn crash_replace_and_roll_back(
    mesh: &Mesh,
    name: &str,
    binary: &[u8],
    callers: Callers,
    how: &str,
    crash: impl AsyncFn(&Mesh),
) {
    let first = mesh.runtime.live_digest(name).unwrap();
    callers.more(30).await;
    let crashed = mesh.status(name).crashed;
    crash(mesh).await;
    assert_eq!(mesh.status(name).crashed, crashed + 1);
    callers.more(30).await;
    // Callers wait for a turn of it, and a slow machine for the callers.
    let mut patient = quick();
    patient.handover_deadline = Duration::from_secs(60);
    let deployed = mesh.runtime.deploy(name, next(mesh, binary), patient.clone()).await.unwrap();
    assert_eq!(deployed.ended().await, Progress::Live);
    assert_ne!(mesh.runtime.live_digest(name).unwrap(), first);
    callers.more(30).await;
    assert_eq!(mesh.runtime.rollback(name, patient).unwrap().ended().await, Progress::Live);
    assert_eq!(mesh.runtime.live_digest(name).unwrap(), first);
    callers.more(30).await;
    callers.end().await;
    assert_eq!(mesh.status(name).crashed, crashed + 1);
    let dead = mesh.runtime.dead_letters().1;
    let [DeadLetter { reason: DeadReason::Crashed(crash), .. }] = dead.as_slice() else { panic!("{dead:?}") };
    assert_eq!(crash.code(), how, "{crash}");
}

/// A file of the packages that are installed.
fn package(file: &str) -> PathBuf {
    airssys_tests::tools::tool("programs", file).join(file)
}
