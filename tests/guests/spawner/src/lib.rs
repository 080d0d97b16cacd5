//! Spawns a child a message, without WASI and in the sync lane. It has no `down`, so that it cannot monitor.

use airssys_sdk::prelude::*;

#[component]
fn spawner(name: String) -> Result<String> {
    let child = spawn("worker", &name)?;
    send(&child, "count")?;
    match monitor(&child) {
        Err(SupervisionError::Deaf) => Ok(child),
        other => Err(Fault::internal(format_args!("{other:?}"))),
    }
}
