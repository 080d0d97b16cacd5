//! A topology as the text of an `airssys.toml` again: what is read from it means the same. Every key is written, so
//! that a default that becomes another one later changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Value;

use super::tree::{Node, ServiceNode, Topology};
use crate::config_file::ConfigError;
use crate::registry::Reference;
use crate::schema::Schema;

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
    /// A path is no UTF-8.
    #[doc(hidden)]
    pub fn to_text(&self) -> Result<String, ConfigError> {
        let paths = |node: &'_ Arc<ServiceNode>| {
            let hosts = node.grants.files.values().map(|file| file.host.clone());
            std::iter::once(node.named.clone()).chain(hosts).collect::<Vec<_>>()
        };
        let certificates = self.listeners.iter().filter_map(|listening| listening.tls.as_ref());
        let certificates = certificates.flat_map(|tls| [tls.certificate.clone(), tls.key.clone()]);
        let of_roles = self.roles.0.iter().flat_map(|role| role.grants.files.values().map(|file| file.host.clone()));
        let audit = [&self.settings.audit_folder, &self.settings.audit_key].into_iter().flatten().cloned();
        if let Some(path) = self
            .services()
            .flat_map(paths)
            .chain(of_roles)
            .chain(certificates)
            .chain(audit)
            .chain(self.logs.iter().filter_map(|log| log.path.clone()))
            .find(|path| absolute(path).to_str().is_none())
        {
            let what = "is no UTF-8, and cannot be written into a topology";
            return Err(ConfigError::whole(&path, what, "give it another name"));
        }
        let mut text = format!("name = {}\n", Value::from(self.name.as_str()));
        line(&mut text, "settings", &self.settings.table().into());
        line(&mut text, "root", &self.root.table().into());
        for role in &self.roles.0 {
            text.push_str("\n[[role]]\n");
            role.table().iter().for_each(|(key, value)| line(&mut text, key, value));
        }
        nodes(&mut text, &self.children, None);
        tables(&mut text, "quota", &self.quotas);
        tables(&mut text, "log", &self.logs);
        tables(&mut text, "retry", &self.retries);
        tables(&mut text, "layer", &self.layers);
        tables(&mut text, "http", &self.listeners);
        Ok(text)
    }
}

/// A list of tables of this name.
fn tables<T: Schema>(text: &mut String, name: &str, all: &[T]) {
    for one in all {
        text.extend(["\n[[", name, "]]\n"]);
        one.table().iter().for_each(|(key, value)| line(text, key, value));
    }
}

fn nodes(text: &mut String, children: &[Node], parent: Option<&str>) {
    for child in children {
        let (kind, above, mut table) = match child {
            Node::Supervisor(node) => ("supervisor", "parent", node.table()),
            Node::Service(node) => ("service", "supervisor", node.table()),
        };
        text.push_str(&format!("\n[[{kind}]]\n"));
        let first = [("name", table.remove("name")), (above, parent.map(Value::from))];
        first.iter().for_each(|(key, value)| value.iter().for_each(|value| line(text, key, value)));
        table.iter().for_each(|(key, value)| line(text, key, value));
        if let Node::Supervisor(node) = child {
            nodes(text, &node.children, Some(&node.name));
        }
    }
}

fn line(text: &mut String, key: &str, value: &Value) {
    text.push_str(&format!("{key} = {value}\n"));
}

/// A path as one that is meant from everywhere. A published release is named by no path.
pub(super) fn absolute(path: &Path) -> PathBuf {
    match path.to_str() {
        Some(text) if Reference::is_meant(text) => path.to_owned(),
        _ => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
    }
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
        lookup_ttl = "7s"
        baseline_from = "3MiB"
        durable_state = "5GiB"
        trusted_keys = []
        [root]
        strategy = "one-for-all"
        intensity = 0
        period = "7s"
        backoff = { initial = "3ms", factor = 1.5, max = "4s", reset_after = "9s" }
        auto_shutdown = "any"
        [[role]]
        name = "reader"
        includes = ["base"]
        grants = { call = ["pool", "rich until 2030-01-01T00:00:00Z"], files = { "/shared" = { host = "." } } }
        [[role]]
        name = "base"
        grants = { publish = ["x/y"], environment = { LANG = "C" } }
        [[service]]
        name = "checker"
        release = "a.wasm"
        [[service]]
        name = "last-of-its-name"
        release = "a.wasm"
        roles = ["reader"]
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
        recorder = { turns = 3, bytes = "5KiB", bodies = false }
        mailbox = { capacity = 5, bytes = "6KiB", all_bytes = "7KiB", overflow = "drop-oldest" }
        retries = 2
        state = "durable"
        clocks = "1ms 5us"
        randomness = { seed = 42 }
        wires = { "acme:shop/pricing" = "keyed/one", "acme:shop/stock@1.0.0" = { to = "pool", functions = ["f"], on_failure = "retry" }, "a:b/c" = { to = "pool", key = "customer", on_failure = { value = "0" } }, "a:b/d" = { to = "pool", on_failure = { value = { f = "ok(\"a\")" } } } }
        queries = ["f", "acme:shop/pricing#quote"]
        max_queries = 0
        quota = "shared"
        retry = "patient"
        arguments = ["-a", "b c"]
        learn = false
        config = { "a b" = "quoted \" and\nnew", c = "", d = { value = "hide and seek 7", secret = true, hosts = ["a.example"] } }
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
        sockets = ["127.0.0.1:*", "[::1]:80", "db.example:5432 private"]
        bind = ["127.0.0.1:*", "[::]:80"]
        http = ["GET https://api.example/v1/**", "* http://*.example:*/"]
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
        run = "service"
        instances = 2
        shutdown = "0s"
        supervisor = "inner"
        [[quota]]
        name = "own"
        bytes = "3MiB"
        burst = "2s"
        then = "drop"
        each = "target"
        [[quota]]
        name = "shared"
        messages = 7
        operations = 8
        then = "delay"
        each = "sender"
        [[log]]
        name = "all"
        to = "file"
        format = "pretty"
        level = "debug"
        levels = { pool = "off", keyed = "warn" }
        services = ["pool"]
        guests = false
        operations = ["files", "send"]
        bodies = "1KiB"
        path = "log/all"
        rotate_bytes = "9KiB"
        rotate_after = "2h"
        keep = 3
        compress = false
        queue = "8KiB"
        [[log]]
        name = "rest"
        to = "tracing"
        operations = ["all"]
        [[retry]]
        name = "patient"
        attempts = 9
        delay = "7ms"
        factor = 1.5
        max_delay = "8s"
        jitter = 1.0
        errors = ["timeout", "busy"]
        applies_to = ["call", "file-open"]
        [[layer]]
        service = "checker"
        applies_to = ["files", "call", "lookup"]
        guards = ["pool", "keyed"]
        priority = 7
        when_down = "allow"
        timeout = "5ms"
        bodies = true
        hooks = ["on-error", "after"]
        [[layer]]
        component = "a.wasm"
        guards = ["pool"]
        name = "made"
        config = { a = "b" }
        [[http]]
        listen = "127.0.0.1:0"
        [[http]]
        listen = "[::1]:80"
        tls = { certificate = "c.pem", key = "k.pem" }
        max_connections = 1
        max_requests = 2
        header_bytes = "3KiB"
        body = "4KiB"
        body_buffer = "5KiB"
        header_timeout = "6ms"
        body_timeout = "7ms"
        request_timeout = "8ms"
        idle_timeout = "9ms"
        [[http.route]]
        service = "pool"
        [[http.route]]
        host = "Shop.example"
        path = "/cart/"
        methods = ["GET", "POST"]
        service = "keyed"
        key = { cookie = "s", make = true }
        [[http.route]]
        path = "/cart"
        service = "keyed"
        key = { header = "x-session" }
        [[http.route]]
        path = "/cart/old"
        service = "family"
        key = { path = 3 }
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
        assert!(
            read.to_text().unwrap().contains("hosts = [\"a.example\"], secret = true, value = \"hide and seek 7\"")
        );
        let again = elsewhere.path().join("airssys.toml");
        std::fs::write(&again, read.to_text().unwrap()).unwrap();
        // Its folder is written another way.
        let plain = |topology: &Topology| format!("{topology:#?}").replace("/.\"", "\"");
        assert_eq!(plain(&Topology::read(&again).unwrap()), plain(&read));
    }
}
