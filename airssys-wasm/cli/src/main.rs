//! The airssys command: parses, calls what does the work, prints.
//!
//! It decides nothing itself. One module a subcommand; a subcommand returns what it found or a typed error, and only
//! this file turns errors into text and exit codes: see `output/exit.rs`, which is also what `--help` says.

mod ask;
mod audit;
mod bug;
mod build;
mod capsules;
mod check;
mod commands;
mod completions;
mod control;
mod dev;
mod explain;
mod inspect;
mod keygen;
mod learn;
mod logs;
mod new;
mod output;
mod publish;
mod releases;
mod remove;
mod replay;
mod retain;
mod rewind;
mod run;
mod state;
mod test;
mod verify;
mod wit;

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};

use crate::explain::Explain;

/// Builds, publishes, checks and runs a mesh of WebAssembly components as supervised actors.
#[derive(Debug, Parser)]
#[command(name = "airssys", version, propagate_version = true, after_help = after_help())]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::Args),
    Build(build::Args),
    Inspect(inspect::Args),
    Check(check::Args),
    Test(test::Args),
    Run(run::Args),
    Dev(dev::Args),
    Publish(publish::Args),
    Releases(releases::Args),
    Remove(remove::Args),
    Retain(retain::Args),
    Keygen(keygen::Args),
    Ps(ask::ps::Args),
    Tree(ask::tree::Args),
    Status(ask::status::Args),
    Send(ask::message::SendArgs),
    Call(ask::message::CallArgs),
    Emit(ask::message::EmitArgs),
    Apply(ask::apply::Args),
    Caps(ask::grants::CapsArgs),
    Grant(ask::grants::GrantArgs),
    Revoke(ask::grants::RevokeArgs),
    Deploy(ask::deploy::Args),
    Rollback(ask::deploy::RollbackArgs),
    History(ask::history::Args),
    DeadLetters(ask::dead_letters::Args),
    State(state::Args),
    Watch(ask::watch::Args),
    Events(ask::events::Args),
    Top(ask::top::Args),
    Log(ask::log::Args),
    Logs(logs::Args),
    Audit(audit::Args),
    Capsules(capsules::Args),
    Replay(replay::Args),
    Verify(verify::Args),
    Rewind(rewind::Args),
    Start(ask::start::Args),
    Stop(ask::stop::Args),
    Wit(wit::Args),
    Completions(completions::Args),
}

fn after_help() -> String {
    let example = "airssys new echo && airssys build echo && airssys inspect echo";
    format!("Example:\n  {example}\n\n{}", output::EXIT_CODES)
}

/// How long the end waits for a reader of stderr who reads nothing.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    completions::answer(Cli::command);
    let exit = bug::catching(command);
    output::stderr::end(PATIENCE);
    exit
}

fn command() -> ExitCode {
    let outcome: Result<(), Box<dyn Explain>> = match Cli::parse().command {
        Command::New(args) => new::run(&args).map_err(Into::into),
        Command::Build(args) => build::run(&args).map_err(Into::into),
        Command::Inspect(args) => inspect::run(&args).map_err(Into::into),
        Command::Check(args) => check::run(&args).map_err(Into::into),
        Command::Test(args) => test::run(&args).map_err(Into::into),
        Command::Run(args) => run::run(&args).map_err(Into::into),
        Command::Dev(args) => dev::run(&args).map_err(Into::into),
        Command::Publish(args) => publish::run(&args).map_err(Into::into),
        Command::Releases(args) => releases::run(&args).map_err(Into::into),
        Command::Remove(args) => remove::run(&args).map_err(Into::into),
        Command::Retain(args) => retain::run(&args).map_err(Into::into),
        Command::Keygen(args) => keygen::run(&args).map_err(Into::into),
        Command::Ps(args) => ask::ps::run(&args).map_err(Into::into),
        Command::Tree(args) => ask::tree::run(&args).map_err(Into::into),
        Command::Status(args) => ask::status::run(&args).map_err(Into::into),
        Command::Send(args) => ask::message::send(&args).map_err(Into::into),
        Command::Call(args) => ask::message::call(&args).map_err(Into::into),
        Command::Emit(args) => ask::message::emit(&args).map_err(Into::into),
        Command::Apply(args) => ask::apply::run(&args).map_err(Into::into),
        Command::Caps(args) => ask::grants::caps(&args).map_err(Into::into),
        Command::Grant(args) => ask::grants::grant(&args).map_err(Into::into),
        Command::Revoke(args) => ask::grants::revoke(&args).map_err(Into::into),
        Command::Deploy(args) => ask::deploy::run(&args).map_err(Into::into),
        Command::Rollback(args) => ask::deploy::rollback(&args).map_err(Into::into),
        Command::History(args) => ask::history::run(&args).map_err(Into::into),
        Command::DeadLetters(args) => ask::dead_letters::run(&args).map_err(Into::into),
        Command::State(args) => state::run(&args).map_err(Into::into),
        Command::Watch(args) => ask::watch::run(&args).map_err(Into::into),
        Command::Events(args) => ask::events::run(&args).map_err(Into::into),
        Command::Top(args) => ask::top::run(&args).map_err(Into::into),
        Command::Log(args) => ask::log::run(&args).map_err(Into::into),
        Command::Logs(args) => logs::run(&args).map_err(Into::into),
        Command::Audit(args) => audit::run(&args).map_err(Into::into),
        Command::Capsules(args) => capsules::run(&args).map_err(Into::into),
        Command::Replay(args) => replay::run(&args).map_err(Into::into),
        Command::Verify(args) => verify::run(&args).map_err(Into::into),
        Command::Rewind(args) => rewind::run(&args).map_err(Into::into),
        Command::Start(args) => ask::start::run(&args).map_err(Into::into),
        Command::Stop(args) => ask::stop::run(&args).map_err(Into::into),
        Command::Wit(args) => wit::run(&args).map_err(Into::into),
        Command::Completions(args) => completions::run(&args).map_err(Into::into),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            explain::print(error.as_ref());
            error.exit().into()
        }
    }
}
