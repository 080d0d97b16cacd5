//! Each capability, from wherever a guest can reach for it: what is not requested and granted is refused by its type,
//! is told once, and happens nowhere; what is granted happens. The files, sockets, servers and programs are real.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

mod elsewhere;
mod predecessor;
mod table;
mod within;

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, SystemTime};

use airssys_tests::{Mesh, PATIENCE, guest};
use airssys_wasm::error::CallError;
use airssys_wasm::events::{Happening, Heard, Kind, Subscription};
use airssys_wasm::{Runtime, RuntimeBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::table::{ALL, Capability};
use crate::http_out::servers::Server;

/// What the rows reach for outside, and what was seen of them there.
pub(super) struct World {
    pub(super) folder: TempDir,
    listener: TcpListener,
    /// Where `goal.test` leads.
    named: TcpListener,
    server: Server,
}

impl World {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["in", "out", "other", "make", "remove", "list", "append", "replace", "watch"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("kept"), "kept").unwrap();
        }
        std::fs::write(folder.path().join("in/text"), "seen").unwrap();
        let [listener, named] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        for listener in [&listener, &named] {
            listener.set_nonblocking(true).unwrap();
        }
        Self { folder, listener, named, server: Server::start().await }
    }

    fn put_in(&self, text: &str) -> String {
        let port = self.listener.local_addr().unwrap().port();
        let text = text.replace("NAMED", &self.named.local_addr().unwrap().port().to_string());
        let text = text.replace("PORT", &port.to_string()).replace("URL", &self.server.port.to_string());
        text.replace("FOLDER", self.folder.path().to_str().unwrap())
    }

    /// What the guest of a row is told to reach for.
    pub(super) fn reach(&self, of: &Capability) -> Value {
        json!({ of.reach.0: self.put_in(of.reach.1) })
    }

    /// What the row is granted.
    pub(super) fn granted(&self, of: &Capability) -> String {
        format!("{} = {}", of.key, self.put_in(of.granted))
    }

    /// A row of which more is granted than it asks for, or something else.
    pub(super) fn narrower(&self, of: &Capability) -> String {
        format!("{} = {}", of.key, self.put_in(of.narrower))
    }

    /// What the row is granted, as `revoke` takes it.
    pub(super) fn line(&self, of: &Capability) -> String {
        match of.name {
            "read" => "/in".to_owned(),
            "write" | "make" | "remove" | "list" | "append" | "replace" | "watch" => "/out".to_owned(),
            "variable" => "SECRET".to_owned(),
            "start" => "touch".to_owned(),
            _ => self.put_in(of.granted).trim_matches(['[', ']', '"']).to_owned(),
        }
    }

    /// Whether something came of a row outside of the guest.
    pub(super) fn happened(&self, of: &Capability, mesh: &Mesh) -> bool {
        match of.name {
            "send" | "call" => mesh.status("goal").accepted > 0,
            // Who has subscribed is told of what is published.
            "publish" => mesh.status("listener").accepted > 0,
            "subscribe" | "read" | "variable" | "list" | "watch" => false,
            "make" => self.folder.path().join("make/made").exists(),
            "remove" => !self.folder.path().join("remove/kept").exists(),
            "append" | "replace" => {
                std::fs::read_to_string(self.folder.path().join(of.name).join("kept")).unwrap() != "kept"
            }
            "spawn" => mesh.status("worker").started > 0,
            "write" => self.folder.path().join("out/written").exists(),
            "connect" => is_connected(&self.listener),
            "connect-by-name" => is_connected(&self.named),
            "listen" => {
                let port = self.listener.local_addr().unwrap().port();
                TcpStream::connect(("127.0.0.2", port)).is_ok()
            }
            "http" => self.server.connections() > 0,
            "start" => self.folder.path().join("started").exists(),
            other => panic!("no row {other}"),
        }
    }

    /// A mesh with a service for each row, with these lines of its own, and those that they reach for.
    pub(super) async fn mesh(&self, release: &Path, lines: impl Fn(&Capability) -> String) -> Mesh {
        self.mesh_with(release, lines, Runtime::builder()).await
    }

    pub(super) async fn mesh_with(
        &self,
        release: &Path,
        lines: impl Fn(&Capability) -> String,
        builder: RuntimeBuilder,
    ) -> Mesh {
        let reacher = guest("reacher");
        let mut text = format!(
            "name = \"m\"\n[settings]\nevents = 10000\n[root]\nintensity = 100\n\
             [[service]]\nname = \"goal\"\nrelease = {reacher:?}\n\
             [[service]]\nname = \"other\"\nrelease = {reacher:?}\n\
             [[service]]\nname = \"gate\"\nrelease = {reacher:?}\n\
             [[service]]\nname = \"listener\"\nrelease = {reacher:?}\ngrants = {{ subscribe = [\"news/**\"] }}\n\
             config = {{ init = '[{{\"subscribe\": \"news/**\"}}]' }}\n\
             [[service]]\nname = \"worker\"\nrelease = {reacher:?}\nspawned = {{}}\n"
        );
        for of in &ALL {
            text.push_str(&format!(
                "[[service]]\nname = \"a-{}\"\nrelease = {release:?}\nlimits = {{ turn_deadline = \"1m\" }}\n{}\n",
                of.name,
                lines(of)
            ));
        }
        let file = self.folder.path().join("airssys.toml");
        std::fs::write(&file, text).unwrap();
        let topology = airssys_wasm::topology::Topology::read(&file).unwrap();
        let builder = builder.resolver(async |name: String| match &*name {
            "goal.test" => Ok(vec!["127.0.0.1".parse().unwrap()]),
            _ => Err(ErrorKind::NotFound.into()),
        });
        let runtime = builder.code_cache(airssys_tests::code_cache()).start(&topology).await.unwrap();
        Mesh { runtime: runtime.into(), folder: tempfile::tempdir().unwrap() }
    }
}

/// Whether somebody has connected.
fn is_connected(listener: &TcpListener) -> bool {
    match listener.accept() {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    }
}

/// The service of a row.
pub(super) fn service(of: &Capability) -> String {
    format!("a-{}", of.name)
}

/// Tells a reacher something, and gives its answer.
pub(super) async fn tell(mesh: &Mesh, to: &str, what: &Value) -> Result<Value, CallError> {
    let answer = mesh.runtime.call(to, what.to_string(), PATIENCE).await?.unwrap_or_default();
    Ok(serde_json::from_slice(&answer).unwrap())
}

/// What comes of one thing that the service of a row reaches for.
pub(super) async fn reached(world: &World, mesh: &Mesh, of: &Capability) -> String {
    let came = tell(mesh, &service(of), &json!({ "do": [world.reach(of)] })).await.unwrap();
    came[0].as_str().unwrap().to_owned()
}

/// Whether this is how a row is refused.
pub(super) fn is_refusal(of: &Capability, came: &str) -> bool {
    came != "ok" && (of.refused.is_empty() || came == of.refused)
}

/// The denials that were told so far, each with who was denied what.
pub(super) struct Denials(Subscription);

impl Denials {
    pub(super) fn of(mesh: &Mesh) -> Self {
        Self(mesh.runtime.events().of_kinds(&[Kind::Denied]))
    }

    /// How many of each row: those up to one of a service that is denied something now.
    pub(super) async fn counted(mut self, mesh: &Mesh) -> Vec<(String, String)> {
        let _denied = tell(mesh, "other", &json!({ "do": [{ "send": "the-end" }] })).await.unwrap();
        let mut all = Vec::new();
        loop {
            let Some(Heard::Event(event)) = self.0.next().await else { panic!("events were lost") };
            let Happening::Denied { actor, operation, target, .. } = &event.what else { panic!("{event:?}") };
            if target == "the-end" {
                return all;
            }
            all.push((actor.clone(), operation.clone()));
        }
    }
}

/// Asserts that each row was denied so often, and told so each time.
pub(super) fn assert_told(denials: &[(String, String)], times: impl Fn(&Capability) -> usize) {
    for of in &ALL {
        let told: Vec<_> = denials.iter().filter(|(actor, _)| *actor == service(of)).collect();
        let Some(operation) = of.denied else { continue };
        assert_eq!(told.len(), times(of), "{}: {told:?}", of.name);
        assert!(told.iter().all(|(_, named)| named.starts_with(operation)), "{}: {told:?}", of.name);
    }
}

/// A release of the reacher that asks for all but one key, or for all of them, with more lines of its description.
pub(super) fn release_without(folder: &Path, key: &str, more: &str) -> std::path::PathBuf {
    let built = guest("reacher").parent().unwrap().join("target/airssys/reacher.wasm");
    let own = folder.join(format!("release-without-{key}"));
    std::fs::create_dir_all(&own).unwrap();
    let text = std::fs::read_to_string(guest("reacher").join("Component.toml")).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with(&format!("{key} ="))).collect();
    let text = kept.join("\n").replace("[requests]", &format!("component = {built:?}\n{more}\n[requests]"));
    std::fs::write(own.join("Component.toml"), text).unwrap();
    own
}

/// A time so many seconds from now, as a grant has it.
pub(super) fn at(seconds: u64) -> String {
    humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_secs(seconds)).to_string()
}

/// Asserts that with these lines of its service each row is refused, told once, and happens nowhere.
async fn all_are_refused(lines: impl Fn(&World, &Capability) -> String) {
    let world = World::new().await;
    let mesh = world.mesh(&guest("reacher"), |of| lines(&world, of)).await;
    let denials = Denials::of(&mesh);
    for of in &ALL {
        let came = reached(&world, &mesh, of).await;
        assert!(is_refusal(of, &came), "{}: {came}", of.name);
        assert!(!world.happened(of, &mesh), "{}", of.name);
    }
    assert_told(&denials.counted(&mesh).await, |_| 1);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_granted_is_refused_told_once_and_happens_nowhere() {
    all_are_refused(|_, _| String::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_granted_happens() {
    let world = World::new().await;
    let mesh = world.mesh(&guest("reacher"), |of| format!("grants = {{ {} }}", world.granted(of))).await;
    let denials = Denials::of(&mesh);
    for of in &ALL {
        assert_eq!(reached(&world, &mesh, of).await, "ok", "{}", of.name);
        let unseen = matches!(of.name, "subscribe" | "read" | "variable" | "list" | "watch");
        if !unseen {
            mesh.until(of.name, |mesh| world.happened(of, mesh)).await;
        }
    }
    assert_told(&denials.counted(&mesh).await, |_| 0);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_granted_more_narrowly_is_refused() {
    all_are_refused(|world, of| format!("grants = {{ {} }}", world.narrower(of))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_granted_and_not_requested_is_refused() {
    let world = World::new().await;
    for of in &ALL {
        let release = release_without(world.folder.path(), of.key, "");
        // The interface is not linked then: it does not even start.
        let interface = match of.key {
            "processes" => Some("airssys:os/processes"),
            "files" => Some("airssys:os/files"),
            _ => None,
        };
        if let Some(interface) = interface {
            let text = format!("name = \"m\"\n[[service]]\nname = \"a\"\nrelease = {release:?}\n");
            let error = Mesh::try_start(&text, Runtime::builder()).await.err().unwrap().to_string();
            assert!(error.contains(interface), "{error}");
            continue;
        }
        if of.name == "spawn" {
            let text = format!(
                "name = \"m\"\n[[service]]\nname = \"a\"\nrelease = {release:?}\ngrants = {{ spawn = [\"b/*\"] }}\n\
                 [[service]]\nname = \"b\"\nrelease = {release:?}\nspawned = {{}}\n"
            );
            let error = Mesh::try_start(&text, Runtime::builder()).await.err().unwrap().to_string();
            assert!(error.contains("airssys:actor/supervision"), "{error}");
            continue;
        }
        let lines = |row: &Capability| match row.name == of.name {
            true => format!("grants = {{ {} }}", world.granted(row)),
            false => String::new(),
        };
        let mesh = world.mesh(&release, lines).await;
        let denials = Denials::of(&mesh);
        let came = reached(&world, &mesh, of).await;
        assert!(is_refusal(of, &came), "{}: {came}", of.name);
        assert!(!world.happened(of, &mesh), "{}", of.name);
        let denials = denials.counted(&mesh).await;
        assert_eq!(denials.len(), usize::from(of.denied.is_some()), "{}: {denials:?}", of.name);
        mesh.stop().await;
    }
}
