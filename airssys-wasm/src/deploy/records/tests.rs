#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use super::super::record::MOST_ENDED;
use super::*;
use crate::hint::Act;

fn source(name: &str, schema: u32) -> Source {
    Source {
        published: Some(format!("{name}@1.0.0")),
        component: name.into(),
        digest: name.to_owned(),
        schema,
        kept: None,
    }
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
    // How many ends were written, from that of the first, and whether each is live; and whose state is on disk in the schema of its new release.
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
        let records = Arc::new(Records::open(Some(data.path())).unwrap());
        let pages = services.map(|of| Page { set: set(), ..page(&records, of, &source("old", 0), &source("new", 1)) });
        pages.iter().for_each(|page| page.begin(None).unwrap());
        for page in &pages[..ends] {
            if live { page.prove(Vec::new()).unwrap() } else { page.go_back("it crashed".to_owned()).unwrap() }
        }
        let expected = if (live && ends > 0) || brought_over.is_some() { "new" } else { "old" };
        let schemas = |service: &str| vec![u32::from(Some(service) == brought_over)];
        // The starts that are cut off: each writes one end more.
        for _ in 0..services.len() {
            let again = Records::open(Some(data.path())).unwrap();
            let Some((service, ending)) = decide(&again.all(), schemas).into_iter().next() else { break };
            let (settled, _) = again.get(&service).unwrap().settle(&service, ending, now()).unwrap();
            again.write(&service, settled).unwrap();
        }
        let again = Records::open(Some(data.path())).unwrap();
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

/// What the error of a damaged record says to do.
#[test]
fn a_record_that_somebody_removed_is_forgotten_with_the_intents_from_before() {
    let data = tempfile::tempdir().unwrap();
    let path = record_path(&data.path().join(FOLDER), "counter");
    let open = || Arc::new(Records::open(Some(data.path())).unwrap());
    for deployments in 1..4 {
        let (old, new) = (source("old", 0), source("new", 0));
        for _ in 0..deployments {
            let page = page(&open(), "counter", &old, &new);
            page.begin(None).unwrap();
            page.prove(Vec::new()).unwrap();
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(open().get("counter"), None, "{deployments}");
    }
    let next = page(&open(), "counter", &source("older", 0), &source("old", 0));
    next.begin(None).unwrap();
    let record = open().get("counter").unwrap();
    assert_eq!((record.live.digest.as_str(), record.under_way.is_some()), ("older", true), "it was cut off");
    std::fs::remove_file(intent_path(&data.path().join(FOLDER), "counter")).unwrap();
    assert_eq!(open().get("counter"), None);
    open().adopt("counter", &source("older", 0), &source("old", 0)).unwrap();
    assert_eq!(open().get("counter").unwrap().under_way, None);
}

#[test]
fn what_was_written_is_read_again_and_what_makes_no_sense_is_said() {
    let data = tempfile::tempdir().unwrap();
    let records = Arc::new(Records::open(Some(data.path())).unwrap());
    let again = || Records::open(Some(data.path())).unwrap().get("counter").unwrap();
    let page = page(&records, "counter", &source("old", 0), &source("new", 0));
    page.begin(None).unwrap();
    let intent = again().under_way.unwrap();
    assert_eq!((intent.live, intent.next, intent.step), (source("old", 0), source("new", 0), None));
    let step = Step { strategy: "canary".to_owned(), step: 2, steps: 4 };
    page.begin(Some(step.clone())).unwrap();
    assert_eq!(again().under_way.unwrap().step, Some(step));
    let said = Records::open(Some(data.path())).unwrap().settle(|_| Vec::new()).unwrap()[0].to_string();
    assert!(said.contains("at step 2 of 4 (canary)"), "{said}");
    let records = Arc::new(Records::open(Some(data.path())).unwrap());
    let page = Page { records, ..page };
    page.begin(None).unwrap();
    page.prove(Vec::new()).unwrap();
    assert_eq!((again().live, again().previous, again().under_way), (source("new", 0), Some(source("old", 0)), None));
    page.begin(None).unwrap();
    page.go_back("a crash".to_owned()).unwrap();
    let ends: Vec<(u64, bool)> = again().history.iter().map(|ended| (ended.number, ended.live)).collect();
    assert_eq!(ends, [(1, false), (2, true), (3, false)]);
    // As versions before wrote it.
    let path = data.path().join("deployments/counter.json");
    let sealed: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let record = again();
    std::fs::remove_file(sealed::mark_path(&path)).unwrap();
    let said = sealed["said"].to_string();
    std::fs::write(&path, &said).unwrap();
    assert_eq!(again(), record);
    for (what, with) in [
        ("\"format\":5", "\"format\":6"),
        ("\"format\":5", "\"format\":5,\"format\":5"),
        ("\"format\":5", "\"format\":5,\"colour\":1"),
        ("\"ended\":3", "\"ended\":\"3\""),
        ("\"ended\":3", "\"ended\":2"),
        ("\"ended\":3", "\"ended\":18446744073709551615"),
        ("\"ended\":3", "\"ended\":18446744073709551616"),
        ("\"number\":2", "\"number\":3"),
    ] {
        assert!(said.contains(what), "{said}");
        std::fs::write(&path, said.replacen(what, with, 1)).unwrap();
        let told = Records::open(Some(data.path())).unwrap_err();
        let hint = told.hint().unwrap().to_string();
        assert!(told.to_string().contains("counter.json") && hint.contains("remove it"), "{with}: {told}; {hint}");
    }
    // The last one that is counted.
    std::fs::write(&path, said.replace("\"ended\":3", &format!("\"ended\":{MOST_ENDED}"))).unwrap();
    let records = Records::open(Some(data.path())).unwrap();
    let told = records.adopt("counter", &source("new", 0), &source("newer", 0)).unwrap_err();
    assert!(matches!(told, RecordError::Full { ended: MOST_ENDED, .. }), "{told}");
    page.records.drop_service("counter").unwrap();
    assert_eq!(Records::open(Some(data.path())).unwrap().get("counter"), None);
    page.begin(None).unwrap();
    std::fs::write(data.path().join("deployments/counter.json"), "{").unwrap();
    let damaged = Records::open(Some(data.path())).unwrap_err();
    let forgets = |act: &Act| if *act == Act::ForgetDeployed { "FORGET".to_owned() } else { act.to_string() };
    assert!(damaged.to_string().contains("counter.json"), "{damaged}");
    assert!(damaged.hint().unwrap().told(forgets).contains("FORGET"), "{damaged}");
    forget(data.path()).unwrap();
    assert_eq!(Records::open(Some(data.path())).unwrap().get("counter"), None);
}
