//! The guest of the conformance suite, in Rust. What it does is described in `tests/conformance/README.md`, and is the
//! same in each language.

mod command;
mod refusal;

use std::collections::BTreeMap;

use airssys_sdk::prelude::*;
use serde_json::{Value, json};

use crate::command::Command;
use crate::refusal::told;

/// What the instance holds in its own memory.
#[derive(Default)]
struct Conformance {
    count: u64,
    remembered: Value,
    timer: Option<Timer>,
}

#[component]
impl Conformance {
    fn init() -> Result<Self> {
        let mut new = Self::default();
        new.perform_configured("on-init")?;
        Ok(new)
    }

    fn handle(&mut self, command: Command, context: &Context) -> Result<Option<Payload>> {
        self.count += 1;
        if let Command::Nothing = command {
            return Ok(None);
        }
        let answer = self.perform(command, Some(context))?;
        Ok(Some(Payload::from(answer.to_string())))
    }

    fn stop(&mut self, reason: StopReason) {
        let reason = match reason {
            StopReason::Shutdown => "shutdown",
            StopReason::Restart => "restart",
            StopReason::Idle => "idle",
            _ => "unknown",
        };
        if let Ok(Some(to)) = config::get("on-stop") {
            let told = send(&to, &json!({ "do": "append", "key": "stopped", "value": reason }));
            told.unwrap_or_else(|error| error!("{to} is not told: {error}"));
        }
    }

    fn check(&mut self) -> Result<()> {
        self.perform_configured("on-check")
    }

    fn down(&mut self, down: Down) -> Result<()> {
        let reason = match &down.reason {
            DownReason::Normal => "normal".to_owned(),
            DownReason::Stopped => "stopped".to_owned(),
            DownReason::Killed => "killed".to_owned(),
            DownReason::NoChild => "no-child".to_owned(),
            DownReason::Crashed { code, .. } => format!("crashed/{code}"),
            _ => "unknown".to_owned(),
        };
        append("downs", json!({ "child": down.child, "reason": reason, "restarted": down.restarted }))?;
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Value> {
        self.perform_configured("on-snapshot")?;
        Ok(self.remembered.clone())
    }

    fn restore(&mut self, remembered: Value) -> Result<()> {
        self.perform_configured("on-restore")?;
        self.remembered = remembered;
        Ok(())
    }

    fn migrate(from: u32) -> Result<()> {
        state::set("migrated-from", &from)?;
        Self::default().perform_configured("on-migrate")
    }
}

impl Conformance {
    /// Performs the command that stands under this key of the configuration, where there is one.
    fn perform_configured(&mut self, key: &str) -> Result<()> {
        let Some(text) = config::get(key)? else { return Ok(()) };
        let command = serde_json::from_str(&text).map_err(Fault::invalid)?;
        self.perform(command, None).map(drop)
    }

    /// What comes of a command. An error of the host is answered; only `fault` makes a fault.
    fn perform(&mut self, command: Command, context: Option<&Context>) -> Result<Value> {
        Ok(match command {
            Command::All { of } => {
                of.into_iter().map(|command| self.perform(command, context)).collect::<Result<_>>()?
            }
            Command::Count => json!(self.count),
            Command::Context => context.map_or(Value::Null, seen),
            Command::Remember { value } => {
                self.remembered = value;
                Value::Null
            }
            Command::Recall => self.remembered.clone(),
            Command::SendAfter { delay_ms, body } => {
                let armed = send_after(Duration::from_millis(delay_ms), &body);
                self.timer = armed.as_ref().ok().copied().or(self.timer);
                told(armed.map(|_| ()))
            }
            Command::Cancel => json!(self.timer.is_some_and(Timer::cancel)),
            Command::Fault { kind, reason } => return Err(kind.of(reason)),
            Command::Trap => panic!("told to trap"),
            Command::Exit { status } => std::process::exit(status),
            Command::FaultIfSet { key, kind, reason } => match state::exists(&key)? {
                true => return Err(kind.of(reason)),
                false => Value::Null,
            },
            Command::TellAttempt { to } => {
                let attempt = context.map_or(0, |context| context.attempt);
                let body = json!({ "do": "append", "key": "attempts", "value": attempt });
                call::<Value>(&to, &body, Duration::from_secs(60))?;
                Value::Null
            }
            Command::KeepContext { key } => told(state::set(&key, &context.map_or(Value::Null, seen))),
            Command::Spin => loop {
                std::hint::black_box(0);
            },
            other => obey(other),
        })
    }
}

/// The commands for which nothing of the instance's memory is needed.
fn obey(command: Command) -> Value {
    match command {
        Command::Echo { value } => value,
        Command::Sleep { ms } => {
            std::thread::sleep(Duration::from_millis(ms));
            Value::Null
        }
        Command::Get { key } => told(state::get::<Value>(&key)),
        Command::Set { key, value } => told(state::set(&key, &value)),
        Command::Delete { key } => told(state::delete(&key)),
        Command::Exists { key } => told(state::exists(&key)),
        Command::Increment { key, by } => told(state::increment(&key, by)),
        Command::Keys => told(state::keys().map(|mut keys| {
            keys.sort();
            keys
        })),
        Command::GetMany { keys } => told(state::get_many::<Value>(&texts(&keys))),
        Command::SetMany { values } => {
            let values: Vec<_> = values.iter().map(|(key, value)| (key.as_str(), value)).collect();
            told(state::set_many(&values))
        }
        Command::DeleteMany { keys } => told(state::delete_many(&texts(&keys))),
        Command::Append { key, value } => told(append(&key, value)),
        Command::Send { to, key: None, body } => told(send(&to, &body)),
        Command::Send { to, key: Some(key), body } => told(send((to.as_str(), key.as_str()), &body)),
        Command::Call { to, key, body, timeout_ms } => {
            let patience = Duration::from_millis(timeout_ms);
            told(match key {
                None => call::<Value>(&to, &body, patience),
                Some(key) => call::<Value>((to.as_str(), key.as_str()), &body, patience),
            })
        }
        Command::Publish { topic, body } => told(publish(&topic, &body)),
        Command::Subscribe { pattern } => told(subscribe(&pattern)),
        Command::Unsubscribe { pattern } => told(unsubscribe(&pattern)),
        Command::Address => json!(self_address()),
        Command::Log { level, line } => {
            airssys_sdk::log::write(level.into(), format_args!("{line}"));
            Value::Null
        }
        Command::Config { key } => told(config::get(&key)),
        Command::ConfigAll => told(config::all().map(|all| all.into_iter().collect::<BTreeMap<_, _>>())),
        Command::Spawn { service, name } => told(spawn(&service, &name)),
        Command::Stop { child } => told(stop(&child)),
        Command::Monitor { child } => told(monitor(&child)),
        Command::Demonitor { child } => told(demonitor(&child)),
        Command::Link { child } => told(link(&child)),
        Command::Environment { name } => json!(std::env::var(name).ok()),
        Command::ReadFile { path } => told(std::fs::read_to_string(path)),
        other => json!({ "error": "unheard-of", "text": format!("{other:?}") }),
    }
}

fn append(key: &str, value: Value) -> Result<usize, state::StateError> {
    let mut all: Vec<Value> = state::get(key)?.unwrap_or_default();
    all.push(value);
    state::set(key, &all)?;
    Ok(all.len())
}

fn texts(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

/// What a handler is told of a message, but for its body.
fn seen(context: &Context) -> Value {
    let (delivery, topic, left_ms) = match &context.delivery {
        Delivery::Send => ("send", None, None),
        Delivery::Call { left_ms } => ("call", None, Some(*left_ms)),
        Delivery::Publish { topic } => ("publish", Some(topic), None),
        Delivery::Timer(_) => ("timer", None, None),
        _ => ("unknown", None, None),
    };
    json!({
        "address": self_address(),
        "sender": context.sender,
        "key": context.key,
        "delivery": delivery,
        "topic": topic,
        "has-time": left_ms.is_some_and(|left| left > 0),
        "attempt": context.attempt,
    })
}
