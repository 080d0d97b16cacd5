//! Adds up what it is told. Its functions do what a query may, and what it may not.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        world: "acme:tally/tally",
        path: ["../../../wit", "wit"],
        generate_all,
        pub_export_macro: true,
    });
}

bindings::export!(Tally with_types_in bindings);

use std::sync::atomic::{AtomicU32, Ordering};

use bindings::airssys::actor::messaging;
use bindings::exports::acme::tally::book::Guest;
use bindings::exports::airssys::actor::upgrade::{Fault, Guest as Upgrade};
use bindings::wasi::keyvalue::{atomics, store};

const TOTAL: &str = "total";

/// How often this instance was asked.
static ASKED: AtomicU32 = AtomicU32::new(0);

struct Tally;

#[allow(clippy::unwrap_used, reason = "it is its own state")]
fn bucket() -> store::Bucket {
    store::open("").unwrap()
}

#[allow(clippy::unwrap_used, reason = "it is its own state")]
fn read() -> u64 {
    let kept = bucket().get(TOTAL).unwrap();
    kept.map_or(0, |kept| String::from_utf8_lossy(&kept).parse().unwrap())
}

#[allow(clippy::unwrap_used, reason = "it may write where it is no query")]
fn write(amount: u64) -> u64 {
    let total = read() + amount;
    bucket().set(TOTAL, total.to_string().as_bytes()).unwrap();
    total
}

fn told<T, E: std::fmt::Debug>(name: &str, done: Result<T, E>) -> String {
    match done {
        Ok(_) => format!("{name}: done"),
        Err(error) => format!("{name}: {error:?}"),
    }
}

impl Upgrade for Tally {
    fn snapshot() -> Result<Option<Vec<u8>>, Fault> {
        Ok(None)
    }

    fn restore(_snapshot: Vec<u8>) -> Result<(), Fault> {
        Ok(())
    }

    fn migrate(_from: u32) -> Result<(), Fault> {
        Ok(())
    }
}

impl Guest for Tally {
    fn add(amount: u64) -> u64 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        write(amount)
    }

    #[allow(clippy::empty_loop, reason = "it is to be cut off")]
    fn add_for_ever(amount: u64) {
        let _total = write(amount);
        loop {}
    }

    fn total() -> u64 {
        read()
    }

    fn asked() -> u32 {
        ASKED.fetch_add(1, Ordering::Relaxed)
    }

    fn meddle() -> Vec<String> {
        let own = messaging::self_address();
        vec![
            told("set", bucket().set(TOTAL, b"1")),
            told("delete", bucket().delete(TOTAL)),
            told("increment", atomics::increment(&bucket(), "count", 1)),
            told("send", messaging::send(&own, None, b"x")),
            told("call", messaging::call(&own, None, b"x", 1_000)),
            told("publish", messaging::publish("news", b"x")),
            told("timer", messaging::send_after(1, b"x")),
        ]
    }

    #[allow(clippy::panic, reason = "it is asked to")]
    fn crash() -> u64 {
        panic!("on purpose")
    }
}
