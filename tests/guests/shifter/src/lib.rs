//! One of several releases of a counter. Which one it is stands in [`VARIANT`], which a test overwrites in the built
//! binary: so that the releases differ in their bytes and in what they do, and in nothing else.

use std::hint::black_box;

use airssys_sdk::prelude::*;
use serde::{Deserialize, Serialize};

/// What this release is: a name that it answers with, and a way to misbehave, padded with dots.
static VARIANT: [u8; 40] = *b"variant=one,healthy.....................";

#[derive(Deserialize)]
struct Numbered {
    /// Who sends.
    from: String,
    /// The sender's own count, from 1.
    number: u64,
    /// Whether the answer is to have nothing that another instance would not say.
    #[serde(default)]
    plain: bool,
}

#[derive(Serialize)]
struct Counted {
    /// The release that answers.
    release: String,
    /// Messages that this instance has handled, this one included.
    seen: u64,
}

#[derive(Default)]
struct Shifter {
    seen: u64,
}

#[component]
impl Shifter {
    fn init() -> Result<Self> {
        match way().as_str() {
            "init-fails" => return Err(Fault::internal("this release does not start")),
            "init-traps" => panic!("this release traps when it starts"),
            "init-hangs" => loop {
                black_box(0);
            },
            "init-grows" => grow(),
            // Long, and within what a start may take.
            "init-slow" => work(10_000_000),
            "init-counts" => {
                state::increment("starts", 1)?;
            }
            _ => {}
        }
        Ok(Self::default())
    }

    fn check(&self) -> Result<()> {
        if way() == "check-fails" || way() == "wrong-answers" && self.seen > 3 {
            Err(Fault::internal("this release is not well"))
        } else {
            Ok(())
        }
    }

    fn handle(&mut self, message: Numbered) -> Result<Counted> {
        self.seen += 1;
        if way() == "grows-on-4" && self.seen == 4 {
            grow();
        }
        if way() == "refuses-probes" && message.from == "probe" {
            return Err(Fault::refused("this release answers no probe"));
        }
        if way() == "hangs" {
            loop {
                black_box(0);
            }
        }
        if way() == "slow" {
            // As long as fifty of the others, and still within what a turn may take.
            work(3_000_000);
        }
        if way() == "slower" {
            // Some milliseconds on any machine.
            work(60_000_000);
        }
        if way().strip_prefix("crashes-on-").is_some_and(|number| number == self.seen.to_string()) {
            panic!("this release crashes on its message number {}", self.seen);
        }
        // What arrives twice, too late or too early is counted, for the test to see.
        let last: u64 = state::get(&message.from)?.unwrap_or_default();
        if message.number != last + 1 {
            state::increment("out of order", 1)?;
        }
        state::set(&message.from, &message.number)?;
        state::increment("handled", if way() == "counts-twice" { 2 } else { 1 })?;
        let (release, seen) = if message.plain { (String::new(), 0) } else { (name(), self.seen) };
        Ok(Counted { release, seen: if way() == "wrong-answers" { u64::MAX } else { seen } })
    }
}

fn work(steps: u32) {
    (0..steps).for_each(|number| _ = black_box(number));
}

/// Takes more memory than it may.
fn grow() {
    black_box(vec![1_u8; 8 << 20]);
}

fn text() -> String {
    String::from_utf8_lossy(black_box(&VARIANT).as_slice())
        .trim_start_matches("variant=")
        .trim_end_matches('.')
        .to_owned()
}

fn name() -> String {
    text().split(',').next().unwrap_or_default().to_owned()
}

fn way() -> String {
    text().split(',').nth(1).unwrap_or_default().to_owned()
}
