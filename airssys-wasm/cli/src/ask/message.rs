//! `airssys send`, `airssys call`, `airssys emit`: a message from outside, in the host's name.

use std::io::{self, Read};
use std::time::Duration;

use super::HostArgs;
use crate::completions;
use crate::control::ControlError;
use crate::control::protocol::{Body, MAX_BODY, MAX_PATIENCE, Request};
use crate::output::{self, ok_json, printable};
use crate::run;

/// Sends a message to a service of a running host; nobody waits for an answer.
///
/// It ends when the message is in the mailbox.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys send ledger '{\"order\":7}'\n  airssys send carts/alice - < cart.json\n  \
                        airssys send pricing 'audit(\"monthly\")'"
)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    to: To,
    #[command(flatten)]
    host: HostArgs,
}

/// Calls a service of a running host, and prints its answer.
///
/// The answer is printed as a line. With --json it is {"ok":ANSWER}: an answer that is JSON stands there as it is,
/// other text as a string, other bytes as {"ok_hex":"..."}.
///
/// A service that exports functions of its own is called by them: by one text in WAVE, or by a name and its arguments
/// in JSON. The result is in the same notation, and with --json always in JSON.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  airssys call echo hello\n  airssys call ledger - --timeout 1s < order.json\n  \
                        airssys call pricing 'quote({sku: \"book\", qty: 2})'\n  \
                        airssys call pricing quote '[{\"sku\":\"book\",\"qty\":2}]'")]
pub(crate) struct CallArgs {
    #[command(flatten)]
    to: To,
    /// How long to wait for the answer; an hour is the most.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = patience)]
    timeout: Duration,
    #[command(flatten)]
    host: HostArgs,
}

/// Publishes a message to all services of a running host that subscribe to the topic.
///
/// That nobody subscribes is no failure.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys emit orders/placed '{\"order\":7}'")]
pub(crate) struct EmitArgs {
    /// The topic.
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// The message; `-` reads it from stdin, as bytes, to its end.
    #[arg(value_name = "BODY")]
    body: String,
    #[command(flatten)]
    host: HostArgs,
}

/// Whom a message is for.
#[derive(Debug, clap::Args)]
struct To {
    /// The service, or service/key.
    #[arg(value_name = "SERVICE", add = completions::services())]
    service: String,
    /// The message; `-` reads it from stdin, as bytes, to its end. Before ARGUMENTS it is the name of a function.
    #[arg(value_name = "BODY|FUNCTION", add = completions::functions())]
    body: String,
    /// The arguments of the function in JSON: a list, or an object by the names of its parameters; `-` reads them from
    /// stdin.
    #[arg(value_name = "ARGUMENTS")]
    arguments: Option<String>,
    /// The partition key.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl To {
    /// The function that is named, where there are arguments, and the body.
    fn said(&self) -> Result<(Option<String>, Body), ControlError> {
        Ok(match &self.arguments {
            None => (None, read(&self.body)?),
            Some(arguments) => (Some(self.body.clone()), read(arguments)?),
        })
    }
}

pub(crate) fn patience(text: &str) -> Result<Duration, String> {
    let time = run::timeout(text)?;
    if time > MAX_PATIENCE { Err("an hour is the most".to_owned()) } else { Ok(time) }
}

/// Runs `send`.
pub(crate) fn send(args: &SendArgs) -> Result<(), ControlError> {
    let To { service, key, .. } = &args.to;
    let (function, body) = args.to.said()?;
    let request = Request::Send { to: service.clone(), key: key.clone(), function, body };
    args.host.tell(&request, |(): &()| format!("sent to {service}"))
}

/// Runs `call`.
pub(crate) fn call(args: &CallArgs) -> Result<(), ControlError> {
    let To { service, key, .. } = &args.to;
    let timeout_ms = u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX);
    let (function, body) = args.to.said()?;
    let json = args.host.json || function.is_some();
    let request = Request::Call { to: service.clone(), key: key.clone(), function, body, timeout_ms, json };
    let answer: Option<Body> = args.host.ask(&request)?;
    let answer = answer.as_ref().and_then(Body::bytes);
    if args.host.json {
        return Ok(output::print_data(&format!("{{{}}}", ok_json(answer.as_deref())))?);
    }
    let text = match &answer {
        None => "ok".to_owned(),
        Some(body) => printable(&String::from_utf8_lossy(body)),
    };
    Ok(output::print(&text)?)
}

/// Runs `emit`.
pub(crate) fn emit(args: &EmitArgs) -> Result<(), ControlError> {
    let request = Request::Emit { topic: args.topic.clone(), body: read(&args.body)? };
    args.host.tell(&request, |(): &()| format!("published on {}", args.topic))
}

fn read(body: &str) -> Result<Body, ControlError> {
    let mut bytes = Vec::new();
    let bytes = if body == "-" {
        let stdin = io::stdin().lock().take(MAX_BODY as u64 + 1).read_to_end(&mut bytes);
        stdin.map_err(|source| ControlError::Stdin { source })?;
        &bytes
    } else {
        body.as_bytes()
    };
    if bytes.len() > MAX_BODY { Err(ControlError::BodyTooLarge) } else { Ok(Body::of(bytes)) }
}
