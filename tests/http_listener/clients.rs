//! Clients that nobody here wrote: curl, in each way in which it speaks HTTP, and what generates load.

use std::process::{Command, Stdio};

use airssys_tests::tools::tool;
use airssys_tests::{Mesh, until, visits};
use airssys_wasm::deploy::{DeployOptions, Progress};
use airssys_wasm::registry::Release;
use serde_json::Value;

use super::client::{Site, all, written};
use super::tls::{TLS, certificate};

/// What curl says behind an answer: the status, the version of HTTP, and how many bytes it has sent.
const BEHIND: &str = "\n%{http_code} %{http_version} %{size_upload}";

/// Ways to speak HTTP without TLS, and the version that is spoken then.
const PLAIN: [(&[&str], &str); 3] =
    [(&["--http1.1"], "1.1"), (&["--http2-prior-knowledge"], "2"), (&["--http2"], "1.1")];

/// An answer as curl has it.
#[derive(Debug)]
struct Told {
    body: String,
    status: String,
    version: String,
    sent: String,
}

impl Told {
    fn short(&self) -> (&str, &str, &str) {
        (&self.status, &self.version, &self.body)
    }
}

/// Runs curl off the threads of the mesh, with this on its stdin.
async fn curl(arguments: &[&str], stdin: Vec<u8>) -> Told {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "60", "--noproxy", "*", "--write-out", BEHIND]);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let said = format!("{command:?}");
    let run = move || {
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        // That it does not read to the end is its own affair.
        let writer = std::thread::spawn(move || drop(std::io::Write::write_all(&mut input, &stdin)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{said}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, behind) = text.rsplit_once('\n').unwrap();
    let mut behind = behind.split(' ').map(str::to_owned);
    let mut next = || behind.next().unwrap();
    Told { body: body.to_owned(), status: next(), version: next(), sent: next() }
}

async fn get(arguments: &[&str]) -> Told {
    curl(arguments, Vec::new()).await
}

/// All that is asked of the site, whichever way it is spoken to.
async fn speaks(site: &Site, url: &str, how: &[&str], version: &str) {
    let with = |arguments: &[&'static str], path: &str| {
        let mut all: Vec<String> = how.iter().chain(arguments).map(|argument| (*argument).to_owned()).collect();
        all.push(format!("{url}{path}"));
        all
    };
    let ask = async |arguments: &[&'static str], path: &str, stdin: Vec<u8>| {
        let all = with(arguments, path);
        curl(&all.iter().map(String::as_str).collect::<Vec<_>>(), stdin).await
    };
    let shown = ask(&["-H", "x-told: yes"], "/show?a=1", Vec::new()).await;
    let scheme = if url.starts_with("https") { "Https" } else { "Http" };
    assert_eq!((shown.status.as_str(), shown.version.as_str()), ("200", version), "{how:?}");
    let head = format!("Method::Get Some(Scheme::{scheme}) Some(\"localhost:{}\")", site.address.port());
    assert!(shown.body.starts_with(&head) && shown.body.contains("\nx-told: yes\n"), "{how:?}: {}", shown.body);
    for header in ["connection:", "upgrade:", "http2-settings:", "te:"] {
        assert!(!shown.body.contains(&format!("\n{header}")), "{how:?}: {}", shown.body);
    }
    let form = ask(&["--data", "a=1&b=2"], "/echo", Vec::new()).await;
    assert_eq!(form.short(), ("200", version, "a=1&b=2"), "{how:?}");
    // From its stdin, of which it does not know how long it is.
    for size in [0, 5, 100_000, 5_000_000] {
        let sent = ask(&["--upload-file", "-"], "/length", vec![b'x'; size]).await;
        assert_eq!(sent.short(), ("200", version, size.to_string().as_str()), "{how:?}: {size} bytes");
    }
    // One that waits for leave to send.
    let sent = ask(&["-H", "expect: 100-continue", "--data-binary", "@-"], "/length", vec![b'x'; 2_000_000]).await;
    assert_eq!(sent.short(), ("200", version, "2000000"), "{how:?}");
    let big = ask(&[], "/big?5000000", Vec::new()).await;
    assert_eq!((big.status.as_str(), big.body.len()), ("200", 5_000_000), "{how:?}");
    let head = ask(&["--head"], "/big?100", Vec::new()).await;
    assert_eq!((head.status.as_str(), head.version.as_str()), ("200", version), "{how:?}");
    assert!(!head.body.contains("xxx"), "{how:?}: {}", head.body);
    let events = ask(&["--no-buffer"], "/drip?3", Vec::new()).await;
    assert_eq!(events.short(), ("200", version, "data: 1\n\ndata: 2\n\ndata: 3\n\n"), "{how:?}");
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PURGE", "PROPFIND"] {
        let shown = ask(&["--request", method], "/show", Vec::new()).await;
        let known = ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"].contains(&method);
        let told = match known {
            true => format!("Method::{}{} ", &method[..1], method[1..].to_lowercase()),
            false => format!("Method::Other({method:?}) "),
        };
        assert!(shown.status == "200" && shown.body.starts_with(&told), "{how:?}: {method}: {}", shown.body);
    }
    assert_eq!(ask(&[], "/nowhere", Vec::new()).await.status, "404", "{how:?}");
    // A turn that fails, and the next one over the same connection. This curl begins HTTP/2 without TLS anew over a
    // connection that it has, which no server understands.
    if how == ["--http2-prior-knowledge"] {
        return;
    }
    let failed = format!("{url}/trap");
    let mut both: Vec<&str> = how.to_vec();
    let made = format!("{url}/made");
    both.extend([failed.as_str(), made.as_str()]);
    let both = get(&both).await;
    assert!(both.status == "201" && both.body.starts_with("crashed\n\n502"), "{how:?}: {both:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_speaks_with_it_in_each_way_in_which_it_can() {
    let site = Site::start("", &all("")).await;
    let url = format!("http://localhost:{}", site.address.port());
    for (how, version) in PLAIN {
        speaks(&site, &url, how, version).await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_speaks_with_it_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let _certificate = certificate(folder.path());
    let topology = written("", &format!("{TLS}{}", all("")));
    let site = Site::of(Mesh::start_in(folder, &topology, &[], airssys_tests::builder()).await);
    let url = format!("https://localhost:{}", site.address.port());
    let authority = site.folder.path().join("cert.pem");
    for (how, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        speaks(&site, &url, &["--cacert", authority.to_str().unwrap(), how], version).await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_keeps_the_session_that_it_is_given() {
    let site = Site::start("keyed = {}", &all("key = { cookie = \"session\", make = true }")).await;
    let url = format!("http://localhost:{}/add", site.address.port());
    for (name, how) in [("one", "--http1.1"), ("other", "--http2-prior-knowledge")] {
        let jar = site.folder.path().join(name);
        let jar = jar.to_str().unwrap();
        for count in 1..=3 {
            let told = get(&[how, "--cookie-jar", jar, "--cookie", jar, &url]).await;
            assert_eq!((told.status.as_str(), told.body), ("200", count.to_string()), "{name}");
        }
    }
    let none = get(&["--http1.1", &url]).await;
    assert_eq!(none.body, "1", "who keeps none is somebody else each time");
    assert_eq!(site.status("site").keys, 3);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_is_told_of_a_body_that_is_too_large_before_it_has_sent_it() {
    let site = Site::start("", &format!("body = \"100KiB\"\n{}", all(""))).await;
    let url = format!("http://localhost:{}/length", site.address.port());
    let large = vec![b'x'; 5_000_000];
    let told = curl(&["--http1.1", "-H", "expect: 100-continue", "--data-binary", "@-", &url], large).await;
    assert_eq!((told.status.as_str(), told.sent.as_str(), told.body.as_str()), ("413", "0", "too-large\n"));
    site.stop().await;
}

/// A release of this name, as other bytes than the other one's.
fn release(site: &Site, name: &str) -> Release {
    let path = site.folder.path().join(format!("{name}.wasm"));
    std::fs::write(&path, visits(name, "healthy")).unwrap();
    Release::find(&path).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_of_a_generator_goes_on_over_deployments_without_an_error() {
    const CONNECTIONS: usize = 16;
    const REQUESTS: u64 = 8_000;
    let service = "keyed = {}";
    let site = Site::start_as(&visits("one", "healthy"), service, &all("key = { header = \"x-session\" }")).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/http_listener/clients/load.mjs");
    let mut node = Command::new("node");
    // Who asks is in a module of this name, which is left out where it cannot be had.
    node.arg(script).arg(tool("clients", "node_modules/autocannon"));
    node.arg(format!("http://{}", site.address)).args([CONNECTIONS.to_string(), REQUESTS.to_string()]);
    node.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let load = tokio::task::spawn_blocking(move || node.output().unwrap());
    until("it has begun", async || load.is_finished() || site.runtime.listeners()[0].answered > 100).await;
    let mut deployments = 0;
    while !load.is_finished() {
        let mut options: DeployOptions = airssys_tests::deploying::quick();
        options.probation = std::time::Duration::ZERO;
        (options.same_version, options.allow_downgrade) = (true, true);
        let name = if deployments % 2 == 0 { "two" } else { "three" };
        let deployment = site.runtime.deploy("site", release(&site, name), options).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live);
        deployments += 1;
        let before = site.runtime.listeners()[0].answered;
        until("it goes on", async || load.is_finished() || site.runtime.listeners()[0].answered > before + 50).await;
    }
    let output = load.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_str(said.trim()).unwrap();
    for none in ["non2xx", "errors", "timeouts", "mismatches", "resets"] {
        assert_eq!(told[none], 0, "{none}: {told}");
    }
    assert_eq!((&told["answered"], &told["wrong"]), (&REQUESTS.into(), &Value::Array(Vec::new())), "{told}");
    assert!(deployments > 1 && told["releases"].as_object().unwrap().len() > 1, "{deployments}: {told}");
    assert_eq!((site.status("site").keys, site.status("site").crashed), (CONNECTIONS, 0));
    site.stop().await;
}
