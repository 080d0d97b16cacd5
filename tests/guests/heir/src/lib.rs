//! One of several releases of a counter that hand their memory over and bring each other's state over. Which one it is
//! stands in [`VARIANT`], which a test overwrites in the built binary.
//!
//! Schema 0 keeps the count as it is, under `handled`; schema 1 and later ones keep it doubled, under `doubled`. A
//! state to which somebody called `marked` has sent is one that a release can be told to fail over, and over no other.

use std::hint::black_box;

use airssys_sdk::prelude::*;
use serde::{Deserialize, Serialize};

/// What this release is: a name that it answers with, a way to misbehave, and its schema, padded with dots.
static VARIANT: [u8; 40] = *b"variant=one,healthy.....................";

#[derive(Deserialize)]
struct Numbered {
    /// Who sends.
    from: String,
    /// The sender's own count, from 1.
    number: u64,
}

#[derive(Serialize)]
struct Counted {
    /// The release that answers.
    release: String,
    /// Messages that this instance and those that handed over to it have handled, this one included.
    seen: u64,
}

/// What it hands over.
#[derive(Serialize)]
#[serde(untagged)]
enum Memory {
    Seen(u64),
    /// More than it may hand over.
    Large(String),
}

#[derive(Default)]
struct Heir {
    seen: u64,
    /// Messages that this instance has handled itself.
    own: u64,
}

#[component]
impl Heir {
    fn init() -> Result<Self> {
        let (mine, other) = keys();
        // It never starts over a state that it does not know. A member of a pool has none yet.
        if state::exists(other).unwrap_or(false) {
            return Err(Fault::internal(format!("found {other:?}, and keeps {mine:?}")));
        }
        if way() == "starts-once" && state::exists(mine)? {
            return Err(Fault::internal("this release starts over nothing but an empty state"));
        }
        if way() == "init-waits" {
            // Long enough for a turn of the release before.
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        Ok(Self::default())
    }

    fn handle(&mut self, message: Numbered) -> Result<Counted> {
        misbehave("handle")?;
        (self.seen, self.own) = (self.seen + 1, self.own + 1);
        if way() == "crashes-on-4" && self.own == 4 {
            panic!("this release crashes on its fourth message");
        }
        let last: u64 = state::get(&message.from)?.unwrap_or_default();
        if message.number != last + 1 {
            state::increment("out of order", 1)?;
        }
        state::set(&message.from, &message.number)?;
        state::increment(keys().0, if schema() == 0 { 1 } else { 2 })?;
        Ok(Counted { release: name(), seen: self.seen })
    }

    fn snapshot(&self) -> Result<Memory> {
        misbehave("snapshot")?;
        Ok(match way().as_str() {
            "snapshot-large" => Memory::Large("x".repeat(1 << 18)),
            // As much as it can put together in a memory of 32 MiB.
            "snapshot-giant" => Memory::Large("x".repeat(7 << 20)),
            _ => Memory::Seen(self.seen),
        })
    }

    fn restore(&mut self, seen: u64) -> Result<()> {
        misbehave("restore")?;
        self.seen = seen;
        Ok(())
    }

    fn migrate(from: u32) -> Result<()> {
        let (mine, other) = keys();
        if from > schema() && way() != "both-ways" {
            if way() == "back-waits" {
                std::thread::sleep(std::time::Duration::from_secs(3_600));
            }
            return Err(Fault::refused("this release does not know newer schemas"));
        }
        if way() == "tells-from" {
            state::set("brought over from", &from)?;
        }
        let old = state::increment(other, 0)?;
        state::delete(other)?;
        state::increment(mine, if schema() == 0 { old / 2 } else { old * 2 })?;
        // Only now: what it has written must not be seen.
        if state::exists("marked")? {
            misbehave("marked")?;
        }
        misbehave("migrate")
    }
}

fn misbehave(during: &str) -> Result<()> {
    match way().strip_prefix(during) {
        Some("-fails") => Err(Fault::internal(format!("this release fails in {during}"))),
        Some("-traps") => panic!("this release traps in {during}"),
        Some("-hangs") => loop {
            black_box(0);
        },
        // More than it may have.
        Some("-grows") => {
            black_box(vec![1_u8; 8 << 20]);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Where this release keeps the count, and where the others do.
fn keys() -> (&'static str, &'static str) {
    if schema() == 0 { ("handled", "doubled") } else { ("doubled", "handled") }
}

fn part(at: usize) -> String {
    let text = String::from_utf8_lossy(black_box(&VARIANT).as_slice()).into_owned();
    let text = text.trim_start_matches("variant=").trim_end_matches('.');
    text.split(',').nth(at).unwrap_or_default().to_owned()
}

fn name() -> String {
    part(0)
}

fn way() -> String {
    part(1)
}

fn schema() -> u32 {
    part(2).parse().unwrap_or_default()
}
