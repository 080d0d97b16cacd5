//! What a release asks for of each kind, beside what is granted of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::access::{Access, parse_path};
use super::given::{Given, before_until, in_force};
use super::grant::{FileGrant, Grants, Requests};
use super::kind::{Kind, NoLine};
use super::process::{ProcessGrant, parse_start};
use super::rule::Rule;

/// Something that is asked for under `[requests]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilityRequest {
    /// The key: `send`, `files` ...
    pub kind: String,
    /// What is written under it: an address, a topic, a folder ...
    pub target: String,
    /// How much of it the topology grants; none where it is not asked for any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Granted>,
}

/// How much of a request the topology grants.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{CapabilityRequest, Granted};
///
/// fn told(request: &CapabilityRequest) -> String {
///     let granted = match request.granted {
///         Some(Granted::All) => "granted",
///         Some(Granted::Part) => "granted in part",
///         Some(Granted::Nothing) => "not granted",
///         None => "not asked for any more",
///     };
///     format!("{} {}: {granted}", request.kind, request.target)
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Granted {
    /// None of it.
    Nothing,
    /// Less than is asked for.
    Part,
    /// As much as is asked for.
    All,
}

/// What a release asks for of one kind, and what is granted of it.
pub(crate) trait Both {
    /// What is asked for, each as it is written, and how much of it is granted.
    fn asked(&self) -> Vec<(String, Granted)>;

    /// Whether some of what this grant gives is asked for.
    fn asks_for(&self, grant: &str) -> bool;

    /// What is granted of which not all is asked for.
    fn lacking(&self) -> Vec<String>;

    /// The first line that asks for a target, and the first that grants it.
    fn lines(&self, target: &str) -> Result<(Option<String>, Option<String>), NoLine>;
}

/// Rules, and those granted.
struct Lists<'a, R>(&'a [R], &'a [Given<R>]);

/// Folders by the path that the guest sees.
struct Folders<'a>(&'a BTreeMap<String, Access>, &'a BTreeMap<String, FileGrant>);

/// Variables by their names.
struct Variables<'a>(&'a [String], &'a BTreeMap<String, Given<String>>);

/// Programs by their names.
struct Programs<'a>(&'a [String], &'a BTreeMap<String, ProcessGrant>);

impl Requests {
    /// What is asked for of a kind, and what these grants give of it.
    pub(crate) fn beside<'a>(&'a self, kind: Kind, grants: &'a Grants) -> Box<dyn Both + 'a> {
        match kind {
            Kind::Send => Box::new(Lists(&self.send, &grants.send)),
            Kind::Call => Box::new(Lists(&self.call, &grants.call)),
            Kind::Publish => Box::new(Lists(&self.publish, &grants.publish)),
            Kind::Subscribe => Box::new(Lists(&self.subscribe, &grants.subscribe)),
            Kind::Spawn => Box::new(Lists(&self.spawn, &grants.spawn)),
            Kind::Files => Box::new(Folders(&self.files, &grants.files)),
            Kind::Environment => Box::new(Variables(&self.environment, &grants.environment)),
            Kind::Sockets => Box::new(Lists(&self.sockets, &grants.sockets)),
            Kind::Bind => Box::new(Lists(&self.bind, &grants.bind)),
            Kind::Http => Box::new(Lists(&self.http, &grants.http)),
            Kind::Processes => Box::new(Programs(&self.processes, &grants.processes)),
        }
    }
}

impl Requests {
    /// Whether a grant gives some of what a line asks for, both as they are written; or is that line itself.
    pub(crate) fn meets(kind: Kind, line: &str, grant: &str) -> bool {
        let mut only = Self::default();
        match kind {
            Kind::Files => line == grant || line.rsplit_once(" (").is_some_and(|(folder, _)| folder == grant),
            Kind::Environment | Kind::Processes => line == grant,
            _ => only.add(kind, before_until(line)) && only.beside(kind, &Grants::default()).asks_for(grant),
        }
    }

    /// Asks for one thing more; whether it could be written so.
    pub(super) fn add(&mut self, kind: Kind, text: &str) -> bool {
        fn push<R: Rule>(to: &mut Vec<R>, text: &str) -> bool {
            text.parse().map(|rule| to.push(rule)).is_ok()
        }
        match kind {
            Kind::Send => push(&mut self.send, text),
            Kind::Call => push(&mut self.call, text),
            Kind::Publish => push(&mut self.publish, text),
            Kind::Subscribe => push(&mut self.subscribe, text),
            Kind::Spawn => push(&mut self.spawn, text),
            Kind::Sockets => push(&mut self.sockets, text),
            Kind::Bind => push(&mut self.bind, text),
            Kind::Http => push(&mut self.http, text),
            Kind::Files | Kind::Environment | Kind::Processes => false,
        }
    }
}

/// All that is asked for, as it is written, and how much of it is granted.
pub(crate) fn asked(requests: &Requests, grants: &Grants) -> Vec<CapabilityRequest> {
    let of = |kind: Kind| {
        let all = requests.beside(kind, grants).asked().into_iter();
        all.map(move |(target, granted)| CapabilityRequest {
            kind: kind.name().to_owned(),
            target,
            granted: Some(granted),
        })
    };
    Kind::ALL.into_iter().flat_map(of).collect()
}

fn bad_target(target: &str, what: &str) -> NoLine {
    NoLine::Text(format!("{target:?} is no {what}"))
}

impl<R: Rule> Both for Lists<'_, R> {
    fn asked(&self) -> Vec<(String, Granted)> {
        let granted = |wanted: &R| {
            let each = in_force(self.1).map(|grant| match grant {
                grant if grant.includes(wanted) => Granted::All,
                grant if grant.meets(wanted) => Granted::Part,
                _ => Granted::Nothing,
            });
            each.max().unwrap_or(Granted::Nothing)
        };
        self.0.iter().map(|wanted| (wanted.to_string(), granted(wanted))).collect()
    }

    fn asks_for(&self, grant: &str) -> bool {
        let grant: Option<R> = grant.parse().ok();
        grant.is_some_and(|grant| self.0.iter().any(|wanted| wanted.asks_for_some(&grant)))
    }

    fn lacking(&self) -> Vec<String> {
        let is_asked_for = |grant: &&R| self.0.iter().any(|wanted| wanted.asks_for_all(grant));
        in_force(self.1).filter(|grant| !is_asked_for(grant)).map(ToString::to_string).collect()
    }

    fn lines(&self, target: &str) -> Result<(Option<String>, Option<String>), NoLine> {
        let target = R::target(target).ok_or_else(|| bad_target(target, R::TARGET))?;
        let wanted = self.0.iter().find(|rule| rule.asks(&target));
        let given = in_force(self.1).find(|rule| rule.lets(&target));
        Ok((wanted.map(ToString::to_string), given.map(ToString::to_string)))
    }
}

impl Both for Folders<'_> {
    fn asked(&self) -> Vec<(String, Granted)> {
        let each = self.0.iter().map(|(folder, wanted)| {
            let granted = match self.1.get(folder).map_or(Access::NONE, FileGrant::now) {
                given if given.contains(*wanted) => Granted::All,
                given if (given & *wanted).is_empty() => Granted::Nothing,
                _ => Granted::Part,
            };
            (format!("{folder} ({wanted})"), granted)
        });
        each.collect()
    }

    fn asks_for(&self, grant: &str) -> bool {
        self.0.contains_key(grant)
    }

    /// A guest sees no other folders and variables than it asks for.
    fn lacking(&self) -> Vec<String> {
        Vec::new()
    }

    fn lines(&self, target: &str) -> Result<(Option<String>, Option<String>), NoLine> {
        let (wanted, path) = parse_path(target);
        let holds =
            |folder: &str, access: Access| !access.is_empty() && access.contains(wanted) && lies_in(path, folder);
        let asked = self.0.iter().find(|(folder, access)| holds(folder, **access));
        let given = self.1.iter().find(|(folder, file)| self.0.contains_key(*folder) && holds(folder, file.now()));
        Ok((asked.map(|(folder, _)| folder.clone()), given.map(|(folder, _)| folder.clone())))
    }
}

impl Both for Variables<'_> {
    fn asked(&self) -> Vec<(String, Granted)> {
        let is_there = |name: &String| self.1.get(name).is_some_and(|given| !given.mark.is_revoked());
        let granted = |name: &String| if is_there(name) { Granted::All } else { Granted::Nothing };
        self.0.iter().map(|name| (name.clone(), granted(name))).collect()
    }

    fn asks_for(&self, grant: &str) -> bool {
        self.0.iter().any(|name| name == grant)
    }

    /// A guest sees no other folders and variables than it asks for.
    fn lacking(&self) -> Vec<String> {
        Vec::new()
    }

    fn lines(&self, target: &str) -> Result<(Option<String>, Option<String>), NoLine> {
        let asked = self.0.iter().find(|name| *name == target).cloned();
        let given = self.1.get_key_value(target).filter(|(_, given)| !given.mark.is_revoked());
        Ok((asked, given.map(|(name, _)| name.clone())))
    }
}

impl Programs<'_> {
    fn given(&self, name: &str) -> Option<&ProcessGrant> {
        self.1.get(name).filter(|grant| !grant.mark.is_revoked())
    }
}

impl Both for Programs<'_> {
    fn asked(&self) -> Vec<(String, Granted)> {
        let granted = |name: &String| self.given(name).map_or(Granted::Nothing, |_| Granted::All);
        self.0.iter().map(|name| (name.clone(), granted(name))).collect()
    }

    fn asks_for(&self, grant: &str) -> bool {
        self.0.iter().any(|name| name == grant)
    }

    /// A guest can name no program that it does not ask for.
    fn lacking(&self) -> Vec<String> {
        Vec::new()
    }

    fn lines(&self, target: &str) -> Result<(Option<String>, Option<String>), NoLine> {
        let (name, arguments) = parse_start(target);
        let asked = self.0.iter().find(|asked| *asked == name).cloned();
        // Without arguments the question is whether it may be started at all.
        let is_within = |grant: &&ProcessGrant| arguments.as_ref().is_none_or(|all| grant.beyond(all, &[]).is_none());
        let given = self.given(name).filter(is_within);
        Ok((asked, given.map(|_| name.to_owned())))
    }
}

/// Whether a guest's path is a folder or lies in it. One with `..` in it lies nowhere.
fn lies_in(path: &str, folder: &str) -> bool {
    let steps = |path: &'_ str| -> Vec<String> {
        path.split('/').filter(|step| !matches!(*step, "" | ".")).map(str::to_owned).collect()
    };
    let (path, folder) = (steps(path), steps(folder));
    !path.iter().any(|step| step == "..") && path.starts_with(&folder)
}

#[cfg(test)]
mod tests {
    use super::lies_in;

    #[test]
    fn a_path_lies_in_a_folder_by_whole_steps() {
        for (path, folder, lies) in [
            ("/data", "/data", true),
            ("/data/a/b", "/data/", true),
            ("/data-secret", "/data", false),
            ("/data/../etc", "/data", false),
            ("/", "/data", false),
        ] {
            assert_eq!(lies_in(path, folder), lies, "{path} {folder}");
        }
    }
}
