//! Roles: grants with a name, which services have in common, and which may include those of other roles.

use toml::{Table, Value};

use crate::capability::Grants;
use crate::schema::Schema;

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Role {
    pub(crate) name: String,
    /// The roles whose grants it has as well.
    pub(crate) includes: Vec<String>,
    /// Its own grants.
    pub(crate) grants: Grants,
}

/// The roles of a topology.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Roles(pub(crate) Vec<Role>);

impl Roles {
    /// The role of this name.
    pub(super) fn find(&self, name: &str) -> Option<&Role> {
        self.0.iter().find(|role| role.name == name)
    }

    /// The way from a role to one that it includes, with both ends.
    pub(super) fn way(&self, from: &str, to: &str, seen: &mut Vec<String>) -> Option<Vec<String>> {
        for next in &self.find(from)?.includes {
            if next == to {
                return Some(vec![from.to_owned(), to.to_owned()]);
            }
            if !seen.contains(next) {
                seen.push(next.clone());
                if let Some(way) = self.way(next, to, seen) {
                    return Some([vec![from.to_owned()], way].concat());
                }
            }
        }
        None
    }

    /// As tables, by their names.
    pub(crate) fn table(&self) -> Table {
        let tables = self.0.iter().map(|role| (role.name.clone(), Value::Table(role.table())));
        let roles: Table = tables.collect();
        if roles.is_empty() { roles } else { Table::from_iter([("role".to_owned(), roles.into())]) }
    }

    /// These roles and all that they include, each once, with the way to it.
    pub(crate) fn all_of<'a>(&'a self, names: &[String]) -> Vec<(&'a Role, Vec<&'a str>)> {
        let mut all: Vec<(&Role, Vec<&str>)> = Vec::new();
        let mut ways: Vec<Vec<&str>> =
            names.iter().filter_map(|name| Some(vec![self.find(name)?.name.as_str()])).collect();
        while !ways.is_empty() {
            let mut longer = Vec::new();
            for way in ways {
                let Some(role) = way.last().and_then(|name| self.find(name)) else { continue };
                if all.iter().any(|(known, _)| known.name == role.name) {
                    continue;
                }
                longer.extend(role.includes.iter().map(|name| [way.as_slice(), &[name.as_str()]].concat()));
                all.push((role, way));
            }
            ways = longer;
        }
        all
    }

    /// What a service is granted that has these grants and these roles; where two contradict each other, how.
    pub(crate) fn granted(&self, own: &Grants, names: &[String]) -> Result<Grants, String> {
        let mut all = own.clone();
        for (role, _) in self.all_of(names) {
            all.join(&role.grants).map_err(|what| format!("{what}, which role {:?} grants another way", role.name))?;
        }
        Ok(all)
    }
}
