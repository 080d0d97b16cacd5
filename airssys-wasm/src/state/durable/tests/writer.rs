//! Commits: memory and disk agree, whatever the disk does.

use super::*;

#[tokio::test]
async fn a_commit_that_meets_a_damaged_page_is_refused_and_so_is_the_next_one() {
    let disk = Disk::default();
    on(&disk).replace("counter", &BTreeMap::from([("actor".into(), kept(&[("k", "v")]))])).unwrap();
    let mut file = on(&disk);
    disk.damage(b"actor");
    file.reopen().unwrap();
    let journal = Journal::start_with(file, 0, |_| Duration::ZERO, None).unwrap();
    let state = ServiceStates::new(journal.clone(), "counter", LoadedService::default()).state("");
    for _ in 0..2 {
        let refused = write(&state, 1).await;
        assert!(matches!(&refused, Err(Crash::NotDurable { detail }) if detail.contains("damaged")), "{refused:?}");
    }
    assert!(matches!(journal.read("counter").await, Some(Err(StateError::Damaged { .. }))));
    let let_go = disk.let_go();
    journal.close().await;
    assert_eq!(let_go.try_recv(), Err(TryRecvError::Disconnected));
}

#[tokio::test]
async fn memory_and_disk_agree_and_who_does_not_wait_stops_nothing() {
    let disk = Disk::default();
    let (states, journal) = service_states(on(&disk));
    let state = states.state("");
    write(&state, 1).await.unwrap();
    assert_eq!((number(&state.snapshot()), state.commits()), (1, 1));
    let mut turn = Transaction::default();
    for key in ["left", "right"] {
        turn.set(&state, key, Bytes::copy_from_slice(&2_u64.to_le_bytes()), 1 << 20).unwrap();
    }
    // As an actor that is killed while it waits.
    let (happens, happened) = std::sync::mpsc::channel();
    drop(state.save(&mut turn, 2, 0, Box::new(move || happens.send(()).unwrap())).unwrap());
    states.settle().await;
    assert_eq!((number(&state.snapshot()), state.commits()), (2, 2));
    assert!(happened.try_recv().is_ok() && state.was_saved(2) && !state.was_saved(1), "all of it happened");
    journal.close().await;
    assert!(write(&state, 3).await.is_err(), "it is closed");
    assert_eq!(number(&state.snapshot()), 2);
    let found = on(&disk).read("counter").unwrap().remove("").unwrap();
    assert_eq!((number(&found.values), found.commits), (2, 2));
}

/// It may be a layer of the host's that panics.
#[tokio::test]
async fn a_commit_whose_rest_panics_is_in_nobody_elses_way() {
    let disk = Disk::default();
    let (states, journal) = service_states(on(&disk));
    let mut turn = Transaction::default();
    turn.set(&states.state("a"), "k", Bytes::new(), 1 << 20).unwrap();
    // As an actor that is killed while it waits.
    let held = disk.hold();
    drop(states.state("a").save(&mut turn, 1, 0, Box::new(|| panic!("over the rest"))).unwrap());
    drop(held);
    states.settle().await;
    assert!(states.state("a").was_saved(1), "it was committed before that");
    write(&states.state("b"), 1).await.unwrap();
    journal.close().await;
    assert_eq!(on(&disk).read("counter").unwrap(), all(&states));
}

/// Deletes a key, or makes a key, in a state and another one in the other, as one group or two.
async fn both(states: &ServiceStates, round: u64) -> [bool; 2] {
    let savings = ["a", "b"].map(|actor| {
        let state = states.state(actor);
        let mut turn = Transaction::default();
        turn.delete(&state, &(round - 1).to_string());
        turn.set(&state, &round.to_string(), Bytes::copy_from_slice(actor.as_bytes()), 1 << 20).unwrap();
        state.save(&mut turn, round, u32::try_from(round).unwrap(), Box::new(|| ())).unwrap()
    });
    let [a, b] = savings;
    [a.done().await.is_ok(), b.done().await.is_ok()]
}

fn all(states: &ServiceStates) -> BTreeMap<Box<str>, KeptState> {
    let mut all = BTreeMap::new();
    states.each(|actor, state| drop(all.insert(actor.into(), state.dump())));
    // A state that nobody has written to is not on disk.
    all.retain(|_, kept| kept.commits > 0);
    all
}

/// At every write and sync in turn the disk fails, once or some times, with one state that was there before and two
/// that were not.
#[tokio::test]
async fn a_commit_that_fails_never_was_and_the_next_one_goes_well_when_the_disk_does() {
    let mut seed = seed();
    for (failures, forgets) in [(1, false), (1, true), (2, true), (7, true), (usize::MAX, true)] {
        let mut point = 0;
        loop {
            let disk = if forgets { Disk::default().that_forgets(seed) } else { Disk::default() };
            let (states, journal) = service_states(on(&disk));
            let state = states.state("");
            write(&state, 1).await.unwrap();
            disk.fail_after(point, failures);
            let mut told = 1;
            for _ in 0..2 {
                told += u64::from(write(&state, told + 1).await.is_ok());
            }
            let expected = both(&states, 1).await.map(u64::from);
            let has_failed = disk.heal();
            assert_eq!((number(&state.snapshot()), state.commits()), (told, told), "as it was told");
            assert_eq!(["a", "b"].map(|actor| states.state(actor).commits()), expected, "as it was told");
            write(&state, told + 1).await.unwrap();
            let memory = all(&states);
            assert_eq!(number(&memory[""].values), told + 1);
            // What the file has is what it would have if the power went now.
            let after = disk.after_power_cut(&mut seed);
            assert_eq!(on(&after).read("counter").unwrap(), memory, "{failures} failures from {point} on");
            assert_eq!(both(&states, 2).await, [true; 2]);
            let memory = all(&states);
            journal.close().await;
            assert_eq!(on(&disk).read("counter").unwrap(), memory, "{failures} failures from {point} on");
            if !has_failed {
                assert!(point > 20, "it went through all of the commits");
                break;
            }
            point += 1;
        }
    }
}

#[tokio::test]
async fn a_disk_that_failed_is_looked_at_now_and_then_and_meanwhile_commits_are_refused_at_once() {
    let disk = Disk::default();
    let (states, journal) = service_states_with(on(&disk), |_| Duration::from_secs(3_600));
    let state = states.state("");
    write(&state, 1).await.unwrap();
    disk.fail_after(0, usize::MAX);
    for _ in 0..3 {
        let refused = write(&state, 2).await;
        assert!(matches!(&refused, Err(Crash::NotDurable { detail }) if detail.contains(NAME)), "{refused:?}");
    }
    let asked = disk.asked();
    assert!(disk.heal());
    assert!(write(&state, 2).await.is_err() && disk.asked() == asked, "it is too soon");
    assert!(state.was_saved(1) && !state.was_saved(2));
    // Who must know what the disk has does not wait for that.
    assert_eq!(number(&journal.read("counter").await.unwrap().unwrap().states[""].kept.values), 1);
    write(&state, 2).await.unwrap();
    assert_eq!((number(&state.snapshot()), state.commits()), (2, 2));
}

#[tokio::test]
async fn the_file_is_let_go_of_when_nobody_has_a_way_to_it_also_after_a_commit_that_failed() {
    let disk = Disk::default();
    let (states, journal) = service_states_with(on(&disk), |_| Duration::from_secs(3_600));
    disk.fail_after(0, usize::MAX);
    assert!(write(&states.state(""), 1).await.is_err());
    let let_go = disk.let_go();
    drop((states, journal));
    assert_eq!(let_go.recv_timeout(Duration::from_secs(30)), Err(RecvTimeoutError::Disconnected));
}

/// A commit that fails in its last step is on disk, and nobody commits any more.
#[tokio::test]
async fn what_a_failed_commit_left_on_disk_is_gone_when_the_file_is_closed() {
    let mut left = 0;
    for point in 0..40 {
        let disk = Disk::default();
        let (states, journal) = service_states_with(on(&disk), |_| Duration::from_secs(3_600));
        let state = states.state("");
        write(&state, 1).await.unwrap();
        // Enough for the look that follows at once.
        disk.fail_after(point, 2);
        if write(&state, 2).await.is_ok() {
            continue;
        }
        disk.heal();
        left += usize::from(number(&on(&disk.copy()).read("counter").unwrap()[""].values) == 2);
        journal.close().await;
        assert_eq!(number(&on(&disk).read("counter").unwrap()[""].values), 1);
    }
    assert!(left > 0, "none of them was there");
}

/// Sets a key to so many bytes, without looking at the room first, as a turn that others overtook.
fn unasked(state: &Arc<State>, key: &str, length: usize) -> Saving {
    let mut turn = Transaction::default();
    turn.writes.insert(key.into(), (length > 0).then(|| vec![0; length].into()));
    state.save(&mut turn, 1, 0, Box::new(|| ())).unwrap()
}

#[tokio::test]
async fn a_commit_for_which_there_is_no_room_is_refused_and_nothing_else_is() {
    let disk = Disk::default();
    let file = on(&disk);
    // What has left the topology counts.
    file.replace("gone", &BTreeMap::from([("".into(), kept(&[("ten", "1234567")]))])).unwrap();
    let (states, journal) = service_states(file);
    let [a, b] = ["a", "b"].map(|actor| states.state(actor));
    assert_eq!((journal.budget().bytes(), journal.budget().most()), (10, None));
    unasked(&a, "k", 99).done().await.unwrap();
    journal.budget().set_most(Some(200));
    assert_eq!((journal.budget().bytes(), journal.budget().most()), (110, Some(200)));

    // A turn that asks is told at once, and may go on.
    let mut turn = Transaction::default();
    let too_much = turn.set(&b, "k", vec![0; 90].into(), 1_000);
    assert_eq!(too_much, Err(Full::Together { bytes: 201, most: 200 }), "10 and 100 are there");
    turn.set(&b, "k", vec![0; 89].into(), 1_000).unwrap();
    assert!(turn.set(&b, "l", Bytes::new(), 1_000).is_err(), "what the turn wrote itself counts");

    // Those of one group come after each other; the one that has no room is in nobody's way.
    let [first, second] = [unasked(&a, "k", 139), unasked(&b, "k", 59)];
    first.done().await.unwrap();
    let refused = second.done().await;
    assert!(
        matches!(&refused, Err(Crash::NotDurable { detail }) if detail.contains("210 bytes, and 200")),
        "{refused:?}"
    );
    assert!(b.is_empty() && journal.budget().bytes() == 150);

    // Beneath what is there already: what makes it no larger goes on.
    journal.budget().set_most(Some(20));
    assert!(unasked(&b, "k", 1).done().await.is_err());
    unasked(&a, "k", 139).done().await.unwrap();
    unasked(&a, "k", 100).done().await.unwrap();
    unasked(&a, "k", 0).done().await.unwrap();
    unasked(&b, "k", 9).done().await.unwrap();
    assert!(unasked(&b, "l", 9).done().await.is_err(), "20 is the most");

    // A commit that fails takes no room.
    disk.fail_after(0, usize::MAX);
    journal.budget().set_most(None);
    assert!(unasked(&b, "l", 99).done().await.is_err() && journal.budget().bytes() == 20);
    disk.heal();
    journal.close().await;
    let found = on(&disk);
    assert_eq!(found.bytes("counter").unwrap() + found.bytes("gone").unwrap(), 20);
}

#[tokio::test]
async fn after_a_power_cut_what_was_acknowledged_is_there_and_nothing_by_halves() {
    let mut seed = seed();
    for round in 0..200 {
        let disk = Disk::default();
        let (states, journal) = service_states(on(&disk));
        let state = states.state("");
        disk.fail_after(random(&mut seed) % 60, usize::MAX);
        let mut tried = 0;
        let mut acknowledged = 0;
        while tried < 12 {
            tried += 1;
            match write(&state, tried).await {
                Ok(()) => acknowledged = tried,
                Err(_) => break,
            }
        }
        let after = disk.after_power_cut(&mut seed);
        journal.close().await;
        let found = on(&after).read("counter").unwrap().remove("").unwrap_or_default();
        let found = number(&found.values);
        assert!((acknowledged..=tried).contains(&found), "round {round}: {acknowledged}..={tried}, found {found}");
    }
}
