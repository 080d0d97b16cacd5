//! A component that exports resources is a service as any other. A handle of one lives as long as the instance that
//! made it, at most; one that is dead is told as such, and never reaches another resource.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::sync::Arc;
use std::time::Duration;

use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, PATIENCE, builder, guest, until};
use airssys_wasm::command::HandleDeath;
use airssys_wasm::deploy::{Portion, Progress, Rolling, Strategy};
use airssys_wasm::error::{CallError, Fault};
use airssys_wasm::registry::Release;
use airssys_wasm::{InvokeError, Value, Written};

const MARKET: &str = "name = \"m\"\n[[service]]\nname = \"carts\"\nrelease = \"@carts\"\n";

async fn invoke(mesh: &Mesh, call: &str) -> Result<String, InvokeError> {
    mesh.runtime.invoke("carts", call, PATIENCE).await.map(Option::unwrap_or_default)
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
        mesh.runtime.invoke("carts", call, PATIENCE).await.unwrap().unwrap()
    };
    let cart = json("cart.new", "[\"ann\"]").await;
    assert_eq!(json("cart.add", &format!("{{\"self\": {cart}, \"sku\": \"book\", \"qty\": 8}}")).await, "8");
    let parts: Vec<String> = serde_json::from_str(&json("split", &format!("[{cart}, 4]")).await.clone()).unwrap();
    assert_eq!(parts.len(), 4);
    let count = mesh.runtime.function::<(Vec<String>,), u32>("carts", "count").unwrap();
    assert_eq!(count.to_string(), "count: func(carts: list<borrow<cart>>) -> u32");
    assert_eq!(mesh.runtime.call_typed(&count, None, &(parts.clone(),), PATIENCE).await, Ok(8));
    let values = parts.iter().map(|part| Value::String(part.clone())).collect();
    let values = [Value::List(values)];
    let merged = mesh.runtime.call_values("carts", "cart.merge", &values, PATIENCE).await.unwrap();
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

const WIRED: &str = r#"
    name = "m"
    [root]
    intensity = 100
    [[service]]
    name = "carts"
    release = "@carts"
    [[service]]
    name = "shopper"
    release = "@shopper"
    wires = { "acme:shop/carts" = "carts" }
"#;

/// What the one answers that has its carts elsewhere.
async fn shopper(mesh: &Mesh, call: &str) -> Result<String, InvokeError> {
    mesh.runtime.invoke("shopper", call, PATIENCE).await.map(Option::unwrap_or_default)
}

/// So many carts are dropped at last.
async fn dropped(mesh: &Mesh, carts: u32) {
    until("carts are dropped", async || done(mesh, "dropped()").await == carts.to_string()).await;
}

#[tokio::test]
async fn a_handle_crosses_a_wire_and_is_dropped_there_with_that_of_who_has_it() {
    // There is place for one round, and no more.
    let mesh = Mesh::start(&WIRED.replace("\"@carts\"", "\"@carts\"\nlimits = { handles = 6 }")).await;
    for round in 1..=10 {
        // Two parts of six pieces, the cart itself, and what came of the parts.
        assert_eq!(shopper(&mesh, "visit(6)").await.unwrap(), "18");
        dropped(&mesh, round * 4).await;
    }
    assert_eq!(shopper(&mesh, "keep(\"ann\")").await.unwrap(), "1");
    assert_eq!(shopper(&mesh, "add(2)").await.unwrap(), "ok(2)");
    assert_eq!(shopper(&mesh, "owner()").await.unwrap(), "ok(\"ann\")");
    assert_eq!(shopper(&mesh, "add(99)").await.unwrap(), "err(\"99 are too many\")");
    // What is given away is gone there.
    assert_eq!(shopper(&mesh, "pay()").await.unwrap(), "ok(2)");
    assert_eq!(shopper(&mesh, "pay()").await.unwrap(), "err(\"it has no cart\")");
    dropped(&mesh, 41).await;
    // What was dropped is dropped, whatever becomes of the turn.
    for fails in [false, true] {
        shopper(&mesh, "keep(\"ann\")").await.unwrap();
        shopper(&mesh, &format!("leave({fails})")).await.unwrap();
    }
    dropped(&mesh, 43).await;
    assert!(mesh.dead().is_empty(), "{:?}", mesh.dead());
    mesh.stop().await;
}

#[tokio::test]
async fn who_has_a_handle_is_told_that_it_is_dead_and_one_that_ends_drops_its_own() {
    let mesh = Mesh::start(WIRED).await;
    shopper(&mesh, "keep(\"ann\")").await.unwrap();
    let _crashed = invoke(&mesh, "crash(\"on purpose\")").await.unwrap_err();
    let told = "err(\"dead handle of a cart of carts: the instance that made it is gone, or another one is asked\")";
    assert_eq!(shopper(&mesh, "add(2)").await.unwrap(), told);
    assert_eq!((mesh.status("carts").crashed, mesh.status("shopper").crashed), (1, 0));
    // There is no value that says so.
    let trapped = shopper(&mesh, "owner()").await.unwrap_err().to_string();
    assert!(trapped.contains("acme:shop/carts@1.0.0#cart.owner") && trapped.contains("dead handle"), "{trapped}");
    for carts in 1..=2 {
        assert_eq!(shopper(&mesh, "keep(\"bob\")").await.unwrap(), carts.to_string());
    }
    let _crashed = shopper(&mesh, "crash()").await.unwrap_err();
    dropped(&mesh, 2).await;
    assert_eq!(shopper(&mesh, "keep(\"bob\")").await.unwrap(), "1");
    mesh.stop().await;
}

/// Another release of the same resources: its binary says something more at its end, which nobody reads.
fn another(mesh: &Mesh, number: u8) -> Release {
    let path = mesh.folder.path().join(format!("carts-{number}.wasm"));
    let mut binary = std::fs::read(guest("carts").parent().unwrap().join("target/airssys/carts.wasm")).unwrap();
    binary.extend([0, 3, 1, b'x', number]);
    std::fs::write(&path, binary).unwrap();
    std::fs::write(path.with_extension("toml"), format!("name = \"carts\"\nversion = \"2.0.{number}\"\n")).unwrap();
    Release::find(&path).unwrap()
}

#[tokio::test]
async fn a_release_that_takes_over_has_none_of_the_handles() {
    let mesh = Mesh::start(WIRED).await;
    let cart = done(&mesh, "cart.new(\"ann\")").await;
    shopper(&mesh, "keep(\"ann\")").await.unwrap();
    let deployment = mesh.runtime.deploy("carts", another(&mesh, 1), quick()).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    assert_eq!(dead(&mesh, &format!("cart.owner({cart})")).await, HandleDeath::Instance);
    assert!(shopper(&mesh, "add(2)").await.unwrap().contains("dead handle"));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_strategy_ends_the_handles_of_the_release_before_and_no_others() {
    let mesh = Arc::new(Mesh::start(&format!("{MARKET}keyed = {{}}\n")).await);
    // Others, whose turns are what a canary and a shadow compare.
    let asking = tokio::spawn({
        let mesh = Arc::clone(&mesh);
        async move {
            for number in (0_u32..).map(|number| number % 20) {
                let _dropped = mesh.runtime.invoke(("carts", &number.to_string()), "dropped()", PATIENCE).await;
            }
        }
    });
    let ann = async |call: &str| mesh.runtime.invoke(("carts", "ann"), call, PATIENCE).await;
    let mut rolling = Rolling::default();
    rolling.batch = Portion::Percent(50.0);
    rolling.bake = Duration::from_millis(20);
    let strategies = [
        Strategy::InPlace,
        Strategy::Rolling(rolling),
        Strategy::BlueGreen,
        Strategy::Canary { steps: vec![25.0] },
        Strategy::Shadow { tolerate: 0.0 },
    ];
    for (number, strategy) in (1..).zip(strategies) {
        let cart = ann("cart.new(\"ann\")").await.unwrap().unwrap();
        assert_eq!(ann(&format!("cart.add({cart}, \"pen\", 7)")).await, Ok(Some("7".to_owned())));
        let mut options = quick();
        options.gate.samples = 20;
        options.gate.bake = Duration::from_millis(20);
        // On a busy machine any release may be a millisecond slower.
        options.gate.latency = 1_000_000.0;
        options.strategy = strategy.clone();
        let deployment = mesh.runtime.deploy("carts", another(&mesh, number), options).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live, "{strategy:?}");
        match ann(&format!("cart.owner({cart})")).await {
            Err(InvokeError::Call(CallError::DeadHandle(dead))) => {
                assert_eq!(dead.why, HandleDeath::Instance, "{strategy:?}");
            }
            other => panic!("{strategy:?}: {other:?}"),
        }
        let next = ann("cart.new(\"ann\")").await.unwrap().unwrap();
        assert_eq!(ann(&format!("cart.add({next}, \"pen\", 1)")).await, Ok(Some("1".to_owned())), "{strategy:?}");
    }
    asking.abort();
    let _aborted = asking.await;
    assert_eq!(mesh.status("carts").crashed, 0);
    Arc::into_inner(mesh).unwrap().stop().await;
}

#[tokio::test]
async fn a_handle_is_of_the_actor_that_made_it() {
    for shape in ["keyed = {}", "instances = 2\npartitioned = true"] {
        let mesh = Mesh::start(&format!("{MARKET}{shape}\n")).await;
        let call = async |key: &str, call: String| mesh.runtime.invoke(("carts", key), &*call, PATIENCE).await;
        let cart = call("ann", "cart.new(\"ann\")".to_owned()).await.unwrap().unwrap();
        let mut others = 0;
        for key in ["ann", "bob", "cyd", "dan", "eve", "ann"] {
            match call(key, format!("cart.owner({cart})")).await {
                Ok(owner) => assert_eq!(owner.as_deref(), Some("\"ann\"")),
                Err(InvokeError::Call(CallError::DeadHandle(dead))) => {
                    others += 1;
                    assert_eq!(dead.why, HandleDeath::Instance);
                }
                other => panic!("{shape}, {key}: {other:?}"),
            }
        }
        assert!(others > 0, "{shape}");
        assert_eq!(call("ann", format!("cart.add({cart}, \"pen\", 1)")).await, Ok(Some("1".to_owned())));
        mesh.stop().await;
    }
}

#[tokio::test]
async fn what_cannot_find_the_instance_of_a_handle_is_refused_before_it_runs() {
    for (more, said) in
        [("queries = [\"count\"]", "it takes or gives resources"), ("instances = 2", "its pool of 2 has one mailbox")]
    {
        let Err(refused) = Mesh::try_start(&format!("{MARKET}{more}\n"), builder()).await else { panic!("it starts") };
        assert!(refused.to_string().contains(said), "{refused}");
    }
    let keyed = WIRED.replace("\"@carts\"", "\"@carts\"\nkeyed = {}");
    let by_key = keyed.replace("= \"carts\" }", "= { to = \"carts\", key = \"owner\" } }");
    let Err(refused) = Mesh::try_start(&by_key, builder()).await else { panic!("it starts") };
    assert!(refused.to_string().contains("cart.add has no parameter \"owner\""), "{refused}");
    let mesh = Mesh::start(&keyed.replace("= \"carts\" }", "= \"carts/house\" }")).await;
    assert_eq!(shopper(&mesh, "visit(6)").await.unwrap(), "18");
    mesh.stop().await;
}
