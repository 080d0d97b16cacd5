//! `airssys top`: what the services of a running host do now, in messages a second.
//!
//! On a terminal a table that is drawn over and over; elsewhere the same rows, a table a look, for a file or a pipe.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use airssys_wasm::ServiceStatus;
use clap::ValueEnum;
use console::{Term, truncate_str};
use serde_json::json;

use super::HostArgs;
use crate::control::ControlError;
use crate::control::protocol::Request;
use crate::explain::note;
use crate::output::{self, Problem};
use crate::run;

/// The columns, as [`row`] fills them.
const COLUMNS: [&str; 10] =
    ["service", "queued", "handled/s", "faulted/s", "crashed/s", "handled", "crashed", "started", "denied", "rejected"];

/// What the services are sorted by; all but the name with the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// By name.
    Service,
    /// By messages that wait.
    Queued,
    /// By turns handled a second.
    Handled,
    /// By turns that returned a fault, a second.
    Faulted,
    /// By turns that crashed, a second.
    Crashed,
}

/// Shows what each service of a running host does, busiest first, until it is interrupted or the host is gone.
///
/// Each look is compared with the one before: handled/s, faulted/s and crashed/s are turns a second over that time; the
/// other columns are those of `airssys ps`. On a terminal the table is drawn in place, as much of it as there is room
/// for. Elsewhere, and with --plain, a table is printed a look; with --json a line {"at":TIME,"services":[...]}.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  airssys top\n  airssys top --every 5s --count 12 --plain > load.txt")]
pub(crate) struct Args {
    /// How long to wait between two looks.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = run::some_time)]
    every: Duration,
    /// End after so many tables.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// What to sort by.
    #[arg(long, value_name = "COLUMN", default_value = "handled")]
    sort: By,
    /// Print plain rows, also on a terminal.
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    host: HostArgs,
}

/// One look at the services, and what came of them since the one before.
struct Rates {
    /// With turns handled, faulted and crashed a second.
    services: Vec<(ServiceStatus, [f64; 3])>,
}

/// Looks at a host again and again.
struct Looks<'a> {
    host: &'a HostArgs,
    before: HashMap<String, ServiceStatus>,
    at: Instant,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), ControlError> {
    let mut looks = Looks { host: &args.host, before: HashMap::new(), at: Instant::now() };
    looks.look()?;
    match show(args, &mut looks) {
        Err(ControlError::NoHost { .. } | ControlError::NoAnswer { .. }) => note("the host is gone"),
        shown => return shown,
    }
    Ok(())
}

impl Looks<'_> {
    fn look(&mut self) -> Result<Rates, ControlError> {
        let services: Vec<ServiceStatus> = self.host.ask(&Request::Services {})?;
        let passed = std::mem::replace(&mut self.at, Instant::now()).elapsed().as_secs_f64();
        let rate = |before: u64, now: u64| if passed > 0.0 { now.saturating_sub(before) as f64 / passed } else { 0.0 };
        let mut all = Vec::with_capacity(services.len());
        for now in services {
            let before = self.before.insert(now.service.clone(), now.clone());
            let rates = before.map_or([0.0; 3], |before| {
                [(before.handled, now.handled), (before.faulted, now.faulted), (before.crashed, now.crashed)]
                    .map(|(before, now)| rate(before, now))
            });
            all.push((now, rates));
        }
        Ok(Rates { services: all })
    }
}

fn show(args: &Args, looks: &mut Looks<'_>) -> Result<(), ControlError> {
    let terminal = Term::buffered_stdout();
    let drawn = terminal.is_term() && !args.plain && !args.host.json;
    let mut shown = 0;
    loop {
        thread::sleep(args.every);
        let rates = looks.look()?;
        let at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let written = if drawn {
            draw(&terminal, &at, &rates.rows(args.sort))
        } else {
            let text = match args.host.json {
                true => rates.json(&at),
                false => format!("{at}\n{}", output::table(&rates.rows(args.sort)).trim_end()),
            };
            writeln!(io::stdout(), "{text}").and_then(|()| io::stdout().flush())
        };
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written.map_err(Problem::Output)?,
        }
        shown += 1;
        if args.count.is_some_and(|count| shown >= count) {
            return Ok(());
        }
    }
}

/// Draws over what was there: all at once, so that nothing flickers.
fn draw(terminal: &Term, at: &str, rows: &[Vec<String>]) -> io::Result<()> {
    let (height, width) = terminal.size();
    let text = format!("{at}   Ctrl-C ends it\n{}", output::table(rows));
    terminal.clear_screen()?;
    // The last line stays empty: the cursor is there.
    for line in text.lines().take(usize::from(height).saturating_sub(1)) {
        terminal.write_line(&truncate_str(line, usize::from(width), "…"))?;
    }
    terminal.flush()
}

impl Rates {
    /// A head, and a row for each service.
    fn rows(&self, by: By) -> Vec<Vec<String>> {
        let mut services: Vec<&(ServiceStatus, [f64; 3])> = self.services.iter().collect();
        let number = |(of, [handled, faulted, crashed]): &(ServiceStatus, [f64; 3])| match by {
            By::Service => 0.0,
            By::Queued => of.queued as f64,
            By::Handled => *handled,
            By::Faulted => *faulted,
            By::Crashed => *crashed,
        };
        services.sort_by(|one, two| number(two).total_cmp(&number(one)).then(one.0.service.cmp(&two.0.service)));
        std::iter::once(COLUMNS.map(str::to_owned).to_vec()).chain(services.into_iter().map(row)).collect()
    }

    fn json(&self, at: &str) -> String {
        let service = |(status, [handled, faulted, crashed]): &(ServiceStatus, [f64; 3])| json!({ "service": status, "per_second": { "handled": handled, "faulted": faulted, "crashed": crashed } });
        json!({ "at": at, "services": self.services.iter().map(service).collect::<Vec<_>>() }).to_string()
    }
}

/// The cells of a service.
fn row((of, rates): &(ServiceStatus, [f64; 3])) -> Vec<String> {
    let rates = rates.iter().map(|rate| format!("{rate:.0}"));
    let counts = [of.handled, of.crashed, of.started, of.denied, of.rejected].map(|count| count.to_string());
    [super::ps::name(of), of.queued.to_string()].into_iter().chain(rates).chain(counts).collect()
}
