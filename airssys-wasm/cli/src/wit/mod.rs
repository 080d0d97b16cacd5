//! `airssys wit`: what a component imports and exports, as WIT.

use std::path::{Path, PathBuf};

use airssys_wasm::command::{Reference, TemplateError};
use airssys_wasm::registry::Release;
use wit_component::WitPrinter;

use crate::completions;
use crate::control::protocol::Request;
use crate::control::{self, ControlError};
use crate::output::{self, DataArgs, Problem};

/// Shows the interfaces of a component as WIT: its functions, which `airssys call` calls by their own types, and what
/// it imports.
///
/// The packages of WASI are named, and not shown. Of a service it shows the release that serves it now.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys wit pricing.wasm\n  airssys wit pricing@1.2.0\n  airssys wit --service pricing"
)]
pub(crate) struct Args {
    /// A component, the folder of a Component.toml, or a published release.
    #[arg(value_name = "FILE|FOLDER|NAME@VERSION", required_unless_present = "service", conflicts_with = "service")]
    release: Option<PathBuf>,
    /// A service of the host that runs on the data folder.
    #[arg(long, value_name = "SERVICE", add = completions::services())]
    service: Option<String>,
    #[command(flatten)]
    data: DataArgs,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), ControlError> {
    let component = match (&args.service, &args.release) {
        (Some(service), _) => control::ask(args.data.folder(), &Request::Component { service: service.clone() })?,
        (None, Some(release)) => {
            let release = found(release, &args.data)?;
            // What is no component is told as everywhere else.
            let _inspected = release.inspect().map_err(Problem::from)?;
            release.component
        }
        // One of them is there: the arguments are parsed so.
        (None, None) => return Ok(()),
    };
    Ok(output::print(text(&component).map_err(Problem::from)?.trim_end())?)
}

fn found(path: &Path, data: &DataArgs) -> Result<Release, Problem> {
    Ok(match path.to_str().filter(|text| Reference::is_meant(text)) {
        Some(reference) => data.store()?.resolve(reference)?,
        None => Release::find(path)?,
    })
}

/// The world of a component, and the packages of others that it is made of.
fn text(path: &Path) -> Result<String, TemplateError> {
    let invalid = |detail: String| TemplateError::Invalid { path: path.to_owned(), detail };
    let bytes = std::fs::read(path).map_err(|error| invalid(error.to_string()))?;
    let decoded = wit_component::decode(&bytes).map_err(|error| invalid(format!("{error:#}")))?;
    let (resolve, of) = (decoded.resolve(), decoded.package());
    let others = resolve.packages.iter().filter(|(id, package)| *id != of && package.name.namespace != "wasi");
    let others: Vec<_> = others.map(|(id, _)| id).collect();
    let mut printer = WitPrinter::default();
    printer.print(resolve, of, &others).map_err(|error| invalid(format!("{error:#}")))?;
    Ok(printer.output.to_string())
}
