//! The programs of the machine that a topology grants.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use toml::Spanned;

use super::variables::environment;
use super::written;
use crate::capability::process::{ArgumentPattern, NAME_HINT, is_name};
use crate::capability::{ProcessGrant, given, spelling};
use crate::config_file::{ConfigError, Source, parse_all};
use crate::schema::Schema as _;

/// The programs of a list of grants.
pub(super) fn programs(
    source: &Source,
    asked: &BTreeMap<String, written::Process>,
) -> Result<BTreeMap<String, ProcessGrant>, ConfigError> {
    asked.iter().map(|(name, process)| Ok((name.clone(), program(source, name, process)?))).collect()
}

fn program(source: &Source, name: &str, process: &written::Process) -> Result<ProcessGrant, ConfigError> {
    let path = &process.program;
    if !is_name(name) {
        return Err(source.error(&path.span(), format!("{name:?} is no name of a program"), NAME_HINT));
    }
    let at = path.get_ref();
    if !at.is_absolute() {
        let what = format!("the program {} is no whole path", at.display());
        return Err(source.error(&path.span(), what, "write it from the root on: nobody looks for it in a PATH"));
    }
    if !is_program(at) {
        let what = format!("there is no program {}", at.display());
        return Err(source.error(&path.span(), what, "name a file that may be executed, or leave the grant out"));
    }
    let mut grant = ProcessGrant::new(at.clone());
    grant.take(process);
    grant.arguments = parse_all(source, process.arguments.as_deref().unwrap_or_default())?;
    if let Some(at) = grant.arguments.iter().rev().skip(1).position(ArgumentPattern::is_rest) {
        let asked = process.arguments.iter().flatten().rev().nth(at + 1);
        let what = "\"**\" stands for all arguments that are left, and others stand behind it";
        return Err(source.error(&asked.map_or_else(|| path.span(), Spanned::span), what, "put it last"));
    }
    grant.environment = Vec::new();
    for variable in process.environment.iter().flatten() {
        if !spelling::is_variable(variable.get_ref()) {
            let what = format!("{:?} is no name of a variable", variable.get_ref());
            return Err(source.error(&variable.span(), what, spelling::VARIABLE_HINT));
        }
        grant.environment.push(variable.get_ref().clone());
    }
    let variables = process.variables.as_ref().map(|asked| environment(source, asked)).transpose()?;
    grant.variables = variables.unwrap_or_default().into_iter().map(|(name, given)| (name, given.what)).collect();
    if let Some(folder) = &process.folder {
        let at = folder.get_ref();
        if !at.is_absolute() || !at.is_dir() {
            let what = format!("there is no folder {}, by its whole path", at.display());
            return Err(source.error(&folder.span(), what, "make it, or leave it out"));
        }
    }
    if let Some(until) = &process.until {
        let end = given::parse_time(until.get_ref());
        grant.until = Some(end.map_err(|why| source.error(&until.span(), why, ""))?);
    }
    Ok(grant)
}

/// Whether there is a file that somebody may execute.
fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
