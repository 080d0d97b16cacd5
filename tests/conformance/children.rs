//! Children: spawned, watched, linked and stopped.

use serde_json::json;

use crate::conformance::suite::Expected::{Crashed, Error, Has, Is};
use crate::conformance::suite::Step::{Call, Started, State};

const WORKERS: &str = r#"
    grants = { spawn = ["worker/*"], send = ["worker/*"], call = ["worker/*"] }
    [[service]]
    name = "worker"
    release = "@peer"
    spawned = {}
"#;

table! {
    /// A child is there when the turn has ended, and what was sent to it as well.
    a_child_is_spawned {
        WORKERS,
        [
            Call("tested", json!({ "do": "all", "of": [
                { "do": "spawn", "service": "worker", "name": "a" },
                { "do": "send", "to": "worker/a", "body": { "do": "append", "key": "came", "value": 1 } },
            ] }), Is(json!(["worker/a", null]))),
            State("worker/a", "came", json!([1])),
            Call(
                "tested",
                json!({ "do": "call", "to": "worker/a", "timeout_ms": 60_000, "body": { "do": "address" } }),
                Is(json!("worker/a")),
            ),
            Call(
                "tested",
                json!({ "do": "spawn", "service": "worker", "name": "a" }),
                Is(json!({ "error": "taken", "text": "" })),
            ),
            Call("tested", json!({ "do": "stop", "child": "worker/none" }), Error("no-such-child", "worker/none")),
        ]
    }

    /// Who monitors a child is told once why it has ended.
    a_monitor_is_told {
        WORKERS,
        [
            Call("tested", json!({ "do": "all", "of": [
                { "do": "spawn", "service": "worker", "name": "a" },
                { "do": "monitor", "child": "worker/a" },
            ] }), Is(json!(["worker/a", null]))),
            Call("worker/a", json!({ "do": "trap" }), Crashed("trap", "")),
            State("tested", "downs", json!([{ "child": "worker/a", "reason": "crashed/trap", "restarted": true }])),
            Call("tested", json!({ "do": "monitor", "child": "worker/a" }), Is(json!(null))),
            Call("tested", json!({ "do": "stop", "child": "worker/a" }), Is(json!(null))),
            State("tested", "downs", json!([
                { "child": "worker/a", "reason": "crashed/trap", "restarted": true },
                { "child": "worker/a", "reason": "stopped", "restarted": false },
            ])),
            Call("tested", json!({ "do": "monitor", "child": "worker/a" }), Is(json!(null))),
            State("tested", "downs", json!([
                { "child": "worker/a", "reason": "crashed/trap", "restarted": true },
                { "child": "worker/a", "reason": "stopped", "restarted": false },
                { "child": "worker/a", "reason": "no-child", "restarted": false },
            ])),
        ]
    }

    /// A monitor that was taken back tells nothing.
    a_monitor_is_taken_back {
        WORKERS,
        [
            Call("tested", json!({ "do": "all", "of": [
                { "do": "spawn", "service": "worker", "name": "a" },
                { "do": "monitor", "child": "worker/a" },
                { "do": "demonitor", "child": "worker/a" },
                { "do": "spawn", "service": "worker", "name": "b" },
                { "do": "monitor", "child": "worker/b" },
            ] }), Is(json!(["worker/a", null, null, "worker/b", null]))),
            Call("worker/a", json!({ "do": "trap" }), Crashed("trap", "")),
            Call("worker/b", json!({ "do": "trap" }), Crashed("trap", "")),
            State("tested", "downs", json!([{ "child": "worker/b", "reason": "crashed/trap", "restarted": true }])),
        ]
    }

    /// Who is linked ends together.
    a_link_ends_both {
        WORKERS,
        [
            Call("tested", json!({ "do": "all", "of": [
                { "do": "spawn", "service": "worker", "name": "a" },
                { "do": "link", "child": "worker/a" },
            ] }), Is(json!(["worker/a", null]))),
            Call("worker/a", json!({ "do": "trap" }), Crashed("trap", "")),
            Started("tested", 2),
        ]
    }

    /// A component is itself a child of another one.
    a_component_is_a_child {
        r#"
        spawned = {}
        [[service]]
        name = "parent"
        release = "@peer"
        grants = { spawn = ["tested/*"], call = ["tested/*"] }
        "#,
        [
            Call("parent", json!({ "do": "spawn", "service": "tested", "name": "a" }), Is(json!("tested/a"))),
            Call(
                "parent",
                json!({ "do": "call", "to": "tested/a", "timeout_ms": 60_000, "body": { "do": "context" } }),
                Has(json!({ "address": "tested/a", "sender": "parent" })),
            ),
        ]
    }
}
