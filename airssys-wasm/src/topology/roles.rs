//! The roles of a topology as they are written.
//!
//! Invariant: what a service is granted is what stands under it and under its roles, and each of them is checked as if
//! it stood under the service itself.

use std::collections::BTreeMap;

use toml::Spanned;

use super::grants::grants;
use super::names::{Named, bad_name};
use super::role::{Role, Roles};
use super::written;
use crate::address::is_service_name;
use crate::config_file::{ConfigError, Source};

impl Roles {
    /// The roles of a file.
    pub(super) fn read(
        source: &Source,
        written: &written::Topology,
        names: &BTreeMap<&str, Named<'_>>,
    ) -> Result<Self, ConfigError> {
        let mut all: Vec<Role> = Vec::new();
        for entry in &written.roles {
            let value = entry.get_ref();
            let name = value.name.get_ref();
            if !is_service_name(name) {
                return Err(bad_name(source, &value.name));
            }
            if all.iter().any(|role| role.name == *name) {
                let what = format!("there is a role {name:?} already");
                return Err(source.error(&value.name.span(), what, "give one of them another name"));
            }
            let own = value.grants.as_ref().map(|asked| grants(source, written, names, asked)).transpose()?;
            let includes = value.includes.iter().flatten().map(|name| name.get_ref().clone()).collect();
            all.push(Role { name: name.clone(), includes, grants: own.unwrap_or_default() });
        }
        let roles = Self(all);
        for entry in &written.roles {
            roles.check(source, entry.get_ref().includes.iter().flatten())?;
            roles.check_circle(source, &entry.get_ref().name)?;
        }
        Ok(roles)
    }

    /// Each of these is a role.
    pub(super) fn check<'a>(
        &self,
        source: &Source,
        names: impl Iterator<Item = &'a Spanned<String>>,
    ) -> Result<(), ConfigError> {
        for name in names {
            if self.find(name.get_ref()).is_none() {
                let known: Vec<&str> = self.0.iter().map(|role| role.name.as_str()).collect();
                let hint = match known.as_slice() {
                    [] => "add a [[role]] of this name".to_owned(),
                    known => format!("add a [[role]] of this name, or name one of: {}", known.join(", ")),
                };
                return Err(source.error(&name.span(), format!("there is no role {:?}", name.get_ref()), hint));
            }
        }
        Ok(())
    }

    /// No role includes itself, over whichever others.
    fn check_circle(&self, source: &Source, from: &Spanned<String>) -> Result<(), ConfigError> {
        let Some(circle) = self.way(from.get_ref(), from.get_ref(), &mut Vec::new()) else { return Ok(()) };
        let what = format!("the roles {} include each other in a circle", circle.join(" -> "));
        Err(source.error(&from.span(), what, "let one of them include the others no more"))
    }
}
