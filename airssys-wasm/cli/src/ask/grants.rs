//! `airssys caps`, `grant` and `revoke`: what a service may do, why, and one thing more or less of it while it runs.

use std::path::PathBuf;

use airssys_wasm::Applied;
use airssys_wasm::command::{Capability, Granted, Learned, Unused, Why};

use super::HostArgs;
use super::deploy::Times;
use crate::control::ControlError;
use crate::control::protocol::{Refusal, Request, Revoked};
use crate::{learn, output};

/// Tells what a service of a running host asks for and is granted, and which line decides of an operation.
///
/// A service may do what its release requests, in Component.toml, and what the topology grants it. Where only a part of
/// a request is granted, it may do that part. What is granted and not requested is of no use: it can be left out.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  airssys caps till\n  airssys caps why till call pricing\n  airssys caps why till http 'GET https://api.example/v1/rates'"
)]
pub(crate) struct CapsArgs {
    #[command(subcommand)]
    asked: Option<Asked>,
    /// The service.
    #[arg(value_name = "SERVICE", required = true)]
    service: Option<String>,
    #[command(flatten)]
    host: HostArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Asked {
    Why(WhyArgs),
    Learn(LearnArgs),
    Unused(UnusedArgs),
}

/// Tells the smallest grants for what the services of a host did that was started with `airssys run --learn`.
///
/// It prints a diff of the topology, for `patch -p0`, and before that what was found of each service, in lines that
/// begin with `#`. What was done is decided again under the new grants: all of it is allowed, and without any one of
/// them something is not. A grant is for one target; only where nine or more differ in their last segment alone, one
/// `*` stands for that. Nothing is changed by it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  airssys caps learn\n  airssys caps learn shop/airssys.toml > grants.patch")]
struct LearnArgs {
    /// The topology that the diff is of, or the folder of an airssys.toml.
    #[arg(value_name = "TOPOLOGY", default_value = output::TOPOLOGY)]
    topology: PathBuf,
    #[command(flatten)]
    host: HostArgs,
}

/// Tells which grants nobody used since the host started, or since they were given.
///
/// Of a variable nobody can say whether it was wanted: all count as used when a guest reads its environment.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  airssys caps unused\n  airssys caps unused --json")]
struct UnusedArgs {
    #[command(flatten)]
    host: HostArgs,
}

/// Tells whether a service may do something, and which lines decide that. Ends with 1 where it may not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  airssys caps why till send ledger\n  airssys caps why till files 'write /data/x'")]
struct WhyArgs {
    /// The service.
    #[arg(value_name = "SERVICE")]
    service: String,
    /// What it would do, by the key that such grants stand under: send, call, publish, subscribe, spawn, files,
    /// environment, sockets, bind or http.
    #[arg(value_name = "KIND")]
    kind: String,
    /// With what: an address, a topic, a path of the guest's (`/data/x`, or `write /data/x`), a variable, `IP:PORT`,
    /// or `GET https://host/path`.
    #[arg(value_name = "TARGET")]
    target: String,
    #[command(flatten)]
    host: HostArgs,
}

/// Gives a service of a running host one more grant.
///
/// It is an apply with nothing else in it: in force at the next turn, and written down. The file of the topology does
/// not change: bring the grant into it as well, or the next `airssys apply` takes it away.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys grant till call pricing\n  airssys grant till http 'GET https://api.example/v1/**'\n  airssys grant till environment TZ=UTC"
)]
pub(crate) struct GrantArgs {
    #[command(flatten)]
    one: OneGrant,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    host: HostArgs,
}

/// Takes a grant away from a service of a running host, at once.
///
/// What it asks for from then on is denied, also in the middle of a turn, and while something is deployed. Where the
/// grant is one of files, environment, sockets or bind, the instances go that may hold what is open: a turn that is
/// under way is cut off, and the next instance begins without it. It is written down when what is under way (an apply,
/// a stop) is over. The file of the topology does not change: take the grant out of it as well, or the next `airssys
/// apply` gives it back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  airssys revoke till call pricing\n  airssys revoke till sockets 10.0.0.1:5432")]
pub(crate) struct RevokeArgs {
    #[command(flatten)]
    one: OneGrant,
    #[command(flatten)]
    host: HostArgs,
}

/// One line of `[service.grants]`.
#[derive(Debug, clap::Args)]
struct OneGrant {
    /// The service.
    #[arg(value_name = "SERVICE")]
    service: String,
    /// The key of the grant: send, call, publish, subscribe, spawn, files, environment, sockets, bind or http.
    #[arg(value_name = "KIND")]
    kind: String,
    /// What stands under it, as it is written in a topology; for a variable NAME=VALUE to give it and NAME to take it
    /// away.
    #[arg(value_name = "GRANT")]
    grant: String,
}

/// Runs `caps`.
pub(crate) fn caps(args: &CapsArgs) -> Result<(), ControlError> {
    match &args.asked {
        Some(Asked::Why(args)) => why(args),
        Some(Asked::Learn(args)) => args.host.tell(&Request::Learned {}, |learned: &Vec<Learned>| {
            learn::text(learned, &output::topology_file(&args.topology))
        }),
        Some(Asked::Unused(args)) => args.host.tell(&Request::Unused {}, |all: &Vec<Unused>| unused(all)),
        None => {
            let service = args.service.clone().unwrap_or_default();
            args.host.tell(&Request::Capabilities { service }, |all: &Vec<Capability>| text(all))
        }
    }
}

fn text(all: &[Capability]) -> String {
    if all.is_empty() {
        return "it asks for nothing, and nothing is granted".to_owned();
    }
    let row = |one: &Capability| {
        let granted = match one.granted {
            Granted::All => "granted",
            Granted::Part => "granted in part",
            Granted::Nothing => "not granted",
        };
        let requested = if one.requested { "requested" } else { "not requested" };
        // A line that says the same as what is asked for says nothing more.
        let by = if one.by == [one.target.clone()] { String::new() } else { one.by.join(", ") };
        vec![
            one.key.clone(),
            output::printable(&one.target),
            requested.to_owned(),
            granted.to_owned(),
            output::printable(&by),
        ]
    };
    let head = ["kind", "target", "Component.toml", "topology", "by"].map(str::to_owned).to_vec();
    output::table(&std::iter::once(head).chain(all.iter().map(row)).collect::<Vec<_>>())
}

fn unused(all: &[Unused]) -> String {
    if all.is_empty() {
        return "each grant was used".to_owned();
    }
    let row = |one: &Unused| vec![one.service.clone(), one.key.clone(), output::printable(&one.grant)];
    let head = ["service", "kind", "never used"].map(str::to_owned).to_vec();
    output::table(&std::iter::once(head).chain(all.iter().map(row)).collect::<Vec<_>>())
}

fn why(args: &WhyArgs) -> Result<(), ControlError> {
    let (service, key, target) = (args.service.clone(), args.kind.clone(), args.target.clone());
    let why: Why = args.host.ask(&Request::Why { service, key, target })?;
    if args.host.json {
        output::print_json(&why)?;
    } else {
        output::print(told(args, &why).trim_end())?;
    }
    match &why.missing {
        None => Ok(()),
        Some(missing) => {
            let hint = format!("`airssys caps {}` lists what it may do", args.service);
            Err(Refusal::new("denied", missing).hint(hint).into())
        }
    }
}

fn told(args: &WhyArgs, why: &Why) -> String {
    let may = if why.allowed { "may" } else { "may not" };
    let mut text = format!("{} {may} {} {}\n", args.service, args.kind, output::printable(&args.target));
    for (place, line) in
        [("requested in its Component.toml", &why.requested), ("granted in the topology", &why.granted)]
    {
        match line {
            Some(line) => text.push_str(&format!("  {place}: `{}` has {line:?}\n", args.kind)),
            None if why.allowed => {}
            None => text.push_str(&format!("  not {place}\n")),
        }
    }
    if why.allowed && why.requested.is_none() {
        text.push_str("  it is its own address\n");
    }
    text
}

/// Runs `grant`.
pub(crate) fn grant(args: &GrantArgs) -> Result<(), ControlError> {
    let OneGrant { service, kind, grant } = &args.one;
    let (probation_ms, handover_ms) = args.times.milliseconds();
    let (service, key, grant) = (service.clone(), kind.clone(), grant.clone());
    let told = format!("{service} is granted {kind} {}", output::printable(&grant));
    args.host.tell(&Request::Grant { service, key, grant, probation_ms, handover_ms }, |applied: &Option<Applied>| {
        match applied {
            None => format!("{told} already"),
            Some(_) => told,
        }
    })
}

/// Runs `revoke`.
pub(crate) fn revoke(args: &RevokeArgs) -> Result<(), ControlError> {
    let OneGrant { service, kind, grant } = &args.one;
    let (service, key, grant) = (service.clone(), kind.clone(), grant.clone());
    args.host.tell(&Request::Revoke { service, key, grant }, |Revoked { service, key, grant, kept }: &Revoked| {
        let lasts = if *kept { "" } else { ", until the host ends, which has no data folder" };
        format!("{service} is no more granted {key} {}{lasts}", output::printable(grant))
    })
}
