//! `airssys apply`: a host is brought to an edited topology. Where none runs, the topology is what the next one starts
//! with.

use std::path::{Path, PathBuf};

use airssys_wasm::command::{ApplyPlan, in_force, put_in_force};
use airssys_wasm::topology::Topology;
use airssys_wasm::{Applied, Runtime};
use serde::Serialize;

use super::HostArgs;
use super::deploy::Times;
use crate::control::protocol::{Apply, PlanApply, Refusal, Request};
use crate::control::{Claim, ControlError};
use crate::explain::note;
use crate::output::{self, CacheArgs, Problem};

/// Brings a running host to an edited topology, which is in force then: also at the next start.
///
/// What is new starts, in order. What changed is changed in place where that can be: limits, grants, mailboxes, restart
/// rules, the rules of supervisors. Otherwise it is deployed between two messages (releases, configuration, memory,
/// folders, clocks), or the service handles what waits for it, is stopped and is started (another supervisor, another
/// number of actors, another place for its state). What is gone handles what waits for it, at most as long as its
/// `shutdown` says, and stops, last of all. What did not change is not touched.
///
/// The file is looked at as a whole first. Where anything is wrong with it, or something does not come about, all is as
/// it was before, and the command ends with 1. It ends with 0 when all has come about, the probation of what was
/// deployed included. A release that was deployed by `airssys deploy` stays as long as the topology names the same one
/// as before.
///
/// Where no host runs, the topology is compiled and checked, and the next start is with it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys apply airssys.toml --plan\n  airssys apply airssys.toml\n  airssys apply examples/shop --probation 1m"
)]
pub(crate) struct Args {
    /// The topology, or the folder of an airssys.toml.
    #[arg(value_name = "TOPOLOGY", default_value = output::TOPOLOGY)]
    topology: PathBuf,
    /// Says what would change, and changes nothing; ends with 1 where it would be refused.
    #[arg(long)]
    plan: bool,
    /// Takes releases whose version is not newer than that of the live one, or whose state schema is older.
    #[arg(long)]
    allow_downgrade: bool,
    /// Takes releases of the very version that is live, and not the same: while developing.
    #[arg(long)]
    same_version: bool,
    /// Refuses a release that asks for more than is granted. Without it, that is told.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    host: HostArgs,
}

/// What is told as JSON.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// Whether a host was brought to it.
    running: bool,
    plan: &'a ApplyPlan,
    /// Messages of services that were stopped which became dead letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_over: Option<&'a [(String, usize)]>,
    /// What was gone on without: members that do not run, memory that was not handed over.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), ControlError> {
    let data = args.host.data.folder();
    let file = output::topology_file(&args.topology);
    // What is wrong with the file itself is told with its place.
    let topology = Topology::read_to_start(&file, data).map_err(Problem::from)?;
    let absolute = std::path::absolute(&file).unwrap_or(file);
    let ((probation_ms, handover_ms), memory) = (args.times.milliseconds(), args.times.memory());
    let path = absolute.display().to_string();
    let (allow_downgrade, same_version, strict) = (args.allow_downgrade, args.same_version, args.strict);
    let plan = || PlanApply { topology: path.clone(), allow_downgrade, same_version, strict };
    let request = match args.plan {
        true => Request::PlanApply(plan()),
        false => {
            let topology = path.clone();
            let asked = Apply { topology, probation_ms, handover_ms, allow_downgrade, same_version, strict, memory };
            Request::Apply(asked)
        }
    };
    if !args.plan {
        // Before anything of it is live. What is wrong with it, the apply itself says.
        let plan: Option<ApplyPlan> = args.host.quietly(&Request::PlanApply(plan())).ok();
        plan.iter().flat_map(|plan| &plan.ungranted).for_each(output::plan::tell_ungranted);
    }
    let asked = if args.plan {
        args.host.ask::<ApplyPlan>(&request).map(|plan| (plan, None, Vec::new()))
    } else {
        args.host.ask::<Applied>(&request).map(|applied| (applied.plan, Some(applied.left_over), applied.notes))
    };
    match asked {
        Err(ControlError::NoHost { .. }) => at_rest(args, data, &topology),
        asked => {
            let (plan, left_over, notes) = asked?;
            tell(args, &Report { running: true, plan: &plan, left_over: left_over.as_deref(), notes: &notes })?;
            notes.iter().for_each(|told| note(told));
            for (service, messages) in left_over.iter().flatten() {
                note(&format!(
                    "{service}: {} it had not handled became dead letters",
                    output::count(*messages, "message")
                ));
            }
            refused(&plan)
        }
    }
}

/// Without a host: nobody starts one meanwhile.
fn at_rest(args: &Args, data: &Path, topology: &Topology) -> Result<(), ControlError> {
    let _claim = Claim::take(data)?;
    let before = in_force(data).map_err(Problem::from)?;
    if let Some(cut_off) = before.as_ref().and_then(|before| before.cut_off) {
        note(&cut_off.to_string());
    }
    let plan = ApplyPlan::at_rest(before.as_ref().map(|before| &before.topology), topology, args.strict);
    if !args.plan {
        plan.ungranted.iter().for_each(output::plan::tell_ungranted);
    }
    if args.plan || !plan.refusals.is_empty() {
        tell(args, &Report { running: false, plan: &plan, left_over: None, notes: &[] })?;
        return refused(&plan);
    }
    let mut builder = Runtime::builder().data_folder(data);
    if let Some(folder) = CacheArgs::default().folder()? {
        builder = builder.code_cache(folder);
    }
    let threads = tokio::runtime::Builder::new_current_thread().build().map_err(Problem::Threads)?;
    let checked = threads.block_on(builder.check(topology)).map_err(Problem::from)?;
    put_in_force(data, topology, &checked.digests).map_err(Problem::from)?;
    tell(args, &Report { running: false, plan: &plan, left_over: None, notes: &[] })?;
    note("no host runs; the next `airssys run` starts with it");
    Ok(())
}

fn tell(args: &Args, report: &Report<'_>) -> Result<(), Problem> {
    match args.host.json {
        true => output::print_json(report),
        false => output::print(output::difference::text(report.plan).trim_end()),
    }
}

/// The others are in the plan.
fn refused(plan: &ApplyPlan) -> Result<(), ControlError> {
    match plan.refusals.first() {
        None => Ok(()),
        Some(refusal) => Err(Refusal::from(refusal).into()),
    }
}
