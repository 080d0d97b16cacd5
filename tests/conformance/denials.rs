//! What was not granted is an answer that names the grant, for each capability; and nothing of it happens.

use serde_json::json;

use crate::conformance::suite::Expected::{Error, Is};
use crate::conformance::suite::Step::{Call, Started};

const BARE: &str = r#"
    [[service]]
    name = "peer"
    release = "@peer"
    [[service]]
    name = "worker"
    release = "@peer"
    spawned = {}
"#;

table! {
    /// Sending.
    send {
        BARE,
        [
            Call("tested", json!({ "do": "send", "to": "peer", "body": 1 }), Error("denied", "add \"peer\" to `send`")),
            Call("tested", json!({ "do": "send", "to": "tested", "body": { "do": "count" } }), Is(json!(null))),
            Call("peer", json!({ "do": "count" }), Is(json!(1))),
            Started("tested", 1),
        ]
    }

    /// Calling.
    call {
        BARE,
        [
            Call(
                "tested",
                json!({ "do": "call", "to": "peer", "timeout_ms": 60_000, "body": 1 }),
                Error("not-sent/denied", "add \"peer\" to `call`"),
            ),
            Call("peer", json!({ "do": "count" }), Is(json!(1))),
        ]
    }

    /// Publishing.
    publish {
        BARE,
        [
            Call(
                "tested",
                json!({ "do": "publish", "topic": "news", "body": 1 }),
                Error("denied", "add \"news\" to `publish`"),
            ),
        ]
    }

    /// Subscribing.
    subscribe {
        BARE,
        [
            Call(
                "tested",
                json!({ "do": "subscribe", "pattern": "news/*" }),
                Error("denied", "add \"news/*\" to `subscribe`"),
            ),
        ]
    }

    /// All that is done about children.
    spawn {
        BARE,
        [
            Call(
                "tested",
                json!({ "do": "spawn", "service": "worker", "name": "a" }),
                Error("denied", "add \"worker/a\" to `spawn`"),
            ),
            Call(
                "tested",
                json!({ "do": "stop", "child": "worker/a" }),
                Error("denied", "add \"worker/a\" to `spawn`"),
            ),
            Call(
                "tested",
                json!({ "do": "monitor", "child": "worker/a" }),
                Error("denied", "add \"worker/a\" to `spawn`"),
            ),
            Call(
                "tested",
                json!({ "do": "demonitor", "child": "worker/a" }),
                Error("denied", "add \"worker/a\" to `spawn`"),
            ),
            Call(
                "tested",
                json!({ "do": "link", "child": "worker/a" }),
                Error("denied", "add \"worker/a\" to `spawn`"),
            ),
        ]
    }

    /// Files.
    files {
        "",
        [Call("tested", json!({ "do": "read-file", "path": "/in/text" }), Error("io", ""))]
    }

    /// The environment: of the host's own there is nothing.
    environment {
        "",
        [
            Call("tested", json!({ "do": "environment", "name": "GREETING" }), Is(json!(null))),
            Call("tested", json!({ "do": "environment", "name": "PATH" }), Is(json!(null))),
        ]
    }
}
