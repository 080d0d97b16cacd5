//! Has children, and does with them what it is told. It understands the commands of `prober-protocol` that are about
//! children, and a few of the others.
//!
//! Invariant: an error of the host never ends the turn by itself. It is answered, by name; only `fail` makes a fault.

use airssys_sdk::prelude::*;
use prober_protocol::{Command, Outcome, Refusal};
use serde_json::{Value, json};

/// What the instance holds in its own memory.
#[derive(Default)]
struct Overseer {
    seen: u64,
}

type Told = Result<Value, Refusal>;

#[component]
impl Overseer {
    /// Spawns the child that its configuration names, where it does; `SERVICE/NAME`.
    fn init() -> Result<Self> {
        if let Some(child) = config::get("child")?
            && let Some((service, name)) = child.split_once('/')
        {
            match spawn(service, name) {
                Ok(child) => monitor(&child)?,
                Err(SupervisionError::Taken) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self::default())
    }

    fn handle(&mut self, command: Command) -> Result<Outcome> {
        self.seen += 1;
        self.outcome(command)
    }

    /// Writes down what it is told. Where it is told `again` by its configuration, it monitors those that are started
    /// again.
    fn down(&mut self, down: Down) -> Result<()> {
        let reason = match &down.reason {
            DownReason::Normal => "normal".to_owned(),
            DownReason::Stopped => "stopped".to_owned(),
            DownReason::Killed => "killed".to_owned(),
            DownReason::NoChild => "no-child".to_owned(),
            DownReason::Crashed { code, .. } => format!("crashed/{code}"),
            _ => "unknown".to_owned(),
        };
        let mut downs: Vec<Value> = state::get("downs")?.unwrap_or_default();
        downs.push(json!({ "child": down.child, "reason": reason, "restarted": down.restarted }));
        state::set("downs", &downs)?;
        if down.restarted && config::get("again")?.is_some() {
            monitor(&down.child)?;
        }
        Ok(())
    }
}

impl Overseer {
    /// Only `fail` gives an `Err`.
    fn outcome(&mut self, command: Command) -> Result<Outcome> {
        let told = match command {
            Command::Do(commands) => {
                let outcomes = commands.into_iter().map(|command| self.outcome(command)).collect::<Result<Vec<_>>>()?;
                Ok(json!(outcomes))
            }
            Command::Fail { reason, .. } => return Err(Fault::refused(reason)),
            Command::Count => Ok(json!(self.seen)),
            command => obey(command),
        };
        Ok(match told {
            Ok(value) => Outcome::Ok(value),
            Err(refusal) => Outcome::Err(refusal),
        })
    }
}

fn obey(command: Command) -> Told {
    match command {
        Command::Echo(value) => Ok(value),
        Command::Get(key) => Ok(state::get(&key).map_err(|error| refusal("store", error))?.unwrap_or_default()),
        Command::Set { key, value } => done(state::set(&key, &value).map_err(|error| refusal("store", error))),
        Command::Send { to, key: None, body } => done(send(&to, &body).map_err(|error| not_sent(&error))),
        Command::Send { to, key: Some(key), body } => {
            done(send((to.as_str(), key.as_str()), &body).map_err(|error| not_sent(&error)))
        }
        Command::Call { to, body, timeout_ms, .. } => {
            call(&to, &body, Duration::from_millis(timeout_ms)).map_err(|error| match &error {
                CallError::NotSent(error) => not_sent(error),
                error => refusal("call", error),
            })
        }
        Command::Spawn { service, name } => spawn(&service, &name).map(Value::from).map_err(|error| refused(&error)),
        Command::Stop(child) => done(stop(&child).map_err(|error| refused(&error))),
        Command::Monitor(child) => done(monitor(&child).map_err(|error| refused(&error))),
        Command::Demonitor(child) => done(demonitor(&child).map_err(|error| refused(&error))),
        Command::Link(child) => done(link(&child).map_err(|error| refused(&error))),
        Command::Trap(_) => panic!("told to panic"),
        Command::Exit(code) => std::process::exit(code),
        other => Err(refusal("unheard-of", format_args!("{other:?}"))),
    }
}

fn done(result: Result<(), Refusal>) -> Told {
    result.map(|()| Value::Null)
}

fn refused(error: &SupervisionError) -> Refusal {
    let name = match error {
        SupervisionError::Denied(_) => "denied",
        SupervisionError::NoSuchChild(_) => "no-such-child",
        SupervisionError::Taken => "taken",
        SupervisionError::Overloaded => "overloaded",
        SupervisionError::Deaf => "deaf",
        _ => "unknown",
    };
    refusal(name, error)
}

fn not_sent(error: &SendError) -> Refusal {
    let name = match error {
        SendError::Denied(_) => "denied",
        SendError::NoSuchService(_) => "no-such-service",
        SendError::Overloaded => "overloaded",
        _ => "not-sent",
    };
    refusal(name, error)
}

fn refusal(name: &str, error: impl std::fmt::Display) -> Refusal {
    Refusal { name: name.to_owned(), text: error.to_string() }
}
