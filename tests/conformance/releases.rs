//! Another release takes over. It may be in another language: what one hands over, or keeps in its state, the other one
//! reads.

use serde_json::json;

use crate::conformance::suite::Ends::{Fails, Live};
use crate::conformance::suite::Expected::Is;
use crate::conformance::suite::Step::{Call, Deploy, Started, State};
use crate::conformance::suite::Who::{Peer, Tested};

table! {
    /// What the one before remembers is handed over, there and back, and the state stays.
    memory_is_handed_over {
        "",
        [
            Call("tested", json!({ "do": "remember", "value": { "a": "ü" } }), Is(json!(null))),
            Call("tested", json!({ "do": "set", "key": "kept", "value": 1 }), Is(json!(null))),
            Deploy(Peer, 0, Live),
            Call("tested", json!({ "do": "recall" }), Is(json!({ "a": "ü" }))),
            Call("tested", json!({ "do": "remember", "value": ["€"] }), Is(json!(null))),
            Call("tested", json!({ "do": "append", "key": "list", "value": "of the peer" }), Is(json!(1))),
            Deploy(Tested, 0, Live),
            Call("tested", json!({ "do": "recall" }), Is(json!(["€"]))),
            Call("tested", json!({ "do": "count" }), Is(json!(2))),
            Call("tested", json!({ "do": "append", "key": "list", "value": "of the tested" }), Is(json!(2))),
            State("tested", "list", json!(["of the peer", "of the tested"])),
            State("tested", "kept", json!(1)),
        ]
    }

    /// A fault at `snapshot` ends the deployment, and the release goes on.
    a_fault_at_snapshot_keeps_the_release {
        "config = { on-snapshot = '{\"do\":\"fault\",\"kind\":\"internal\",\"reason\":\"lost it\"}' }",
        [
            Call("tested", json!({ "do": "remember", "value": 7 }), Is(json!(null))),
            Deploy(Peer, 0, Fails("internal: lost it")),
            Call("tested", json!({ "do": "recall" }), Is(json!(7))),
            Started("tested", 1),
        ]
    }

    /// A fault at `restore` ends the deployment, and the release before goes on as if nothing had been.
    a_fault_at_restore_keeps_the_release_before {
        r#"
        config = { on-restore = '{"do":"fault-if-set","key":"odd","kind":"invalid","reason":"what is this"}' }
        "#,
        [
            Deploy(Peer, 0, Live),
            Call("tested", json!({ "do": "remember", "value": 7 }), Is(json!(null))),
            Call("tested", json!({ "do": "set", "key": "odd", "value": true }), Is(json!(null))),
            Deploy(Tested, 0, Fails("invalid: what is this")),
            Call("tested", json!({ "do": "recall" }), Is(json!(7))),
        ]
    }

    /// A state of another schema is brought over, forth and back.
    a_state_is_migrated {
        "",
        [
            Call("tested", json!({ "do": "set", "key": "kept", "value": 1 }), Is(json!(null))),
            Deploy(Peer, 3, Live),
            State("tested", "migrated-from", json!(0)),
            Deploy(Tested, 4, Live),
            State("tested", "migrated-from", json!(3)),
            Deploy(Peer, 5, Live),
            Deploy(Tested, 2, Live),
            State("tested", "migrated-from", json!(5)),
            State("tested", "kept", json!(1)),
        ]
    }

    /// A fault at `migrate` ends the deployment, and the state is as it was.
    a_fault_at_migrate_leaves_the_state {
        r#"
        config = { on-migrate = '{"do":"fault-if-set","key":"odd","kind":"refused","reason":"never"}' }
        "#,
        [
            Deploy(Peer, 0, Live),
            Call("tested", json!({ "do": "set", "key": "odd", "value": true }), Is(json!(null))),
            Deploy(Tested, 1, Fails("refused: never")),
            Call("tested", json!({ "do": "keys" }), Is(json!(["odd"]))),
        ]
    }
}
