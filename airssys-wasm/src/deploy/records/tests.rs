#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use super::super::record::MOST_ENDED;
use super::*;
use crate::hint::Coded;

fn source(name: &str, schema: u32) -> Source {
    Source {
        published: Some(format!("{name}@1.0.0")),
        component: name.into(),
        digest: name.to_owned(),
        schema,
        kept: None,
    }
}

/// Those that are written down in a data folder.
fn open(data: &Path) -> Result<Arc<Records>, RecordError> {
    let path = Log::path(data);
    let log = Arc::new(Log::read(&path)?.unwrap_or_else(|| Log::new(&path, [])));
    Records::of(&log, Some(data)).map(Arc::new)
}

fn page(records: &Arc<Records>, service: &str, live: &Source, next: &Source) -> Page {
    let (records, service) = (Arc::clone(records), service.to_owned());
    Page { records, service, live: live.clone(), next: next.clone(), set: None }
}

#[test]
fn a_deployment_that_was_cut_off_goes_the_way_of_the_state() {
    // The schemas of the two releases and of what is on disk, and which release is live.
    let cases: [(u32, u32, &[u32], &str); 6] = [
        (0, 0, &[], "old"),
        (0, 0, &[0], "old"),
        (0, 1, &[], "old"),
        (0, 1, &[0], "old"),
        (0, 1, &[1], "new"),
        (0, 1, &[0, 1, 0], "new"),
    ];
    for (old, new, on_disk, expected) in cases {
        let records = Arc::new(Records::default());
        page(&records, "counter", &source("old", old), &source("new", new)).begin(None).unwrap();
        let recoveries = records.settle(|_| on_disk.to_vec()).unwrap();
        let record = records.get("counter").unwrap();
        assert_eq!(record.live.digest, expected, "{old} {new} {on_disk:?}");
        assert_eq!((&record.under_way, record.history.len()), (&None, 1));
        assert_eq!(matches!(recoveries[..], [Recovery::Finished { .. }]), expected == "new");
        assert_eq!(records.settle(|_| on_disk.to_vec()).unwrap(), [], "it is over");
    }
}

/// The host is killed after each write of a set's deployments, and again after each write of the start that follows.
#[test]
fn of_a_set_that_was_cut_off_all_are_live_or_none() {
    let services = ["pricing", "inventory", "gateway"];
    let set = || Some(SetId { first: "pricing".to_owned(), after: 0 });
    // How many ends were written, from that of the first, and whether each is live; and whose state is on disk in the
    // schema of its new release.
    let cases: [(usize, bool, Option<&str>); 9] = [
        (0, true, None),
        (0, true, Some("gateway")),
        (1, true, None),
        (2, true, None),
        (2, true, Some("gateway")),
        (1, false, None),
        (1, false, Some("gateway")),
        (2, false, Some("gateway")),
        (3, false, None),
    ];
    for (ends, live, brought_over) in cases {
        let data = tempfile::tempdir().unwrap();
        let records = open(data.path()).unwrap();
        let pages = services.map(|of| Page { set: set(), ..page(&records, of, &source("old", 0), &source("new", 1)) });
        pages.iter().for_each(|page| page.begin(None).unwrap());
        for page in &pages[..ends] {
            if live { page.prove(Vec::new()).unwrap() } else { page.go_back("it crashed".to_owned()).unwrap() }
        }
        let expected = if (live && ends > 0) || brought_over.is_some() { "new" } else { "old" };
        let schemas = |service: &str| vec![u32::from(Some(service) == brought_over)];
        // The starts that are cut off: each writes one end more.
        for _ in 0..services.len() {
            let again = open(data.path()).unwrap();
            let Some((service, ending)) = decide(&again.all(), schemas).into_iter().next() else { break };
            let (settled, _) = again.get(&service).unwrap().settle(&service, ending, now()).unwrap();
            again.write(&service, settled).unwrap();
        }
        let again = open(data.path()).unwrap();
        assert_eq!(again.settle(schemas).unwrap(), []);
        for service in services {
            let live = again.get(service).unwrap().live.digest;
            assert_eq!(live, expected, "{service}, {ends} ended, live {live}, {brought_over:?} brought over");
        }
    }
}

#[test]
fn a_service_that_gets_its_old_state_back_keeps_the_release_before_its_own() {
    let records = Arc::new(Records::default());
    page(&records, "counter", &source("first", 0), &source("old", 0)).prove(Vec::new()).unwrap();
    // The way out of a suspension: the release that came back is live already.
    page(&records, "counter", &source("old", 0), &source("old", 0)).prove(Vec::new()).unwrap();
    assert_eq!(records.get("counter").unwrap().previous, Some(source("first", 0)));
}

/// What says that an apply is concluded.
fn done() -> (Key, String) {
    (Key::Topology, "0".to_owned())
}

#[test]
fn what_an_apply_came_to_is_one_write_however_many_services_it_is_about() {
    let data = tempfile::tempdir().unwrap();
    let records = open(data.path()).unwrap();
    let names: Vec<String> = (0..20).map(|number| format!("service{number}")).collect();
    for service in &names {
        page(&records, service, &source("old", 0), &source("new", 0)).prove(Vec::new()).unwrap();
    }
    // Each record that is written has a number of its own, and so has each that a new file takes over.
    let written = || log::synced(&Log::path(data.path())).unwrap();
    let before = written();
    let (from, to) = (source("new", 0), source("newer", 0));
    let came_to = names.iter().enumerate().map(|(at, service)| (service.as_str(), (at < 3).then_some((&from, &to))));
    records.conclude(came_to, done()).unwrap();
    assert_eq!(written() - before, 3 * 2 + 1, "two ends of each that is there, and what says that it is done");
    let found: BTreeMap<String, Source> =
        open(data.path()).unwrap().each().into_iter().map(|(service, record)| (service, record.live)).collect();
    assert_eq!(found, names.iter().take(3).map(|service| (service.clone(), to.clone())).collect());
    records.conclude(names.iter().take(3).map(|service| (service.as_str(), Some((&from, &to)))), done()).unwrap();
    assert_eq!(written() - before, 3 * 2 + 2, "once more changes nothing");
}

#[test]
fn a_service_that_is_dropped_is_forgotten_with_what_is_under_way() {
    let data = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let records = open(data.path()).unwrap();
        let page = page(&records, "counter", &source("old", 0), &source("new", 0));
        page.begin(None).unwrap();
        page.prove(Vec::new()).unwrap();
        page.begin(None).unwrap();
        records.conclude([("counter", None)], done()).unwrap();
        assert_eq!((records.get("counter"), open(data.path()).unwrap().get("counter")), (None, None));
    }
    let records = open(data.path()).unwrap();
    page(&records, "counter", &source("older", 0), &source("old", 0)).begin(None).unwrap();
    let record = open(data.path()).unwrap().get("counter").unwrap();
    assert_eq!((record.live.digest.as_str(), record.under_way.is_some()), ("older", true), "it was cut off");
    let live = (&source("older", 0), &source("old", 0));
    records.conclude([("counter", Some(live))], done()).unwrap();
    assert_eq!(open(data.path()).unwrap().get("counter").unwrap().under_way, None);
}

/// Flips a bit of the value that holds this, from the front or from the back.
fn flip(data: &Path, needle: &str, is_last: bool) {
    let mut bytes = std::fs::read(Log::path(data)).unwrap();
    let all = 0..bytes.len() - needle.len();
    let found: Vec<usize> = all.filter(|at| bytes[*at..].starts_with(needle.as_bytes())).collect();
    let at = if is_last { found.last() } else { found.first() };
    bytes[*at.unwrap()] ^= 1;
    std::fs::write(Log::path(data), bytes).unwrap();
}

#[test]
fn the_last_end_is_needed_and_what_is_lost_of_those_before_is_told() {
    let data = tempfile::tempdir().unwrap();
    let records = open(data.path()).unwrap();
    for number in 0..3 {
        let next = source(&format!("new{number}"), 0);
        page(&records, "counter", &source("old", 0), &next).prove(Vec::new()).unwrap();
    }
    let whole = std::fs::read(Log::path(data.path())).unwrap();
    flip(data.path(), "new1@", false);
    let records = open(data.path()).unwrap();
    let numbers: Vec<u64> = records.history("counter").iter().map(|ended| ended.number).collect();
    assert_eq!((numbers, records.get("counter").unwrap().live), (vec![1, 3], source("new2", 0)));
    let lost = Recovery::HistoryLost { service: "counter".to_owned(), ends: 1 };
    assert_eq!(records.gaps().collect::<Vec<_>>(), [lost]);
    let damage = damage(&records.log);
    assert!(matches!(damage[..], [RecordError::History { ends: 1, .. }]), "{damage:?}");
    std::fs::write(Log::path(data.path()), whole).unwrap();
    flip(data.path(), "new2@", true);
    let told = open(data.path()).unwrap_err();
    let hint = told.hint().unwrap().to_string();
    assert!(told.to_string().contains("the record deployments/counter"), "{told}");
    assert!(hint.contains("forget the record deployments/counter") && hint.contains("its way back"), "{hint}");
}

/// Of a set that was cut off, the end of the first one decides. It is not to be guessed.
#[test]
fn a_lost_end_that_decides_about_a_set_is_told_and_another_one_is_not() {
    for (lost, is_decided) in [("first", false), ("new", true)] {
        let data = tempfile::tempdir().unwrap();
        let records = open(data.path()).unwrap();
        let page = |service: &str, next: &str, set: Option<SetId>| Page {
            set,
            ..page(&records, service, &source("old", 0), &source(next, 0))
        };
        page("pricing", "new", None).prove(Vec::new()).unwrap();
        let set = || Some(SetId { first: "pricing".to_owned(), after: 1 });
        let (first, other) = (page("pricing", "first", set()), page("gateway", "second", set()));
        first.begin(None).unwrap();
        other.begin(None).unwrap();
        first.prove(Vec::new()).unwrap();
        // That of the other one could not be written.
        page("pricing", "last", None).prove(Vec::new()).unwrap();
        flip(data.path(), &format!("{lost}@"), true);
        let again = open(data.path()).unwrap();
        match again.settle(|_| Vec::new()) {
            Ok(_) => assert!(is_decided && again.get("gateway").unwrap().live == source("second", 0)),
            Err(told) => assert!(!is_decided && told.to_string().contains("deployments/pricing"), "{told}"),
        }
    }
}

#[test]
fn what_was_written_is_read_again_and_what_makes_no_sense_is_said() {
    let data = tempfile::tempdir().unwrap();
    let records = open(data.path()).unwrap();
    let again = || open(data.path()).unwrap().get("counter").unwrap();
    let page = page(&records, "counter", &source("old", 0), &source("new", 0));
    page.begin(None).unwrap();
    let intent = again().under_way.unwrap();
    assert_eq!((intent.live, intent.next, intent.step), (source("old", 0), source("new", 0), None));
    let step = Step { strategy: "canary".to_owned(), step: 2, steps: 4 };
    page.begin(Some(step.clone())).unwrap();
    assert_eq!(again().under_way.unwrap().step, Some(step));
    let said = open(data.path()).unwrap().settle(|_| Vec::new()).unwrap()[0].to_string();
    assert!(said.contains("at step 2 of 4 (canary)"), "{said}");
    let records = open(data.path()).unwrap();
    let page = Page { records, ..page };
    page.begin(None).unwrap();
    page.prove(Vec::new()).unwrap();
    assert_eq!((again().live, again().previous, again().under_way), (source("new", 0), Some(source("old", 0)), None));
    page.begin(None).unwrap();
    page.go_back("a crash".to_owned()).unwrap();
    let ends: Vec<(u64, bool)> = again().history.iter().map(|ended| (ended.number, ended.live)).collect();
    assert_eq!(ends, [(1, false), (2, true), (3, false)]);
    // The last one that is counted.
    let record = Record { ended: MOST_ENDED, history: Vec::new(), ..again() };
    page.records.write("counter", record).unwrap();
    let records = open(data.path()).unwrap();
    let live = (&source("new", 0), &source("newer", 0));
    let told = records.conclude([("counter", Some(live))], done()).unwrap_err();
    assert!(matches!(told, RecordError::Full { ended: MOST_ENDED, .. }), "{told}");
    // No host can have written it.
    for (key, value) in [
        (Key::End("counter".to_owned()), serde_json::json!({ "live": 1 })),
        (Key::End("counter".to_owned()), serde_json::json!({ "colour": 1 })),
        (Key::Intent("counter".to_owned()), serde_json::json!(null)),
    ] {
        let data = tempfile::tempdir().unwrap();
        open(data.path()).unwrap().log.add(key.clone(), &value).unwrap();
        let told = open(data.path()).unwrap_err();
        assert!(matches!(&told, RecordError::Deployed { record: Some(of), .. } if *of == key.to_string()), "{told}");
    }
}
