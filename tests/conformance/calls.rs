//! What a component sends to others, and what it asks of them.

use serde_json::json;

use crate::conformance::suite::Expected::{Error, Has, Is};
use crate::conformance::suite::Step::{Call, Send, State};

const PEER: &str = r#"
    grants = { send = ["**"], call = ["**"] }
    [[service]]
    name = "peer"
    release = "@peer"
    limits = { message = "1KiB", turn_deadline = "200ms" }
    mailbox = { capacity = 2, overflow = "refuse" }
    grants = { call = ["tested"] }
"#;

table! {
    /// What is sent arrives when the turn has ended, in the order in which it was sent.
    what_is_sent_arrives_in_order {
        PEER,
        [
            Call(
                "tested",
                json!({ "do": "all", "of": [
                    { "do": "send", "to": "peer", "body": { "do": "append", "key": "came", "value": "für" } },
                    { "do": "send", "to": "peer", "body": { "do": "append", "key": "came", "value": 2 } },
                ] }),
                Is(json!([null, null])),
            ),
            State("peer", "came", json!(["für", 2])),
        ]
    }

    /// The answer comes as it was given; who asked is known to the one that answers.
    a_call_is_answered {
        PEER,
        [
            Call(
                "tested",
                json!({
                    "do": "call",
                    "to": "peer",
                    "timeout_ms": 60_000,
                    "body": { "do": "echo", "value": [1, "ü"] },
                }),
                Is(json!([1, "ü"])),
            ),
            Call(
                "tested",
                json!({ "do": "call", "to": "peer", "timeout_ms": 60_000, "body": { "do": "nothing" } }),
                Is(json!(null)),
            ),
            Call(
                "tested",
                json!({ "do": "call", "to": "peer", "timeout_ms": 60_000, "body": { "do": "context" } }),
                Has(json!({ "address": "peer", "sender": "tested", "delivery": "call", "has-time": true })),
            ),
        ]
    }

    /// Why there is no answer is told, and what is known of it.
    why_a_call_is_not_answered_is_told {
        PEER,
        [
            Call(
                "tested",
                json!({
                    "do": "call",
                    "to": "peer",
                    "timeout_ms": 60_000,
                    "body": { "do": "fault", "kind": "invalid", "reason": "a" },
                }),
                Is(json!({ "error": "fault/invalid", "text": "a" })),
            ),
            Call(
                "tested",
                json!({
                    "do": "call",
                    "to": "peer",
                    "timeout_ms": 60_000,
                    "body": { "do": "fault", "kind": "refused", "reason": "b" },
                }),
                Is(json!({ "error": "fault/refused", "text": "b" })),
            ),
            Call(
                "tested",
                json!({
                    "do": "call",
                    "to": "peer",
                    "timeout_ms": 60_000,
                    "body": { "do": "fault", "kind": "unavailable", "reason": "c" },
                }),
                Is(json!({ "error": "fault/unavailable", "text": "c" })),
            ),
            Call(
                "tested",
                json!({
                    "do": "call",
                    "to": "peer",
                    "timeout_ms": 60_000,
                    "body": { "do": "fault", "kind": "internal", "reason": "d" },
                }),
                Is(json!({ "error": "fault/internal", "text": "d" })),
            ),
            Call(
                "tested",
                json!({ "do": "call", "to": "peer", "timeout_ms": 60_000, "body": { "do": "trap" } }),
                Error("crashed", "trap"),
            ),
            Call(
                "tested",
                json!({ "do": "call", "to": "nobody", "timeout_ms": 60_000, "body": 1 }),
                Error("not-sent/no-such-service", "nobody"),
            ),
            Call(
                "tested",
                json!({ "do": "call", "to": "peer", "timeout_ms": 60_000, "body": "x".repeat(2_000) }),
                Is(json!({ "error": "not-sent/too-large", "text": "1024" })),
            ),
            Call(
                "tested",
                json!({
                    "do": "call",
                    "to": "peer",
                    "timeout_ms": 60_000,
                    "body": { "do": "call", "to": "tested", "timeout_ms": 60_000, "body": 1 },
                }),
                Is(json!({ "error": "deadlock", "text": "" })),
            ),
            Call(
                "tested",
                json!({ "do": "call", "to": "peer", "timeout_ms": 20, "body": { "do": "sleep", "ms": 60_000 } }),
                Is(json!({ "error": "timeout", "text": "" })),
            ),
        ]
    }

    /// Why something is not sent is told, and the turn goes on.
    why_something_is_not_sent_is_told {
        PEER,
        [
            Call(
                "tested",
                json!({ "do": "all", "of": [
                    { "do": "send", "to": "nobody", "body": 1 },
                    { "do": "send", "to": "peer", "body": "x".repeat(2_000) },
                    { "do": "send", "to": "peer", "body": { "do": "append", "key": "came", "value": 1 } },
                    { "do": "send", "to": "peer", "body": { "do": "append", "key": "came", "value": 2 } },
                    { "do": "send", "to": "peer", "body": { "do": "append", "key": "came", "value": 3 } },
                ] }),
                Is(json!([
                    { "error": "no-such-service", "text": "no service \"nobody\"" },
                    { "error": "too-large", "text": "1024" },
                    null,
                    null,
                    { "error": "overloaded", "text": "" },
                ])),
            ),
            State("peer", "came", json!([1, 2])),
        ]
    }

    /// An actor of a keyed service knows its address and its key, and has a state of its own.
    each_key_has_an_actor {
        "keyed = {}\ngrants = { send = [\"**\"], call = [\"**\"] }",
        [
            Call("tested/a", json!({ "do": "context" }), Has(json!({ "address": "tested/a", "key": "a" }))),
            Call("tested/a", json!({ "do": "set", "key": "x", "value": "of a" }), Is(json!(null))),
            Call("tested/b", json!({ "do": "get", "key": "x" }), Is(json!(null))),
            Send(
                "tested/a",
                json!({ "do": "send", "to": "tested", "key": "b", "body": { "do": "keep-context", "key": "seen" } }),
            ),
            State("tested/b", "seen", json!({
                "address": "tested/b", "sender": "tested/a", "key": "b", "delivery": "send", "topic": null,
                "has-time": false, "attempt": 0,
            })),
            Call(
                "tested/a",
                json!({ "do": "call", "to": "tested", "key": "b", "timeout_ms": 60_000, "body": { "do": "address" } }),
                Is(json!("tested/b")),
            ),
        ]
    }
}
