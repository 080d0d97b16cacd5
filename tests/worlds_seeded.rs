//! A seeded host has what services are granted of the world outside, and what becomes of it follows from the seed: who
//! answers their HTTP requests is written in the test file.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by panicking")]

use airssys_tests::command::Desk;
use airssys_tests::{PATIENCE, code_cache};
use airssys_wasm::Runtime;
use airssys_wasm::seeded::Seeded;
use airssys_wasm::topology::Topology;
use airssys_wasm::trial::{self, Terms, Trial, Tried};
use serde_json::{Value, json};

/// A folder with a topology and its test file, run in this process.
fn tried(desk: &Desk, test: &str, seed: u64) -> Tried {
    let file = desk.write("airssys.test.toml", test);
    let trial = Trial::read(&file).unwrap_or_else(|error| panic!("{error}"));
    let run = || trial.run(seed, Some(&code_cache()), true).unwrap_or_else(|error| panic!("{error}"));
    let (one, other) = (run(), run());
    let differs = one.steps.iter().zip(&other.steps).find(|(one, other)| one != other);
    assert_eq!(one.digest, other.digest, "seed {seed}: {differs:?}");
    one
}

/// What a service answered those who asked from outside, in the order in which it did.
fn answers(tried: &Tried, service: &str) -> Vec<Value> {
    let of = format!(" client {service} ");
    let told = tried.steps.iter().filter(|line| line.contains(&of)).map(|line| {
        let (_, told) = line.split_once("\": \"").unwrap_or_else(|| panic!("no answer: {line}"));
        let told: String = serde_json::from_str(&format!("\"{told}")).unwrap();
        serde_json::from_str(&told).unwrap_or(Value::String(told))
    });
    told.collect()
}

/// How often something is among the steps.
fn times(tried: &Tried, what: &str) -> usize {
    tried.steps.iter().filter(|line| line.contains(what)).count()
}

fn fetcher(grants: &[&str]) -> Desk {
    Desk::with(&format!(
        "name = \"m\"\n[[service]]\nname = \"fetcher\"\nrelease = \"@fetcher\"\n[service.grants]\nhttp = {grants:?}\n"
    ))
}

fn asks(ask: &Value) -> String {
    format!("[[workload]]\nservice = \"fetcher\"\nask = '{ask}'\n")
}

const PEER: &str = r#"
    [[peer]]
    host = "api.example"
    path = "/v1/**"
    status = 201
    headers = { content-type = "text/plain", x-server = "yes" }
    body = "hello there"
"#;

#[test]
fn a_peer_of_the_test_file_answers_what_is_granted_and_nothing_else() {
    let desk = fetcher(&["* https://api.example/**", "GET http://api.example:8080/**", "GET https://*.far.example/**"]);
    let near = "[[peer]]\nhost = \"a.far.example\"\naddress = \"10.0.0.7\"\n";
    let moved = "[[peer]]\nhost = \"api.example\"\npath = \"/moved\"\nstatus = 302\nheaders = { location = \"https://elsewhere.example/\" }\n";
    let port = "[[peer]]\nhost = \"api.example:8080\"\nmethod = \"GET\"\nbody = \"by port\"\n";
    let elsewhere = "[[peer]]\nhost = \"elsewhere.example\"\nbody = \"never\"\n";
    let asked = [
        json!({"method": "POST", "url": "https://api.example/v1/things?q=1", "body": "over ", "times": 3}),
        json!({"url": "http://api.example:8080/x"}),
        json!({"url": "https://a.far.example/"}),
        json!({"url": "https://api.example/moved", "follow": true}),
        json!({"url": "http://api.example/v1/things"}),
    ];
    let each = asked.iter().enumerate().map(|(at, ask)| format!("{}at = \"{}ms\"\n", asks(ask), at * 100));
    let test = each.collect::<String>() + PEER + near + moved + port + elsewhere;
    let tried = tried(&desk, &test, 7);
    let told = answers(&tried, "fetcher");
    let lines = tried.steps.join("\n");
    assert_eq!((&told[0]["status"], &told[0]["body"]), (&json!(201), &json!("hello there")), "{lines}");
    let headers = told[0]["headers"].as_array().unwrap();
    assert!(headers.contains(&json!(["x-server", "yes"])), "{headers:?}");
    assert!(!headers.iter().any(|header| header[0] == "date"), "the machine's date is none of the run's: {headers:?}");
    assert_eq!(told[1]["body"], "by port");
    // What the name leads to is looked at, a redirect is one more request, and HTTP is not HTTPS.
    assert_eq!(told[2]["error"], "DestinationIpProhibited");
    assert_eq!(told[3]["error"], "HttpRequestDenied");
    assert_eq!(told[4]["error"], "HttpRequestDenied");
    assert_eq!(tried.broken, Vec::<String>::new());
    assert_eq!(times(&tried, " peer api.example POST /v1/things?q=1 body "), 1, "{lines}");
    assert_eq!(times(&tried, " peer api.example answers 201 body "), 1, "{lines}");
    assert_eq!(times(&tried, " peer elsewhere.example "), 0, "{lines}");
}

#[test]
fn a_request_that_no_peer_answers_fails_at_once_and_is_told_once() {
    let desk = fetcher(&["GET https://api.example/**"]);
    let test = asks(&json!({"url": "https://api.example/v2/a"})) + "times = 3\n" + PEER;
    let tried = tried(&desk, &test, 7);
    assert!(answers(&tried, "fetcher").iter().all(|told| told["error"].as_str().unwrap().starts_with("DnsError")));
    assert_eq!(
        tried.broken,
        ["fetcher asks for GET https://api.example/v2/a, and no [[peer]] of the test file answers that"]
    );
    let told = desk.run(&["test", "--no-shrink"]).refused(1, "AE101", &["fetcher asks for GET", "[[peer]]"]);
    assert!(told.stdout.contains("[[peer]]"), "the file that runs it again has its peers: {told:#?}");
}

#[test]
fn what_goes_wrong_with_a_peer_follows_from_the_seed() {
    let desk = fetcher(&["GET https://api.example/**"]);
    let ask = json!({"url": "https://api.example/v1/a", "first_byte_ms": 50, "between_bytes_ms": 50});
    let nth = |kind: &str, nth: u64| format!("[[fault]]\nkind = \"{kind}\"\npeer = \"api.example\"\nnth = {nth}\n");
    let faults = nth("peer-refused", 1) + &nth("peer-error", 1) + &nth("peer-cut", 1) + &nth("peer-slow", 4);
    let each: String = (0..6).map(|at| format!("{}at = \"{}ms\"\n", asks(&ask), at * 1000)).collect();
    // The second one that asks is the first that is answered, and so on: who is refused is not counted as slow.
    let told = tried(&desk, &(each.clone() + &faults + PEER), 3);
    let came = answers(&told, "fetcher");
    let lines = told.steps.join("\n");
    assert_eq!(came[0]["error"], "ConnectionRefused", "{lines}");
    assert!(came[1]["status"].as_u64() >= Some(500) && came[1]["error"].is_null(), "{came:#?}");
    assert_eq!((&came[2]["status"], &came[2]["error"]), (&json!(201), &json!("HttpResponseIncomplete")), "{lines}");
    assert!(came[2]["bytes"].as_u64() < Some("hello there".len() as u64), "{came:#?}");
    assert_eq!(came[3]["body"], "hello there");
    assert_eq!(came[4]["error"], "ConnectionReadTimeout", "{lines}");
    assert_eq!(came[5]["body"], "hello there");
    assert_eq!(told.faults.len(), 4, "{:?}", told.faults);
    assert_eq!(told.broken, Vec::<String>::new());
    // By rate it is another one with each seed.
    let by_rate = "[[fault]]\nkind = \"peer-error\"\nrate = 0.5\n";
    let digest = |seed| tried(&desk, &(each.clone() + by_rate + PEER), seed).digest;
    assert_ne!(digest(1), digest(2));
}

#[test]
fn a_failure_that_a_peer_makes_is_shrunk_and_found_again() {
    let desk = fetcher(&["GET https://api.example/**"]);
    let check =
        "[[check]]\nservice = \"fetcher\"\nask = '{\"url\":\"https://api.example/v1/a\"}'\nequals = \"never\"\n";
    // The check fails by itself, whatever the peer does: so all that goes wrong is left out.
    let fault = "[[fault]]\nkind = \"peer-cut\"\npeer = \"api.example\"\nrate = 0.9\n";
    let test = asks(&json!({"url": "https://api.example/v1/b"})) + "times = 5\n" + fault + PEER + check;
    desk.write("airssys.test.toml", &test);
    let found = desk.run(&["test", "--json"]).refused(1, "AE101", &[]);
    let told: Value = serde_json::from_str(&found.stdout).unwrap();
    let file = told["shrunk"]["file"].as_str().unwrap();
    assert!(file.contains("[[peer]]") && !file.contains("[[fault]]"), "{file}");
    desk.write("short.test.toml", file);
    let again = desk.run(&["test", "short.test.toml", "--json"]).refused(1, "AE101", &[]);
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(again["failure"]["digest"], told["shrunk"]["tried"]["digest"], "{file}");
}

#[test]
fn what_is_wrong_with_a_peer_is_told_with_its_place() {
    let desk = fetcher(&[]);
    let ask = asks(&json!({"url": "https://api.example/"}));
    let lines = ask.lines().count();
    let fault = |kind: &str, more: &str| format!("[[fault]]\nkind = \"{kind}\"\nnth = 1\n{more}");
    for (more, names) in [
        ("[[peer]]\npath = \"/\"\n".to_owned(), &["host"][..]),
        ("[[peer]]\nhost = \"a b\"\n".to_owned(), &["the host is neither a name nor an address"]),
        ("[[peer]]\nhost = \"a\"\npath = \"v1\"\n".to_owned(), &["this peer answers nothing"]),
        ("[[peer]]\nhost = \"a\"\nmethod = \"get\"\n".to_owned(), &["upper case"]),
        ("[[peer]]\nhost = \"a\"\nstatus = 99\n".to_owned(), &["`status` is 99", "from 200 to 599"]),
        ("[[peer]]\nhost = \"a\"\nheaders = { content-length = \"5\" }\n".to_owned(), &["content-length"]),
        ("[[peer]]\nhost = \"a\"\naddress = \"here\"\n".to_owned(), &["\"here\" is no address"]),
        ("[[peer]]\nhost = \"a\"\ntakes = \"long\"\n".to_owned(), &["\"long\" is no time"]),
        ("[[peer]]\nhost = \"a\"\nport = 1\n".to_owned(), &["port"]),
        (fault("peer-slow", ""), &["there is no [[peer]]"]),
        (fault("peer-slow", "service = \"a\"\n[[peer]]\nhost = \"a\"\n"), &["named by `peer`"]),
        (fault("peer-slow", "peer = \"b\"\n[[peer]]\nhost = \"a\"\n"), &["no [[peer]] has the `host` \"b\""]),
        (fault("crash", "peer = \"a\"\n[[peer]]\nhost = \"a\"\n"), &["`peer` is about what a peer does"]),
    ] {
        desk.write("airssys.test.toml", format!("{ask}{more}"));
        let told = desk.run(&["test"]).refused(2, "AT101", names);
        let is_placed = (lines + 1..lines + 6).any(|line| told.stderr.contains(&format!("airssys.test.toml:{line}:")));
        assert!(is_placed, "{told:#?}");
    }
}

/// A scribe with a folder to write to, and files in it.
fn scribe(more: &str) -> Desk {
    let desk = Desk::with(&format!(
        "name = \"m\"\n[[service]]\nname = \"scribe\"\nrelease = \"@scribe\"\nstate = \"durable\"\n[service.grants]\nfiles = {{ \"/a\" = {{ host = \"work\", access = \"read-write\", max = \"1MiB\" }} }}\n{more}"
    ));
    for name in ["d", "b", "e", "a", "c"] {
        desk.write(&format!("work/{name}"), name.repeat(10));
    }
    desk.write("work/long", "x".repeat(100_000));
    desk
}

fn writes(at: &str, told: &Value) -> String {
    format!("[[workload]]\nservice = \"scribe\"\nat = \"{at}\"\nask = '{told}'\n")
}

/// What lies in the granted folder itself.
fn lies(desk: &Desk) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(desk.path().join("work")).unwrap().map(Result::unwrap);
    let mut all: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn each_run_has_the_granted_folders_for_itself_and_tells_nothing_of_the_machine() {
    let desk = scribe("");
    let before = lies(&desk);
    let test = [
        writes("0ms", &json!([{"in-order": "/a"}, {"facts": "/a/a"}, {"facts": "/a"}, {"pour": "/a/long"}])),
        writes(
            "10ms",
            &json!([{"write": ["/a/new", "wc"]}, {"stream": ["/a/streamed", "wc"]}, {"append": ["/a/log", "one\n"]}]),
        ),
        writes(
            "20ms",
            &json!([{"replace": ["/a/b", "new"]}, {"unlink": "/a/d"}, {"make": "/a/folder"}, {"touch": "/a/c"}]),
        ),
        writes("30ms", &json!([{"rename": ["/a/e", "/a/folder/e"]}, {"append-many": ["/a/log", "x", 80, 100]}])),
        writes(
            "40ms",
            &json!([{"in-order": "/a"}, {"facts": "/a/c"}, {"facts": "/a/a"}, {"facts": "/a/log"}, {"read": ["/a/new", "r"]}]),
        ),
        writes("50ms", &json!([{"size": ["/a/new", "w", 2_000_000]}, {"size": ["/a/new", "w", 5]}])),
    ];
    let tried = tried(&desk, &test.concat(), 7);
    let told = answers(&tried, "scribe");
    let lines = tried.steps.join("\n");
    // The first moment of 2026, whenever it was written to; a number of its own; and no length of a folder.
    assert_eq!(
        told[0],
        json!(["a b c d e long", "10 1767225600 1 1.0", "0 1767225600 1 2.0", "100000 bytes"]),
        "{lines}"
    );
    assert_eq!(told[1], json!(["ok", "ok", "ok"]));
    assert_eq!(told[4][0], "a b c folder log long new streamed");
    assert_eq!((&told[4][2], &told[4][4]), (&told[0][1], &json!("written")));
    assert!(told[4][1].as_str().unwrap().starts_with("10 1767225600 1 "), "{lines}");
    assert_eq!(told[5], json!(["insufficient-space", "ok"]), "{lines}");
    assert_eq!(lies(&desk), before, "nothing of it has happened");
    assert_eq!(tried.broken, Vec::<String>::new());
    assert_eq!(times(&tried, " granted folder 0 has "), 1, "{lines}");
}

#[test]
fn files_are_as_a_guest_left_them_when_the_host_was_killed() {
    let desk = scribe("");
    let test = [
        "kill = [\"15ms\"]\n".to_owned(),
        writes("0ms", &json!([{"write": ["/a/new", "wc"]}, {"unlink": "/a/a"}])),
        writes("30ms", &json!([{"in-order": "/a"}, {"read": ["/a/new", "r"]}])),
    ];
    let tried = tried(&desk, &test.concat(), 7);
    let told = answers(&tried, "scribe");
    assert_eq!(told.last(), Some(&json!(["b c d e long new", "written"])), "{}", tried.steps.join("\n"));
    assert_eq!(times(&tried, "a host begins"), 2);
}

#[test]
fn who_crashes_over_files_does_so_at_the_same_place_each_time() {
    let desk = scribe("[[supervisor]]\nname = \"unused\"\n");
    let each: String = (0..20)
        .map(|at| {
            let told = json!([
                {"append": ["/a/log", format!("{at}\n")]},
                {"stream": [format!("/a/s{at}"), "wc"]},
                {"pour": "/a/long"},
                {"read": ["/a/log", "r"]},
            ]);
            writes(&format!("{at}ms"), &told)
        })
        .collect();
    let crashes = "[[fault]]\nkind = \"crash\"\nrate = 0.3\ncount = 2\n";
    let digests: Vec<String> = (1..6).map(|seed| tried(&desk, &(each.clone() + crashes), seed).digest).collect();
    assert!(digests.windows(2).all(|two| two[0] != two[1]), "{digests:?}");
}

#[test]
fn a_folder_that_is_too_large_to_be_copied_or_cannot_be_is_refused() {
    let desk = scribe("");
    desk.write("airssys.test.toml", writes("0ms", &json!([])));
    let large = std::fs::File::create(desk.path().join("work/large")).unwrap();
    large.set_len(65 << 20).unwrap();
    let _told = desk.run(&["test"]).refused(3, "AE102", &["work has more than 64", "a copy of it"]);
    std::fs::remove_file(desk.path().join("work/large")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(desk.path().join("work/socket")).unwrap();
    let _told = desk.run(&["test"]).refused(3, "AE102", &["work", "socket", "neither a file nor a folder"]);
}

#[test]
fn sockets_and_programs_are_refused_with_the_grant_that_has_them() {
    for (grants, names) in [
        ("sockets = [\"127.0.0.1:80\"]", ["service reacher", "`sockets`", "[[peer]]"]),
        ("bind = [\"127.0.0.1:80\"]", ["service reacher", "`bind`", "without that grant"]),
        ("processes = { touch = { program = \"/usr/bin/touch\" } }", ["service reacher", "`processes`", "programs"]),
    ] {
        let topology = format!(
            "name = \"m\"\n[[service]]\nname = \"reacher\"\nrelease = \"@reacher\"\n[service.grants]\n{grants}\n"
        );
        let desk = Desk::with(&topology);
        desk.write("airssys.test.toml", "[[workload]]\nservice = \"reacher\"\nask = \"\"\n");
        let _told = desk.run(&["test"]).refused(2, "AE102", &names);
    }
}

/// A site for anybody, and one a session.
fn site(more: &str) -> Desk {
    Desk::with(&format!(
        r#"
        name = "m"
        [root]
        intensity = 1000
        [[service]]
        name = "site"
        release = "@site"
        [[service]]
        name = "session"
        release = "@site"
        keyed = {{ max_keys = 50, max_awake = 4 }}
        [[http]]
        listen = "127.0.0.1:8080"
        {more}
        [[http.route]]
        host = "shop.example"
        service = "site"
        [[http.route]]
        path = "/add"
        service = "session"
        key = {{ header = "x-session" }}
        "#
    ))
}

fn requests(request: &str, at: &str) -> String {
    format!("[[workload]]\nat = \"{at}\"\nhttp = {{ {request} }}\n")
}

/// What the clients of a listener were told.
fn responses(tried: &Tried) -> Vec<String> {
    let of = tried.steps.iter().filter(|line| line.contains(" client 127.0.0.1:8080 "));
    of.map(|line| line.split_once("\": \"").unwrap().1.trim_end_matches('"').to_owned()).collect()
}

#[test]
fn a_request_goes_through_all_of_a_listener_but_its_socket() {
    let desk = site("body = \"1KiB\"");
    let shop = "host = \"shop.example\"";
    let large = "x".repeat(2_000);
    let test = [
        requests(
            &format!("path = \"/show?n=1\", method = \"PUT\", {shop}, headers = {{ x-own = \"1\" }}, body = \"hello\""),
            "0ms",
        ),
        requests("path = \"/add\", headers = { x-session = \"a\" }", "10ms"),
        requests("path = \"/add\", headers = { x-session = \"b\" }", "20ms"),
        requests("path = \"/add\", headers = { x-session = \"a\" }", "30ms"),
        requests("path = \"/add\"", "40ms"),
        requests("path = \"/nowhere\"", "50ms"),
        requests(&format!("path = \"/echo\", method = \"POST\", {shop}, body = \"{large}\""), "60ms"),
        requests(&format!("path = \"/add/trap\", {shop}"), "70ms"),
        requests(&format!("path = \"/drip?3\", {shop}"), "80ms"),
        "[[check]]\nhttp = { path = \"/add\", headers = { x-session = \"a\" } }\nequals = \"3\"\n".to_owned(),
        "[[check]]\nhttp = { path = \"/nowhere\" }\nstatus = 404\n".to_owned(),
    ];
    let tried = tried(&desk, &test.concat(), 7);
    let told = responses(&tried);
    let lines = tried.steps.join("\n");
    assert!(
        told[0].starts_with("200 Method::Put") && told[0].contains("x-own: 1") && told[0].ends_with("hello"),
        "{lines}"
    );
    assert_eq!(told[1..4], ["200 1", "200 1", "200 2"], "{lines}");
    let statuses: Vec<&str> = told[4..].iter().filter_map(|told| told.split(' ').next()).collect();
    assert_eq!(statuses, ["400", "404", "413", "502", "200"], "{lines}");
    assert_eq!(tried.broken, Vec::<String>::new(), "{lines}");
    assert_eq!((tried.answered, tried.failed), (8, 1), "one trapped");
}

#[test]
fn who_asks_by_http_while_things_go_wrong_is_told_the_same_each_time_and_a_check_of_a_status_finds_it() {
    let desk = site("max_requests = 2");
    let asks =
        "[[workload]]\ntimes = 40\nevery = \"2ms\"\nhttp = { path = \"/add\", headers = { x-session = \"s{n}\" } }\n";
    let crash = "[[fault]]\nkind = \"crash\"\nrate = 0.2\n[[fault]]\nkind = \"drop\"\nrate = 0.1\n";
    let digests: Vec<String> = (1..5).map(|seed| tried(&desk, &format!("{asks}{crash}"), seed).digest).collect();
    assert!(digests.windows(2).all(|two| two[0] != two[1]), "{digests:?}");
    let check = "[[check]]\nhttp = { path = \"/add\", headers = { x-session = \"s1\" } }\nequals = \"9\"\n";
    desk.write("airssys.test.toml", format!("{asks}{check}"));
    let found = desk.run(&["test", "--json"]).refused(1, "AE101", &["GET /add is 200 2, and 200 9 was wanted"]);
    let told: Value = serde_json::from_str(&found.stdout).unwrap();
    desk.write("short.test.toml", told["shrunk"]["file"].as_str().unwrap());
    let _again = desk.run(&["test", "short.test.toml"]).refused(1, "AE101", &["200 9 was wanted"]);
}

#[test]
fn what_is_wrong_with_a_request_is_told() {
    let desk = site("");
    for (test, names) in [
        ("[[workload]]\nhttp = { path = \"cart\" }\n", &[":2:8", "\"cart\" is no path"][..]),
        ("[[workload]]\nhttp = { path = \"/\", method = \"a b\" }\n", &[":2:8", "no method"]),
        ("[[workload]]\nhttp = { path = \"/\", headers = { \"a b\" = \"\" } }\n", &["no name of a header"]),
        ("[[workload]]\nservice = \"site\"\nhttp = { path = \"/\" }\n", &["has no `service`"]),
        ("[[workload]]\nask = \"\"\n", &["there is no `service`"]),
        (
            "[[workload]]\nhttp = { path = \"/\", listen = \"127.0.0.1:1\" }\n",
            &["goes to 127.0.0.1:1", "127.0.0.1:8080"],
        ),
        ("[[check]]\nhttp = { path = \"/\" }\n", &["`equals`"]),
        ("[[check]]\nservice = \"site\"\nask = \"\"\nstatus = 200\n", &["goes with `http`"]),
    ] {
        desk.write("airssys.test.toml", test);
        let _told = desk.run(&["test"]).refused(2, "AT101", names);
    }
    let bare = scribe("");
    bare.write("airssys.test.toml", "[[workload]]\nhttp = { path = \"/\" }\n");
    let _told = bare.run(&["test"]).refused(2, "AT101", &["no [[http]]"]);
}

#[test]
fn a_run_that_is_written_in_rust_has_copies_of_folders_and_no_peers() {
    let read = |desk: &Desk| Topology::read(&desk.path().join("airssys.toml")).unwrap();
    let terms = Terms { code_cache: Some(code_cache()), ..Terms::default() };
    let desk = scribe("");
    let before = lies(&desk);
    let told = json!([{"write": ["/a/new", "wc"]}, {"unlink": "/a/a"}, {"in-order": "/a"}]).to_string();
    let work = async |mesh: &Runtime| {
        let answer = mesh.call("scribe", told.clone(), PATIENCE).await.unwrap().unwrap();
        let came: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(came, json!(["ok", "ok", "b c d e long new"]));
    };
    trial::run(&read(&desk), &Seeded::new(7), &terms, work, async |_| ()).unwrap();
    assert_eq!(lies(&desk), before);
    let asks = fetcher(&["GET https://api.example/**"]);
    let refused = trial::run(&read(&asks), &Seeded::new(7), &terms, async |_| (), async |_| ());
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("service fetcher is granted `http`") && told.contains("test file"), "{told}");
}
