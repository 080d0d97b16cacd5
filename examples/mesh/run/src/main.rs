//! Runs the mesh under load, lets pricing go from Rust to Python and back meanwhile, and counts.
//!
//! Exit codes: 0 where each order counted once, 1 where not or the mesh does not open, 2 for wrong usage.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use airssys_mesh::{Evidence, Load, Mesh, MeshError, Upgrade, check};
use clap::Parser;

/// Runs the mesh under load, lets pricing go from Rust to Python and back meanwhile, and counts.
#[derive(Debug, Parser)]
struct Args {
    /// The topology.
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../airssys.toml"))]
    topology: PathBuf,
    /// How many orders are placed at least, before, between and after the upgrades.
    #[arg(long, value_name = "N", default_value_t = 3_000)]
    orders: u64,
    /// The seed of the orders.
    #[arg(long, default_value_t = 13)]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _nobody_reads = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<bool, MeshError> {
    let cache = args.topology.with_file_name("target").join("airssys/code");
    let data = std::env::temp_dir().join(format!("airssys-mesh-{}", std::process::id()));
    say("The mesh starts; the first time, its components are compiled, which takes a minute or two.");
    let mesh = Mesh::open(&args.topology, &data, cache).await?;
    say(&format!("{} services are up. Customers come in, by seed {}.", mesh.services().len(), args.seed));
    let evidence = tokio::select! {
        evidence = day(&mesh, args) => evidence?,
        error = mesh.ended() => return Err(error),
    };
    let (sold, refused) = evidence.settled();
    say(&format!("{sold} orders were sold, {refused} refused."));
    for service in mesh.services() {
        let (name, handled, crashed) = (&service.service, service.handled, service.crashed);
        say(&format!("  {name:<10} {handled:>8} turns {crashed:>6} crashes"));
    }
    let flaws = check(&evidence);
    flaws.iter().for_each(|flaw| say(&format!("WRONG: {flaw}")));
    let stopped = mesh.close().await;
    // Nobody needs it any more, and what cannot be removed is in the way of nobody.
    let _left_behind = std::fs::remove_dir_all(data);
    if flaws.is_empty() && stopped {
        say("Each order counted once: none was lost, and none was doubled.");
    }
    Ok(flaws.is_empty() && stopped)
}

/// Customers come and go, and pricing goes to Python and back.
async fn day(mesh: &Mesh, args: &Args) -> Result<Evidence, MeshError> {
    let mut load = mesh.load(args.seed)?;
    load.more(args.orders / 3).await;
    tell("pricing goes from Rust to Python", &load, &mesh.upgrade("pricing", "pricing-next").await?);
    load.more(args.orders / 3).await;
    tell("pricing goes back to Rust", &load, &mesh.back("pricing").await?);
    load.more(args.orders / 3).await;
    mesh.audit(load).await
}

fn tell(what: &str, load: &Load, upgrade: &Upgrade) {
    let how =
        upgrade.why_not.clone().unwrap_or_else(|| format!("live; no message was taken for {:.0?}", upgrade.pause));
    say(&format!("  {what} after {} orders: {how}", load.answered()));
}

/// Prints a line. Whoever does not read on is none of our business.
fn say(line: &str) {
    let _nobody_reads = writeln!(std::io::stdout(), "{line}");
}
