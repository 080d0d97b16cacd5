//! Configuration, start, health and stop.

use serde_json::json;

use crate::conformance::suite::Expected::{Crashed, Is};
use crate::conformance::suite::Step::{Call, Health, Started, State};

table! {
    /// The values of the topology, and no others.
    the_configuration_is_read {
        "config = { currency = \"€\", retries = \"3\" }",
        [
            Call("tested", json!({ "do": "config", "key": "currency" }), Is(json!("€"))),
            Call("tested", json!({ "do": "config", "key": "none" }), Is(json!(null))),
            Call("tested", json!({ "do": "config-all" }), Is(json!({ "currency": "€", "retries": "3" }))),
        ]
    }

    /// `init` is a turn, in each new instance, before its first message.
    an_instance_begins_with_init {
        "config = { on-init = '{\"do\":\"increment\",\"key\":\"begun\",\"by\":1}' }",
        [
            Call(
                "tested",
                json!({ "do": "all", "of": [{ "do": "increment", "key": "begun", "by": 0 }, { "do": "count" }] }),
                Is(json!([1, 1])),
            ),
            Call("tested", json!({ "do": "trap" }), Crashed("trap", "")),
            Call("tested", json!({ "do": "increment", "key": "begun", "by": 0 }), Is(json!(2))),
        ]
    }

    /// A fault at `init` is a failed start, which says why.
    a_fault_at_init_is_a_failed_start {
        r#"
        keyed = { intensity = 0 }
        config = { on-init = '{"do":"fault","kind":"unavailable","reason":"no bread"}' }
        "#,
        [Call("tested/a", json!({ "do": "count" }), Crashed("start", "init failed: unavailable: no bread"))]
    }

    /// A trap at `init` is a failed start.
    a_trap_at_init_is_a_failed_start {
        "keyed = { intensity = 0 }\nconfig = { on-init = '{\"do\":\"trap\"}' }",
        [Call("tested/a", json!({ "do": "count" }), Crashed("trap", "trap: "))]
    }

    /// A component says how it is when it is asked, and what it does for that is discarded.
    a_component_says_how_it_is {
        r#"
        config = { on-check = '{"do":"fault-if-set","key":"sick","kind":"unavailable","reason":"a fever"}' }
        "#,
        [
            Health("tested", None),
            Call("tested", json!({ "do": "set", "key": "sick", "value": true }), Is(json!(null))),
            Health("tested", Some(("unavailable", "a fever"))),
            Call("tested", json!({ "do": "delete", "key": "sick" }), Is(json!(null))),
            Health("tested", None),
            Started("tested", 1),
        ]
    }

    /// What a check would change is discarded.
    a_check_changes_nothing {
        "config = { on-check = '{\"do\":\"append\",\"key\":\"checks\",\"value\":1}' }",
        [
            Health("tested", None),
            Call("tested", json!({ "do": "keys" }), Is(json!([]))),
        ]
    }

    /// One that is idle is asked to stop, and says good-bye.
    stop_is_told_of_idleness {
        r#"
        keyed = { idle_timeout = "1ms" }
        config = { on-stop = "peer" }
        grants = { send = ["peer"] }
        [[service]]
        name = "peer"
        release = "@peer"
        "#,
        [
            Call("tested/a", json!({ "do": "set", "key": "kept", "value": 1 }), Is(json!(null))),
            State("peer", "stopped", json!(["idle"])),
            Call("tested/a", json!({ "do": "get", "key": "kept" }), Is(json!(1))),
        ]
    }

    /// One whose sibling crashes is stopped in order too, where its supervisor restarts both.
    stop_is_told_of_a_restart {
        r#"
        supervisor = "both"
        config = { on-stop = "peer" }
        grants = { send = ["peer"] }
        [[supervisor]]
        name = "both"
        strategy = "one-for-all"
        intensity = 100
        [[service]]
        name = "sibling"
        release = "@peer"
        supervisor = "both"
        [[service]]
        name = "peer"
        release = "@peer"
        "#,
        [
            Call("sibling", json!({ "do": "trap" }), Crashed("trap", "")),
            State("peer", "stopped", json!(["restart"])),
            Started("tested", 2),
        ]
    }
}
