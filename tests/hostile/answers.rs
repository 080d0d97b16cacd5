//! Values of a component's own types are bounded as messages are: what a hostile one answers, and what somebody
//! writes as a call, is an error with a name, and takes no more of the host than its limits say.

use std::fs;

use airssys_tests::{Mesh, PATIENCE, footprint, made};
use airssys_wasm::error::{CallError, SendError};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use airssys_wasm::{InvokeError, Runtime, Value};

use super::{ALONE, KEPT, MEBI};

const ONE: &str = "name = \"m\"\n[root]\nintensity = 1000\n[[service]]\nname = \"it\"\nrelease = \"it.wasm\"\n";

async fn hosted(component: &[u8]) -> Mesh {
    Mesh::start_in(tempfile::tempdir().unwrap(), ONE, &[("it", component)], Runtime::builder()).await
}

/// What the process held at most while something was done, beyond what it held before.
async fn peak<T>(done: impl Future<Output = T>) -> (T, u64) {
    let before = footprint().resident_bytes;
    // From here on the kernel counts the most anew.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let done = done.await;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let most: u64 = most.trim().trim_end_matches(" kB").parse().unwrap();
    (done, (most * 1024).saturating_sub(before))
}

/// Types, and the bytes of a value where it lies, after the pointer to them: none of them is a value.
const LIES: [(&str, &str); 13] = [
    // So many that a host which believes it takes a gigabyte.
    ("list<u8>", "\\00\\00\\00\\00\\00\\00\\00\\40"),
    ("list<u8>", "\\00\\00\\00\\00\\ff\\ff\\ff\\ff"),
    ("list<string>", "\\00\\00\\00\\00\\00\\00\\00\\10"),
    ("list<list<u64>>", "\\00\\00\\00\\00\\ff\\ff\\ff\\1f"),
    // Beyond its memory, or not where a number of this size lies.
    ("list<u64>", "\\f8\\ff\\ff\\ff\\02\\00\\00\\00"),
    ("list<u64>", "\\01\\00\\00\\00\\01\\00\\00\\00"),
    ("string", "\\00\\00\\01\\00\\01\\00\\00\\00"),
    // No text: bytes that are not UTF-8, and one that ends in the middle of a character.
    ("string", "\\18\\00\\00\\00\\02\\00\\00\\00\\ff\\fe"),
    ("string", "\\18\\00\\00\\00\\02\\00\\00\\00\\e2\\82"),
    // No character, and cases that there are not.
    ("tuple<char, u8>", "\\00\\d8\\00\\00\\00"),
    ("option<u8>", "\\02\\00"),
    ("result<u8, u8>", "\\09\\00"),
    ("result<string, list<u8>>", "\\01\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\7f"),
];

#[tokio::test]
async fn an_answer_that_is_no_value_is_a_crash_and_takes_nothing_of_the_host() {
    let _alone = ALONE.lock().await;
    for (ty, bytes) in LIES {
        let core = format!(
            "(module (memory (export \"memory\") 1) (data (i32.const 16) \"{bytes}\")
                (func (export \"lie\") (result i32) (i32.const 16)) (func (export \"fine\") (result i32) (i32.const 7)))"
        );
        let wit = format!("package a:b; world it {{ export lie: func() -> {ty}; export fine: func() -> u32; }}");
        let mesh = hosted(&made::component(&wit, &core)).await;
        let call = async |call: &str| mesh.runtime.invoke("it", call, PATIENCE).await;
        let (told, most) = peak(call("lie()")).await;
        match told {
            Err(InvokeError::Call(CallError::Crashed(crash))) => {
                assert!(["trap", "oversized"].contains(&crash.code()), "{ty} {bytes}: {crash}");
            }
            other => panic!("{ty} {bytes}: {other:?}"),
        }
        assert!(most < KEPT, "{ty} {bytes}: {} MiB", most / MEBI);
        mesh.until("it serves again", |mesh| mesh.status("it").started == 2).await;
        assert_eq!(call("fine()").await, Ok(Some("7".to_owned())));
        mesh.stop().await;
    }
}

/// A function of a type that doubles with each of these: two to the power of `levels` numbers.
fn doubling(levels: usize) -> String {
    let mut types = "type t0 = u8;\n".to_owned();
    for level in 1..=levels {
        types = format!("{types} type t{level} = tuple<t{}, t{}>;\n", level - 1, level - 1);
    }
    format!(
        "package a:b; interface i {{ {types} big: func() -> t{levels}; fine: func() -> u32; }} world it {{ export i; }}"
    )
}

#[tokio::test]
async fn a_type_that_is_larger_than_anybody_writes_takes_nothing_of_the_host() {
    let _alone = ALONE.lock().await;
    for levels in [10, 14, 17, 18, 24, 40] {
        let core = "(module (memory (export \"memory\") 16)
            (func (export \"a:b/i#big\") (result i32) (i32.const 16))
            (func (export \"a:b/i#fine\") (result i32) (i32.const 7)))";
        let Some(component) = made::try_component(&doubling(levels), core) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("it.wasm");
        fs::write(&file, &component).unwrap();
        let (inspected, most) = peak(async { Release::find(&file).unwrap().inspect() }).await;
        assert!(most < KEPT, "2^{levels}: {} MiB to look at it", most / MEBI);
        if inspected.is_err() {
            continue;
        }
        let (mesh, most) = peak(hosted(&component)).await;
        assert!(most < KEPT + 16 * MEBI, "2^{levels}: {} MiB to host it", most / MEBI);
        assert_eq!(mesh.runtime.invoke("it", "fine()", PATIENCE).await, Ok(Some("7".to_owned())));
        let (_answer, most) = peak(mesh.runtime.invoke("it", "big()", PATIENCE)).await;
        assert!(most < KEPT, "2^{levels}: {} MiB to call it", most / MEBI);
        mesh.stop().await;
    }
}

#[tokio::test]
async fn a_call_that_is_nested_without_end_is_no_call_and_nothing_is_sent() {
    let _alone = ALONE.lock().await;
    let wit = "package a:b; world it { export take: func(a: list<list<option<tuple<u8>>>>) -> u32; }";
    let core = "(module (memory (export \"memory\") 1)
        (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
        (func (export \"take\") (param i32 i32) (result i32) (local.get 1)))";
    let mesh = hosted(&made::component(wit, core)).await;
    assert_eq!(mesh.runtime.invoke("it", "take([[some((1))], []])", PATIENCE).await, Ok(Some("2".to_owned())));
    for (open, close) in
        [("(", ")"), ("[", "]"), ("some(", ")"), ("{a: ", "}"), ("ok(", ")"), ("a(", ")"), ("[[], ", "]")]
    {
        for deep in [10_000, 1_000_000] {
            for closed in [true, false] {
                let end = if closed { close.repeat(deep) } else { String::new() };
                let text = format!("take({}{end})", open.repeat(deep));
                let (told, most) = peak(mesh.runtime.invoke("it", text.as_str(), PATIENCE)).await;
                assert!(matches!(told, Err(InvokeError::NoCall(_))), "{open} {deep}: {told:?}");
                assert!(most < KEPT, "{open} {deep}: {} MiB", most / MEBI);
            }
        }
    }
    assert_eq!(mesh.status("it").handled, 1);
    mesh.stop().await;
}

#[tokio::test]
async fn arguments_are_as_long_as_a_message_may_be() {
    let _alone = ALONE.lock().await;
    let wit = "package a:b; world it { export take: func(a: list<u8>) -> u32; }";
    // It has as much memory as the arguments take.
    let core = "(module (memory (export \"memory\") 512)
        (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
        (func (export \"take\") (param i32 i32) (result i32) (local.get 1)))";
    let mesh = hosted(&made::component(wit, core)).await;
    let call = async |length: usize| {
        let bytes = Value::List(vec![Value::U8(1); length]);
        mesh.runtime.call_values("it", "take", &[bytes], PATIENCE).await
    };
    let most = 1 << 20;
    assert_eq!(call(most - 64).await, Ok(Some(Value::U32(most as u32 - 64))));
    match call(most + 1).await {
        Err(InvokeError::Call(CallError::NotSent(SendError::TooLarge { .. }))) => {}
        other => panic!("{other:?}"),
    }
    // One that no type has, and that is not written into the error.
    let deep = (0..10_000).fold(Value::Bool(true), |of, _| Value::Option(Some(Box::new(of))));
    let deep = std::slice::from_ref(&deep);
    let refused = mesh.runtime.call_values("it", "take", deep, PATIENCE).await.unwrap_err();
    assert!(matches!(&refused, InvokeError::NoCall(_)) && refused.to_string().len() < 1_000, "{refused}");
    mesh.stop().await;
}
