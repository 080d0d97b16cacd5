//! A topology as the text of an `airssys.toml` again: what is read from it means the same. Every key is written, so
//! that a default that becomes another one later changes nothing.

use std::path::{Path, PathBuf};

use airssys_rt_shim::child::{Restart, Shutdown};
use toml::{Table, Value};

use super::tree::{Node, ServiceNode, SupervisorNode, Topology};
use crate::capability::{Access, Randomness};
use crate::hint::{Hint, Hinted};
use crate::schema::{Schema, Words, size_text};
use crate::settings::{Keeping, Multiplicity};

/// A path that is no UTF-8 cannot stand in a TOML file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the path {} is no UTF-8, and cannot be written into a topology", .0.display())]
pub struct NotText(pub PathBuf);

impl Hinted for NotText {
    fn hint(&self) -> Option<Hint> {
        Some("give it another name".into())
    }
}

impl Topology {
    /// The text of an `airssys.toml` that means the same. Its paths are absolute, so it may stand in any folder.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::topology::Topology;
    ///
    /// let folder = std::env::current_dir()?;
    /// let text = Topology::parse("name = \"shop\"", &folder)?.to_text()?;
    /// assert_eq!(Topology::parse(text.as_str(), &folder)?.to_text()?, text);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotText`].
    pub fn to_text(&self) -> Result<String, NotText> {
        let mut text = format!("name = {}\n", Value::from(self.name.as_str()));
        line(&mut text, "settings", &Value::Table(self.settings.table()));
        line(&mut text, "root", &Value::Table(self.root.table()));
        nodes(&mut text, &self.children, None)?;
        Ok(text)
    }
}

fn nodes(text: &mut String, children: &[Node], parent: Option<&str>) -> Result<(), NotText> {
    for child in children {
        let (kind, name, above, table) = match child {
            Node::Supervisor(node) => ("supervisor", node.name.as_str(), "parent", supervisor(node)),
            Node::Service(node) => {
                let mut table = service(node)?;
                let own = node.limits.table().into_iter().filter(|(key, _)| node.own_limits.names(key)).collect();
                table.insert("limits".to_owned(), Value::Table(own));
                ("service", node.address.as_str(), "supervisor", table)
            }
        };
        text.push_str(&format!("\n[[{kind}]]\n"));
        line(text, "name", &name.into());
        if let Some(parent) = parent {
            line(text, above, &parent.into());
        }
        table.iter().for_each(|(key, value)| line(text, key, value));
        if let Node::Supervisor(node) = child {
            nodes(text, &node.children, Some(&node.name))?;
        }
    }
    Ok(())
}

fn line(text: &mut String, key: &str, value: &Value) {
    text.push_str(&format!("{key} = {value}\n"));
}

pub(crate) fn supervisor(node: &SupervisorNode) -> Table {
    let mut table = node.flags.table();
    child(&mut table, node.restart, node.shutdown, node.significant);
    table
}

fn child(table: &mut Table, restart: Restart, shutdown: Shutdown, significant: bool) {
    table.insert("restart".to_owned(), restart.text().into());
    table.insert("shutdown".to_owned(), shutdown.text().into());
    table.insert("significant".to_owned(), significant.into());
}

/// All keys but its name, its supervisor and its limits.
pub(crate) fn service(node: &ServiceNode) -> Result<Table, NotText> {
    let mut table = Table::new();
    child(&mut table, node.restart, node.shutdown, node.significant);
    let mut set = |key: &str, value: Value| drop(table.insert(key.to_owned(), value));
    set("release", path(&node.named)?);
    match node.multiplicity {
        Multiplicity::One => {}
        Multiplicity::Stateless { instances } => set("instances", count(instances)),
        Multiplicity::Partitioned { instances } => {
            set("instances", count(instances));
            set("partitioned", true.into());
        }
        Multiplicity::Keyed(rules) => set("keyed", rules.table().into()),
        Multiplicity::Spawned(rules) => set("spawned", rules.table().into()),
    }
    set("mailbox", node.shape.table().into());
    set("retries", i64::from(node.retries).into());
    if node.keeping == Keeping::Durable {
        set("state", node.keeping.text().into());
    }
    set("config", Value::Table(node.config.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect()));
    set("grants", Value::Table(grants(node)?));
    set("clocks", node.baseline.clocks.text().into());
    let randomness = match node.baseline.randomness {
        // The parser takes whole numbers up to the largest that TOML has, so this is one of those.
        Randomness::Seeded(seed) => {
            Value::Table(Table::from_iter([("seed".to_owned(), i64::try_from(seed).unwrap_or(i64::MAX).into())]))
        }
        word => word.text().into(),
    };
    set("randomness", randomness);
    Ok(table)
}

pub(crate) fn grants(node: &ServiceNode) -> Result<Table, NotText> {
    let grants = &node.grants;
    let mut table = Table::new();
    for (key, patterns) in [
        ("send", &grants.send),
        ("call", &grants.call),
        ("publish", &grants.publish),
        ("subscribe", &grants.subscribe),
        ("spawn", &grants.spawn),
    ] {
        table.insert(key.to_owned(), texts(patterns));
    }
    table.insert("sockets".to_owned(), texts(&grants.sockets));
    let environment = grants.environment.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    table.insert("environment".to_owned(), Value::Table(environment));
    let mut files = Table::new();
    for (guest, file) in &grants.files {
        let access = match file.access {
            Access::Read => "read",
            Access::ReadWrite => "read-write",
        };
        let mut granted =
            Table::from_iter([("host".to_owned(), path(&file.host)?), ("access".to_owned(), access.into())]);
        if file.access == Access::ReadWrite {
            granted.insert("max".to_owned(), size_text(file.max_bytes).into());
        }
        files.insert(guest.clone(), Value::Table(granted));
    }
    table.insert("files".to_owned(), Value::Table(files));
    Ok(table)
}

fn count(count: usize) -> Value {
    i64::try_from(count).unwrap_or(i64::MAX).into()
}

fn texts<T: ToString>(all: &[T]) -> Value {
    Value::Array(all.iter().map(|one| one.to_string().into()).collect())
}

/// As an absolute one.
fn path(path: &Path) -> Result<Value, NotText> {
    // A published release is named by no path.
    let is_path = path.to_str().is_none_or(|text| !crate::registry::Reference::is_meant(text));
    let absolute =
        if is_path { std::path::absolute(path).unwrap_or_else(|_| path.to_owned()) } else { path.to_owned() };
    absolute.to_str().map(Value::from).ok_or_else(|| NotText(path.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use crate::topology::Topology;

    /// Every key that there is, with another value than its default.
    const EVERYTHING: &str = r#"
        name = "everything"
        [settings]
        reserve_timeout = "250ms"
        shutdown_timeout = "1m 30s"
        dead_letters = 7
        dead_letter_bytes = "9KiB"
        events = 9
        event_bytes = "11KiB"
        timers = 8
        timer_bytes = "10KiB"
        baseline_from = "3MiB"
        durable_state = "5GiB"
        trusted_keys = []
        [root]
        strategy = "one-for-all"
        intensity = 0
        period = "7s"
        backoff = { initial = "3ms", factor = 1.5, max = "4s", reset_after = "9s" }
        auto_shutdown = "any"
        [[service]]
        name = "last-of-its-name"
        release = "a.wasm"
        [[supervisor]]
        name = "inner"
        strategy = "rest-for-one"
        restart = "transient"
        shutdown = "brutal-kill"
        significant = true
        auto_shutdown = "all"
        [[service]]
        name = "rich"
        release = "a.wasm"
        supervisor = "inner"
        restart = "temporary"
        shutdown = "infinity"
        significant = true
        instances = 3
        partitioned = true
        mailbox = { capacity = 5, bytes = "6KiB", all_bytes = "7KiB", overflow = "drop-oldest" }
        retries = 2
        state = "durable"
        clocks = "1ms 5us"
        randomness = { seed = 42 }
        config = { "a b" = "quoted \" and\nnew", c = "" }
        [service.limits]
        memory = "1234567B"
        turn_deadline = "1s 5ms 3us"
        state = "3KiB"
        all_state = "4KiB"
        effects = 0
        effect_bytes = "1KiB"
        timer_bytes = "2KiB"
        [service.grants]
        send = ["rich", "keyed/*"]
        call = ["**"]
        publish = ["x/y"]
        subscribe = ["x/*"]
        environment = { TZ = "UTC" }
        sockets = ["127.0.0.1:*", "[::1]:80"]
        files = { "/in" = { host = "." }, "/out.d" = { host = "out", access = "read-write", max = "5MiB" } }
        [[service]]
        name = "keyed"
        release = "a.wasm"
        keyed = { max_awake = 1, idle_timeout = "2ms", max_keys = 3, intensity = 4, period = "5s", backoff = { initial = "6ms", factor = 1.5, max = "7ms", reset_after = "8ms" } }
        randomness = "none"
        clocks = "none"
        [[service]]
        name = "family"
        release = "a.wasm"
        spawned = { max_children = 7, intensity = 8, period = "9s", backoff = { initial = "6ms", factor = 1.5, max = "7ms", reset_after = "8ms" } }
        limits = { subscriptions = 1, monitors = 2, resources = 3 }
        grants = { spawn = ["family/*"] }
        [[service]]
        name = "pool"
        release = "a.wasm"
        instances = 2
        shutdown = "0s"
        supervisor = "inner"
    "#;

    #[test]
    fn what_is_written_means_what_was_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.wasm"), "").unwrap();
        std::fs::create_dir(folder.path().join("out")).unwrap();
        let file = folder.path().join("airssys.toml");
        std::fs::write(&file, EVERYTHING).unwrap();
        let read = Topology::read(&file).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let again = elsewhere.path().join("airssys.toml");
        std::fs::write(&again, read.to_text().unwrap()).unwrap();
        // Its folder is written another way.
        let plain = |topology: &Topology| format!("{topology:#?}").replace("/.\"", "\"");
        assert_eq!(plain(&Topology::read(&again).unwrap()), plain(&read));
    }
}
