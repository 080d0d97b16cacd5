//! How an instance ends, and what becomes of the message.

use serde_json::json;

use crate::conformance::suite::Expected::{Crashed, Is};
use crate::conformance::suite::Step::{Call, Dead, Send, Started, State};

table! {
    /// A message over which an instance trapped is tried again, as often as the topology says, and knows that.
    a_message_is_tried_again {
        "retries = 2\ngrants = { call = [\"peer\"] }\n[[service]]\nname = \"peer\"\nrelease = \"@peer\"",
        [
            Call(
                "tested",
                json!({ "do": "all", "of": [{ "do": "tell-attempt", "to": "peer" }, { "do": "trap" }] }),
                Crashed("trap", ""),
            ),
            State("peer", "attempts", json!([0, 1, 2])),
            Started("tested", 4),
            Send("tested", json!({ "do": "trap" })),
            Started("tested", 7),
            Dead(&["poisoned", "poisoned"]),
            Call("tested", json!({ "do": "count" }), Is(json!(1))),
        ]
    }

    /// A turn that computes for too long is ended.
    a_turn_that_never_ends_is_ended {
        "limits = { turn_budget = \"100ms\" }",
        [
            Call("tested", json!({ "do": "spin" }), Crashed("budget", "100ms")),
            Call("tested", json!({ "do": "count" }), Is(json!(1))),
        ]
    }

    /// A turn that waits for too long is ended.
    a_turn_that_waits_too_long_is_ended {
        "limits = { turn_deadline = \"100ms\" }",
        [
            Call("tested", json!({ "do": "sleep", "ms": 3_600_000 }), Crashed("deadline", "100ms")),
            Call(
                "tested",
                json!({ "do": "all", "of": [{ "do": "sleep", "ms": 1 }, { "do": "count" }] }),
                Is(json!([null, 1])),
            ),
        ]
    }

    /// Who exits with status 0 has ended normally, and with another one has failed.
    an_exit_is_an_end {
        "restart = \"transient\"",
        [
            Call("tested", json!({ "do": "exit", "status": 1 }), Crashed("exit", "1")),
            Started("tested", 2),
            Call("tested", json!({ "do": "exit", "status": 0 }), Crashed("exit", "0")),
            Started("tested", 2),
        ]
    }
}
