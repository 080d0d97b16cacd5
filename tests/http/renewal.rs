//! A handler that never drops what it is given answers for ever: before it has as many resources as it may, another
//! instance of it comes in its place, and nobody who asks sees that.

use airssys_tests::{Mesh, guest};
use airssys_wasm::events::{Heard, Kind};

use super::{SITE, ask, body, crash};

/// Twice as many as an instance could have that keeps a resource of each.
const REQUESTS: u64 = 600;

fn visitor() -> String {
    SITE.replace("\"@site\"", &format!("{:?}", guest("visitor")))
}

/// What is told until `end`, by kind.
async fn told(mesh: Mesh) -> Vec<String> {
    let mut events = mesh.runtime.events().of_kinds(&[Kind::Ended, Kind::Restarted, Kind::LimitReached]);
    mesh.stop().await;
    let mut told = Vec::new();
    while let Some(heard) = events.next().await {
        match heard {
            Heard::Event(event) => told.push(format!("{:?}", event.what)),
            other => panic!("{other:?}"),
        }
    }
    told
}

#[tokio::test]
async fn what_requests_leave_behind_goes_with_the_instance_and_no_request_fails_over_it() {
    let mesh = Mesh::start(SITE).await;
    let (mut instances, mut seen_before) = (1, 0);
    for number in 1..=REQUESTS / 3 {
        assert_eq!(body(&mesh, "/leak?2").await, "leaked");
        assert_eq!(body(&mesh, "/add").await, number.to_string(), "the committed state stays");
        let seen: u64 = body(&mesh, "/seen").await.parse().unwrap();
        if seen < seen_before {
            instances += 1;
        }
        seen_before = seen;
    }
    assert_eq!(instances, 2, "as few as can be");
    let status = mesh.status("site");
    assert_eq!((status.crashed, status.faulted), (0, 0));
    assert!(mesh.runtime.dead_letters().1.is_empty());
    let told = told(mesh).await;
    let limits: Vec<_> = told.iter().filter(|told| told.contains("LimitReached")).collect();
    assert!(limits.len() == 1 && limits[0].contains("resources"), "{told:?}");
    assert!(!told.iter().any(|told| told.contains("Restarted") || told.contains("Trap")), "{told:?}");
}

#[tokio::test]
async fn what_a_guest_remembers_is_handed_over_where_it_does_that() {
    let mesh = Mesh::start(&visitor()).await;
    for number in 1..=REQUESTS {
        assert_eq!(body(&mesh, "/").await, number.to_string());
    }
    assert_eq!(mesh.status("site").crashed, 0);
    mesh.stop().await;
}

#[tokio::test]
async fn who_hands_nothing_over_goes_without_it() {
    let mesh = Mesh::start(&visitor()).await;
    assert_eq!(body(&mesh, "/keeps-it").await, "1");
    let mut last = 0;
    for _ in 1..=REQUESTS {
        last = body(&mesh, "/").await.parse().unwrap();
    }
    assert!(last < REQUESTS, "another instance counts anew");
    assert_eq!(mesh.status("site").crashed, 0);
    mesh.stop().await;
}

#[tokio::test]
async fn where_no_other_instance_starts_the_one_that_is_there_goes_on_to_its_end() {
    let mesh = Mesh::start(&visitor()).await;
    assert_eq!(body(&mesh, "/hands-over-nonsense").await, "1");
    let mut number = 1;
    while mesh.status("site").crashed == 0 {
        number += 1;
        assert!(number < REQUESTS, "it never ends");
        match ask(&mesh, "/", "").await {
            Ok(answered) => assert_eq!(answered.unwrap().2, number.to_string(), "of one instance"),
            Err(error) => assert!(error.to_string().contains("the limit `resources` is 256"), "{error}"),
        }
    }
    assert!(number > 250, "{number}");
    assert_eq!(body(&mesh, "/").await, "1", "of the next one");
    mesh.stop().await;
}

#[tokio::test]
async fn who_keeps_what_it_has_open_is_left_as_it_is() {
    let mesh = Mesh::start(SITE).await;
    assert_eq!(body(&mesh, "/leak?240").await, "leaked");
    for number in 2..=REQUESTS {
        assert_eq!(body(&mesh, "/seen").await, number.to_string());
    }
    assert_eq!(crash(&mesh, "/leak?100").await, "trap");
    mesh.stop().await;
}
