#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::order::StartError;
use super::*;
use crate::capability::Mark;

const BOUNDS: Bounds = Bounds {
    memory_bytes: 1 << 30,
    cpu: Duration::from_secs(10),
    files: 64,
    time: Duration::from_secs(60),
    output_bytes: 1 << 20,
};

fn shell(places: &Arc<Places>, script: &str, bounds: Bounds) -> Start {
    Start {
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        environment: vec![("GREETING".to_owned(), "hello".to_owned())],
        folder: Workplace::At("/".into()),
        bounds,
        place: places.take(("a", "sh"), &Mark::default(), (10, 10)).unwrap(),
    }
}

fn read(output: Option<OwnedFd>) -> String {
    let mut text = String::new();
    std::fs::File::from(output.unwrap()).read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn a_program_has_what_it_is_given_and_nothing_else() {
    let places = Places::new(10);
    let script = "echo $GREETING $HOME; pwd; ls /proc/self/fd | tr '\\n' ' '; exit 7";
    let mut process = start(shell(&places, script, BOUNDS)).await.unwrap();
    let text = read(process.stdout.take());
    // The third one is that of `ls` itself.
    assert_eq!(text, "hello\n/\n0 1 2 3 ");
    assert_eq!(process.child.exit().await, Exit::Status(7));
    assert_eq!(places.of("a"), 0, "its place is free again");
}

#[tokio::test]
async fn what_it_has_started_ends_with_it_and_with_its_handle() {
    let places = Places::new(10);
    // The pipe is at its end when the last process that writes to it is gone.
    let mut process = start(shell(&places, "sleep 1000 & exit 0", BOUNDS)).await.unwrap();
    assert_eq!(read(process.stdout.take()), "");
    let mut process = start(shell(&places, "sleep 1000 & sleep 1000", BOUNDS)).await.unwrap();
    let (output, child) = (process.stdout.take(), Arc::clone(&process.child));
    drop(process);
    assert_eq!(read(output), "");
    assert_eq!(child.exit().await, Exit::Signal(9));
    assert!(!child.signal(Signal::TERM), "it is gone");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_so() {
    let places = Places::new(10);
    let order = Start { program: "/no/such".into(), ..shell(&places, "", BOUNDS) };
    let told = start(order).await.unwrap_err().to_string();
    assert!(told.contains("No such file"), "{told}");
    let order = Start { arguments: vec!["a\0b".to_owned()], ..shell(&places, "", BOUNDS) };
    assert!(matches!(start(order).await, Err(StartError::Zero { .. })));
    assert_eq!(places.of("a"), 0);
}

#[tokio::test]
async fn it_ends_at_its_bounds() {
    let places = Places::new(10);
    let late = Bounds { time: Duration::from_millis(1), ..BOUNDS };
    let process = start(shell(&places, "sleep 1000", late)).await.unwrap();
    assert_eq!(process.child.exit().await, Exit::Limit("time"));
    let busy = Bounds { cpu: Duration::from_millis(1), ..BOUNDS };
    let process = start(shell(&places, "while :; do :; done", busy)).await.unwrap();
    assert_eq!(process.child.exit().await, Exit::Limit("cpu"));
    let process = start(shell(&places, "sleep 1000", BOUNDS)).await.unwrap();
    assert!(process.child.wrote(1 << 20) && !process.child.wrote(1));
    assert_eq!(process.child.exit().await, Exit::Limit("output"));
    let few = Bounds { files: 16, ..BOUNDS };
    let mut process = start(shell(&places, "ulimit -n", few)).await.unwrap();
    assert_eq!(read(process.stdout.take()), "16\n");
}

#[tokio::test]
async fn no_more_run_than_may_and_a_grant_that_is_gone_ends_its_own() {
    let places = Places::new(3);
    let (one, other) = (Mark::default(), Mark::default());
    let first = places.take(("a", "x"), &one, (1, 2)).unwrap();
    assert_eq!(places.take(("a", "x"), &one, (1, 2)).unwrap_err(), Full::Grant(1));
    let second = places.take(("a", "y"), &other, (1, 2)).unwrap();
    assert_eq!(places.take(("a", "z"), &other, (1, 2)).unwrap_err(), Full::Service(2));
    let _third = places.take(("b", "x"), &other, (1, 2)).unwrap();
    assert_eq!(places.take(("c", "x"), &other, (1, 2)).unwrap_err(), Full::Host(3));
    let revoked = start(Start { place: first, ..shell(&Places::new(1), "sleep 1000", BOUNDS) }).await.unwrap();
    let goes_on = start(Start { place: second, ..shell(&Places::new(1), "sleep 1000", BOUNDS) }).await.unwrap();
    one.revoke();
    places.kill_ungranted("a", |_| true);
    assert_eq!(revoked.child.exit().await, Exit::Revoked);
    assert_eq!(goes_on.child.exited(), None);
    places.kill_ungranted("a", |name| name != "y");
    assert_eq!(goes_on.child.exit().await, Exit::Revoked);
}
