//! Timers.

use serde_json::json;

use crate::conformance::suite::Expected::{Fault, Is};
use crate::conformance::suite::Step::{Call, State};

table! {
    /// A timer brings its message when it has run out, and the message says so.
    a_timer_brings_its_message {
        "",
        [
            Call("tested", json!({ "do": "all", "of": [
                { "do": "send-after", "delay_ms": 0, "body": { "do": "keep-context", "key": "at once" } },
                { "do": "send-after", "delay_ms": 10, "body": { "do": "append", "key": "later", "value": 1 } },
            ] }), Is(json!([null, null]))),
            State("tested", "later", json!([1])),
            State("tested", "at once", json!({
                "address": "tested", "sender": "tested", "key": null, "delivery": "timer", "topic": null,
                "has-time": false, "attempt": 0,
            })),
        ]
    }

    /// A timer is cancelled at once, once, and also by a turn that fails.
    a_cancelled_timer_is_gone {
        "",
        [
            Call("tested", json!({ "do": "cancel" }), Is(json!(false))),
            Call("tested", json!({ "do": "send-after", "delay_ms": 3_600_000, "body": 1 }), Is(json!(null))),
            Call("tested", json!({ "do": "cancel" }), Is(json!(true))),
            Call("tested", json!({ "do": "cancel" }), Is(json!(false))),
            Call("tested", json!({ "do": "send-after", "delay_ms": 3_600_000, "body": 1 }), Is(json!(null))),
            Call(
                "tested",
                json!({
                    "do": "all",
                    "of": [{ "do": "cancel" }, { "do": "fault", "kind": "refused", "reason": "no" }],
                }),
                Fault("refused", "no"),
            ),
            Call("tested", json!({ "do": "cancel" }), Is(json!(false))),
        ]
    }

    /// As many as there may be, and no more.
    one_timer_too_many_is_overloaded {
        "limits = { timers = 1 }",
        [
            Call("tested", json!({ "do": "send-after", "delay_ms": 3_600_000, "body": 1 }), Is(json!(null))),
            Call(
                "tested",
                json!({ "do": "send-after", "delay_ms": 3_600_000, "body": 2 }),
                Is(json!({ "error": "overloaded", "text": "" })),
            ),
            Call("tested", json!({ "do": "cancel" }), Is(json!(true))),
        ]
    }
}
