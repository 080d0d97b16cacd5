//! The tree of `examples/faults`: what is wrong with it as it was written first is found, and told in a few steps; the
//! one that was mended is sound.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::path::{Path, PathBuf};

use airssys_tests::command::Desk;
use serde_json::Value;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/faults").canonicalize().unwrap()
}

/// The example in a folder of its own.
fn desk() -> Desk {
    let desk = Desk::new();
    for file in ["airssys.toml", "before.toml", "airssys.test.toml", "before.test.toml"] {
        let text = std::fs::read_to_string(example().join(file)).unwrap();
        desk.write(file, text.replace("\"guests/", &format!("\"{}/", example().join("guests").display())));
    }
    desk
}

#[test]
fn the_tree_that_charges_twice_is_found_and_shrunk_to_a_few_steps() {
    let desk = desk();
    let found =
        desk.run(&["test", "before.test.toml", "--json", "--shrink-for", "10m"]).refused(1, "AE101", &["taken"]);
    let told: Value = serde_json::from_str(&found.stdout).unwrap();
    let to = &told["shrunk"]["to"];
    let steps: u64 = ["messages", "faults", "kills", "pauses"].iter().map(|of| to[of].as_u64().unwrap()).sum();
    assert!(steps <= 10, "{told:#}");
    let broken = told["shrunk"]["tried"]["broken"][0].as_str().unwrap();
    assert!(
        broken.contains("payments \"taken\" is 500, and orders \"sold\" is 250"),
        "one was charged twice: {broken}"
    );
    // What it prints fails in the same way, and holds where the tree is mended.
    let file = told["shrunk"]["file"].as_str().unwrap();
    desk.write("short.test.toml", file);
    let _again = desk.run(&["test", "short.test.toml"]).refused(1, "AE101", &["taken"]);
    desk.write("mended.test.toml", file.replace("before.toml", "airssys.toml"));
    let _holds = desk.run(&["test", "mended.test.toml"]).well();
}

#[test]
fn the_mended_tree_is_sound() {
    let well = desk().run(&["test", "--json"]).well();
    let told: Value = serde_json::from_str(&well.stdout).unwrap();
    assert_eq!((&told["runs"], &told["failure"]), (&100.into(), &Value::Null), "{told:#}");
    assert_eq!(told["missed"], Value::Array(Vec::new()), "each fault came at each service: {told:#}");
}
