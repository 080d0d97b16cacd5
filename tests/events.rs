//! What happens in a mesh is told to whoever asks: each kind of event, in order, and how many were lost. Nobody waits for a reader.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use airssys_tests::{Mesh, PATIENCE};
use airssys_wasm::events::{Event, Happening, Heard, Kind, Subscription};
use prober_protocol::{Command, Trap};
use serde_json::{Value, json};
use tokio::time::timeout;

/// The next event; none may be lost.
async fn next(events: &mut Subscription) -> Event {
    match timeout(PATIENCE, events.next()).await.unwrap() {
        Some(Heard::Event(event)) => Event::clone(&event),
        other => panic!("{other:?}"),
    }
}

/// The next event as people get it who read JSON: without its number and its time.
async fn told(events: &mut Subscription) -> Value {
    let mut value = serde_json::to_value(next(events).await).unwrap();
    let fields = value.as_object_mut().unwrap();
    assert!(fields.remove("number").unwrap().is_u64() && fields.remove("at").unwrap().is_string());
    value
}

async fn crash(mesh: &Mesh, to: &str) {
    mesh.ask(to, &Command::Trap(Trap::Panic)).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_starts_ends_and_is_restarted_and_the_end_of_all_is_the_end_of_the_events() {
    let text = "name = \"mesh\"\n[root]\nintensity = 9\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\n[[service]]\nname = \"pool\"\nrelease = \"@prober\"\ninstances = 2\n";
    let mesh = Mesh::start(text).await;
    let mut events = mesh.runtime.events().of_kinds(&[Kind::Started, Kind::Ended, Kind::Restarted]);
    for (service, actor) in [("a", "a"), ("pool", "pool#0"), ("pool", "pool#1")] {
        let up = json!({ "service": service, "kind": "started", "actor": actor, "incarnation": 1 });
        assert_eq!(told(&mut events).await, up);
    }
    crash(&mesh, "a").await;
    let ended = told(&mut events).await;
    assert_eq!((&ended["kind"], &ended["incarnation"], &ended["reason"]), (&json!("ended"), &json!(1), &json!("trap")));
    assert!(ended["detail"].as_str().unwrap().starts_with("trap: "), "{ended}");
    let again = json!({ "service": "a", "kind": "restarted", "actor": "a", "incarnation": 2 });
    assert_eq!(told(&mut events).await, again);

    let mut late = events.clone().of_service("pool");
    mesh.stop().await;
    for actor in ["pool#1", "pool#0", "a"] {
        let Happening::Ended { actor: who, reason, .. } = next(&mut events).await.what else { panic!("no end") };
        assert_eq!((who.as_str(), reason.as_str()), (actor, "shutdown"), "they stop in the reverse order");
    }
    assert_eq!(events.next().await, None);
    // Also for one who reads only then, and only of one service.
    assert_eq!([told(&mut late).await["actor"].clone(), told(&mut late).await["actor"].clone()], ["pool#1", "pool#0"]);
    assert_eq!(late.next().await, None);
}
