//! Calls the service that its configuration names under `to`, and answers what that one answered.

use airssys_sdk::prelude::*;

struct Relay {
    to: String,
}

#[component]
impl Relay {
    fn init() -> Result<Self> {
        let to = config::get("to")?.ok_or_else(|| Fault::invalid("the configuration has no `to`"))?;
        Ok(Self { to })
    }

    fn handle(&mut self, body: Payload) -> Result<Payload> {
        Ok(call(&self.to, &body, Duration::from_secs(5))?)
    }
}
