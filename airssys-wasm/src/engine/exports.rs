//! What a component exports of the contract and of HTTP, beside what this host calls: read from the types of the
//! binary, before anything is compiled.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentEntityType, ComponentFuncTypeId, ComponentValType, ResourceId,
};
use wasmparser::types::TypesRef;

use super::anatomy::Anatomy;
use super::command::{is_run, run_of};
use super::contract::{CONTRACT, HANDLER, HEALTH, LAYER, LIFECYCLE, MONITORING, UPGRADE};
use super::functions::is_typed;
use super::http::{handle_of, is_handler};
use super::interface::LEFT_BEHIND;
use super::obstacle::Obstacle;
use super::signature::named;

const FAULT: &str = "variant { invalid(string), refused(string), unavailable(string), internal(string) }";

/// Each interface that this host calls, its functions, and their types: the contract in `wit/`, without the names of
/// its types.
fn contract() -> [(&'static str, Vec<(&'static str, String)>); 6] {
    let message = "record { id: u64, sender: option<string>, key: option<string>, \
        delivery: variant { send, call(u64), publish(string), timer(u64) }, attempt: u32, body: list<u8> }";
    let reason = "variant { normal, stopped, killed, \
        crashed(record { code: string, detail: string }), no-child }";
    let done = format!("result<_, {FAULT}>");
    let operation = "record { kind: string, needs: list<string>, sender: option<string>, target: string, \
        also: option<string>, function: option<string>, size: u64, body: option<list<u8>> }";
    let failure = "record { code: string, detail: string }";
    [
        (HANDLER, vec![("handle", format!("func(msg: {message}) -> result<option<list<u8>>, {FAULT}>"))]),
        (
            LIFECYCLE,
            vec![
                ("init", format!("func() -> {done}")),
                ("stop", "func(reason: enum { shutdown, restart, idle })".to_owned()),
            ],
        ),
        (HEALTH, vec![("check", format!("func() -> {done}"))]),
        (
            UPGRADE,
            vec![
                ("snapshot", format!("func() -> result<option<list<u8>>, {FAULT}>")),
                ("restore", format!("func(snapshot: list<u8>) -> {done}")),
                ("migrate", format!("func(from-version: u32) -> {done}")),
            ],
        ),
        (
            LAYER,
            vec![
                ("before", format!("func(what: {operation}) -> variant {{ pass, reject(string) }}")),
                ("after", format!("func(what: {operation}, outcome: variant {{ done, failed({failure}) }})")),
                (
                    "on-error",
                    format!(
                        "func(what: {operation}, failure: {failure}) -> \
                         variant {{ keep, replace(string), suppress, retry, stop }}"
                    ),
                ),
            ],
        ),
        (
            MONITORING,
            vec![(
                "down",
                format!("func(notice: record {{ child: string, reason: {reason}, restarted: bool }}) -> {done}"),
            )],
        ),
    ]
}

/// An interface that a component exports and this host calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exported {
    interface: String,
    /// Each function by its name, and its type; none where it is no interface.
    functions: Option<BTreeMap<String, String>>,
}

/// The functions of an interface that this host calls, and their types; none where it calls no such interface.
fn called(interface: &str) -> Option<Vec<(&'static str, String)>> {
    if let Some(function) = handle_of(interface) {
        return Some(vec![("handle", function.to_owned())]);
    }
    if let Some(function) = run_of(interface) {
        return Some(vec![("run", function.to_owned())]);
    }
    contract().into_iter().find(|(known, _)| *known == interface).map(|(_, functions)| functions)
}

/// What a component exports of what this host calls, of all these names. Nothing else is read: the text of a type may
/// be far longer than the type.
pub(super) fn read(types: TypesRef<'_>, Anatomy { imports, exports }: &Anatomy) -> Vec<Exported> {
    let types = Texts { types, resources: resources(types, imports) };
    let read = exports.iter().filter_map(|interface| {
        let called = called(interface)?;
        let item = types.types.component_item_for_export(interface)?;
        let functions = match item.ty {
            ComponentEntityType::Instance(instance) => {
                let there = called.iter().filter_map(|(name, _)| {
                    let text = match types.types[instance].exports.get(*name)?.ty {
                        ComponentEntityType::Func(function) => types.func(function),
                        _ => "no function".to_owned(),
                    };
                    Some(((*name).to_owned(), text))
                });
                Some(there.collect())
            }
            _ => None,
        };
        Some(Exported { interface: interface.clone(), functions })
    });
    read.collect()
}

/// Whether a component that exports these is a command. It lives for one run, so nothing else of the contract could be
/// asked of it.
pub(super) fn is_command(exports: &[String]) -> bool {
    exports.iter().any(|name| is_run(name))
        && !exports
            .iter()
            .any(|name| name.starts_with(CONTRACT) || is_handler(name) || (is_typed(name) && name != LEFT_BEHIND))
}

/// What of the contract a component does not export, or exports otherwise than this host calls it. `exports` are the
/// names of all that it exports.
pub(super) fn wrong(exported: &[Exported], exports: &[String]) -> Vec<Obstacle> {
    let mut wrong = Vec::new();
    let is_called = |name: &String| name == HANDLER || is_handler(name) || is_typed(name);
    if !exports.iter().any(is_called) && !is_command(exports) {
        let found = exports.iter().filter(|name| name.starts_with(CONTRACT)).cloned().collect();
        wrong.push(Obstacle::NoHandler { found });
    }
    for Exported { interface, functions } in exported {
        let differs = match functions {
            Some(there) => called(interface).into_iter().flatten().find_map(|(name, expected)| match there.get(name) {
                Some(found) if *found == expected => None,
                Some(found) => Some(format!("`{name}` is {found}, and this host calls {expected}")),
                None => Some(format!("it has no `{name}`")),
            }),
            None => Some("it is no interface".to_owned()),
        };
        wrong.extend(differs.map(|detail| Obstacle::Export { export: interface.clone(), detail }));
    }
    wrong
}

/// The resources that a component imports, by the interface that says them first.
fn resources(types: TypesRef<'_>, imports: &[String]) -> Vec<(ResourceId, Box<str>)> {
    let mut found: Vec<(ResourceId, Box<str>)> = Vec::new();
    for import in imports {
        let Some(ComponentEntityType::Instance(instance)) = types.component_item_for_import(import).map(|item| item.ty)
        else {
            continue;
        };
        for (name, item) in &types[instance].exports {
            if let ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(id), .. } = item.ty
                && found.iter().all(|(known, _)| *known != id.resource())
            {
                found.push((id.resource(), named(import, name)));
            }
        }
    }
    found
}

/// Types as they are written.
struct Texts<'a> {
    types: TypesRef<'a>,
    resources: Vec<(ResourceId, Box<str>)>,
}

impl Texts<'_> {
    fn resource(&self, id: ResourceId) -> &str {
        self.resources.iter().find(|(known, _)| *known == id).map_or("its own", |(_, name)| name)
    }

    fn func(&self, id: ComponentFuncTypeId) -> String {
        let function = &self.types[id];
        let params = function.params.iter().map(|(name, ty)| format!("{name}: {}", self.text(ty)));
        let params: Vec<String> = params.collect();
        let result = function.result.map(|ty| format!(" -> {}", self.text(&ty))).unwrap_or_default();
        format!("{}func({}){result}", if function.async_ { "async " } else { "" }, params.join(", "))
    }

    /// A type as it is written in WIT, by its structure: two that are equal are the same type, whatever they are
    /// called.
    fn text(&self, ty: &ComponentValType) -> String {
        let id = match ty {
            ComponentValType::Primitive(primitive) => return primitive.to_string(),
            ComponentValType::Type(id) => *id,
        };
        let of = |ty: &ComponentValType| self.text(ty);
        let maybe = |ty: &Option<ComponentValType>| ty.as_ref().map_or_else(|| "_".to_owned(), of);
        let fields = |kind: &str, all: Vec<String>| format!("{kind} {{ {} }}", all.join(", "));
        match &self.types[id] {
            ComponentDefinedType::Primitive(primitive) => primitive.to_string(),
            ComponentDefinedType::Record(record) => {
                fields("record", record.fields.iter().map(|(name, ty)| format!("{name}: {}", of(ty))).collect())
            }
            ComponentDefinedType::Variant(variant) => {
                let case = |(name, ty): (&str, Option<ComponentValType>)| match ty {
                    Some(ty) => format!("{name}({})", of(&ty)),
                    None => name.to_owned(),
                };
                fields("variant", variant.cases.iter().map(|(name, of)| case((name.as_str(), of.ty))).collect())
            }
            ComponentDefinedType::List { element, .. } => format!("list<{}>", of(element)),
            ComponentDefinedType::Map { key, value, .. } => format!("map<{}, {}>", of(key), of(value)),
            ComponentDefinedType::FixedLengthList { element, length, .. } => format!("list<{}, {length}>", of(element)),
            ComponentDefinedType::Tuple(tuple) => {
                let all: Vec<String> = tuple.types.iter().map(of).collect();
                format!("tuple<{}>", all.join(", "))
            }
            ComponentDefinedType::Flags(names) => fields("flags", names.iter().map(ToString::to_string).collect()),
            ComponentDefinedType::Enum(names) => fields("enum", names.iter().map(ToString::to_string).collect()),
            ComponentDefinedType::Option { ty, .. } => format!("option<{}>", of(ty)),
            ComponentDefinedType::Result { ok: None, err: None, .. } => "result".to_owned(),
            ComponentDefinedType::Result { ok, err: None, .. } => format!("result<{}>", maybe(ok)),
            ComponentDefinedType::Result { ok, err, .. } => format!("result<{}, {}>", maybe(ok), maybe(err)),
            ComponentDefinedType::Own(id) => format!("own<{}>", self.resource(id.resource())),
            ComponentDefinedType::Borrow(id) => format!("borrow<{}>", self.resource(id.resource())),
            ComponentDefinedType::Future { ty, .. } => format!("future<{}>", maybe(ty)),
            ComponentDefinedType::Stream { ty, .. } => format!("stream<{}>", maybe(ty)),
        }
    }
}
