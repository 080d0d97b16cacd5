//! What is forgotten is gone as a whole, or there as a whole.

use super::*;

/// A file with a state that is to be forgotten, and others beside it whose names begin as its does.
fn with_neighbours(disk: &Disk) -> [(&'static str, BTreeMap<Box<str>, KeptState>); 2] {
    let long = "x".repeat(3_000);
    let values: Vec<(String, &str)> = (0..20).map(|key| (key.to_string(), long.as_str())).collect();
    let values: Vec<(&str, &str)> = values.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let states = ["", "a", "a\u{1}", "ab"].map(|actor| (Box::from(actor), kept(&values)));
    let services = [("counter", BTreeMap::from(states)), ("counter2", BTreeMap::from([("a".into(), kept(&values))]))];
    let file = on(disk);
    for (service, states) in &services {
        file.replace(service, states).unwrap();
    }
    services
}

#[test]
fn one_state_is_forgotten_and_no_other() {
    for actor in ["a", "", "ab"] {
        let disk = Disk::default();
        let [(service, mut states), (other, others)] = with_neighbours(&disk);
        let file = on(&disk);
        assert!(file.forget(service, actor).unwrap());
        states.remove(actor);
        for file in [file, on(&disk)] {
            assert_eq!((file.read(service).unwrap(), file.read(other).unwrap()), (states.clone(), others.clone()));
            assert!(!file.forget(service, actor).unwrap(), "there is none any more");
        }
    }
}

/// The host is killed, or the power goes, at every write and sync in turn; once the file alone does it, and once a
/// mesh.
#[tokio::test]
async fn what_is_cut_off_is_there_as_it_was_or_not_at_all() {
    let mut seed = seed();
    for by_mesh in [false, true] {
        let (mut kept_it, mut forgot_it) = (0, 0);
        for point in 0.. {
            let disk = Disk::default();
            let [(service, states), (other, others)] = with_neighbours(&disk);
            let cut_off = disk.copy();
            let went_well = if by_mesh {
                let (states, journal) = service_states(on(&cut_off));
                cut_off.fail_after(point, usize::MAX);
                let forgotten = states.state("a").forget(0).unwrap().done().await;
                let known = states.state("a").snapshot().is_empty();
                assert_eq!(forgotten.is_ok(), known, "memory has what is true");
                journal.close().await;
                forgotten.is_ok()
            } else {
                let file = on(&cut_off);
                cut_off.fail_after(point, usize::MAX);
                file.forget(service, "a").is_ok()
            };
            for after in [cut_off.copy(), cut_off.after_power_cut(&mut seed)] {
                let file = on(&after);
                let mut found = file.read(service).unwrap();
                match found.remove("a") {
                    Some(state) => {
                        assert_eq!(state, states["a"], "cut off at {point}");
                        assert!(!went_well, "it was acknowledged");
                        kept_it += 1;
                    }
                    None => forgot_it += 1,
                }
                let mut rest = states.clone();
                rest.remove("a");
                assert_eq!((found, file.read(other).unwrap()), (rest, others.clone()), "cut off at {point}");
            }
            if went_well {
                assert!(kept_it > 0 && forgot_it > 1, "{kept_it} and {forgot_it}");
                break;
            }
        }
    }
}

/// A turn whose actor was killed while it waited for the disk is on its way still.
#[tokio::test]
async fn what_was_on_its_way_is_forgotten_as_well_and_what_comes_after_is_not() {
    let disk = Disk::default();
    let (states, journal) = service_states(on(&disk));
    let state = states.state("a");
    write(&state, 1).await.unwrap();
    let saved = Saved::before(&state, 0, 0);
    let age = state.age();
    let mut left_behind = Transaction::default();
    left_behind.set(&state, "more", Bytes::from_static(b"some"), 1 << 20).unwrap();
    let busy = disk.hold();
    let other = states.state("b");
    let waits = tokio::spawn(async move { write(&other, 9).await });
    tokio::task::yield_now().await;
    let left_behind = state.save(&mut left_behind, 2, 0, Box::new(|| ())).unwrap();
    let forgotten = state.forget(0).unwrap();
    assert!(!state.is_empty(), "not before it is on the disk");
    drop(busy);
    waits.await.unwrap().unwrap();
    left_behind.done().await.unwrap();
    forgotten.done().await.unwrap();
    assert!(state.is_empty() && state.commits() == 0 && state.schema().is_none());
    assert!(state.age() > age && saved.is_forgotten(), "it is not young again");
    assert!(state.was_saved(2), "that turn is over all the same");
    assert!(state.forget(0).is_none(), "that was done");
    write(&state, 3).await.unwrap();
    assert_eq!(saved.turns_since(), 1);
    saved.put_back().await.unwrap();
    assert!(state.is_empty(), "what was forgotten does not come back");
    write(&state, 4).await.unwrap();
    let bytes = journal.budget().bytes();
    journal.close().await;
    let file = on(&disk);
    let found = file.read("counter").unwrap();
    assert_eq!((number(&found["a"].values), found["a"].values.len(), number(&found["b"].values)), (4, 2, 9));
    assert_eq!(file.bytes("counter").unwrap(), bytes);
}

#[tokio::test]
async fn what_the_disk_does_not_take_is_not_forgotten_and_can_be_later() {
    let disk = Disk::default();
    let (states, journal) = service_states(on(&disk));
    let state = states.state("");
    write(&state, 1).await.unwrap();
    disk.fail_after(0, usize::MAX);
    assert!(matches!(state.forget(0).unwrap().done().await, Err(Crash::NotDurable { .. })));
    assert_eq!((number(&state.snapshot()), state.commits(), state.forgotten()), (1, 1, 0));
    assert!(disk.heal());
    state.forget(0).unwrap().done().await.unwrap();
    assert!(state.is_empty());
    journal.close().await;
    assert_eq!(on(&disk).read("counter").unwrap(), BTreeMap::new());
}
