//! What is written of quotas: each has its name and bounds something.

use toml::Spanned;

use super::written;
use crate::address::is_service_name;
use crate::config_file::{ConfigError, Source};
use crate::rate::{Rate, WrittenRate};
use crate::schema::Schema;

/// All quotas, in the order of the file.
pub(super) fn quotas(source: &Source, written: &[WrittenRate]) -> Result<Vec<Rate>, ConfigError> {
    let mut all: Vec<Rate> = Vec::new();
    for entry in written {
        let mut rate = Rate::default();
        rate.take(entry);
        let (at, name) = (entry.name.span(), entry.name.get_ref());
        if !is_service_name(name) {
            let what = format!("{name:?} is no name of a quota");
            return Err(source.error(&at, what, "names are of lower-case letters, digits and `-`, such as \"shared\""));
        }
        if all.iter().any(|other| other.name == *name) {
            let what = format!("there is a quota {name:?} already");
            return Err(source.error(&at, what, "give one of them another name"));
        }
        if rate.applies_to().is_empty() {
            let what = format!("the quota {name:?} bounds nothing");
            return Err(source.error(&at, what, "add `messages`, `bytes` or `operations`"));
        }
        all.push(rate);
    }
    Ok(all)
}

/// The quota that a service uses, where it is there.
pub(super) fn used(
    source: &Source,
    written: &written::Topology,
    name: &Spanned<String>,
) -> Result<String, ConfigError> {
    if written.quotas.iter().any(|quota| quota.name.get_ref() == name.get_ref()) {
        return Ok(name.get_ref().clone());
    }
    let what = format!("there is no quota {:?}", name.get_ref());
    Err(source.error(&name.span(), what, "name one of the [[quota]] entries"))
}
