//! A guest that means harm makes the host hold no more than its limits say, and its siblings answer meanwhile.
//!
//! One test, since it measures its process.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use airssys_tests::{Mesh, footprint};
use prober_protocol::{Command, Flooded};

/// Has a prober do the same again and again in one turn.
async fn again(mesh: &Mesh, times: u64, command: Command) -> Flooded {
    serde_json::from_value(mesh.ok("villain", &Command::Times(times, Box::new(command))).await).unwrap()
}

const MEBI: u64 = 1 << 20;

/// Nothing is granted. A turn may compute for long, since the machine may be slow.
fn topology(grants: &str) -> String {
    let limits = "limits = { turn_budget = \"60s\", turn_deadline = \"2m\" }";
    format!(
        "name = \"hostile\"\n[root]\nintensity = 1000\n[[service]]\nname = \"villain\"\nrelease = \"@prober\"\n{limits}\n{grants}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_without_a_grant_makes_the_host_hold_is_bounded_in_bytes() {
    let mesh = Mesh::start(&topology("")).await;
    // Once, so that the instance has the memory it needs for the largest message.
    again(&mesh, 1, Command::SendBytes { to: "villain".into(), bytes: 1_000_000 }).await;
    mesh.until("it has handled that", |mesh| mesh.dead().len() == 1).await;
    let before = footprint().resident_bytes;

    for round in 0..12 {
        let flooded = again(&mesh, 100, Command::SendBytes { to: "villain".into(), bytes: 1_000_000 }).await;
        // Its effects may have 16 MiB, and its mailbox as much.
        assert!((8..=16).contains(&flooded.sent), "{flooded:?}");
        assert_eq!(flooded.last.as_deref(), Some("overloaded"));
        let grown = footprint().resident_bytes.saturating_sub(before);
        // Effects, which are the messages in the mailbox, 64 MiB of dead letters, and what the allocator keeps.
        assert!(grown < 160 * MEBI, "round {round}: {} MiB", grown / MEBI);
    }
    mesh.until("all of them are dead letters", |mesh| mesh.status("villain").queued == 0).await;
    let (total, kept) = mesh.runtime.dead_letters();
    assert!(total >= 12 * 8 && (50..=67).contains(&kept.len()), "{total} letters, {} of them kept", kept.len());
    mesh.stop().await;
}
