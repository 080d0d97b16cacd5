//! The state of a service.

use serde_json::{Value, json};

use crate::conformance::suite::Expected::{Error, Is};
use crate::conformance::suite::Step::{Call, State};

/// More keys than are listed at once.
fn many() -> Vec<String> {
    (0..1_200).map(|number| format!("key {number:04}")).collect()
}

table! {
    /// What is written is read, in the same turn and in the next one; what is deleted is gone.
    what_is_written_is_read {
        "",
        [
            Call("tested", json!({ "do": "get", "key": "ä" }), Is(json!(null))),
            Call("tested", json!({ "do": "all", "of": [
                { "do": "set", "key": "ä", "value": { "a": [1, "€"] } },
                { "do": "get", "key": "ä" },
                { "do": "exists", "key": "ä" },
                { "do": "exists", "key": "b" },
            ] }), Is(json!([null, { "a": [1, "€"] }, true, false]))),
            State("tested", "ä", json!({ "a": [1, "€"] })),
            Call("tested", json!({ "do": "get", "key": "ä" }), Is(json!({ "a": [1, "€"] }))),
            Call("tested", json!({ "do": "append", "key": "list", "value": 1 }), Is(json!(1))),
            Call("tested", json!({ "do": "append", "key": "list", "value": 2 }), Is(json!(2))),
            State("tested", "list", json!([1, 2])),
            Call("tested", json!({ "do": "all", "of": [
                { "do": "delete", "key": "ä" },
                { "do": "delete", "key": "never there" },
                { "do": "get", "key": "ä" },
                { "do": "keys" },
            ] }), Is(json!([null, null, null, ["list"]]))),
        ]
    }

    /// Many at once, by one call of the host; and all keys, which are listed page by page.
    many_values_at_once {
        "",
        [
            Call("tested", json!({ "do": "set-many", "values": { "a": 1, "b": "zwölf" } }), Is(json!(null))),
            Call("tested", json!({ "do": "get-many", "keys": ["b", "none", "a"] }), Is(json!(["zwölf", null, 1]))),
            Call("tested", json!({ "do": "delete-many", "keys": ["b", "none", "a"] }), Is(json!(null))),
            Call("tested", json!({ "do": "keys" }), Is(json!([]))),
            Call(
                "tested",
                json!({
                    "do": "set-many",
                    "values": many().into_iter().map(|key| (key, json!(1))).collect::<serde_json::Map<_,
                    _>>(),
                }),
                Is(Value::Null),
            ),
            Call("tested", json!({ "do": "keys" }), Is(json!(many()))),
        ]
    }

    /// A counter counts, and what is none is left as it was.
    a_counter_counts {
        "",
        [
            Call("tested", json!({ "do": "increment", "key": "n", "by": 2 }), Is(json!(2))),
            Call("tested", json!({ "do": "all", "of": [
                { "do": "increment", "key": "n", "by": 40 },
                { "do": "increment", "key": "n", "by": 0 },
            ] }), Is(json!([42, 42]))),
            Call("tested", json!({ "do": "set", "key": "text", "value": "no counter" }), Is(json!(null))),
            Call("tested", json!({ "do": "increment", "key": "text", "by": 1 }), Error("state", "text")),
            State("tested", "text", json!("no counter")),
        ]
    }

    /// One write too many is an error of that write.
    a_state_that_is_full_is_an_error {
        "limits = { state = \"1KiB\" }",
        [
            Call("tested", json!({ "do": "set", "key": "a", "value": 1 }), Is(json!(null))),
            Call("tested", json!({ "do": "set", "key": "a", "value": "x".repeat(2_000) }), Error("state", "1024")),
            State("tested", "a", json!(1)),
        ]
    }

    /// The members of a pool without lanes have none.
    a_stateless_pool_has_none {
        "instances = 2",
        [
            Call("tested", json!({ "do": "get", "key": "a" }), Is(json!({ "error": "no-state", "text": "" }))),
            Call(
                "tested",
                json!({ "do": "set", "key": "a", "value": 1 }),
                Is(json!({ "error": "no-state", "text": "" })),
            ),
        ]
    }
}
