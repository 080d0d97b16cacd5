//! What a layer is asked, beside what the types of its functions make of the same values.

#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::sync::Arc;

use bytes::Bytes;

use super::{Guard, Said, after, before, on_error, operations, read_error_verdict, read_verdict};
use super::{write_after, write_before, write_on_error};
use crate::operation::{Operation, Operations};
use crate::typed::{FunctionType, ValueType, arguments_of_json, result_as_json};

const OPERATION: &str = r#"{"kind":"file-open","needs":["file-write","file-create"],"sender":"desk/7","target":"/out/a","also":"/out/b","function":null,"size":3,"body":[97,98,99]}"#;
const PLAIN: &str = r#"{"kind":"call","needs":[],"sender":null,"target":"desk","also":null,"function":"acme:shop/pricing#quote","size":9,"body":null}"#;

fn said(function: &FunctionType) -> [(Said<'_>, &'static str); 2] {
    let rich = Said {
        operation: Operation::FileOpen,
        needs: Operations::of(Operation::FileOpen).and(Operation::FileWrite).and(Operation::FileCreate),
        sender: Some("desk/7"),
        target: "/out/a",
        also: Some("/out/b"),
        function: None,
        size: 3,
        body: Some(b"abc"),
    };
    let plain = Said {
        operation: Operation::Call,
        needs: Operation::Call.into(),
        sender: None,
        target: "desk",
        also: None,
        function: Some(function),
        size: 9,
        body: None,
    };
    [(rich, OPERATION), (plain, PLAIN)]
}

fn quote() -> FunctionType {
    let params = ValueType::Record(Vec::new()).into();
    FunctionType { interface: Some("acme:shop/pricing".into()), name: "quote".into(), params, result: None }
}

/// The arguments of a call as JSON, by the types.
fn read(function: &Arc<FunctionType>, block: &Bytes) -> String {
    let as_result = FunctionType { result: Some(function.params.clone()), ..FunctionType::clone(function) };
    result_as_json(&as_result, Some(block)).unwrap().unwrap()
}

/// An answer of a function, by the types.
fn answer(function: &Arc<FunctionType>, json: &str) -> Bytes {
    let params = ValueType::Record(vec![("answer".into(), function.result.clone().unwrap())]).into();
    arguments_of_json(&FunctionType { params, ..FunctionType::clone(function) }, &format!("[{json}]")).unwrap()
}

#[test]
fn what_a_layer_is_asked_is_a_call_of_its_functions() {
    let quote = quote();
    for (said, json) in said(&quote) {
        assert_eq!(read(before(), &write_before(&said).unwrap()), format!(r#"{{"what":{json}}}"#));
        let block = write_after(&said, None).unwrap();
        assert_eq!(read(after(), &block), format!(r#"{{"what":{json},"outcome":"done"}}"#));
        let failure = r#"{"code":"timeout","detail":"late"}"#;
        let block = write_after(&said, Some(("timeout", "late"))).unwrap();
        assert_eq!(read(after(), &block), format!(r#"{{"what":{json},"outcome":{{"failed":{failure}}}}}"#));
        let block = write_on_error(&said, "timeout", "late").unwrap();
        assert_eq!(read(on_error(), &block), format!(r#"{{"what":{json},"failure":{failure}}}"#));
    }
}

#[test]
fn what_a_layer_answers_is_read_whatever_the_bytes_are() {
    assert_eq!(read_verdict(&answer(before(), "\"pass\"")).unwrap(), None);
    let no = answer(before(), r#"{"reject": "no"}"#);
    assert_eq!(read_verdict(&no).unwrap(), Some("no"));
    for (at, json) in
        [r#""keep""#, r#"{"replace": "no"}"#, r#""suppress""#, r#""retry""#, r#""stop""#].iter().enumerate()
    {
        let (case, text) = (at, if at == 1 { "no" } else { "" });
        assert_eq!(read_error_verdict(&answer(on_error(), json)).unwrap(), (case, text));
    }
    for at in 0..no.len() {
        let _cut = read_verdict(&no.slice(..at));
        let mut other = no.to_vec();
        other[at] ^= 0xff;
        let _changed = (read_verdict(&other).is_ok(), read_error_verdict(&other).is_ok());
    }
    assert!(read_verdict(&[2, 0, 0, 0]).is_err() && read_verdict(&[]).is_err(), "no case of it");
}

#[test]
fn a_layer_is_asked_about_what_somebody_can_wait_for() {
    for one in Operation::ALL {
        let named = operations(one.name());
        assert_eq!(named.is_some(), Guard::ABOUT.contains(one), "{one}");
        assert!(named.is_none_or(|all| all == [one]), "{one}");
    }
    assert_eq!(operations("files").unwrap().len(), 8);
    assert_eq!(operations("messages").unwrap(), Guard::default().applies_to);
    assert_eq!((operations("clock"), operations("nonsense")), (None, None));
}
