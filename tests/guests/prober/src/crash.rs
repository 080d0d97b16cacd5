//! The ways an instance can end, each written so that the optimiser leaves it what it says.
//!
//! The one module with `unsafe`: two of these cannot be said without it, as Rust's checks come first.

#![allow(unsafe_code, reason = "Rust would check before the instruction could trap")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use airssys_sdk::prelude::*;
use prober_protocol::Trap;

/// Ends the instance.
pub(crate) fn crash(how: Trap) -> ! {
    match how {
        Trap::Panic => panic!("told to panic"),
        Trap::Unreachable => unreachable(),
        Trap::DivideByZero => divide_by_zero(),
        Trap::OutOfBounds => out_of_bounds(),
        Trap::StackOverflow => {
            black_box(deeper(black_box(0)));
        }
        Trap::EndlessLoop => {}
        Trap::OutOfMemory => out_of_memory(),
        Trap::AllMemory => all_memory(),
        Trap::EndlessLog => loop {
            info!("and on");
        },
    }
    endless()
}

/// Computes for this long. Looks at the clock now and then only, so that it is the guest that is busy and not the host.
pub(crate) fn busy(time: Duration) {
    let begun = Instant::now();
    let mut sum = 0_u64;
    while begun.elapsed() < time {
        for step in 0..10_000_u64 {
            sum = black_box(sum.wrapping_mul(31).wrapping_add(step));
        }
    }
}

/// A loop without end.
pub(crate) fn endless() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

#[cfg(target_family = "wasm")]
fn unreachable() {
    core::arch::wasm32::unreachable()
}

/// For clippy on the host; this guest runs nowhere but in wasm.
#[cfg(not(target_family = "wasm"))]
fn unreachable() {
    std::process::abort()
}

fn divide_by_zero() {
    let zero = black_box(0_u32);
    // SAFETY: none, on purpose: this takes away Rust's own check, so that the instruction traps. The compiler cannot
    // see that it is zero.
    unsafe { std::hint::assert_unchecked(zero != 0) };
    black_box(black_box(1_u32) / zero);
}

fn out_of_bounds() {
    let beyond = black_box(usize::MAX - 15) as *const u8;
    // SAFETY: none, on purpose: no linear memory of a test reaches that far, so the load traps.
    black_box(unsafe { beyond.read_volatile() });
}

/// Not a tail call, and nothing that could be gathered up into a loop: each level needs the one below before it
/// rotates. Keeps nothing in linear memory, so that it is the call stack that ends.
#[inline(never)]
fn deeper(level: u64) -> u64 {
    if level == u64::MAX {
        return 0;
    }
    deeper(level + 1).rotate_left(7) ^ level
}

/// By the instruction: no allocator asks for more than half of the address space at once.
#[cfg(target_family = "wasm")]
fn all_memory() {
    use core::arch::wasm32::{memory_grow, memory_size};
    const MOST_PAGES: usize = 65_536;
    if memory_grow::<0>(MOST_PAGES - memory_size::<0>()) == usize::MAX {
        unreachable();
    }
}

#[cfg(not(target_family = "wasm"))]
fn all_memory() {
    std::process::abort()
}

fn out_of_memory() {
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1_u8; 1 << 20]));
    }
}
