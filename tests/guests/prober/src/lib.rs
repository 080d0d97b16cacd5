//! Does what it is told, good or bad: the guest of most tests. `prober-protocol` says what it can be told.
//!
//! Invariant: an error of the host never ends the turn by itself. It is answered, by name; only `fail` makes a fault.

mod crash;
mod fill;
mod hold;
mod lifecycle;
mod refusal;
mod world;

use airssys_sdk::log::{self, Level};
use airssys_sdk::prelude::*;
use prober_protocol::{Command, FaultKind, Flooded, LogLevel, Outcome, Refusal, Whoami};
use serde_json::{Value, json};

use std::sync::atomic::{AtomicU64, Ordering};

use crate::refusal::Name;

/// What the instance holds in its own memory.
#[derive(Default)]
struct Prober {
    seen: u64,
    kept: Vec<Vec<u8>>,
    held: hold::Kept,
}

/// What a command answers. `?` makes a refusal of any error of the SDK.
type Told = Result<Value, Refusal>;

#[component]
impl Prober {
    fn init() -> Result<Self> {
        lifecycle::come("init")?;
        Ok(Self::default())
    }

    fn handle(&mut self, command: Command, context: &Context) -> Result<Option<Payload>> {
        self.seen += 1;
        match command {
            Command::Quiet => Ok(None),
            Command::HugeAnswer(bytes) => Ok(Some(vec![b'x'; bytes].into())),
            command => {
                let outcome = self.outcome(command, context)?;
                Ok(Some(serde_json::to_vec(&outcome).map_err(Fault::internal)?.into()))
            }
        }
    }

    fn stop(&mut self) {
        // That it could not be told is the test's to see.
        let _ = lifecycle::come("stop");
    }

    fn check(&self) -> Result<()> {
        lifecycle::come("health")
    }
}

impl Prober {
    /// Only `fail` gives an `Err`.
    fn outcome(&mut self, command: Command, context: &Context) -> Result<Outcome> {
        let told = match command {
            Command::Do(commands) => {
                let outcomes =
                    commands.into_iter().map(|command| self.outcome(command, context)).collect::<Result<Vec<_>>>()?;
                Ok(json!(outcomes))
            }
            Command::DoFile(path) => match world::command(&path) {
                Ok(command) => return self.outcome(command, context),
                Err(refusal) => Err(refusal),
            },
            Command::Times(times, command) => self.again(times, &command, context).map(|flooded| json!(flooded)),
            Command::Fail { fault, reason } => return Err(fail(fault, reason)),
            Command::FailLong(letters) => return Err(Fault::Internal("x".repeat(letters))),
            Command::Count => Ok(json!(self.seen)),
            Command::Allocate(mib) => self.allocate(mib),
            Command::Whoami => Ok(json!(whoami(context))),
            command => match self.held.obey(&command) {
                Some(told) => told,
                None => obey(command),
            },
        };
        Ok(match told {
            Ok(value) => Outcome::Ok(value),
            Err(refusal) => Outcome::Err(refusal),
        })
    }

    fn again(&mut self, times: u64, command: &Command, context: &Context) -> Result<Flooded, Refusal> {
        let mut flooded = Flooded { sent: 0, refused: 0, last: None };
        for _ in 0..times {
            match self.outcome(command.clone(), context) {
                Ok(Outcome::Ok(_)) => flooded.sent += 1,
                Ok(Outcome::Err(refusal)) => {
                    flooded.refused += 1;
                    flooded.last = Some(refusal.name);
                }
                Err(fault) => return Err(refusal::named("fault", format!("{fault:?}"))),
            }
        }
        Ok(flooded)
    }

    fn allocate(&mut self, mib: usize) -> Told {
        let bytes = mib.saturating_mul(1 << 20);
        let mut block = Vec::new();
        block.try_reserve_exact(bytes).map_err(|error| refusal::named("out-of-memory", error))?;
        // Not zero: a page of zeros might never be written.
        block.resize(bytes, 1_u8);
        self.kept.push(block);
        Ok(Value::Null)
    }
}

/// The commands that need nothing of the instance. Those that do are answered by the caller, as are the ones without an
/// outcome.
fn obey(command: Command) -> Told {
    match command {
        Command::Echo(value) => Ok(value),
        Command::Quiet | Command::HugeAnswer(_) => Ok(Value::Null),
        Command::Get(key) => Ok(state::get(&key).name()?.unwrap_or_default()),
        Command::Set { key, value } => done(state::set(&key, &value)),
        Command::Delete(key) => done(state::delete(&key)),
        Command::Increment { key, by } => Ok(json!(state::increment(&key, by).name()?)),
        Command::Keys => {
            let mut keys = state::keys().name()?;
            keys.sort();
            Ok(json!(keys))
        }
        Command::SetMany(keys) => done((0..keys).try_for_each(|key| state::set(&format!("{key:06}"), &key))),
        Command::Prune => {
            let mut seen = 0_u32;
            let pruned = state::for_each_key(|key| {
                seen += 1;
                state::delete(&key)
            });
            pruned.name()?;
            Ok(json!(seen))
        }
        Command::Record(entry) => record(entry),
        Command::FloodState => flood_state(),
        Command::Log { level, line } => {
            log::write(log_level(level), format_args!("{line}"));
            Ok(Value::Null)
        }
        Command::FloodLog(lines) => {
            (0..lines).for_each(|line| info!("line {line}"));
            Ok(Value::Null)
        }
        Command::Config(key) => Ok(json!(config::get(&key).name()?)),
        Command::Trap(how) => crash::crash(how),
        Command::Exit(code) => std::process::exit(code),
        Command::Busy(ms) => {
            crash::busy(Duration::from_millis(ms));
            Ok(Value::Null)
        }
        Command::Sleep(ms) => {
            std::thread::sleep(Duration::from_millis(ms));
            Ok(Value::Null)
        }
        command => talk(command),
    }
}

/// The commands that send messages.
fn talk(command: Command) -> Told {
    match command {
        Command::Send { to, key: None, body } => done(send(&to, &body)),
        Command::Send { to, key: Some(key), body } => done(send((to.as_str(), key.as_str()), &body)),
        Command::Call { to, key, body, timeout_ms } => {
            let timeout = Duration::from_millis(timeout_ms);
            match key {
                None => call(&to, &body, timeout).name(),
                Some(key) => call((to.as_str(), key.as_str()), &body, timeout).name(),
            }
        }
        Command::SendBytes { to, bytes } => done(send(&to, &Payload::from(vec![b'x'; bytes]))),
        Command::PublishBytes { topic, bytes } => done(publish(&topic, &Payload::from(vec![b'x'; bytes]))),
        Command::SendBytesAfter { delay_ms, bytes } => {
            let body = Payload::from(vec![b'x'; bytes]);
            Ok(json!(send_after(Duration::from_millis(delay_ms), &body).name()?.id()))
        }
        Command::SubscribeLong(letters) => {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            done(subscribe(&format!("{:x>letters$}", NEXT.fetch_add(1, Ordering::Relaxed))))
        }
        Command::Publish { topic, body } => done(publish(&topic, &body)),
        Command::Subscribe(pattern) => done(subscribe(&pattern)),
        Command::Unsubscribe(pattern) => done(unsubscribe(&pattern)),
        Command::SendAfter { delay_ms, body } => {
            Ok(json!(send_after(Duration::from_millis(delay_ms), &body).name()?.id()))
        }
        Command::Cancel(id) => Ok(json!(Timer::from(id).cancel())),
        Command::FloodSend { to, messages } => Ok(json!(flood(&to, messages))),
        command => world::ask(command),
    }
}

fn done<E>(result: Result<(), E>) -> Told
where
    Result<(), E>: Name<()>,
{
    result.name().map(|()| Value::Null)
}

fn record(entry: Value) -> Told {
    let mut entries: Vec<Value> = state::get("record").name()?.unwrap_or_default();
    entries.push(entry);
    state::set("record", &entries).name()?;
    Ok(json!(entries.len()))
}

fn flood_state() -> Told {
    let value = "x".repeat(256 << 10);
    let mut written = 0_u64;
    while state::set(&format!("flood {written}"), &value).is_ok() {
        written += 1;
    }
    Ok(json!(written))
}

fn flood(to: &str, messages: u64) -> Flooded {
    let body = Payload::from(Command::Quiet.bytes());
    let mut flooded = Flooded { sent: 0, refused: 0, last: None };
    for _ in 0..messages {
        match send(to, &body).name() {
            Ok(()) => flooded.sent += 1,
            Err(refusal) => {
                flooded.refused += 1;
                flooded.last = Some(refusal.name);
            }
        }
    }
    flooded
}

fn fail(kind: FaultKind, reason: String) -> Fault {
    match kind {
        FaultKind::Invalid => Fault::Invalid(reason),
        FaultKind::Refused => Fault::Refused(reason),
        FaultKind::Unavailable => Fault::Unavailable(reason),
        FaultKind::Internal => Fault::Internal(reason),
    }
}

fn whoami(context: &Context) -> Whoami {
    let (delivery, number, topic) = match &context.delivery {
        Delivery::Send => ("send", None, None),
        Delivery::Call { left_ms } => ("call", Some(*left_ms), None),
        Delivery::Publish { topic } => ("publish", None, Some(topic.clone())),
        Delivery::Timer(timer) => ("timer", Some(timer.id()), None),
        _ => ("unknown", None, None),
    };
    Whoami {
        address: self_address(),
        id: context.id,
        sender: context.sender.clone(),
        key: context.key.clone(),
        delivery: delivery.to_owned(),
        number,
        topic,
        attempt: context.attempt,
    }
}

fn log_level(level: LogLevel) -> Level {
    match level {
        LogLevel::Trace => Level::Trace,
        LogLevel::Debug => Level::Debug,
        LogLevel::Info => Level::Info,
        LogLevel::Warn => Level::Warn,
        LogLevel::Error => Level::Error,
    }
}
