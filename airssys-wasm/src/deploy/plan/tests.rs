//! What a deployment would change, and whether it may.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Changes, DeployOptions, MemoryFate, Side, StateFate, UPGRADE, asked, broken, compare, plan};
use crate::capability::asked::Granted;
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
            assert_eq!((plan.no_op, plan.memory), (false, MemoryFate::StartsAnew));
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
        (upgrade(), upgrade(), MemoryFate::HandedOver),
        (upgrade(), with(Items::default()), MemoryFate::StartsAnew),
        (with(Items::default()), upgrade(), MemoryFate::StartsAnew),
    ] {
        let from = side(&manifest, "a", old);
        let to = side(&manifest, "b", new);
        let (plan, refused) = plan("s", &from, &to, &Grants::default(), &DeployOptions::default());
        assert_eq!((plan.memory, refused.len()), (expected, 0));
    }
}

#[test]
fn a_request_says_how_much_of_it_is_granted() {
    let requests = Requests {
        send: patterns(&["a", "b/**", "c/*"]),
        files: BTreeMap::from([
            ("/in".into(), Access::VIEW),
            ("/out".into(), Access::ALL),
            ("/no".into(), Access::VIEW),
        ]),
        environment: vec!["SET".into(), "UNSET".into()],
        sockets: vec!["10.0.0.1:80".parse().unwrap(), "*:443".parse().unwrap(), "10.0.0.2:1".parse().unwrap()],
        http: ["GET https://a/x", "* https://*.b/**", "GET http://a/x"].map(|text| text.parse().unwrap()).into(),
        ..Requests::default()
    };
    let folder = |access| FileGrant::new("/tmp", access);
    let grants = Grants {
        send: patterns(&["a", "b/x"]),
        call: patterns(&["c/*"]),
        files: BTreeMap::from([("/in".into(), folder(Access::ALL)), ("/out".into(), folder(Access::VIEW))]),
        environment: BTreeMap::from([("SET".into(), "1".into())]),
        sockets: vec!["*:80".parse().unwrap(), "10.0.0.1:443".parse().unwrap()],
        http: ["GET https://a/**", "GET https://c.b/**"].map(|text| text.parse().unwrap()).into(),
        ..Grants::default()
    };
    let found: Vec<_> =
        asked(&requests, &grants).into_iter().map(|one| (one.kind + " " + &one.target, one.granted.unwrap())).collect();
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
        ("http GET https://a/x", Granted::All),
        ("http * https://*.b/**", Granted::Part),
        ("http GET http://a/x", Granted::Nothing),
    ];
    assert_eq!(found, expected.map(|(text, granted)| (text.to_owned(), granted)));
}

fn patterns<T: std::str::FromStr<Err: std::fmt::Debug>>(all: &[&str]) -> Vec<T> {
    all.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_subscription_with_a_star_is_granted_where_the_policy_allows_it() {
    let split = |text: &'static str| -> Vec<&str> { text.split(' ').filter(|text| !text.is_empty()).collect() };
    for wanted in ["t", "t/*", "t/**", "**", "t/a"] {
        for given in ["", "t", "t/*", "t/**", "**", "t/a", "u/*"] {
            let requests = Requests { subscribe: patterns(&split(wanted)), ..Requests::default() };
            let grants = Grants { subscribe: patterns(&split(given)), ..Grants::default() };
            let told = asked(&requests, &grants)[0].granted == Some(Granted::All);
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
        (1, 1, plain(), false, StateFate::Kept),
        (0, 1, upgrade(), false, StateFate::Migrated),
        (0, 1, plain(), false, StateFate::Unreadable),
        (2, 1, upgrade(), true, StateFate::Migrated),
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
    let of =
        |items: &str| Interface::of_text(&format!(r#"(component (import "a:b/c@1.0.0" (instance {items})))"#)).imports;
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
            prop_assert_eq!(compare(&items, &items), Changes::default());
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
