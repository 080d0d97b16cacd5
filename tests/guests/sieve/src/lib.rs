//! A content filter: a layer that turns away what has the word `secret` in it.

use airssys_sdk::layer::{Operation, Verdict};

#[derive(Default)]
struct Sieve;

#[airssys_sdk::layer]
impl Sieve {
    fn before(&mut self, what: Operation) -> Verdict {
        let body = what.body.unwrap_or_default();
        match body.windows(6).any(|part| part == b"secret") {
            true => Verdict::reject("it tells a secret"),
            false => Verdict::Pass,
        }
    }
}
