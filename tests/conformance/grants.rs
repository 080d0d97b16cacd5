//! What was granted of the world outside is there.

use serde_json::json;

use crate::conformance::suite::Expected::Is;
use crate::conformance::suite::Step::Call;

table! {
    /// A variable of the environment.
    environment {
        "grants = { environment = { GREETING = \"grüß Gott\" } }",
        [Call("tested", json!({ "do": "environment", "name": "GREETING" }), Is(json!("grüß Gott")))]
    }
}
