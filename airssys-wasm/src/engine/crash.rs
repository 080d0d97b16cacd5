//! Tells apart the ways in which an instance ends.

use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::abi::NoValue;
use super::guest::Guest;
use super::limiter::Refused;
use super::mappings::TooManyInstances;
use super::p3::TooManyTasks;
use super::wires::WireFailed;
use crate::error::Crash;
use crate::limits::{REASON_BYTES, cut};
use crate::turn::{Frame, NoRandomness};

/// The longest name of a function that is told.
const NAME_BYTES: usize = 256;
/// What wasmtime says when a guest hands over more bytes than its hostcall fuel; it has no type of its own.
const BOUNDARY: &str = "fuel allocated for hostcalls has been exhausted";

/// The crash that an error of wasmtime means for this guest.
pub(super) fn classify(error: &wasmtime::Error, guest: &Guest) -> Crash {
    let limits = &guest.turn.identity.terms.limits;
    if let Some(script) = guest.turn.script.as_deref() {
        script.note_frames(|| frames(error));
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Crash::Exit { status: exit.0 };
    }
    if let Some(full) = error.downcast_ref::<PoolConcurrencyLimitError>() {
        return Crash::NoInstance { detail: full.to_string() };
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return match trap {
            // In a seeded host, where it is counted what a turn computes.
            Trap::OutOfFuel => {
                let planned = guest.planned.as_deref().cloned();
                planned.unwrap_or(Crash::Budget { budget: limits.turn_budget })
            }
            Trap::Interrupt => Crash::Budget { budget: limits.turn_budget },
            Trap::StackOverflow => Crash::StackOverflow { limit_bytes: limits.stack_bytes as u64, at: function(error) },
            // Most guests run into `unreachable` when they are refused memory.
            trap => refused(guest).unwrap_or_else(|| Crash::Trap { trap: name(*trap), at: function(error) }),
        };
    }
    if let Some(failed) = error.downcast_ref::<WireFailed>() {
        return Crash::Wire { detail: cut(failed.to_string(), REASON_BYTES) };
    }
    if let Some(no) = error.downcast_ref::<NoValue>() {
        return Crash::Trap { trap: format!("it gave {no}"), at: None };
    }
    if let Some(none) = error.downcast_ref::<NoRandomness>() {
        return Crash::Trap { trap: none.to_string(), at: function(error) };
    }
    if let Some(many) = error.downcast_ref::<TooManyTasks>() {
        guest.turn.identity.reach("resources", many);
        return Crash::Trap { trap: many.to_string(), at: function(error) };
    }
    if let Some(full) = error.downcast_ref::<TooManyInstances>() {
        return Crash::NoInstance { detail: full.to_string() };
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
        let trap = format!("too many resources of WASI at a time: the limit `resources` is {}", limits.resources);
        guest.turn.identity.reach("resources", &trap);
        return Crash::Trap { trap, at: function(error) };
    }
    if error.chain().any(is_no_memory) {
        let detail = format!("the kernel gave no memory, or no mapping of it (vm.max_map_count of sysctl): {error:#}");
        return Crash::NoInstance { detail: cut(detail, REASON_BYTES) };
    }
    if error.chain().any(|cause| cause.to_string().contains(BOUNDARY)) {
        return Crash::Oversized { limit_bytes: limits.boundary_bytes as u64 };
    }
    refused(guest).unwrap_or_else(|| Crash::Host { detail: cut(format!("{error:#}"), REASON_BYTES) })
}

/// Whether the kernel has said that there is no memory: wasmtime tells what it said.
fn is_no_memory(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::{Error, ErrorKind::OutOfMemory};
    error.downcast_ref::<Error>().is_some_and(|error| error.kind() == OutOfMemory)
        || error.downcast_ref::<rustix::io::Errno>() == Some(&rustix::io::Errno::NOMEM)
}

/// What a turn was refused that then did not go well.
fn refused(guest: &Guest) -> Option<Crash> {
    let limits = &guest.turn.identity.terms.limits;
    Some(match guest.limiter.refused.as_ref()? {
        Refused::Memory => Crash::OutOfMemory { limit_bytes: limits.memory_bytes },
        Refused::Elements => Crash::OutOfElements { limit_elements: limits.table_elements },
        Refused::Growth(detail) => Crash::NoMemory { detail: detail.clone() },
    })
}

fn name(trap: Trap) -> String {
    let text = trap.to_string();
    text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned()
}

/// The functions that ran, the innermost first, as many as the engine remembers.
#[cold]
fn frames(error: &wasmtime::Error) -> Vec<Frame> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let frame = |frame: &wasmtime::FrameInfo| Frame {
        function: frame.func_name().map(|name| cut(name.to_owned(), NAME_BYTES)),
        index: frame.func_index(),
        offset: frame.module_offset().and_then(|offset| u64::try_from(offset).ok()),
    };
    backtrace.frames().iter().map(frame).collect()
}

/// The innermost guest function that the binary names.
fn function(error: &wasmtime::Error) -> Option<String> {
    let backtrace = error.downcast_ref::<WasmBacktrace>()?;
    backtrace.frames().iter().find_map(|frame| frame.func_name()).map(|name| cut(name.to_owned(), NAME_BYTES))
}
