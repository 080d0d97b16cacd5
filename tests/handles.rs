//! A component that exports resources is a service as any other. A handle of one lives as long as the instance that
//! made it, at most; one that is dead is told as such, and never reaches another resource.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use airssys_tests::{Mesh, PATIENCE};
use airssys_wasm::engine::Value;
use airssys_wasm::error::{CallError, Fault, HandleDeath};
use airssys_wasm::{InvokeError, Written};

const MARKET: &str = "name = \"m\"\n[[service]]\nname = \"carts\"\nrelease = \"@carts\"\n";

async fn invoke(mesh: &Mesh, call: &str) -> Result<String, InvokeError> {
    mesh.runtime.invoke("carts", None, call, PATIENCE).await.map(Option::unwrap_or_default)
}

/// What a call answers, which is to be done.
async fn done(mesh: &Mesh, call: &str) -> String {
    invoke(mesh, call).await.unwrap_or_else(|error| panic!("{call}: {error}"))
}

/// Why a handle that is given with a call is dead.
async fn dead(mesh: &Mesh, call: &str) -> HandleDeath {
    match invoke(mesh, call).await {
        Err(InvokeError::Call(CallError::DeadHandle(dead))) => {
            assert_eq!(dead.service, "carts", "{call}");
            dead.why
        }
        other => panic!("{call}: {other:?}"),
    }
}

#[tokio::test]
async fn a_resource_is_made_called_and_lives_as_long_as_its_instance() {
    let mesh = Mesh::start(MARKET).await;
    let cart = done(&mesh, "cart.new(\"ann\")").await;
    let other = done(&mesh, "[constructor]cart(\"bob\")").await;
    assert_eq!(done(&mesh, &format!("cart.add({cart}, \"book\", 2)")).await, "2");
    assert_eq!(done(&mesh, &format!("acme:shop/carts#cart.add({cart}, \"pen\", 3)")).await, "5");
    assert_eq!(done(&mesh, &format!("cart.owner({other})")).await, "\"bob\"");
    assert_eq!(done(&mesh, &format!("count([{cart}, {other}, {cart}])")).await, "10");
    // An error of its own discards the turn, and the handle lives on.
    assert_eq!(done(&mesh, &format!("cart.try-add({cart}, \"book\", 99)")).await, "err(\"99 are too many\")");
    assert!(done(&mesh, "cart.open(\"\")").await.starts_with("err("));
    let _crashed = invoke(&mesh, "crash(\"on purpose\")").await.unwrap_err();
    let handled = mesh.status("carts").handled;
    assert_eq!(dead(&mesh, &format!("cart.add({cart}, \"book\", 2)")).await, HandleDeath::Instance);
    // It was no crash, and no turn.
    assert_eq!((mesh.status("carts").crashed, mesh.status("carts").handled), (1, handled));
    let _new = done(&mesh, "cart.new(\"ann\")").await;
    assert_eq!(dead(&mesh, &format!("cart.owner({cart})")).await, HandleDeath::Instance);
    mesh.stop().await;
}

#[tokio::test]
async fn what_is_given_away_dropped_forged_or_another_resource_is_dead() {
    let mesh = Mesh::start(MARKET).await;
    let cart = done(&mesh, "cart.new(\"ann\")").await;
    done(&mesh, &format!("cart.add({cart}, \"book\", 2)")).await;
    let receipt = done(&mesh, &format!("checkout({cart})")).await;
    assert_eq!(done(&mesh, &format!("receipt.pieces({receipt})")).await, "2");
    assert_eq!(dead(&mesh, &format!("cart.owner({cart})")).await, HandleDeath::Unknown);
    assert_eq!(
        dead(&mesh, &format!("cart.owner({receipt})")).await,
        HandleDeath::Other { found: "receipt".to_owned() }
    );
    let one = done(&mesh, "cart.new(\"ann\")").await;
    assert_eq!(dead(&mesh, &format!("cart.merge([{one}, {one}])")).await, HandleDeath::Given);
    let dropped = done(&mesh, "dropped()").await;
    assert_eq!(done(&mesh, &format!("cart.drop({one})")).await, "");
    assert_eq!(dead(&mesh, &format!("cart.drop({one})")).await, HandleDeath::Unknown);
    assert_eq!(done(&mesh, "dropped()").await, (dropped.parse::<u32>().unwrap() + 1).to_string());
    // Each digit of another one.
    let alive = done(&mesh, "cart.new(\"ann\")").await;
    for at in 1..alive.len() - 1 {
        let mut forged = alive.clone();
        let digit = if &alive[at..=at] == "0" { "1" } else { "0" };
        forged.replace_range(at..=at, digit);
        let why = dead(&mesh, &format!("cart.owner({forged})")).await;
        assert!(matches!(why, HandleDeath::Instance | HandleDeath::Unknown), "{why:?}");
    }
    let no = invoke(&mesh, "cart.owner(\"cart\")").await.unwrap_err().to_string();
    assert_eq!(no, "`self`: borrow<cart> is wanted, and it is \"cart\"");
    assert_eq!(done(&mesh, &format!("cart.owner({alive})")).await, "\"ann\"");
    assert_eq!(mesh.status("carts").crashed, 0);
    mesh.stop().await;
}

#[tokio::test]
async fn handles_lie_in_lists_and_records_and_are_texts_in_json_and_in_rust() {
    let mesh = Mesh::start(MARKET).await;
    let json = async |function: &str, arguments: &str| {
        let call = Written::Json { function, arguments };
        mesh.runtime.invoke_json("carts", None, call, PATIENCE).await.unwrap().unwrap()
    };
    let cart = json("cart.new", "[\"ann\"]").await;
    assert_eq!(json("cart.add", &format!("{{\"self\": {cart}, \"sku\": \"book\", \"qty\": 8}}")).await, "8");
    let parts: Vec<String> = serde_json::from_str(&json("split", &format!("[{cart}, 4]")).await.clone()).unwrap();
    assert_eq!(parts.len(), 4);
    let typed = mesh.runtime.function("carts", "count").unwrap();
    assert_eq!(typed.to_string(), "count: func(carts: list<borrow<cart>>) -> u32");
    let count = typed.typed::<(Vec<String>,), u32>().unwrap();
    assert_eq!(mesh.runtime.call_typed(&count, None, &(parts.clone(),), PATIENCE).await, Ok(8));
    let values = parts.iter().map(|part| Value::String(part.clone())).collect();
    let merge = mesh.runtime.function("carts", "cart.merge").unwrap();
    let merged = mesh.runtime.call_values(&merge, None, &[Value::List(values)], PATIENCE).await.unwrap();
    let Some(Value::String(merged)) = merged else { panic!("{merged:?}") };
    assert_eq!(json("count", &format!("[[{merged:?}]]")).await, "8");
    let parcel = json("pack", &format!("[{merged:?}, \"a gift\"]")).await;
    let cart = json("unpack", &format!("[{parcel}]")).await;
    assert_eq!(json("count", &format!("[[{cart}]]")).await, "8");
    assert_eq!(dead(&mesh, &format!("cart.owner({merged:?})")).await, HandleDeath::Unknown);
    mesh.stop().await;
}

#[tokio::test]
async fn there_are_as_many_handles_as_the_limit_says() {
    let mesh = Mesh::start(&format!("{MARKET}[service.limits]\nhandles = 3\n")).await;
    let cart = done(&mesh, "cart.new(\"ann\")").await;
    let full = invoke(&mesh, &format!("split({cart}, 3)")).await.unwrap_err();
    assert!(
        matches!(&full, InvokeError::Call(CallError::Fault(Fault::Unavailable(why))) if why.contains("as they may, 3")),
        "{full}"
    );
    // None of them was kept.
    assert_eq!(done(&mesh, "dropped()").await, "3");
    let both = done(&mesh, &format!("split({cart}, 2)")).await;
    let _full = invoke(&mesh, "cart.new(\"bob\")").await.unwrap_err();
    done(&mesh, &format!("cart.drop({cart})")).await;
    done(&mesh, "cart.new(\"bob\")").await;
    assert_eq!(done(&mesh, &format!("count({both})")).await, "0");
    mesh.stop().await;
}
