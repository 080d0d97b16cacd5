//! Requests and responses, beside what the types of the function make of the same values.

#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use bytes::Bytes;

use super::{function, read_request, read_response, write_request, write_response};
use crate::typed::{arguments_of_json, result_as_json};

const REQUEST: &str = r#"[{"method": "POST", "scheme": "https", "authority": "shop.example:8443",
    "path-with-query": "/cart?a=1", "headers": [["accept", [42]], ["x-a", [49]], ["x-a", [255]]], "body": [0, 255]}]"#;

#[test]
fn a_request_is_the_arguments_of_a_call() {
    let block = arguments_of_json(function(), REQUEST).unwrap();
    let request = read_request(&block).unwrap();
    assert_eq!((request.method().as_str(), &**request.body()), ("POST", &[0, 255][..]));
    assert_eq!(request.uri().to_string(), "https://shop.example:8443/cart?a=1");
    let values: Vec<&[u8]> = request.headers().get_all("x-a").iter().map(|value| value.as_bytes()).collect();
    assert_eq!((values, request.headers().len()), (vec![&b"1"[..], &[255]], 3));
    assert_eq!(write_request(&request).unwrap(), block);
}

#[test]
fn a_response_is_the_result_of_a_call() {
    let response = http::Response::builder().status(201).header("x-a", "1").header("x-a", "2");
    let response = response.body(Bytes::from_static(b"hi")).unwrap();
    let block = write_response(&Ok(response)).unwrap();
    let json = result_as_json(function(), Some(&block)).unwrap().unwrap();
    assert_eq!(json, r#"{"ok":{"status":201,"headers":[["x-a",[49]],["x-a",[50]]],"body":[104,105]}}"#);
    let read = read_response(&block).unwrap().unwrap();
    assert_eq!((read.status().as_u16(), read.headers().len(), &**read.body()), (201, 2, &b"hi"[..]));
    let block = write_response(&Err("no".to_owned())).unwrap();
    assert_eq!(result_as_json(function(), Some(&block)).unwrap().unwrap(), r#"{"err":"no"}"#);
    assert_eq!(read_response(&block).unwrap().unwrap_err(), "no");
}

#[test]
fn what_is_none_of_http_is_told_by_its_field() {
    for (good, bad, said) in [
        ("POST", "P OST", "`method` is none of HTTP: invalid HTTP method"),
        ("https", "ht tp", "`scheme` is none of HTTP: invalid scheme"),
        ("shop.example:8443", "", "`authority` is none of HTTP: empty string"),
        ("/cart?a=1", "/a b", "`path-with-query` is none of HTTP: invalid uri character"),
        ("x-a", "x a", "`headers` is none of HTTP: invalid HTTP header name"),
        ("[255]", "[10]", "`headers` is none of HTTP: x-a: failed to parse header value"),
    ] {
        let block = arguments_of_json(function(), &REQUEST.replace(good, bad)).unwrap();
        assert_eq!(read_request(&block).unwrap_err().to_string(), said);
    }
    // No bytes make it panic.
    let block = arguments_of_json(function(), REQUEST).unwrap();
    for at in 0..block.len() {
        let _cut = read_request(&block.slice(..at));
        let mut other = block.to_vec();
        other[at] ^= 0xff;
        let _changed = read_request(&other.clone().into());
        let _not_it = read_response(&other.into());
    }
}
