//! A content filter, as a layer of who embeds the host.

use airssys_wasm::error::SendError;
use airssys_wasm::middleware::{Context, Layer, Verdict};
use bytes::Bytes;

pub(crate) struct NoSecrets;

impl Layer for NoSecrets {
    fn name(&self) -> &'static str {
        "no-secrets"
    }

    fn priority(&self) -> i32 {
        500
    }

    fn before(&self, _: &mut Context<'_>, body: &mut Bytes) -> Verdict {
        if !body.windows(6).any(|part| part == b"secret") {
            return Verdict::Continue;
        }
        Verdict::Reject(SendError::Rejected { layer: "no-secrets".into(), reason: "it tells a secret".into() }.into())
    }
}
