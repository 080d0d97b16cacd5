//! Serves the page of the shop, what it is made of, and what there is to buy.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({ world: "customer", path: "../prices/wit", additional_derives: [serde::Serialize] });
}

use bindings::acme::web::prices;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

wasip2::http::proxy::export!(Site);

struct Site;

/// A page, and what it is.
type Page = (u16, &'static str, Vec<u8>);

impl Guest for Site {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let (status, kind, content) = page(&web_http::path(&request));
        let headers = [
            ("content-type", kind),
            // Another release may have another page: a browser asks.
            ("cache-control", "no-cache"),
            // All that the page is made of comes from here.
            ("content-security-policy", "default-src 'self'; frame-ancestors 'none'"),
            ("x-content-type-options", "nosniff"),
        ];
        web_http::answer(out, status, &headers, &content);
    }
}

fn page(path: &str) -> Page {
    let file = |kind, text: &str| (200, kind, text.as_bytes().to_vec());
    match path {
        "/" => file("text/html; charset=utf-8", include_str!("../page/index.html")),
        "/shop.css" => file("text/css; charset=utf-8", include_str!("../page/shop.css")),
        "/shop.js" => file("text/javascript; charset=utf-8", include_str!("../page/shop.js")),
        "/goods.svg" => file("image/svg+xml", include_str!("../page/goods.svg")),
        "/icon.svg" => file("image/svg+xml", include_str!("../page/icon.svg")),
        "/catalogue" => match serde_json::to_vec(&prices::catalogue()) {
            Ok(json) => (200, "application/json", json),
            Err(_) => (500, "text/plain", b"the catalogue cannot be written".to_vec()),
        },
        _ => (404, "text/plain; charset=utf-8", b"There is no such page.".to_vec()),
    }
}
