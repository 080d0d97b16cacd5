//! A component that handles HTTP by WASI's own interface is a service as it is: a request is a call, and has what every
//! call has.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use airssys_tests::{Mesh, PATIENCE};
use airssys_wasm::InvokeError;
use airssys_wasm::Written;
use serde_json::{Value, json};

const SITE: &str = "name = \"m\"\n[[service]]\nname = \"site\"\nrelease = \"@site\"\n";

/// A response: its status, its headers and its body as text; or the error.
type Response = Result<(u64, Vec<(String, String)>, String), String>;

fn request(method: &str, path: &str, body: &str) -> String {
    let headers = json!([["x-told", b"yes"], ["host", b"other"], ["connection", b"close"]]);
    let request = json!({"method": method, "scheme": "http", "authority": "shop.example:80", "path-with-query": path,
        "headers": headers, "body": body.as_bytes()});
    json!([request]).to_string()
}

fn text(bytes: &Value) -> String {
    let bytes = bytes.as_array().unwrap().iter().map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap());
    String::from_utf8(bytes.collect()).unwrap()
}

async fn ask(mesh: &Mesh, path: &str, body: &str) -> Result<Response, InvokeError> {
    let arguments = request("POST", path, body);
    let call = Written::Json { function: "handle", arguments: &arguments };
    let answer = mesh.runtime.invoke_json("site", None, call, PATIENCE).await?.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let Some(response) = answer.get("ok") else { return Ok(Err(answer["err"].as_str().unwrap().to_owned())) };
    let header = |header: &Value| (header[0].as_str().unwrap().to_owned(), text(&header[1]));
    let headers = response["headers"].as_array().unwrap().iter().map(header).collect();
    Ok(Ok((response["status"].as_u64().unwrap(), headers, text(&response["body"]))))
}

#[tokio::test]
async fn a_request_is_handled_by_a_component_that_never_heard_of_us() {
    let mesh = Mesh::start(SITE).await;
    let (status, headers, body) = ask(&mesh, "/show?a=1", "what is sent").await.unwrap().unwrap();
    assert_eq!((status, headers), (200, vec![("content-type".to_owned(), "text/plain".to_owned())]));
    assert_eq!(body, "Method::Post Some(Scheme::Http) Some(\"shop.example:80\")\nx-told: yes\nwhat is sent");
    let (status, headers, body) = ask(&mesh, "/made", "").await.unwrap().unwrap();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(headers, [header("location", "/made/1"), header("set-cookie", "a=1"), header("set-cookie", "b=2")]);
    assert_eq!((status, body.as_str()), (201, ""));
    // In WAVE as well.
    let call = "handle({method: \"GET\", scheme: \"https\", authority: \"a\", path-with-query: \"/seen\", headers: [], body: []})";
    let answer = mesh.runtime.invoke("site", None, call, PATIENCE).await.unwrap().unwrap();
    assert_eq!(answer, "ok({status: 200, headers: [], body: [51]})", "the third request of one instance");
    mesh.stop().await;
}
