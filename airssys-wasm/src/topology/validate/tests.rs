#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by panicking")]

use std::fs;

use crate::topology::{Node, Topology};

/// Reads a topology in a folder that has one release, `a.wasm`.
fn read(text: &str) -> Result<Topology, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.wasm"), "").unwrap();
    let file = folder.path().join("airssys.toml");
    fs::write(&file, text).unwrap();
    let prefix = format!("{}/", folder.path().display());
    Topology::read(&file).map_err(|error| format!("{error}\n{}", error.hint).replace(&prefix, ""))
}

fn names(nodes: &[Node]) -> Vec<String> {
    nodes
        .iter()
        .map(|node| match node {
            Node::Service(service) => service.address.to_string(),
            Node::Supervisor(supervisor) => format!("{}[{}]", supervisor.name, names(&supervisor.children).join(" ")),
        })
        .collect()
}

#[test]
fn children_stand_in_the_order_of_the_file() {
    let text = r#"
        name = "m"
        [[service]]
        name = "first"
        release = "a.wasm"
        [[supervisor]]
        name = "second"
        [[service]]
        name = "third"
        release = "a.wasm"
        [[service]]
        name = "inner"
        release = "a.wasm"
        supervisor = "deep"
        [[supervisor]]
        name = "deep"
        parent = "second"
        strategy = "rest-for-one"
    "#;
    assert_eq!(names(&read(text).unwrap().children), ["first", "second[deep[inner]]", "third"]);
}

#[test]
fn every_defect_is_refused_with_its_place() {
    let service = |more: &str| format!("name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"a.wasm\"\n{more}");
    for (text, place, says) in [
        ("name = ", "airssys.toml:1:8", ""),
        ("name = \"m\"\ncolour = 1\n", "airssys.toml:2:1", "unknown field `colour`"),
        ("name = \"m m\"\n", "airssys.toml:1:8", "is no name"),
        ("[[service]]\nname = \"a\"\nrelease = \"a.wasm\"\n", "airssys.toml", "missing field `name`"),
        ("name = \"m\"\n[settings]\ntrusted_keys = [\"ed25519:00\"]\n", "airssys.toml:3:17", "is no public key"),
        (
            "name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"b@1.0.0\"\n",
            "airssys.toml:4:11",
            "no data folder was named",
        ),
        ("name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"b.wasm\"\n", "airssys.toml:4:11", "is not there"),
        (
            "name = \"m\"\n[[supervisor]]\nname = \"a\"\n[[supervisor]]\nname = \"a\"\n",
            "airssys.toml:5:8",
            "has an owner already, in line 2",
        ),
        (
            "name = \"m\"\n[[supervisor]]\nname = \"a\"\nparent = \"b\"\n[[supervisor]]\nname = \"b\"\nparent = \"a\"\n",
            "airssys.toml",
            "circle",
        ),
        (
            "name = \"m\"\n[[supervisor]]\nname = \"a\"\nstrategy = \"all\"\n",
            "airssys.toml:4:12",
            "one-for-one, one-for-all, rest-for-one",
        ),
        ("name = \"m\"\n[[supervisor]]\nname = \"a\"\nperiod = \"0s\"\n", "airssys.toml:3:8", "period"),
        (&service("supervisor = \"nobody\"\n"), "airssys.toml:5:14", "no supervisor \"nobody\""),
        (&service("supervisor = \"a\"\n"), "airssys.toml:5:14", "is a service"),
        (&service("significant = true\n"), "airssys.toml:3:8", "significant and permanent"),
        (&service("significant = true\nrestart = \"transient\"\n"), "airssys.toml:3:8", "never shuts down by itself"),
        (&service("restart = \"sometimes\"\n"), "airssys.toml:5:11", "permanent, transient, temporary"),
        (&service("shutdown = \"later\"\n"), "airssys.toml:5:12", "brutal-kill"),
        (&service("instances = 0\n"), "airssys.toml:5:13", "`instances` is 0, and it may be 1 to 1024"),
        (&service("instances = 4000000000\n"), "airssys.toml:5:13", "`instances` is 4000000000"),
        (&service("instances = 18446744073709551616\n"), "airssys.toml:5:13", ""),
        (&service("partitioned = true\n"), "airssys.toml:3:8", "needs `instances`"),
        (&service("instances = 2\nkeyed = {}\n"), "airssys.toml:6:9", "either keyed or a pool"),
        (&service("keyed = { max_awake = 0 }\n"), "airssys.toml:5:23", "`max_awake` is 0, and it may be 1 to"),
        (&service("keyed = { max_keys = 0 }\n"), "airssys.toml:5:22", "`max_keys` is 0"),
        (&service("keyed = { max_awake = 9223372036854775807 }\n"), "airssys.toml:5:23", "is 9223372036854775807"),
        (&service("keyed.period = \"0s\"\n"), "airssys.toml:5:16", "`period` is 0s, and it may be 1ms to 365days"),
        (&service("keyed.intensity = 4294967295\n"), "airssys.toml:5:19", "`intensity` is 4294967295"),
        (&service("keyed = {}\nspawned = {}\n"), "airssys.toml:6:11", "are spawned, or it is keyed or a pool"),
        (&service("instances = 2\nspawned = {}\n"), "airssys.toml:6:11", "are spawned, or it is keyed or a pool"),
        (&service("spawned = { max_children = 0 }\n"), "airssys.toml:5:28", "`max_children` is 0, and it may be 1 to"),
        (&service("spawned = {}\nstate = \"durable\"\n"), "airssys.toml:6:9", "ends with it"),
        (
            &service("spawned = {}\nsignificant = true\nrestart = \"transient\"\n[root]\nauto_shutdown = \"any\"\n"),
            "airssys.toml:3:8",
            "none of them is significant",
        ),
        (&service("[service.grants]\nspawn = [\"a/*\"]\n"), "airssys.toml:6:10", "the actors of \"a\" are not spawned"),
        (&service("[service.grants]\nspawn = [\"b/*\"]\n"), "airssys.toml:6:10", "no service \"b\""),
        (&service("mailbox = { capacity = 0 }\n"), "airssys.toml:5:24", "`capacity` is 0, and it may be 1 to 16777216"),
        (&service("mailbox = { capacity = 9223372036854775807 }\n"), "airssys.toml:5:24", "`capacity = 16777216`"),
        (&service("mailbox.bytes = \"0B\"\n"), "airssys.toml:5:17", "`bytes` is 0B, and it may be 1KiB to"),
        (&service("mailbox = { all_bytes = \"7EiB\" }\n"), "airssys.toml:5:25", "`all_bytes` is "),
        (&service("retries = 4294967295\n"), "airssys.toml:5:11", "`retries` is 4294967295"),
        (&service("[service.limits]\nturn_deadline = \"0s\"\n"), "airssys.toml:6:17", "`turn_deadline = \"1ms\"`"),
        (&service("limits = { log_line = \"0B\" }\n"), "airssys.toml:5:23", "`log_line` is 0B, and it may be 16B to"),
        (
            &service("[[service]]\nname = \"b\"\nrelease = \"a.wasm\"\nlimits.turn_budget = \"0s\"\n"),
            "airssys.toml:8:22",
            "`turn_budget` is 0s",
        ),
        ("name = \"m\"\n[settings]\nshutdown_timeout = \"0s\"\n", "airssys.toml:3:20", "`shutdown_timeout` is 0s"),
        ("name = \"m\"\n[settings]\ntimers = 1000000000000\n", "airssys.toml:3:10", "`timers` is 1000000000000"),
        ("name = \"m\"\n[root]\nintensity = 4294967295\n", "airssys.toml:3:13", "`intensity` is 4294967295"),
        ("name = \"m\"\n[[supervisor]]\nname = \"a\"\nperiod = \"1us\"\n", "airssys.toml:4:10", "`period` is 1us"),
        (&service("mailbox = { overflow = \"shrug\" }\n"), "airssys.toml:5:24", "drop-oldest"),
        (&service("[service.grants]\ncall = [\"b\"]\n"), "airssys.toml:6:9", "no service \"b\""),
        (&service("[service.grants]\nsend = [\"a*\"]\n"), "airssys.toml:6:9", "whole segment"),
        (&service("[service.grants]\nsockets = [\"example.com\"]\n"), "airssys.toml:6:12", "no socket address"),
        (&service("[service.grants]\nhttp = [\"https://example.com\"]\n"), "airssys.toml:6:9", "no pattern of HTTP"),
        (
            &service("[service.grants]\nfiles = { \"/d\" = { host = \"/etc\", max = \"1MiB\" } }\n"),
            "airssys.toml:6:41",
            "the grant of \"/d\" has a `max`, and the folder may only be read",
        ),
        (
            &service("[service.grants.files]\n\"/d\" = { host = \"/etc\", access = \"read-write\", max = \"1B\" }\n"),
            "airssys.toml:6:54",
            "`max` is 1B, and it may be 4KiB to 1024TiB",
        ),
        (
            &service("[service.grants]\nfiles = { \"/d\" = { host = \"nowhere\" } }\n"),
            "airssys.toml:6:27",
            "is not there",
        ),
        (
            &service("state = \"1MiB\"\n"),
            "airssys.toml:5:9",
            "memory, durable; how large it may be is `state` of `limits`",
        ),
        (&service("instances = 2\nstate = \"durable\"\n"), "airssys.toml:6:9", "has no state to keep"),
        (&service("clocks = \"sundial\"\n"), "airssys.toml:5:10", "real, none, or a step"),
        (&service("clocks = \"0s\"\n"), "airssys.toml:5:10", "above zero"),
        (&service("clocks = 1\n"), "airssys.toml:5:10", "string"),
        (&service("randomness = \"dice\"\n"), "airssys.toml:5:14", "{ seed = 42 }"),
        (&service("randomness = 42\n"), "airssys.toml:5:14", "{ seed = 42 }"),
        (&service("randomness = { seed = -1 }\n"), "airssys.toml:5:23", "u64"),
        (&service("randomness = { seeds = 1 }\n"), "airssys.toml:5:16", "unknown field"),
        (&service("randomness = {}\n"), "airssys.toml:5:14", "missing field `seed`"),
        (&service("[service.limits]\nmemory = 3\n"), "airssys.toml:6:10", "string"),
    ] {
        let said = read(text).map(|_| ()).unwrap_err();
        assert!(said.starts_with(place) && said.contains(says), "{text}\n=> {said}");
    }
}

#[test]
fn what_is_not_written_has_otps_defaults() {
    let topology = read("name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"a.wasm\"\n").unwrap();
    assert_eq!((topology.root.intensity, topology.root.period.as_secs()), (1, 5));
    let service = topology.services().next().unwrap();
    assert_eq!(service.shutdown, airssys_rt_shim::child::Shutdown::WORKER);
    assert_eq!(service.grants, crate::capability::Grants::default());
}

#[test]
fn a_published_release_is_looked_up_in_the_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("airssys.toml");
    let data = folder.path().join("data");
    for (release, says) in [("b@1.0.0", "there is no release b@1.0.0"), ("b@1", "names no release"), ("@", "names no")]
    {
        fs::write(&file, format!("name = \"m\"\n[[service]]\nname = \"a\"\nrelease = {release:?}\n")).unwrap();
        let error = Topology::read_with(&file, Some(&data)).unwrap_err();
        assert!(error.at == Some((4, 11)) && error.what.contains(says) && !error.hint.is_empty(), "{error:?}");
    }
}

#[test]
fn every_defect_of_a_listener_is_refused_with_its_place() {
    let services = "name = \"m\"\n[[supervisor]]\nname = \"s\"\n[[service]]\nname = \"a\"\nrelease = \"a.wasm\"\n\
                    [[service]]\nname = \"k\"\nrelease = \"a.wasm\"\nkeyed = {}\n";
    let listening = |more: &str| format!("{services}[[http]]\nlisten = \"127.0.0.1:80\"\n{more}");
    let route = |more: &str| listening(&format!("[[http.route]]\n{more}"));
    let two =
        |one: &str, other: &str| route(&format!("service = \"a\"\n{one}[[http.route]]\nservice = \"a\"\n{other}"));
    let keyed = |key: &str| route(&format!("service = \"k\"\nkey = {key}\n"));
    for (text, place, says) in [
        (listening("").replace("127.0.0.1:80", "localhost"), "airssys.toml:12:10", "is no address with a port"),
        (listening("[[http]]\nlisten = \"127.0.0.1:80\"\n"), "airssys.toml:14:10", "listens at 127.0.0.1:80 already"),
        (listening("max_connections = 0\n"), "airssys.toml:13:19", "it may be 1 to"),
        (listening("tls = { certificate = \"c\" }\n"), "airssys.toml:13:7", "missing field `key`"),
        (listening("colour = 1\n"), "airssys.toml:13:1", "unknown field `colour`"),
        (route("service = \"nobody\"\n"), "airssys.toml:14:11", "there is no service \"nobody\""),
        (route("service = \"s\"\n"), "airssys.toml:14:11", "there is no service \"s\""),
        (route("service = \"a\"\nhost = \"a:80\"\n"), "airssys.toml:15:8", "is no host"),
        (route("service = \"a\"\nhost = \"a/b\"\n"), "airssys.toml:15:8", "is no host"),
        (route("service = \"a\"\npath = \"cart\"\n"), "airssys.toml:15:8", "it begins with a slash"),
        (route("service = \"a\"\npath = \"/a?b\"\n"), "airssys.toml:15:8", "a path alone"),
        (route("service = \"a\"\npath = \"/a/../b\"\n"), "airssys.toml:15:8", "no segment that is empty"),
        (route("service = \"a\"\nmethods = [\"GET\", \"P T\"]\n"), "airssys.toml:15:19", "\"P T\" is no method"),
        (route("service = \"a\"\nmethods = [\"CONNECT\"]\n"), "airssys.toml:15:12", "is no method"),
        (route("service = \"a\"\nkey = { path = 1 }\n"), "airssys.toml:15:7", "\"a\" has no keys"),
        (route("service = \"k\"\n"), "airssys.toml:14:11", "does not say which one answers"),
        (keyed("{}"), "airssys.toml:15:7", "taken from somewhere"),
        (keyed("{ header = \"a\", path = 1 }"), "airssys.toml:15:7", "taken from one place"),
        (keyed("{ header = \"a\", make = true }"), "airssys.toml:15:7", "`make` goes with a cookie"),
        (keyed("{ header = \"a b\" }"), "airssys.toml:15:7", "no name of a header"),
        (keyed("{ path = 0 }"), "airssys.toml:15:7", "`path` is 0, and it may be 1 to 64"),
        (two("", ""), "airssys.toml:15:1", "they go to a"),
        (two("path = \"/x\"\n", "path = \"/x/\"\n"), "airssys.toml:16:1", "they go to a"),
        (two("methods = [\"GET\", \"PUT\"]\n", "methods = [\"PUT\"]\n"), "airssys.toml:16:1", "they go to a"),
        (two("host = \"A.b\"\n", "host = \"a.B\"\n"), "airssys.toml:16:1", "they go to a"),
    ] {
        let said = read(&text).map(|_| ()).unwrap_err();
        let (error, hint) = said.split_once('\n').unwrap();
        assert!(error.starts_with(place) && error.contains(says), "{text}\n=> {said}");
        assert!(!hint.is_empty() || says.contains("field"), "{said}");
    }
    for fine in [two("", "methods = [\"GET\"]\n"), two("host = \"a\"\n", ""), keyed("{ cookie = \"s\", make = true }")]
    {
        assert_eq!(read(&fine).unwrap().listeners.len(), 1, "{fine}");
    }
}
