//! What a host does without, and how it goes on with all else.

use std::fs;

use super::super::damage::Flaw;
use super::super::layout::STATES_TABLE;
use super::super::location::Location;
use super::super::lost::{Key, all_of, only};
use super::*;

fn lost(from: (&str, &str), to: Option<(&str, &str)>) -> Lost {
    let key = |(service, actor): (&str, &str)| (service.to_owned(), actor.to_owned());
    Lost { from: key(from), to: to.map(key), says: "it is damaged".to_owned() }
}

/// Which of some keys are lost, in the words of a service that asks for its own.
fn keys(lost: &[Lost]) -> Vec<String> {
    let all = [("a", ""), ("a", "x"), ("b", ""), ("b", "k"), ("b", "k0"), ("b", "l"), ("c", "")];
    let is_lost = |(service, actor): &&(&str, &str)| {
        lost.iter().filter_map(|lost| lost.keys_of(service)).any(|lost| lost.has(actor))
    };
    all.iter().filter(is_lost).map(|(service, actor)| format!("{service}/{actor}")).collect()
}

#[test]
fn a_range_has_what_is_between_its_ends_and_loses_what_begins_anew() {
    let all = lost(("", ""), None);
    assert_eq!(keys(std::slice::from_ref(&all)).len(), 7);
    let between = lost(("a", "x"), Some(("b", "k0")));
    assert_eq!(keys(std::slice::from_ref(&between)), ["a/x", "b/", "b/k"]);
    assert!(!between.is_of("") && between.is_of("a") && between.is_of("b") && !between.is_of("c"));
    assert!(!lost(("a", "x"), Some(("b", ""))).is_of("b"));
    let without = |lost: &Lost, (from, to): (Key, Key)| lost.clone().without(&from, &to);
    assert_eq!(keys(&without(&between, only("b", "k"))), ["a/x", "b/"]);
    assert_eq!(keys(&without(&between, all_of("b"))), ["a/x"]);
    assert_eq!(keys(&without(&between, all_of("c"))), ["a/x", "b/", "b/k"]);
    assert_eq!(keys(&without(&all, all_of("b"))), ["a/", "a/x", "c/"]);
    let one = Lost::at(&Location { service: "b".into(), actor: "k".into(), key: None }, String::new());
    assert_eq!(keys(std::slice::from_ref(&one)), ["b/k"]);
    assert_eq!(without(&one, only("b", "k")), []);
}

#[test]
fn what_is_on_both_sides_of_a_hole_is_not_lost_and_a_hole_without_sides_is_everything() {
    let location = |service: &str, actor: &str| Location { service: service.into(), actor: actor.into(), key: None };
    let hole = |after, before| Flaw::Between { after, before, services: (None, None) };
    let between = hole(Some(location("a", "x")), Some(location("b", "k0")));
    assert_eq!(keys(&[between.lost().unwrap().unwrap()]), ["b/", "b/k"]);
    assert_eq!(keys(&[hole(Some(location("b", "k0")), None).lost().unwrap().unwrap()]), ["b/l", "c/"]);
    let within = hole(Some(location("a", "x")), Some(location("a", "x")));
    assert_eq!(within.lost(), Some(None), "the state's own record says what is missing");
    assert_eq!(hole(None, None).lost(), None);
}

/// A host that was killed over the exchange leaves a new file that is not finished, or a second name of the damaged
/// one.
#[test]
fn an_exchange_that_was_cut_off_is_made_again() {
    let data = tempfile::tempdir().unwrap();
    let path = StateFile::path(data.path());
    let file = StateFile::open(data.path()).unwrap();
    let pad = format!("needle {}", "x".repeat(5_000));
    let kept = |value: &str| KeptState {
        values: BTreeMap::from([("k".into(), value.to_owned().into_bytes().into())]),
        commits: 1,
        schema: 0,
    };
    for (service, value) in [("a", "well"), ("b", &*pad), ("c", "well")] {
        file.replace(service, &BTreeMap::from([("".into(), kept(value))])).unwrap();
    }
    drop(file);
    let mut bytes = fs::read(&path).unwrap();
    let found: Vec<usize> = (0..bytes.len() - 6).filter(|at| bytes[*at..].starts_with(b"needle")).collect();
    found.into_iter().for_each(|at| bytes[at] ^= 1);
    fs::write(&path, &bytes).unwrap();
    fs::write(path.with_extension("unfinished"), "only a part").unwrap();
    fs::hard_link(&path, path.with_file_name("state.damaged-1.redb")).unwrap();
    let file = StateFile::open_without_damage(data.path()).unwrap();
    assert!(!file.load("b").unwrap().lost.is_empty());
    assert_eq!(file.load("a").unwrap().states[""].kept, kept("well"));
    for kept in [1, 2] {
        assert_eq!(fs::read(path.with_file_name(format!("state.damaged-{kept}.redb"))).unwrap(), bytes);
    }
    assert!(!path.with_extension("unfinished").exists());
}

#[test]
fn what_is_lost_stays_so_until_it_is_put_back() {
    let data = tempfile::tempdir().unwrap();
    let path = StateFile::path(data.path());
    fs::create_dir(path.parent().unwrap()).unwrap();
    let kept =
        |value: &'static str| KeptState { values: BTreeMap::from([("k".into(), value.into())]), commits: 1, schema: 0 };
    let states = |value| BTreeMap::from([("x".into(), kept(value)), ("y".into(), kept(value))]);
    let all = ["a", "b"].map(|service| (service.to_owned(), states("old"))).into();
    StateFile::make_with(&path, &all, &[lost(("a", "y"), Some(("b", "y")))]).unwrap();
    for _ in 0..2 {
        let file = StateFile::open_without_damage(data.path()).unwrap();
        let left = |service: &str| file.load(service).unwrap().states.into_keys().collect::<Vec<_>>();
        assert_eq!((left("a"), left("b")), (vec!["x".into()], vec!["y".into()]));
        assert!(file.read("a").unwrap_err().to_string().contains("it is damaged"));
    }
    // What is left of it can be looked at, and is named.
    let survey = StateFile::survey(data.path()).unwrap();
    assert!(survey.check("a", data.path()).is_err() && survey.states["a"] == states("old"));
    StateFile::open(data.path()).unwrap().replace("a", &states("new")).unwrap();
    let survey = StateFile::survey(data.path()).unwrap();
    assert!(survey.check("a", data.path()).is_ok() && survey.check("b", data.path()).is_err());
    let file = StateFile::open(data.path()).unwrap();
    assert_eq!(file.read("a").unwrap(), states("new"));
    file.replace("b", &BTreeMap::new()).unwrap();
    drop(file);
    let survey = StateFile::survey(data.path()).unwrap();
    let is_named = |service: &str| survey.check(service, data.path()).is_err();
    assert!(!is_named("a") && !is_named("b") && is_named("aa"), "nobody knows who else was between them");
}

/// The pages are well, and what stands there is not what the service wrote: as where it was damaged before it came to
/// the disk.
#[tokio::test]
async fn a_value_that_is_not_what_was_written_is_lost_alone_and_is_never_written_over() {
    let data = tempfile::tempdir().unwrap();
    let file = StateFile::open(data.path()).unwrap();
    let kept =
        |value: &'static str| KeptState { values: BTreeMap::from([("k".into(), value.into())]), commits: 1, schema: 0 };
    file.replace("a", &["x", "y"].map(|actor| (actor.into(), kept("old"))).into()).unwrap();
    drop(file);
    let path = StateFile::path(data.path());
    let database = redb::Database::create(&path).unwrap();
    let writing = database.begin_write().unwrap();
    writing.open_table(STATES_TABLE).unwrap().insert(("a", "x", "=k"), &b"other and a sum"[..]).unwrap();
    writing.commit().unwrap();
    drop(database);

    let journal = Journal::start(StateFile::open_without_damage(data.path()).unwrap(), 0, None).unwrap();
    let states = ServiceStates::new(journal.clone(), "a", journal.read("a").await.unwrap().unwrap());
    let (damaged, well, new) = (states.state("x"), states.state("y"), states.state("z"));
    assert!(damaged.damage().unwrap().to_string().contains("\"x\""));
    assert!(well.damage().is_none() && well.snapshot()["k"] == "old" && new.damage().is_none());
    let write = async |state: &Arc<State>| {
        let mut writes = Transaction::default();
        writes.set(state, "k", "new".into(), 100).unwrap();
        writes.make(state, 0).await
    };
    assert!(write(&damaged).await.unwrap_err().to_string().contains("damaged"));
    write(&well).await.unwrap();
    write(&new).await.unwrap();
    journal.close().await;
    let survey = StateFile::survey(data.path()).unwrap();
    assert!(survey.damage.iter().all(|damage| damage.actor.as_deref() == Some("x")), "{:?}", survey.damage);
    assert_eq!(survey.states["a"]["y"].values["k"], "new");

    let journal = Journal::start(StateFile::open_without_damage(data.path()).unwrap(), 0, None).unwrap();
    let states = ServiceStates::new(journal.clone(), "a", journal.read("a").await.unwrap().unwrap());
    let damaged = states.state("x");
    damaged.forget(damaged.forgotten()).unwrap().done().await.unwrap();
    assert!(damaged.damage().is_none() && !states.is_lost("x"));
    write(&damaged).await.unwrap();
    journal.close().await;
    let survey = StateFile::survey(data.path()).unwrap();
    assert!(survey.damage.is_empty() && survey.states["a"]["x"].values["k"] == "new", "{:?}", survey.damage);
}
