//! One line of the log: what a guest said, an event of the mesh, or what the host warns of that is no event.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use airssys_wasm::command::{hidden, hide_in};
use airssys_wasm::events::{self, Happening};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::output::printable;

/// What happened.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    /// When, as RFC 3339 in UTC.
    pub(super) at: String,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub(super) level: String,
    /// Who says it: `airssys::guest` is a guest, [`EVENT`] an event.
    pub(super) target: String,
    /// What is said.
    #[serde(default)]
    pub(super) message: String,
    /// What it is about: of a guest's line, its service.
    #[serde(default)]
    pub(super) fields: BTreeMap<String, Value>,
}

/// The target of what happened in the mesh. Its fields are those of the event.
const EVENT: &str = "airssys::event";
/// The fields that name a service, or an actor of one.
const NAMES: [&str; 3] = ["service", "to", "target"];

impl Record {
    /// Of what happened in the mesh.
    pub(super) fn of_event(event: &events::Event) -> Self {
        let fields = match serde_json::to_value(event) {
            Ok(Value::Object(fields)) => fields.into_iter().filter(|(name, _)| name != "at").collect(),
            // There is nothing in an event that JSON has not.
            _ => BTreeMap::new(),
        };
        Self {
            at: humantime::format_rfc3339_millis(event.at).to_string(),
            level: level(&event.what).to_owned(),
            target: EVENT.to_owned(),
            message: event.what.to_string(),
            fields,
        }
    }

    /// Of what is said by a guest, or by the host.
    pub(super) fn of(event: &Event<'_>, at: String) -> Self {
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let mut record =
            Self { at, level: level.to_owned(), target: event.metadata().target().to_owned(), ..Self::default() };
        event.record(&mut record);
        record
    }

    /// That so many are missing.
    pub(super) fn of_loss(lost: u64, at: String) -> Self {
        Self {
            at,
            level: "warn".to_owned(),
            target: "airssys".to_owned(),
            message: "events are missing here: more came than the disk took".to_owned(),
            fields: [("lost".to_owned(), lost.into())].into(),
        }
    }

    /// The same, without what an operator marked as secret.
    pub(super) fn without_secrets(&self) -> Self {
        let mut fields = self.fields.clone();
        fields.values_mut().for_each(hide_in);
        Self { message: hidden(&self.message).into_owned(), fields, ..self.clone() }
    }

    /// Whether a guest says it.
    pub(super) fn is_guests(&self) -> bool {
        self.target == "airssys::guest"
    }

    /// The guest that says it.
    pub(super) fn guest(&self) -> Option<&str> {
        self.fields.get("service").and_then(Value::as_str).filter(|_| self.is_guests())
    }

    /// The services that it is about: `shop` of `shop/alice` and of `shop#2`; of a child, each step from the root down,
    /// as one of them is the service.
    pub(super) fn services(&self) -> impl Iterator<Item = &str> {
        let named = |name: &str| self.fields.get(name).and_then(Value::as_str);
        let services = NAMES.iter().filter_map(move |name| named(name)?.split('/').next());
        let steps = named("child").into_iter().flat_map(|path| path.split('/'));
        services.chain(steps).map(|name| name.split_once('#').map_or(name, |(service, _)| service))
    }

    /// For people: one line, in which nothing of a guest's is obeyed by a terminal.
    pub(super) fn text(&self) -> String {
        let service = self.fields.get("service").and_then(Value::as_str);
        let who = if self.is_guests() { service.unwrap_or("?") } else { "(host)" };
        let kind = self.fields.get("kind").and_then(Value::as_str).filter(|_| self.target == EVENT);
        let mut text = format!("{}  {:<5}  {}  ", self.at, self.level, printable(who));
        if let Some(kind) = kind {
            // The rest of its fields is in its message already. Writing to a string cannot fail.
            let _ = write!(text, "{}: {}", printable(kind), printable(&self.message));
            return text;
        }
        text.push_str(&printable(&self.message));
        for (name, value) in &self.fields {
            if self.is_guests() && name == "service" {
                continue;
            }
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            // Writing to a string cannot fail.
            let _ = write!(text, "  {name}={}", printable(&value));
        }
        text
    }
}

/// How much an event matters to who reads the log.
fn level(what: &Happening) -> &'static str {
    match what {
        Happening::Ended { reason, .. } if !matches!(&**reason, "normal" | "shutdown") => "warn",
        Happening::Deployment { state, .. } if matches!(&**state, "rolled-back" | "suspended") => "warn",
        Happening::Apply { state, .. } if state == "undone" => "warn",
        Happening::GaveUp { .. }
        | Happening::SetAside { .. }
        | Happening::Suspended { .. }
        | Happening::DeadLetter { .. }
        | Happening::Denied { .. }
        | Happening::LimitReached { .. }
        | Happening::Audit { .. }
        | Happening::Log { .. } => "warn",
        _ => "info",
    }
}

impl Record {
    fn set(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => drop(self.fields.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Record {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, Value::String(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::Record;

    #[test]
    fn a_record_is_about_a_service_whichever_way_it_is_named() {
        let about = |field: &str, value: &str| {
            let fields = [(field.to_owned(), value.into())].into();
            Record { fields, ..Record::default() }.services().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(about("service", "shop"), ["shop"]);
        assert_eq!(about("service", "shop/alice"), ["shop"]);
        assert_eq!(about("child", "mesh/back/shop#2"), ["mesh", "back", "shop"]);
        assert!(about("id", "shop").is_empty());
    }

    #[test]
    fn a_guest_cannot_speak_as_the_host() {
        let record = Record {
            at: "now".to_owned(),
            level: "info".to_owned(),
            target: "airssys::guest".to_owned(),
            message: "hi\nnow  warn  (host)  all is lost\u{1b}[2J".to_owned(),
            fields: [("service".to_owned(), "shop".into())].into(),
        };
        assert_eq!(record.text(), "now  info   shop  hi\\nnow  warn  (host)  all is lost\\u{1b}[2J");
    }
}
