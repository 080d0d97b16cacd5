//! What a deployment would change, and whether it may. Decides from descriptions; does nothing.
//!
//! **When an export is compatible.** The rule is that of the validator of components, wasmparser's `SubtypeCx`: an interface may export more than is wanted of
//! it, and everything else is the same type. Functions have the same parameters, by name and in order, and the same result; records, variants, enums and
//! flags the same fields, cases or flags, by name and in order; tuples the same elements. The component model's `Subtyping.md` allows more in a rough
//! sketch (contravariant parameters, covariant results, fewer fields), which no implementation follows: between two types of values none is a subtype of
//! the other yet, so that either direction comes to the same. What would only be compatible by that sketch is refused.
//!
//! **Whose exports.** The interfaces of `airssys:actor` lie between a release and this host: linking holds what is there against the contract, and the
//! host looks for the optional ones before it calls them. So they are reported and never refused. All others are for those who have the component's type
//! from before.
//!
//! **Imports** are reported. What the host lacks, linking refuses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::asked::{Asked, Capability, asked};
use super::settings::{Setting, differences};
use super::{DeployError, DeployOptions, Ungranted};
use crate::capability::Grants;
use crate::engine::interface::{Items, Structure, track};
use crate::engine::{Interface, UPGRADE, is_contract};
use crate::hint::Hint;
use crate::limits::Limits;
use crate::registry::{self, Manifest};

/// What a deployment would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// The service.
    pub service: String,
    /// The release that is live.
    pub from: Party,
    /// The one that is to be.
    pub to: Party,
    /// What it asks the host for.
    pub imports: Changes,
    /// What it offers.
    pub exports: Changes,
    /// The capabilities that it asks for and the live one does not.
    pub requests_added: Vec<Asked>,
    /// All that it asks for and is not granted, whether the live one asks for it or not; none where all of it is.
    #[serde(default)]
    pub ungranted: Option<Ungranted>,
    /// Those that it does not ask for any more.
    pub requests_removed: Vec<Capability>,
    /// Limits, lane and engine class that differ.
    pub settings: Vec<Setting>,
    /// The schema of its state.
    pub state_schema: Schemas,
    /// What becomes of the guest's memory.
    pub memory: Memory,
    /// The services that may send to it or call it now: requested, and granted. Only they can notice that it changes.
    pub reached_by: Vec<Reach>,
    /// Whether it is the very release that is live.
    pub no_op: bool,
    /// Why it would be refused; none where it would not.
    pub refusals: Vec<PlanRefusal>,
}

/// One of the two releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Its name.
    pub name: String,
    /// Its version; none where it has no `Component.toml`.
    pub version: Option<String>,
    /// The SHA-256 of its component.
    pub digest: String,
}

/// What is different among imports or exports. An interface as a whole is named `package:name/interface@version`, an item of one has its name behind `#`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// New.
    pub added: Vec<String>,
    /// Gone.
    pub removed: Vec<String>,
    /// There still, and not the same.
    pub changed: Vec<Change>,
}

impl Changes {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Something that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which.
    pub item: String,
    /// The first difference, and the way to it.
    pub difference: String,
    /// Whether it is another type; else it has another version, of the same kind.
    pub retyped: bool,
}

/// The schema of the state, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schemas {
    /// Of the live release.
    pub from: u32,
    /// Of the new one.
    pub to: u32,
    /// What becomes of what is stored.
    pub state: Stored,
}

/// What becomes of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stored {
    /// It stays as it is: both have the same schema.
    Kept,
    /// The new release's `migrate` brings it over.
    Migrated,
    /// Its `migrate` brings over the state of each actor: now where the actor is awake, and otherwise when it wakes next.
    MigratedByKey,
    /// The new release does not export `upgrade`, and so has no `migrate`: it does not start where something is stored.
    Unreadable,
}

/// A service that reaches the one that would be deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Its name.
    pub service: String,
    /// `send`, `call`, or both.
    pub by: Vec<String>,
}

/// What becomes of what the guest has in its memory beside its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    /// The live release's `snapshot` goes to the new one's `restore`.
    HandedOver,
    /// It is gone: one of the two does not export `upgrade`.
    StartsAnew,
    /// It is gone, and the live release says that it is a cache.
    Cache,
}

/// Why a deployment would be refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRefusal {
    /// [`DeployError::code`].
    pub code: String,
    /// The error's text.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
}

impl From<&DeployError> for PlanRefusal {
    fn from(error: &DeployError) -> Self {
        Self { code: error.code().to_owned(), message: error.to_string(), hint: error.hint() }
    }
}

/// A release, as far as it matters here.
pub(crate) struct Side<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) digest: &'a str,
    pub(crate) interface: &'a Interface,
    pub(crate) limits: &'a Limits,
}

impl Side<'_> {
    fn party(&self) -> Party {
        Party {
            name: self.manifest.name.clone(),
            version: self.manifest.has_version().then(|| self.manifest.version.to_string()),
            digest: self.digest.to_owned(),
        }
    }

    fn hands_over(&self) -> bool {
        self.interface.exports.keys().any(|(interface, _)| interface == UPGRADE)
    }
}

/// The plan, and what a deployment would be refused with, first things first.
pub(crate) fn plan(
    service: &str,
    from: &Side<'_>,
    to: &Side<'_>,
    grants: &Grants,
    options: &DeployOptions,
) -> (Plan, Vec<DeployError>) {
    let allow_downgrade = options.allow_downgrade;
    let imports = compare(&from.interface.imports, &to.interface.imports);
    let exports = compare(&from.interface.exports, &to.interface.exports);
    let no_op = from.digest == to.digest && from.manifest == to.manifest;
    let mut refused = Vec::new();
    if no_op {
        refused.push(DeployError::AlreadyLive { service: service.to_owned() });
    } else if !allow_downgrade && !is_newer(from.manifest, to.manifest) {
        refused.extend(not_newer(service, from, to, options.same_version));
    }
    let schemas = (from.manifest.state_schema, to.manifest.state_schema);
    if !allow_downgrade && schemas.1 < schemas.0 {
        refused.push(DeployError::OlderSchema { service: service.to_owned(), live: schemas.0, schema: schemas.1 });
    }
    let broken = broken(&exports);
    if !broken.is_empty() {
        refused.push(DeployError::Incompatible { service: service.to_owned(), broken });
    }
    let asked_before = asked(&from.manifest.requests, grants);
    let asks = asked(&to.manifest.requests, grants);
    let is_in = |all: &[Asked], one: &Asked| all.iter().any(|other| other.capability == one.capability);
    let requests_removed =
        asked_before.iter().filter(|one| !is_in(&asks, one)).map(|one| one.capability.clone()).collect();
    let plan = Plan {
        service: service.to_owned(),
        from: from.party(),
        to: to.party(),
        imports,
        exports,
        ungranted: None,
        requests_removed,
        requests_added: asks.into_iter().filter(|one| !is_in(&asked_before, one)).collect(),
        settings: differences((from.manifest.lane, from.limits), (to.manifest.lane, to.limits)),
        state_schema: Schemas {
            from: schemas.0,
            to: schemas.1,
            state: match to.hands_over() {
                _ if schemas.0 == schemas.1 => Stored::Kept,
                true => Stored::Migrated,
                false => Stored::Unreadable,
            },
        },
        memory: match from.manifest.memory {
            _ if from.hands_over() && to.hands_over() => Memory::HandedOver,
            registry::Memory::Cache => Memory::Cache,
            _ => Memory::StartsAnew,
        },
        reached_by: Vec::new(),
        no_op,
        refusals: refused.iter().map(PlanRefusal::from).collect(),
    };
    (plan, refused)
}

/// Whether the new one has a newer version, or one of them has none. Build metadata does not count.
fn is_newer(from: &Manifest, to: &Manifest) -> bool {
    !from.has_version() || !to.has_version() || to.version.cmp_precedence(&from.version).is_gt()
}

/// Why a release is refused that is not newer.
fn not_newer(service: &str, from: &Side<'_>, to: &Side<'_>, same_version: bool) -> Option<DeployError> {
    let (service, version) = (service.to_owned(), to.manifest.version.to_string());
    if from.manifest.version != to.manifest.version {
        return Some(DeployError::Downgrade { service, live: from.manifest.version.to_string(), version });
    }
    let what = if from.digest == to.digest { "another Component.toml" } else { "another binary" };
    let (live, offered) = (from.digest.to_owned(), to.digest.to_owned());
    (!same_version).then_some(DeployError::SameVersion { service, version, what, live, offered })
}

/// What those cannot do any more who rely on the exports of before.
fn broken(exports: &Changes) -> Vec<String> {
    let others = |item: &&String| !is_contract(item);
    let gone = exports.removed.iter().filter(others).map(|item| format!("{item} is gone"));
    let retyped = exports.changed.iter().filter(|change| change.retyped && others(&&change.item));
    gone.chain(retyped.map(|change| format!("{} has another type: {}", change.item, change.difference))).collect()
}

type Named<'a> = BTreeMap<&'a str, &'a Structure>;

fn by_interface(items: &Items) -> BTreeMap<&str, Named<'_>> {
    let mut all: BTreeMap<&str, Named<'_>> = BTreeMap::new();
    for ((interface, name), structure) in items {
        let named = all.entry(interface).or_default();
        if !name.is_empty() {
            named.insert(name, structure);
        }
    }
    all
}

/// What is different. Interfaces are the same where their versions are compatible; the same version goes first, then the newest.
fn compare(from: &Items, to: &Items) -> Changes {
    let (had, has) = (by_interface(from), by_interface(to));
    let mut changes = Changes::default();
    let mut met = Vec::new();
    for (&interface, items) in &had {
        let same = |name: &&&str| track(name) == track(interface);
        let version = |name: &&&str| name.split_once('@').and_then(|(_, version)| semver::Version::parse(version).ok());
        let found = has
            .get_key_value(interface)
            .or_else(|| has.keys().filter(same).max_by_key(version).and_then(|name| has.get_key_value(name)));
        match found {
            Some((&name, now)) => {
                met.push(name);
                if name != interface {
                    let (_, version) = name.split_once('@').unwrap_or_default();
                    let difference = format!("has the version {version}");
                    changes.changed.push(Change { item: interface.to_owned(), difference, retyped: false });
                }
                compare_items((interface, items), (name, now), &mut changes);
            }
            None if interface.is_empty() => changes.removed.extend(items.keys().map(|&name| name.to_owned())),
            None => changes.removed.push(interface.to_owned()),
        }
    }
    for (&interface, items) in has.iter().filter(|(name, _)| !met.contains(name)) {
        match interface {
            "" => changes.added.extend(items.keys().map(|&name| name.to_owned())),
            _ => changes.added.push(interface.to_owned()),
        }
    }
    changes
}

fn compare_items((interface, had): (&str, &Named<'_>), (new, has): (&str, &Named<'_>), changes: &mut Changes) {
    let label = |interface: &str, name: &str| match interface {
        "" => name.to_owned(),
        _ => format!("{interface}#{name}"),
    };
    for (name, before) in had {
        match has.get(name) {
            None => changes.removed.push(label(interface, name)),
            Some(now) => changes.changed.extend(before.difference(now).map(|difference| Change {
                item: label(interface, name),
                difference,
                retyped: true,
            })),
        }
    }
    changes.added.extend(has.keys().filter(|name| !had.contains_key(*name)).map(|name| label(new, name)));
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test says so by panicking")]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::asked::Granted;
    use super::{Changes, DeployOptions, Memory, Side, Stored, UPGRADE, asked, broken, compare, plan};
    use crate::capability::{Access, FileGrant, Grants, Operation, Policy, Requests};
    use crate::engine::Interface;
    use crate::engine::interface::{Items, Part, Structure};
    use crate::limits::Limits;
    use crate::registry::Manifest;

    /// An interface with a function of this type, and `more` beside it. It is imported, so that it needs no code.
    fn interface(name: &str, function: &str, more: &str) -> Items {
        let text = format!(r#"(component (import "{name}" (instance (export "f" (func {function})) {more})))"#);
        Interface::of_text(&text).imports
    }

    fn difference(old: &str, new: &str) -> Changes {
        compare(&interface("a:b/c@0.1.0", old, ""), &interface("a:b/c@0.1.0", new, ""))
    }

    #[test]
    fn a_function_keeps_its_type_or_says_what_is_another() {
        let same = [
            "",
            "(param \"x\" u32) (result (list u8))",
            "(param \"x\" (option (tuple u8 char))) (result (result string (error f64)))",
        ];
        for function in same {
            assert_eq!(difference(function, function), Changes::default());
        }
        for (old, new, says) in [
            ("(param \"x\" u32)", "(param \"x\" u64)", "parameter `x`: u32 became u64"),
            ("(param \"x\" u32)", "(param \"y\" u32)", "parameter `y` in place of parameter `x`"),
            ("(param \"x\" u32)", "", "parameter `x` is gone"),
            ("", "(param \"x\" u32)", "parameter `x` is new"),
            ("", "(result u32)", "result is new"),
            ("(result u32)", "(param \"x\" u32)", "parameter `x` in place of result"),
            ("(result (list u8))", "(result (list s8))", "result: element: u8 became s8"),
            ("(result (tuple u8 u8))", "(result (tuple u8))", "result: element is gone"),
            ("(result (option u8))", "(result u8)", "result: option became u8"),
            ("(result (result u8))", "(result (result))", "result: ok: the u8 is gone"),
            ("(result (result))", "(result (result (error u8)))", "result: error: a u8 is new"),
        ] {
            let changes = difference(old, new);
            assert_eq!((&changes.added, &changes.removed), (&Vec::new(), &Vec::new()));
            assert_eq!(changes.changed.iter().map(|change| &*change.difference).collect::<Vec<_>>(), [says]);
            assert_eq!(broken(&changes), [format!("a:b/c@0.1.0#f has another type: {says}")]);
        }
    }

    /// What is said where the result of a function becomes another one of a named type.
    fn named(old: &str, new: &str) -> Vec<String> {
        let of = |ty: &str| {
            let text = format!(
                r#"(component (import "i" (instance
                    (type $d {ty}) (export "t" (type $t (eq $d))) (export "f" (func (result $t))))))"#
            );
            Interface::of_text(&text).imports
        };
        let changes = compare(&of(old), &of(new)).changed.into_iter();
        changes.filter(|change| change.item == "i#f").map(|change| change.difference).collect()
    }

    #[test]
    fn records_variants_enums_and_flags_are_the_same_by_names_and_order() {
        let cases = [
            (
                r#"(record (field "a" u8) (field "b" u8))"#,
                r#"(record (field "b" u8) (field "a" u8))"#,
                "field `b` in place of field `a`",
            ),
            (r#"(record (field "a" u8))"#, r#"(record (field "a" u8) (field "b" (option u8)))"#, "field `b` is new"),
            (r#"(variant (case "a" u8) (case "b"))"#, r#"(variant (case "a" u8))"#, "case `b` is gone"),
            (r#"(variant (case "a" u8))"#, r#"(variant (case "a"))"#, "case `a`: the u8 is gone"),
            (r#"(enum "a" "b")"#, r#"(enum "a" "b" "c")"#, "case `c` is new"),
            (r#"(enum "a" "b")"#, r#"(enum "b" "a")"#, "case `b` in place of case `a`"),
            (r#"(flags "a" "b")"#, r#"(flags "a")"#, "flag `b` is gone"),
            (r#"(enum "a")"#, r#"(flags "a")"#, "enum became flags"),
        ];
        for (old, new, says) in cases {
            assert_eq!(named(old, old), Vec::<String>::new());
            assert_eq!(named(old, new), [format!("result: {says}")]);
            assert_eq!(named(new, old).len(), 1, "neither is a subtype: {old} {new}");
        }
    }

    #[test]
    fn an_export_may_come_and_must_not_go() {
        let more = r#"(export "more" (func))"#;
        let (less, more) = (interface("a:b/c@0.1.0", "", ""), interface("a:b/c@0.1.0", "", more));
        let grown = compare(&less, &more);
        assert_eq!((&*grown.added, broken(&grown).len()), (&["a:b/c@0.1.0#more".to_owned()][..], 0));
        let shrunk = compare(&more, &less);
        assert_eq!(broken(&shrunk), ["a:b/c@0.1.0#more is gone"]);
    }

    #[test]
    fn of_compatible_versions_the_newest_is_compared_and_not_the_last_by_name() {
        let mut new = interface("a:b/c@0.1.9", "", "");
        new.extend(interface("a:b/c@0.1.10", "", ""));
        let changes = compare(&interface("a:b/c@0.1.0", "", ""), &new);
        assert_eq!(changes.changed.first().map(|change| change.difference.as_str()), Some("has the version 0.1.10"));
    }

    #[test]
    fn an_interface_is_the_same_where_its_version_is_compatible() {
        for (old, new, gone) in [
            ("a:b/c@0.1.0", "a:b/c@0.1.7", false),
            ("a:b/c@1.7.0", "a:b/c@1.0.0", false),
            ("a:b/c@0.1.0", "a:b/c@0.2.0", true),
            ("a:b/c@1.0.0", "a:b/c@2.0.0", true),
            ("a:b/c@0.0.1", "a:b/c@0.0.2", true),
            ("a:b/c@1.0.0-a", "a:b/c@1.0.0-b", true),
            ("a:b/c@1.0.0", "a:b/c", true),
            ("a:b/c@1.0.0", "a:b/d@1.0.0", true),
        ] {
            let changes = compare(&interface(old, "", ""), &interface(new, "", ""));
            assert_eq!(broken(&changes).is_empty(), !gone, "{old} {new}: {changes:?}");
            assert_eq!(changes.changed.iter().any(|change| !change.retyped), !gone, "{old} {new}");
            assert_eq!(changes.added == [new], gone);
        }
    }

    #[test]
    fn what_lies_between_release_and_host_may_go() {
        let with = interface("airssys:actor/health@0.1.0", "", "");
        let changes = compare(&with, &Items::default());
        assert_eq!(changes.removed, ["airssys:actor/health@0.1.0"]);
        assert_eq!(broken(&changes), Vec::<String>::new());
    }

    fn side<'a>(manifest: &'a Manifest, digest: &'a str, interface: Interface) -> Side<'a> {
        // It lives as long as the test.
        let mut limits = Limits::default();
        manifest.limits.apply(&mut limits);
        Side { manifest, digest, interface: Box::leak(Box::new(interface)), limits: Box::leak(Box::new(limits)) }
    }

    fn manifest(version: &str) -> Manifest {
        let mut manifest = Manifest::of_bare_file(std::path::Path::new("a.wasm"));
        manifest.version = version.parse().unwrap();
        manifest
    }

    #[test]
    fn only_a_newer_version_follows() {
        for (old, new, code) in [
            ("0.1.0", "0.1.1", ""),
            ("0.1.0", "0.1.0", "same-version"),
            ("0.2.0", "0.1.9", "downgrade"),
            ("1.0.0-rc.1", "1.0.0", ""),
            ("1.0.0", "1.0.0-rc.1", "downgrade"),
            ("1.0.0+1", "1.0.0+2", "downgrade"),
            ("0.0.0", "0.1.0", ""),
            ("0.1.0", "0.0.0", ""),
            ("0.0.0", "0.0.0", ""),
        ] {
            let (old, new) = (manifest(old), manifest(new));
            let from = side(&old, "a", Interface::default());
            let to = side(&new, "b", Interface::default());
            let codes = |allow_downgrade, same_version| {
                let options = DeployOptions { allow_downgrade, same_version, ..DeployOptions::default() };
                let (plan, errors) = plan("s", &from, &to, &Grants::default(), &options);
                assert_eq!(plan.refusals.len(), errors.len());
                assert_eq!((plan.no_op, plan.memory), (false, Memory::StartsAnew));
                plan.refusals.into_iter().map(|refusal| refusal.code).collect::<String>()
            };
            assert_eq!(codes(false, false), code, "{} {}", old.version, new.version);
            assert_eq!(codes(false, true), if code == "downgrade" { code } else { "" });
            assert_eq!(codes(true, false), "");
        }
        let same = manifest("0.1.0");
        let live = || side(&same, "a", Interface::default());
        let (plan, _) = plan("s", &live(), &live(), &Grants::default(), &DeployOptions::default());
        assert!(plan.no_op);
        assert_eq!(plan.refusals.iter().map(|refusal| &*refusal.code).collect::<Vec<_>>(), ["already-live"]);
    }

    #[test]
    fn memory_is_handed_over_where_both_export_upgrade() {
        let manifest = manifest("0.0.0");
        let with = |exports| Interface { imports: Items::default(), exports };
        let upgrade = || with(interface(UPGRADE, "", ""));
        for (old, new, expected) in [
            (upgrade(), upgrade(), Memory::HandedOver),
            (upgrade(), with(Items::default()), Memory::StartsAnew),
            (with(Items::default()), upgrade(), Memory::StartsAnew),
        ] {
            let from = side(&manifest, "a", old);
            let to = side(&manifest, "b", new);
            let (plan, refused) = plan("s", &from, &to, &Grants::default(), &DeployOptions::default());
            assert_eq!((plan.memory, refused.len()), (expected, 0));
        }
    }

    #[test]
    fn a_request_says_how_much_of_it_is_granted() {
        let patterns = |all: &[&str]| all.iter().map(|text| text.parse().unwrap()).collect();
        let requests = Requests {
            send: patterns(&["a", "b/**", "c/*"]),
            files: BTreeMap::from([
                ("/in".into(), Access::Read),
                ("/out".into(), Access::ReadWrite),
                ("/no".into(), Access::Read),
            ]),
            environment: vec!["SET".into(), "UNSET".into()],
            sockets: vec!["10.0.0.1:80".parse().unwrap(), "*:443".parse().unwrap(), "10.0.0.2:1".parse().unwrap()],
            ..Requests::default()
        };
        let folder = |access| FileGrant::new("/tmp", access);
        let grants = Grants {
            send: patterns(&["a", "b/x"]),
            call: patterns(&["c/*"]),
            files: BTreeMap::from([("/in".into(), folder(Access::ReadWrite)), ("/out".into(), folder(Access::Read))]),
            environment: BTreeMap::from([("SET".into(), "1".into())]),
            sockets: vec!["*:80".parse().unwrap(), "10.0.0.1:443".parse().unwrap()],
            ..Grants::default()
        };
        let found: Vec<_> = asked(&requests, &grants)
            .into_iter()
            .map(|one| (one.capability.kind + " " + &one.capability.target, one.granted))
            .collect();
        let expected = [
            ("send a", Granted::All),
            ("send b/**", Granted::Part),
            ("send c/*", Granted::Nothing),
            ("files /in (read)", Granted::All),
            ("files /no (read)", Granted::Nothing),
            ("files /out (read-write)", Granted::Part),
            ("environment SET", Granted::All),
            ("environment UNSET", Granted::Nothing),
            ("sockets 10.0.0.1:80", Granted::All),
            ("sockets *:443", Granted::Part),
            ("sockets 10.0.0.2:1", Granted::Nothing),
        ];
        assert_eq!(found, expected.map(|(text, granted)| (text.to_owned(), granted)));
    }

    #[test]
    fn a_subscription_with_a_star_is_granted_where_the_policy_allows_it() {
        let patterns =
            |text: &str| text.split(' ').filter(|text| !text.is_empty()).map(|text| text.parse().unwrap()).collect();
        for wanted in ["t", "t/*", "t/**", "**", "t/a"] {
            for given in ["", "t", "t/*", "t/**", "**", "t/a", "u/*"] {
                let requests = Requests { subscribe: patterns(wanted), ..Requests::default() };
                let grants = Grants { subscribe: patterns(given), ..Grants::default() };
                let told = asked(&requests, &grants)[0].granted == Granted::All;
                let allowed = Policy::new(requests, grants).allows(Operation::Subscribe, wanted);
                assert_eq!(told, allowed, "{wanted} {given}");
            }
        }
    }

    #[test]
    fn an_older_schema_has_to_be_asked_for_and_what_has_no_migrate_reads_no_other() {
        let with = |exports| Interface { imports: Items::default(), exports };
        let (upgrade, plain) = (|| with(interface(UPGRADE, "", "")), Interface::default);
        for (from, to, new, refused, state) in [
            (1, 1, plain(), false, Stored::Kept),
            (0, 1, upgrade(), false, Stored::Migrated),
            (0, 1, plain(), false, Stored::Unreadable),
            (2, 1, upgrade(), true, Stored::Migrated),
        ] {
            let of = |schema| Manifest { state_schema: schema, ..manifest("0.0.0") };
            let (old_manifest, new_manifest) = (of(from), of(to));
            let (old, new) = (side(&old_manifest, "a", plain()), side(&new_manifest, "b", new));
            let told = |allow| {
                let options = DeployOptions { allow_downgrade: allow, ..DeployOptions::default() };
                plan("s", &old, &new, &Grants::default(), &options).0
            };
            assert_eq!(told(false).state_schema.state, state, "{from} {to}");
            let codes: Vec<_> = told(false).refusals.into_iter().map(|refusal| refusal.code).collect();
            assert_eq!(codes == ["older-schema"], refused, "{from} {to}: {codes:?}");
            assert!(told(true).refusals.is_empty(), "{from} {to}");
        }
    }

    /// Interfaces that differ in one thing each.
    const INTERFACES: [&str; 16] = [
        r#""#,
        r#"(export "f" (func))"#,
        r#"(export "f" (func (param "a" u8)))"#,
        r#"(export "f" (func (param "b" u8)))"#,
        r#"(export "f" (func (param "a" u16)))"#,
        r#"(export "f" (func (result u8)))"#,
        r#"(export "f" (func)) (export "g" (func))"#,
        r#"(type $t (enum "a" "b")) (export "t" (type $u (eq $t))) (export "f" (func (result $u)))"#,
        r#"(type $t (enum "a")) (export "t" (type $u (eq $t))) (export "f" (func (result $u)))"#,
        r#"(type $t (enum "b" "a")) (export "t" (type $u (eq $t))) (export "f" (func (result $u)))"#,
        r#"(type $t (flags "a" "b")) (export "t" (type $u (eq $t))) (export "f" (func (result $u)))"#,
        r#"(type $t (variant (case "a" u8) (case "b"))) (export "t" (type $u (eq $t))) (export "f" (func (result $u)))"#,
        r#"(type $t (variant (case "a" u8))) (export "t" (type $u (eq $t))) (export "f" (func (result $u)))"#,
        r#"(type $t (record (field "a" u8))) (export "t" (type $u (eq $t))) (export "f" (func (param "a" $u)))"#,
        r#"(type $t (record (field "a" u8) (field "b" (option u8)))) (export "t" (type $u (eq $t))) (export "f" (func (param "a" $u)))"#,
        r#"(export "t" (type $t (sub resource))) (export "f" (func (param "a" (borrow $t))))"#,
    ];

    /// Whether the validator lets a component that imports `old` have what is `new`.
    fn links(old: &str, new: &str) -> bool {
        let text = format!(
            r#"(component
                (import "new" (instance $new {new}))
                (component $user (import "old" (instance {old})))
                (instance (instantiate $user (with "old" (instance $new)))))"#
        );
        wasmparser::Validator::new().validate_all(&wat::parse_str(text).unwrap()).is_ok()
    }

    #[test]
    fn it_is_what_the_validator_says_of_every_pair() {
        let of = |items: &str| {
            Interface::of_text(&format!(r#"(component (import "a:b/c@1.0.0" (instance {items})))"#)).imports
        };
        let mut linked = 0;
        for old in INTERFACES {
            for new in INTERFACES {
                let compatible = broken(&compare(&of(old), &of(new))).is_empty();
                assert_eq!(compatible, links(old, new), "{old} by {new}");
                linked += usize::from(compatible);
            }
        }
        assert!(linked > INTERFACES.len() && linked < INTERFACES.len().pow(2), "{linked}");
    }

    fn structures() -> impl Strategy<Value = Structure> {
        const KINDS: &[&str] = &["func", "record", "u32", "list"];
        let leaf = prop::sample::select(KINDS).prop_map(|kind| Structure { kind: kind.into(), parts: Vec::new() });
        leaf.prop_recursive(3, 12, 3, |inner| {
            let part = ("[ab]", prop::option::of(inner));
            let part = part.prop_map(|(name, structure)| Part { role: "field", name, structure });
            (prop::sample::select(KINDS), prop::collection::vec(part, 0..3))
                .prop_map(|(kind, parts)| Structure { kind: kind.into(), parts })
        })
    }

    fn items() -> impl Strategy<Value = Items> {
        let interface = prop::sample::select(&["", "a:b/c@0.1.0", "a:b/c@0.1.1", "a:b/c@0.2.0", "d"][..]);
        let name = (interface, "[fgh]").prop_map(|(interface, name)| (interface.to_owned(), name));
        prop::collection::btree_map(name, structures(), 0..8)
    }

    proptest! {
            #[test]
            fn every_interface_is_compatible_with_itself(items in items()) {
                prop_assert!(compare(&items, &items).is_empty());
            }

            #[test]
            fn two_are_the_same_only_where_no_difference_is_told(one in structures(), other in structures()) {
                prop_assert_eq!(one.difference(&other).is_none(), one == other);
                prop_assert_eq!(one.difference(&other).is_none(), other.difference(&one).is_none());
            }

            #[test]
            fn without_an_export_none_is_compatible(items in items(), which: prop::sample::Index) {
                prop_assume!(!items.is_empty());
                let mut less = items.clone();
                let (name, _) = items.iter().nth(which.index(items.len())).unwrap();
                less.remove(name);
                // The same interface in a compatible version may have it as well.
                let changes = compare(&items, &less);
                let elsewhere = less.keys().any(|(interface, item)| interface != &name.0 && item == &name.1);
                prop_assert!(!broken(&changes).is_empty() || elsewhere);
    prop_assert_eq!(broken(&compare(&less, &items)), Vec::<String>::new());
            }
        }
}
