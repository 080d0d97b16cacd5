//! What comes of a message.

use serde_json::json;

use crate::conformance::suite::Expected::{Crashed, Error, Fault, FaultLike, Has, Is, Nothing};
use crate::conformance::suite::Step::{Call, Dead, Logged, Send, Started, State};

table! {
    /// What a handler returns goes to whoever waits for it, as JSON of any kind.
    an_answer_goes_to_who_asked {
        "",
        [
            Call("tested", json!({ "do": "echo", "value": "für dich €" }), Is(json!("für dich €"))),
            Call(
                "tested",
                json!({ "do": "echo", "value": [1, -2.5, null, true, { "a": [] }] }),
                Is(json!([1, -2.5, null, true, { "a": [] }])),
            ),
            Call("tested", json!({ "do": "nothing" }), Nothing),
        ]
    }

    /// Each kind of fault comes with what it says. The instance lives on, and so does what it holds in memory.
    a_fault_is_the_answer {
        "",
        [
            Call("tested", json!({ "do": "fault", "kind": "invalid", "reason": "a" }), Fault("invalid", "a")),
            Call("tested", json!({ "do": "fault", "kind": "refused", "reason": "b" }), Fault("refused", "b")),
            Call("tested", json!({ "do": "fault", "kind": "unavailable", "reason": "ĉ" }), Fault("unavailable", "ĉ")),
            Call("tested", json!({ "do": "fault", "kind": "internal", "reason": "d" }), Fault("internal", "d")),
            Call("tested", json!({ "do": "no-such-thing" }), FaultLike("invalid", "")),
            Call("tested", json!("no object"), FaultLike("invalid", "")),
            Send("tested", json!({ "do": "fault", "kind": "refused", "reason": "nobody waits" })),
            Dead(&["fault"]),
            Started("tested", 1),
        ]
    }

    /// A trap ends the instance; the next one begins with the committed state, and nothing of the memory.
    a_trap_ends_the_instance_and_the_state_stays {
        "",
        [
            Call("tested", json!({ "do": "remember", "value": 7 }), Is(json!(null))),
            Call("tested", json!({ "do": "set", "key": "kept", "value": 7 }), Is(json!(null))),
            Call(
                "tested",
                json!({ "do": "all", "of": [{ "do": "set", "key": "kept", "value": 8 }, { "do": "trap" }] }),
                Crashed("trap", ""),
            ),
            Started("tested", 2),
            Call("tested", json!({ "do": "get", "key": "kept" }), Is(json!(7))),
            Call("tested", json!({ "do": "recall" }), Is(json!(null))),
            Call("tested", json!({ "do": "count" }), Is(json!(3))),
            State("tested", "kept", json!(7)),
        ]
    }

    /// What is known of a message is what the host says of it.
    a_handler_knows_how_its_message_came {
        "",
        [
            Call(
                "tested",
                json!({ "do": "context" }),
                Has(json!({
                    "address": "tested", "sender": null, "key": null, "delivery": "call",
                    "topic": null, "has-time": true, "attempt": 0,
                })),
            ),
        ]
    }

    /// What was not granted is an answer, which names the grant that is missing.
    a_send_without_a_grant_is_denied {
        "[[service]]\nname = \"peer\"\nrelease = \"@peer\"",
        [
            Call("tested", json!({ "do": "send", "to": "peer", "body": 1 }), Error("denied", "add \"peer\" to `send`")),
            Started("tested", 1),
        ]
    }

    /// A line is logged at once, on its level, also by a turn that fails.
    a_line_is_logged_whatever_becomes_of_the_turn {
        "",
        [
            Call(
                "tested",
                json!({ "do": "all", "of": [
                    { "do": "log", "level": "info", "line": "LANGUAGE: an infö" },
                    { "do": "log", "level": "warn", "line": "LANGUAGE: a warning" },
                    { "do": "log", "level": "error", "line": "LANGUAGE: an error" },
                    { "do": "fault", "kind": "refused", "reason": "no" },
                ] }),
                Fault("refused", "no"),
            ),
            Logged("INFO", "LANGUAGE: an infö"),
            Logged("WARN", "LANGUAGE: a warning"),
            Logged("ERROR", "LANGUAGE: an error"),
        ]
    }
}
