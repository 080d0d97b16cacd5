//! Asks for prices, by an interface: which service has it, and in which language, is said in the topology.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({ world: "customer", path: "../prices/wit" });
}

use std::collections::BTreeMap;

use bindings::acme::web::prices;

/// These lines, and what each costs; nothing where there is no such thing.
pub(crate) fn of(lines: &BTreeMap<String, u32>) -> Vec<(String, u32, Option<u64>)> {
    if lines.is_empty() {
        return Vec::new();
    }
    let asked: Vec<_> = lines.iter().map(|(sku, pieces)| prices::Line { sku: sku.clone(), pieces: *pieces }).collect();
    let told = prices::price(&asked);
    asked.into_iter().zip(told).map(|(line, cents)| (line.sku, line.pieces, cents)).collect()
}
