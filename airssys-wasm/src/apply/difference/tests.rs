#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by panicking")]

use std::sync::Arc;

use super::{ChangeMode, Difference, Fate, Subject, differences};
use crate::topology::Topology;

const BASE: &str = r#"name = "m"
[[supervisor]]
name = "back"
[[service]]
name = "a"
release = "a.wasm"
supervisor = "back"
[[service]]
name = "b"
release = "a.wasm"
supervisor = "back"
"#;

fn read(text: &str) -> Topology {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        std::fs::write(folder.path().join(format!("{name}.wasm")), "").unwrap();
    }
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let file = folder.path().join("airssys.toml");
    std::fs::write(&file, text).unwrap();
    let mut topology = Topology::read(&file).unwrap();
    // Each is read in a folder of its own, and all stand for the same one.
    topology.each_service(|node| {
        let node = Arc::make_mut(node);
        node.named = node.named.strip_prefix(folder.path()).unwrap().to_owned();
        for file in node.grants.files.values_mut() {
            file.host = "/data".into();
        }
    });
    topology
}

/// `~ service a restart: retries 0 -> 1 [in-place]`
fn short(difference: &Difference) -> String {
    let sign = match difference.fate {
        Fate::Added => '+',
        Fate::Removed => '-',
        Fate::Changed => '~',
    };
    let subject = match difference.subject {
        Subject::Mesh => "mesh",
        Subject::Supervisor => "supervisor",
        Subject::Service => "service",
        Subject::Listener => "listener",
        Subject::Quota => "quota",
        Subject::Log => "log",
        Subject::Layer => "layer",
        Subject::Retry => "retry",
    };
    let settings: Vec<String> = difference
        .settings
        .iter()
        .map(|of| {
            let way = serde_json::to_value(of.way).unwrap();
            format!("{} {} -> {} [{}]", of.key, of.from, of.to, way.as_str().unwrap())
        })
        .collect();
    let most = difference.settings.iter().map(|of| of.way).max().unwrap_or(ChangeMode::StartOrStop);
    assert_eq!(difference.way, most);
    format!("{sign} {subject} {}: {}", difference.name, settings.join(", ")).trim_end_matches(": ").to_owned()
}

#[test]
fn listeners_are_known_by_their_address_and_routes_by_what_they_are_for() {
    let listening = |more: &str| format!("{BASE}[[http]]\nlisten = \"127.0.0.1:80\"\n{more}");
    let route = |path: &str, to: &str| format!("[[http.route]]\npath = \"{path}\"\nservice = \"{to}\"\n");
    let shorts =
        |from: &str, to: &str| -> Vec<String> { differences(&read(from), &read(to)).iter().map(short).collect() };
    let before = listening(&(route("/", "a") + &route("/x", "a") + &route("/y", "a")));
    let after = listening(&("body = \"1KiB\"\n".to_owned() + &route("/z", "a") + &route("/x", "b") + &route("/", "a")));
    assert_eq!(
        shorts(&before, &after),
        ["~ listener 127.0.0.1:80: body 16MiB -> 1KiB [in-place], route./x.service a -> b [in-place], \
          route./y.service a -> none [in-place], route./z.service none -> a [in-place]"]
    );
    let elsewhere = listening(&route("/", "a")).replace(":80", ":81");
    let found = differences(&read(&listening("")), &read(&elsewhere));
    assert_eq!(found.iter().map(short).collect::<Vec<_>>(), ["+ listener 127.0.0.1:81", "- listener 127.0.0.1:80"]);
    assert_eq!(found[0].notes, ["/ goes to a"]);
    // In another order they mean the same.
    let other = listening(&(route("/y", "a") + &route("/x", "a") + &route("/", "a")));
    assert_eq!(shorts(&before, &other), [""; 0]);
}

#[test]
fn each_difference_is_found_with_its_way() {
    let service = |more: &str| format!("{BASE}{more}");
    let cases: &[(&str, String, &[&str])] = &[
        ("nothing", BASE.to_owned(), &[]),
        ("a listener", service("\n[[http]]\nlisten = \"127.0.0.1:80\"\n"), &["+ listener 127.0.0.1:80"]),
        (
            "comments and defaults that are written out",
            service("# b\nretries = 0\nmailbox = { capacity = 1024 }\n"),
            &[],
        ),
        ("a limit that is written as what it is", service("limits = { memory = \"32MiB\" }\n"), &[]),
        (
            "what is looked at each time",
            service(
                "retries = 2\nrestart = \"transient\"\nshutdown = \"1s\"\nmailbox = { capacity = 5, overflow = \"refuse\" }\nlimits = { turn_deadline = \"1s\" }\ngrants = { call = [\"a\"] }\n",
            ),
            &[
                "~ service b: grants.call none -> a [in-place], limits.turn_deadline 5s -> 1s [in-place], mailbox.capacity 1024 -> 5 [in-place], mailbox.overflow wait -> refuse [in-place], restart permanent -> transient [in-place], retries 0 -> 2 [in-place], shutdown 5s -> 1s [in-place]",
            ],
        ),
        (
            "what an instance is made with",
            service(
                "clocks = \"1s\"\nrandomness = { seed = 1 }\nlimits = { memory = \"2MiB\" }\nconfig = { currency = \"EUR\" }\ngrants = { files = { \"/data\" = { host = \"data\" } } }\n",
            ),
            &[
                "~ service b: clocks real -> 1s [deployment], config.currency none -> EUR [deployment], grants.files./data.access none -> read [deployment], grants.files./data.host none -> /data [deployment], limits.memory 32MiB -> 2MiB [deployment], randomness real -> seed 1 [deployment]",
            ],
        ),
        (
            "another release",
            BASE.replacen("a.wasm", "b.wasm", 1),
            &["~ service a: release a.wasm -> b.wasm [deployment]"],
        ),
        (
            "another number of actors",
            service("instances = 4\n"),
            &["~ service b: actors 1 -> 4, with one mailbox [restart]"],
        ),
        ("an actor a key", service("keyed = {}\n"), &["~ service b: actors 1 -> one a key [restart]"]),
        (
            "state that is to last",
            service("state = \"durable\"\n"),
            &["~ service b: state memory -> durable [restart]"],
        ),
        (
            "another supervisor",
            BASE.replacen("supervisor = \"back\"\n", "", 1),
            &["~ service a: supervisor back -> the root [restart]"],
        ),
        (
            "a supervisor's flags",
            BASE.replace("name = \"back\"", "name = \"back\"\nstrategy = \"rest-for-one\"\nbackoff = {}"),
            &[
                "~ supervisor back: backoff.factor none -> 2.0 [in-place], backoff.initial none -> 100ms [in-place], backoff.max none -> 30s [in-place], backoff.reset_after none -> 1m [in-place], strategy one-for-one -> rest-for-one [in-place]",
            ],
        ),
        (
            "the root and the settings",
            BASE.replace("name = \"m\"", "name = \"m\"\nsettings = { timers = 5 }\nroot = { intensity = 3 }"),
            &["~ mesh m: timers 1000000 -> 5 [in-place]", "~ supervisor m: intensity 1 -> 3 [in-place]"],
        ),
        ("another name", BASE.replace("\"m\"", "\"n\""), &["~ mesh n: name m -> n [not-running]"]),
        (
            "added and removed",
            BASE.replace("name = \"b\"", "name = \"c\"") + "[[supervisor]]\nname = \"new\"\n",
            &["+ service c", "+ supervisor new", "- service b"],
        ),
        (
            "a supervisor that becomes a service",
            "name = \"m\"\n[[service]]\nname = \"back\"\nrelease = \"a.wasm\"\n".to_owned(),
            &["+ service back", "- supervisor back", "- service a", "- service b"],
        ),
        (
            "a supervisor that moves takes its children along",
            BASE.replace("name = \"back\"", "name = \"above\"\n[[supervisor]]\nname = \"back\"\nparent = \"above\""),
            &[
                "+ supervisor above",
                "~ supervisor back: parent the root -> above [restart]",
                "~ service a: supervisor back -> above/back [restart]",
                "~ service b: supervisor back -> above/back [restart]",
            ],
        ),
        (
            "another order",
            BASE.replace("\"a\"", "\"x\"").replace("\"b\"", "\"a\"").replace("\"x\"", "\"b\""),
            &["~ supervisor back: children a, b -> b, a [in-place]"],
        ),
        (
            "one in front of the others is no other order",
            BASE.replacen(
                "[[service]]",
                "[[service]]\nname = \"c\"\nrelease = \"a.wasm\"\nsupervisor = \"back\"\n[[service]]",
                1,
            ),
            &["+ service c"],
        ),
    ];
    let base = read(BASE);
    for (what, text, expected) in cases {
        let found: Vec<String> = differences(&base, &read(text)).iter().map(short).collect();
        assert_eq!(found, *expected, "{what}");
    }
    let keyed = |rules: &str| read(&service(&format!("keyed = {rules}\n")));
    let found = differences(&keyed("{}"), &keyed("{ max_awake = 3 }"));
    assert_eq!(
        found.iter().map(short).collect::<Vec<_>>(),
        ["~ service b: keyed.max_awake 1000 -> 3 [in-place]"],
        "the rules of a keyed service"
    );
}

#[test]
fn what_goes_with_a_service_is_said() {
    let gone = |more: &str| -> Vec<String> {
        let found = differences(&read(&format!("{BASE}{more}")), &read("name = \"m\"\n"));
        found.into_iter().find(|difference| difference.name == "b").unwrap().notes
    };
    assert!(gone("")[0].contains("for at most 5s") && gone("")[1].contains("state goes"));
    assert!(gone("state = \"durable\"\nshutdown = \"infinity\"\n")[1].contains("stays in the data folder"));
    assert_eq!(gone("instances = 2\nshutdown = \"brutal-kill\"\n").len(), 1);
}
