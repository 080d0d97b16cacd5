//! What a turn does happens all together, or not at all.

use serde_json::{Value, json};

use crate::conformance::suite::Expected::{Crashed, Fault, Is};
use crate::conformance::suite::Step::{Call, State};

const WATCHED: &str = r#"
    limits = { turn_budget = "200ms" }
    grants = { send = ["peer"], call = ["peer"], publish = ["news/*"] }
    [[service]]
    name = "peer"
    release = "@peer"
    grants = { subscribe = ["news/*"] }
"#;

/// All that is held back until a turn ends well, and then this.
fn all(mark: &str, last: Value) -> Value {
    json!({ "do": "all", "of": [
        { "do": "set", "key": "mark", "value": mark },
        { "do": "increment", "key": "count", "by": 1 },
        { "do": "send", "to": "peer", "body": { "do": "append", "key": "came", "value": format!("sent {mark}") } },
        {
            "do": "publish",
            "topic": "news/a",
            "body": { "do": "append", "key": "came", "value": format!("told {mark}") },
        },
        { "do": "send-after", "delay_ms": 0, "body": { "do": "append", "key": "rung", "value": mark } },
        last,
    ] })
}

table! {
    /// A good turn after three that failed: of those nothing is to be seen, and of this one all.
    the_effects_of_a_failed_turn_are_discarded {
        WATCHED,
        [
            Call("peer", json!({ "do": "subscribe", "pattern": "news/*" }), Is(json!(null))),
            Call(
                "tested",
                all("faulty", json!({ "do": "fault", "kind": "refused", "reason": "no" })),
                Fault("refused", "no"),
            ),
            Call("tested", all("trapped", json!({ "do": "trap" })), Crashed("trap", "")),
            Call("tested", all("late", json!({ "do": "spin" })), Crashed("budget", "200ms")),
            Call(
                "tested",
                all("good", json!({ "do": "get", "key": "mark" })),
                Is(json!([null, 1, null, null, null, "good"])),
            ),
            State("peer", "came", json!(["sent good", "told good"])),
            State("tested", "rung", json!(["good"])),
            State("tested", "mark", json!("good")),
            Call("tested", json!({ "do": "keys" }), Is(json!(["count", "mark", "rung"]))),
        ]
    }

    /// What a handler changed in its memory stays after a fault, and a call that it made is not undone.
    memory_and_calls_outlive_a_fault {
        WATCHED,
        [
            Call(
                "tested",
                json!({ "do": "all", "of": [
                    { "do": "remember", "value": "still there" },
                    {
                        "do": "call",
                        "to": "peer",
                        "timeout_ms": 60_000,
                        "body": { "do": "append", "key": "came", "value": "called" },
                    },
                    { "do": "fault", "kind": "unavailable", "reason": "later" },
                ] }),
                Fault("unavailable", "later"),
            ),
            Call("tested", json!({ "do": "recall" }), Is(json!("still there"))),
            State("peer", "came", json!(["called"])),
        ]
    }
}
