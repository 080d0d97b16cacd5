//! `airssys check`: whether a topology could run. Reads, compiles and links everything, and starts nothing.

use std::path::PathBuf;

use airssys_wasm::Runtime;
use airssys_wasm::command::{Checked, DeclaredListener, Lane, Ungranted};
use airssys_wasm::topology::{DeclaredService, Topology};
use serde::Serialize;

use crate::output::{self, CacheArgs, Problem, TopologyArgs};

/// Digits of a digest that are shown to people.
const SHORT: usize = 12;

/// Checks a topology and all its components, without starting anything.
///
/// It finds unknown keys, names and values, releases that are not there, files that are no components, imports that
/// nobody provides, components for another version of the contract, and more instances than this machine holds. It ends
/// at the first error.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys check examples/shop/airssys.toml")]
pub(crate) struct Args {
    #[command(flatten)]
    topology: TopologyArgs,
    #[command(flatten)]
    cache: CacheArgs,
    /// Ends with 2 where a release asks for more than it is granted. Without it, that is told.
    #[arg(long)]
    strict: bool,
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    name: String,
    instances: usize,
    most_instances: usize,
    /// What is allowed, and worth a second look.
    warnings: Vec<String>,
    services: Vec<Service>,
    listeners: Vec<Listener>,
    ungranted: Vec<Ungranted>,
}

#[derive(Debug, Serialize)]
struct Service {
    service: String,
    component: String,
    version: semver::Version,
    file: PathBuf,
    sha256: String,
    lane: Lane,
    actors: String,
    memory_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Listener {
    listen: String,
    tls: bool,
    routes: Vec<String>,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), Problem> {
    let topology = args.topology.read()?;
    let mut builder = Runtime::builder().data_folder(args.topology.data.folder());
    if let Some(folder) = args.cache.folder()? {
        builder = builder.code_cache(folder);
    }
    let threads = tokio::runtime::Builder::new_current_thread().build().map_err(Problem::Threads)?;
    let checked = threads.block_on(builder.check(&topology))?;
    let report = report(&topology, &checked);
    if args.json {
        output::print_json(&report)?
    } else {
        output::print(text(&report).trim_end())?
    }
    if !args.strict {
        report.ungranted.iter().for_each(output::plan::tell_ungranted);
        return Ok(());
    }
    report.ungranted.into_iter().next().map_or(Ok(()), |found| Err(Problem::NotGranted(Box::new(found))))
}

fn report(topology: &Topology, checked: &Checked) -> Report {
    let service = |DeclaredService { name, release, actors, limits, .. }: DeclaredService| Service {
        sha256: checked.digests.get(&name).cloned().unwrap_or_default(),
        service: name,
        component: release.manifest.name,
        version: release.manifest.version,
        file: release.component,
        lane: release.manifest.lane,
        actors: output::actors(actors),
        memory_bytes: limits.memory_bytes,
    };
    let listener = |DeclaredListener { listen, tls, routes, .. }: DeclaredListener| Listener { listen, tls, routes };
    Report {
        name: topology.name().to_owned(),
        instances: checked.instances,
        most_instances: checked.most_instances,
        warnings: checked.warnings.clone(),
        services: topology.declared().into_iter().map(service).collect(),
        listeners: topology.declared_listeners().into_iter().map(listener).collect(),
        ungranted: checked.ungranted.clone(),
    }
}

fn text(report: &Report) -> String {
    let Report { name, instances, most_instances, warnings, services, listeners, .. } = report;
    let mut text = format!(
        "{name} is well: {}, {} of the {most_instances} that this machine holds\n",
        output::count(services.len(), "service"),
        output::count(*instances, "instance"),
    );
    let rows: Vec<Vec<String>> = services.iter().map(row).collect();
    text.push_str(&output::table(&rows));
    for of in listeners {
        text.push_str(&format!("{}://{}\n", if of.tls { "https" } else { "http" }, of.listen));
        of.routes.iter().for_each(|route| text.push_str(&format!("  {}\n", output::printable(route))));
    }
    for warning in warnings {
        text.push_str(&format!("warning: {}\n", output::printable(warning)));
    }
    text
}

fn row(service: &Service) -> Vec<String> {
    let lane = match service.lane {
        Lane::Async => "async",
        Lane::Sync => "sync",
    };
    vec![
        service.service.clone(),
        format!("{} {}", service.component, service.version),
        lane.to_owned(),
        service.actors.clone(),
        bytesize::ByteSize(service.memory_bytes).to_string(),
        format!("sha256 {:.SHORT$}", service.sha256),
    ]
}
