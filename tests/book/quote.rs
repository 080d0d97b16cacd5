use std::time::Duration;

use airssys_wasm::{InvokeError, Runtime};

wasmtime::component::bindgen!({
    path: "guests/pricing/wit",
    world: "acme:shop/shop",
    additional_derives: [serde::Serialize, serde::Deserialize],
});
use exports::acme::shop::pricing::{Extras, Order, Price, Problem};

// Nothing is derived for flags.
airssys_wasm::flags!(Extras { GIFT, EXPRESS, INSURED });

pub async fn ask(runtime: &Runtime, sku: &str) -> Result<Result<Price, Problem>, InvokeError> {
    let quote = runtime.function::<(Order,), Result<Price, Problem>>("pricing", "quote")?;
    let order = Order { sku: sku.to_owned(), qty: 2, extras: Extras::GIFT, note: None };
    runtime.call_typed(&quote, None, &(order,), Duration::from_secs(5)).await
}
