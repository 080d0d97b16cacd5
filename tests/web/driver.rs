//! A browser, used as a person does: it is driven by WebDriver, which is JSON over HTTP. A click is one of a mouse, at
//! whatever lies under it.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use airssys_tests::PATIENCE;
use serde_json::{Value, json};

/// How WebDriver names an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Tests run in containers and by root, where a sandbox and shared memory may be missing. The only page is our own.
const ARGUMENTS: [&str; 5] =
    ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1200,1000"];

/// The process that starts browsers.
pub(super) struct Driver {
    process: Child,
    /// Held, so that what it says meets no closed pipe.
    _said: BufReader<ChildStdout>,
    port: u16,
}

impl Driver {
    pub(super) fn start() -> Self {
        let mut driver = Command::new("chromedriver");
        let started = driver.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut process = started.unwrap_or_else(|error| panic!("no chromedriver ({error}); run `cargo xtask test`"));
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        let port = loop {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "chromedriver ended before it was up");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim().trim_end_matches('.').parse().unwrap();
            }
        };
        Self { process, _said: said, port }
    }

    /// A session of its own, with no cookie of another one, at this page.
    pub(super) fn open(&self, page: &str) -> Browser<'_> {
        let options = json!({ "args": ARGUMENTS });
        let always = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let made = self.ask("POST", "/session", &json!({ "capabilities": { "alwaysMatch": always } }));
        let session = made.unwrap_or_else(|error| panic!("no browser: {error}"));
        let browser = Browser { driver: self, session: session["sessionId"].as_str().unwrap().to_owned() };
        browser.go(page);
        browser
    }

    /// What a command returns, or the error that it ends with.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
        let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).map_err(|error| error.to_string())?;
        let answer = read(&mut BufReader::new(stream)).map_err(|error| format!("{method} {path}: {error}"))?;
        let answer: Value = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
        match &answer["value"]["error"] {
            Value::String(error) => Err(format!("{method} {path}: {error}: {}", answer["value"]["message"])),
            _ => Ok(answer["value"].clone()),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Its browsers have been closed: they are dropped before it.
        let _it_has_ended = self.process.kill();
        let _status = self.process.wait();
    }
}

/// The body of an answer. The driver keeps connections open, so its length is what says where it ends.
fn read(stream: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

/// A browser with one window.
pub(super) struct Browser<'a> {
    driver: &'a Driver,
    session: String,
}

impl Browser<'_> {
    pub(super) fn go(&self, page: &str) {
        self.do_so("POST", "/url", &json!({ "url": page }));
    }

    /// Clicks on what this selector finds first, when it is there. Something that lies above it is an error.
    pub(super) fn click(&self, selector: &str) {
        self.until(selector, |browser| browser.is_shown(selector));
        let id = self.find(selector);
        // Something that stays in sight may lie above it, and then a person scrolls.
        self.script("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", &[selector]);
        self.do_so("POST", &format!("/element/{id}/click"), &json!({}));
    }

    /// The text that a person sees there; nothing where nothing is shown.
    pub(super) fn text(&self, selector: &str) -> String {
        self.script("const e = document.querySelector(arguments[0]); return e ? e.innerText : ''", &[selector])
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(super) fn number(&self, selector: &str) -> u64 {
        let text = self.text(selector);
        text.parse().unwrap_or_else(|_| panic!("{selector} is no number: {text:?}"))
    }

    pub(super) fn is_shown(&self, selector: &str) -> bool {
        let script = "const e = document.querySelector(arguments[0]); return e !== null && e.checkVisibility()";
        self.script(script, &[selector]) == Value::Bool(true)
    }

    /// How many that selector finds.
    pub(super) fn count(&self, selector: &str) -> usize {
        let all = self.do_so("POST", "/elements", &json!({ "using": "css selector", "value": selector }));
        all.as_array().unwrap().len()
    }

    /// What somebody who cannot see is told that each of these is.
    pub(super) fn labels(&self, selector: &str) -> Vec<String> {
        let all = self.do_so("POST", "/elements", &json!({ "using": "css selector", "value": selector }));
        let ids = all.as_array().unwrap().iter().map(|element| element[ELEMENT].as_str().unwrap());
        let label = |id| self.do_so("GET", &format!("/element/{id}/computedlabel"), &json!({}));
        ids.map(|id| label(id).as_str().unwrap().to_owned()).collect()
    }

    /// Runs a script in the page; what it returns.
    pub(super) fn script(&self, script: &str, arguments: &[&str]) -> Value {
        self.do_so("POST", "/execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// Has the page as wide as on a telephone.
    pub(super) fn narrow(&self) {
        let device = json!({ "width": 360, "height": 800, "deviceScaleFactor": 2, "mobile": true });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": device });
        self.do_so("POST", "/goog/cdp/execute", &command);
    }

    /// What the browser has complained of since this was asked last.
    pub(super) fn complaints(&self) -> Vec<String> {
        let log = self.do_so("POST", "/se/log", &json!({ "type": "browser" }));
        let messages = log.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap().to_owned());
        messages.collect()
    }

    /// Waits until it is so.
    pub(super) fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            let page = || self.text("body");
            assert!(begun.elapsed() < PATIENCE, "it was never so: {what}; the page says:\n{}", page());
        }
    }

    fn find(&self, selector: &str) -> String {
        let found = self.do_so("POST", "/element", &json!({ "using": "css selector", "value": selector }));
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    fn do_so(&self, method: &str, command: &str, body: &Value) -> Value {
        let path = format!("/session/{}{command}", self.session);
        self.driver.ask(method, &path, body).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        // Also where a test fails: a browser is not the child of this process, and would outlive it.
        let _closed = self.driver.ask("DELETE", &format!("/session/{}", self.session), &Value::Null);
    }
}
