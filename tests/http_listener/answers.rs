//! Who answers a request, and what a client is told where nobody does.

use airssys_tests::until;
use airssys_wasm::events::{Happening, Heard, Kind, Subscription};

use super::client::{Site, all};

const KEYED: &str = "keyed = {}";

#[tokio::test]
async fn a_request_is_answered_by_the_service_of_its_route() {
    let site = Site::start("", &all("")).await;
    let mut client = site.client().await;
    let shown = client.ask("GET", "/show?a=1", &[("x-told", "yes")], "").await;
    let head = "Method::Get Some(Scheme::Http) Some(\"site.example\")\nx-told: yes\n";
    assert_eq!((shown.status, shown.body.as_str()), (200, head));
    assert_eq!(shown.header("content-type"), "text/plain");
    let echo = client.ask("POST", "/echo", &[], "what is sent").await;
    assert_eq!(echo.short(), (200, "what is sent"));
    // One instance had all three, over one connection.
    assert_eq!(client.get("/seen").await.short(), (200, "3"));
    let made = client.get("/made").await;
    assert_eq!((made.short(), made.header("location")), ((201, ""), "/made/1"));
    assert_eq!(made.headers.get_all("set-cookie").iter().count(), 2);
    let listener = &site.runtime.listeners()[0];
    until("the answers are counted", async || site.runtime.listeners()[0].answered == 4).await;
    assert_eq!((listener.listen.as_str(), listener.tls, listener.connections), ("127.0.0.1:0", false, 1));
    assert_eq!(listener.routes, ["/ goes to site"]);
    site.stop().await;
}

#[tokio::test]
async fn a_route_is_chosen_by_host_path_and_method() {
    let routes = "[[http.route]]\nservice = \"site\"\npath = \"/echo\"\nmethods = [\"POST\"]\n\
                  [[http.route]]\nservice = \"site\"\npath = \"/seen\"\nmethods = [\"GET\"]\n\
                  [[http.route]]\nservice = \"other\"\npath = \"/seen\"\nhost = \"other.example\"\n";
    let other = "[[service]]\nname = \"other\"\nrelease = \"@site\"\n";
    let site = Site::start(other, routes).await;
    let mut client = site.client().await;
    assert_eq!(client.ask("POST", "/echo", &[], "x").await.short(), (200, "x"));
    assert_eq!(client.get("/seen").await.short(), (200, "2"));
    for host in ["other.example", "OTHER.example:81", "other.example."] {
        assert_eq!(client.ask("PUT", "/seen", &[("host", host)], "").await.status, 200, "{host}");
    }
    assert_eq!(client.ask("GET", "/seen", &[("host", "other.example")], "").await.body, "4", "another service");
    assert_eq!(client.ask("HEAD", "/seen", &[], "").await.short(), (200, ""));
    for path in ["/", "/show", "/seeno", "//seen"] {
        assert_eq!(client.get(path).await.short(), (404, "no-route"), "{path}");
    }
    let not_so = client.get("/echo").await;
    assert_eq!((not_so.short(), not_so.header("allow")), ((405, "no-such-method"), "POST"));
    assert_eq!(client.ask("PUT", "/seen/x", &[], "").await.header("allow"), "GET, HEAD");
    site.stop().await;
}

#[tokio::test]
async fn headers_of_a_connection_go_neither_in_nor_out() {
    let site = Site::start("", &all("")).await;
    let headers = [
        ("connection", "keep-alive, x-mine"),
        ("x-mine", "1"),
        ("te", "trailers"),
        ("keep-alive", "timeout=5"),
        ("proxy-authorization", "secret"),
        ("forwarded", "for=10.0.0.1"),
    ];
    let shown = site.client().await.ask("GET", "/show", &headers, "").await.body;
    let told: Vec<&str> = shown.lines().skip(1).collect();
    assert_eq!(told, ["forwarded: for=10.0.0.1"]);
    site.stop().await;
}

#[tokio::test]
async fn each_end_of_a_request_has_its_status() {
    let limits = "limits = { turn_deadline = \"300ms\" }";
    let site = Site::start(limits, &all("")).await;
    let mut client = site.client().await;
    assert_eq!(client.get("/add").await.short(), (200, "1"));
    for (path, status, says) in [
        ("/trap", 502, "crashed"),
        ("/error", 500, "failed"),
        ("/none", 500, "failed"),
        ("/wait", 504, "crashed"),
        ("/spin", 504, "crashed"),
        ("/grow", 502, "crashed"),
        // What these wrote is not there.
        ("/add/error", 500, "failed"),
        ("/add/trap", 502, "crashed"),
        ("/add", 200, "2"),
    ] {
        assert_eq!(client.get(path).await.short(), (status, says), "{path}");
    }
    let _stopped = site.runtime.stop_service("site").await.unwrap();
    assert_eq!(client.get("/add").await.short(), (503, "stopped"));
    let _started = site.runtime.start_service("site").await.unwrap();
    assert_eq!(client.get("/add").await.short(), (200, "3"), "the connection is the same one");
    site.stop().await;
}

#[tokio::test]
async fn who_is_full_is_to_be_asked_again_and_who_does_not_answer_is_told_of() {
    let full = "mailbox = { capacity = 1, overflow = \"refuse\" }\nlimits = { turn_deadline = \"60s\" }\nshutdown = \"brutal-kill\"";
    let site = Site::start(full, &format!("request_timeout = \"2s\"\n{}", all(""))).await;
    let mut events = site.runtime.events().of_kinds(&[Kind::LimitReached]);
    let mut waiting = [site.client().await, site.client().await];
    let [first, second] = &mut waiting;
    let mut third = site.client().await;
    let asked = async {
        // One is in hand, one in the mailbox.
        site.under_way(2).await;
        site.until("one waits", |site| site.status("site").queued == 1).await;
        third.get("/seen").await
    };
    let (one, other, refused) = tokio::join!(first.get("/wait"), second.get("/wait"), asked);
    assert_eq!((refused.short(), refused.header("retry-after")), ((503, "overloaded"), "1"));
    assert_eq!((one.short(), other.short()), ((504, "timeout"), (504, "timeout")));
    assert_eq!(next(&mut events).await.0, "mailbox");
    let (limit, detail) = next(&mut events).await;
    assert!(limit == "request_timeout" && detail.contains("site") && detail.contains("127.0.0.1:0"), "{detail}");
    site.runtime.shutdown().await;
}

/// The next limit that was reached.
pub(super) async fn next(events: &mut Subscription) -> (String, String) {
    match events.next().await {
        Some(Heard::Event(event)) => match &event.what {
            Happening::LimitReached { limit, detail, .. } => (limit.clone(), detail.clone()),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_has_an_instance_of_its_own_and_loses_its_own_turn_alone() {
    for (key, headers) in [
        ("{ header = \"x-session\" }", ["x-session", "alice", "bob"]),
        ("{ cookie = \"session\" }", ["cookie", "a=1; session=alice", "session=bob; session=alice"]),
    ] {
        let site = Site::start(KEYED, &all(&format!("key = {key}"))).await;
        let [name, alice, bob] = headers;
        let mut client = site.client().await;
        for (who, path, status, body) in [
            (alice, "/seen", 200, "1"),
            (alice, "/seen", 200, "2"),
            (bob, "/seen", 200, "1"),
            (alice, "/add", 200, "1"),
            (alice, "/add/trap", 502, "crashed"),
            (bob, "/seen", 200, "2"),
            (alice, "/seen", 200, "1"),
            (alice, "/add", 200, "2"),
        ] {
            assert_eq!(client.ask("GET", path, &[(name, who)], "").await.short(), (status, body), "{who} {path}");
        }
        let missing = client.get("/seen").await;
        assert_eq!(missing.status, 400);
        assert!(missing.body.contains("is missing"), "{}", missing.body);
        let long = "k".repeat(257);
        let value = if name == "cookie" { format!("session={long}") } else { long };
        let invalid = client.ask("GET", "/seen", &[(name, &value)], "").await;
        assert!(invalid.status == 400 && invalid.body.contains("is no key"), "{invalid:?}");
        assert_eq!(site.status("site").keys, 2);
        site.stop().await;
    }
}

#[tokio::test]
async fn a_segment_of_the_path_is_a_key() {
    let site = Site::start(KEYED, &all("path = \"/seen\"\nkey = { path = 2 }")).await;
    let mut client = site.client().await;
    for path in ["/seen/al%69ce", "/seen/alice/x", "/seen/b%2Fob?c=1"] {
        // The guest sees the path as it was.
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
    let mut keys: Vec<String> = site.runtime.tree().await.iter().flat_map(airssys_names).collect();
    keys.sort();
    assert_eq!(keys, ["site/alice", "site/b/ob"]);
    assert_eq!(client.get("/seen").await.status, 400);
    site.stop().await;
}

/// The names of the keys in a tree.
fn airssys_names(node: &airssys_wasm::TreeNode) -> Vec<String> {
    let text = format!("{node:?}");
    let names = text.split('"').filter(|part| part.starts_with("site/")).map(str::to_owned);
    names.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

#[tokio::test]
async fn a_client_without_a_session_is_given_one() {
    let site = Site::start(KEYED, &all("key = { cookie = \"session\", make = true }")).await;
    let mut client = site.client().await;
    let first = client.get("/seen").await;
    let cookie = first.header("set-cookie").to_owned();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!((first.short(), attributes), ((200, "1"), "Path=/; HttpOnly; SameSite=Lax"));
    let again = client.ask("GET", "/seen", &[("cookie", pair)], "").await;
    assert_eq!((again.short(), again.header("set-cookie")), ((200, "2"), ""));
    let other = client.get("/seen").await;
    assert_eq!(other.body, "1");
    assert_ne!(other.header("set-cookie"), cookie);
    site.stop().await;
}

#[tokio::test]
async fn a_handler_that_never_answers_holds_its_key_only() {
    let site = Site::start(
        "keyed = {}\nlimits = { turn_deadline = \"60s\" }\nshutdown = \"brutal-kill\"",
        &all("key = { header = \"x-session\" }"),
    )
    .await;
    let mut stuck = site.client().await;
    let waiting = tokio::spawn(async move { drop(stuck.try_ask("GET", "/wait", &[("x-session", "a")], "").await) });
    site.under_way(1).await;
    let mut client = site.client().await;
    for number in 1..=20 {
        assert_eq!(client.ask("GET", "/seen", &[("x-session", "b")], "").await.body, number.to_string());
    }
    waiting.abort();
    site.runtime.shutdown().await;
}
