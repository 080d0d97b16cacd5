//! Runs the shop and prints what happens: the tree as it starts, crashes and restarts, what the snoop was told, and the
//! table.
//!
//! Exit codes: 0 where the books agree, 1 where they do not or the shop does not open, 2 for wrong usage.

mod story;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use airssys_shop::orders::{SEED, generate};
use airssys_shop::{Renewal, Report, Shop};
use clap::Parser;
use shop_model::Attempt;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::story::{Story, say};

type Failure = Box<dyn std::error::Error>;

/// Runs the shop, breaks it on the way, and checks its books.
///
/// With RUST_LOG set (such as RUST_LOG=info) the runtime's own log is printed to stderr instead of the story.
#[derive(Debug, Parser)]
#[command(
    after_help = "Example:\n  cargo run --release -p airssys-shop\n  cargo run --release -p airssys-shop -- --orders my-orders.jsonl --json"
)]
struct Args {
    /// The topology.
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../airssys.toml"))]
    topology: PathBuf,
    /// The orders, a line each.
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../orders.jsonl"))]
    orders: PathBuf,
    /// Print the report as JSON, and nothing else.
    #[arg(long)]
    json: bool,
    /// Write the orders of a seed to a file, and do nothing else.
    #[arg(long, value_name = "FILE")]
    write_orders: Option<PathBuf>,
    /// The seed for `--write-orders`.
    #[arg(long, default_value_t = SEED)]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            story::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<bool, Failure> {
    if let Some(file) = &args.write_orders {
        return write_orders(file, args.seed).map(|()| true);
    }
    let story = listen(args.json);
    let orders = read(&args.orders)?;
    let begun = Instant::now();
    say(!args.json, "\nThe tree starts.");
    let cache = args.topology.parent().map(|folder| folder.join("target/airssys/code"));
    let shop = Shop::open(&args.topology, cache).await?;
    let opened = begun.elapsed();
    say(!args.json, &format!("Everything is up after {opened:.0?}.\n\n{} orders come in.", orders.len()));
    let begun = Instant::now();
    let told = |renewal: &Renewal| say(!args.json, &format!("  {renewal}."));
    let (sales, renewals) = tokio::join!(shop.sell(orders), shop.renew(told));
    let (sales, renewals) = (sales?, renewals?);
    let took = begun.elapsed();
    story.pause();
    say(!args.json, &format!("All have their answer after {took:.1?}.{}", story.summary()));
    say(!args.json, "\nThe snoop tries what it was not granted.");
    let snoop = shop.snoop().await?;
    snoop.iter().for_each(|attempt| say(!args.json, &tell(attempt)));
    let services = shop.services();
    let evidence = shop.audit(sales).await?;
    let report = Report::new(&evidence, &services, snoop, renewals, took);
    let stopped = shop.close().await;
    let all_well = stopped && report.flaws.is_empty();
    if args.json {
        say(true, &serde_json::to_string_pretty(&report)?);
    } else {
        let ending = if stopped { "in order" } else { "only after somebody was killed" };
        say(true, &format!("\nThe tree stopped {ending}.\n\n{report}"));
    }
    Ok(all_well)
}

/// Either the story or the runtime's own log.
fn listen(json: bool) -> Story {
    let story = Story::default();
    match EnvFilter::try_from_default_env() {
        Ok(filter) => {
            let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
            tracing_subscriber::registry().with(filter).with(log).init();
        }
        Err(_not_set) if !json => tracing_subscriber::registry().with(story.clone()).init(),
        Err(_not_set) => {}
    }
    story
}

fn tell(attempt: &Attempt) -> String {
    let verdict = match attempt.verdict {
        shop_model::Verdict::Denied => "denied",
        shop_model::Verdict::Nothing => "nothing there",
        shop_model::Verdict::GotThrough => "GOT THROUGH",
        shop_model::Verdict::Failed => "FAILED",
    };
    format!("  {:<30} {verdict}: {}", attempt.deed, attempt.told)
}

fn read(file: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let hint = "hint: --write-orders FILE makes one";
    let all = std::fs::read(file).map_err(|error| format!("{}: cannot be read: {error}; {hint}", file.display()))?;
    Ok(all.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect())
}

fn write_orders(file: &Path, seed: u64) -> Result<(), Failure> {
    let all: Vec<u8> = generate(seed).lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect();
    std::fs::write(file, all).map_err(|error| format!("{}: cannot be written: {error}", file.display()))?;
    Ok(())
}
