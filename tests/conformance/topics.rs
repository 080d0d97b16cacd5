//! Topics.

use serde_json::json;

use crate::conformance::suite::Expected::{Crashed, Is};
use crate::conformance::suite::Step::{Call, State};

const BOTH: &str = r#"
    grants = { publish = ["news/**"], subscribe = ["news/*", "news/*/heute"] }
    [[service]]
    name = "peer"
    release = "@peer"
    grants = { publish = ["news/**"], subscribe = ["news/**"] }
"#;

table! {
    /// What is published goes to those who subscribe, and they know on which topic.
    what_is_published_is_brought_to_subscribers {
        BOTH,
        [
            Call("tested", json!({ "do": "subscribe", "pattern": "news/*/heute" }), Is(json!(null))),
            Call(
                "peer",
                json!({
                    "do": "publish",
                    "topic": "news/wetter",
                    "body": { "do": "append", "key": "wrong", "value": 1 },
                }),
                Is(json!(null)),
            ),
            Call(
                "peer",
                json!({
                    "do": "publish",
                    "topic": "news/wetter/heute",
                    "body": { "do": "keep-context", "key": "seen" },
                }),
                Is(json!(null)),
            ),
            State("tested", "seen", json!({
                "address": "tested", "sender": "peer", "key": null, "delivery": "publish", "topic": "news/wetter/heute",
                "has-time": false, "attempt": 0,
            })),
            Call("tested", json!({ "do": "keys" }), Is(json!(["seen"]))),
        ]
    }

    /// The other way round.
    a_component_publishes {
        BOTH,
        [
            Call("peer", json!({ "do": "subscribe", "pattern": "news/**" }), Is(json!(null))),
            Call(
                "tested",
                json!({ "do": "publish", "topic": "news/a", "body": { "do": "append", "key": "came", "value": "ä" } }),
                Is(json!(null)),
            ),
            State("peer", "came", json!(["ä"])),
        ]
    }

    /// A subscription lasts over a crash, until it is taken back.
    a_subscription_lasts_until_it_is_taken_back {
        BOTH,
        [
            Call("tested", json!({ "do": "subscribe", "pattern": "news/*" }), Is(json!(null))),
            Call("tested", json!({ "do": "trap" }), Crashed("trap", "")),
            Call(
                "peer",
                json!({ "do": "publish", "topic": "news/a", "body": { "do": "append", "key": "came", "value": 1 } }),
                Is(json!(null)),
            ),
            State("tested", "came", json!([1])),
            Call("tested", json!({ "do": "unsubscribe", "pattern": "news/*" }), Is(json!(null))),
            Call(
                "peer",
                json!({ "do": "publish", "topic": "news/a", "body": { "do": "append", "key": "came", "value": 2 } }),
                Is(json!(null)),
            ),
            Call("tested", json!({ "do": "get", "key": "came" }), Is(json!([1]))),
        ]
    }
}
