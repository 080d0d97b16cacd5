//! What a component imports and exports, by structure: read from the compiled binary, and owned.

use std::borrow::Cow;
use std::collections::BTreeMap;

use wasmtime::component::types::{ComponentItem, Type};
use wasmtime::component::{Component, ResourceType};
use wasmtime::{Engine, ExternType};

use crate::typed::track;

/// All imports and exports of a component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    /// What it imports.
    pub(crate) imports: Items,
    /// What it exports.
    pub(crate) exports: Items,
}

/// Functions, resources and types: first the interface, then the name in it. What stands in no interface has the empty
/// one; an interface without items has one without a name.
pub(crate) type Items = BTreeMap<(String, String), Structure>;

/// A type by its structure. Two that are equal are the same type, whatever they are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Structure {
    /// `u32`, `record`, `func` ...
    pub(crate) kind: Cow<'static, str>,
    /// What it is made of, in order.
    pub(crate) parts: Vec<Part>,
}

/// A field, a case, a parameter ...
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// What it is: `field`, `case`, `parameter` ...
    pub(crate) role: &'static str,
    /// Its name; empty where there is but one.
    pub(crate) name: String,
    /// Its type; none for a name alone.
    pub(crate) structure: Option<Structure>,
}

/// What componentize-py calls the interface that it leaves behind.
pub(super) const LEFT_BEHIND: &str = "exports";

/// Whether an export is nothing that its author wrote, but what componentize-py leaves in every component: the function
/// that it called to initialise the interpreter before it wrote the binary. Nobody is to call it again, and a release
/// in another language has none. It is known by its shape, since its name is a usual word.
pub(super) fn is_left_behind(engine: &Engine, name: &str, item: &ComponentItem) -> bool {
    let ComponentItem::ComponentInstance(interface) = item else { return false };
    let mut functions = interface.exports(engine).filter_map(|(name, item)| match item.ty {
        ComponentItem::ComponentFunc(function) => Some((name, function)),
        _ => None,
    });
    let (Some(("init", init)), None) = (functions.next(), functions.next()) else { return false };
    name == LEFT_BEHIND && init.params().map(|(name, _)| name).eq(["app-name", "symbols", "stub-wasi"])
}

impl Structure {
    fn plain(kind: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: kind.into(), parts: Vec::new() }
    }

    /// How `new` differs: the way to the first difference, and what is there. None where they are the same type.
    #[must_use]
    pub(crate) fn difference(&self, new: &Self) -> Option<String> {
        if self.kind != new.kind {
            return Some(format!("{} became {}", self.kind, new.kind));
        }
        let mut pairs = self.parts.iter().zip(&new.parts);
        let differs = pairs.find_map(|(old, new)| old.difference(new));
        let (had, has) = (self.parts.len(), new.parts.len());
        differs.or_else(|| {
            let (more, what) =
                if had > has { (self.parts.get(has), "is gone") } else { (new.parts.get(had), "is new") };
            Some(format!("{} {what}", more?.label()))
        })
    }
}

impl Part {
    fn new(role: &'static str, name: impl Into<String>, structure: Option<Structure>) -> Self {
        Self { role, name: name.into(), structure }
    }

    fn label(&self) -> String {
        if self.name.is_empty() { self.role.to_owned() } else { format!("{} `{}`", self.role, self.name) }
    }

    fn difference(&self, new: &Self) -> Option<String> {
        if (self.role, &self.name) != (new.role, &new.name) {
            return Some(format!("{} in place of {}", new.label(), self.label()));
        }
        let inner = match (&self.structure, &new.structure) {
            (None, None) => return None,
            (Some(old), Some(new)) => old.difference(new)?,
            (None, Some(new)) => format!("a {} is new", new.kind),
            (Some(old), None) => format!("the {} is gone", old.kind),
        };
        Some(format!("{}: {inner}", self.label()))
    }
}

impl Interface {
    /// That of a component as text.
    #[cfg(test)]
    #[allow(clippy::unwrap_used, reason = "a test")]
    pub(crate) fn of_text(text: &str) -> Self {
        Self::of(&Component::new(&Engine::default(), wat::parse_str(text).unwrap()).unwrap())
    }

    pub(super) fn of(component: &Component) -> Self {
        let (engine, ty) = (component.engine(), component.component_type());
        let mut reader = Reader { engine, resources: Vec::new() };
        // What an item is called must be known before the functions that use it are read.
        let exports = || ty.exports(engine).filter(|(name, item)| !is_left_behind(engine, name, &item.ty));
        for (name, item) in ty.imports(engine).chain(exports()) {
            reader.name_resources(name, &item.ty);
        }
        let mut read = Self::default();
        ty.imports(engine).for_each(|(name, item)| reader.items(name, &item.ty, &mut read.imports));
        exports().for_each(|(name, item)| reader.items(name, &item.ty, &mut read.exports));
        read
    }
}

struct Reader<'a> {
    engine: &'a Engine,
    /// Resources have no structure; they are told apart by the first name that they have.
    resources: Vec<(ResourceType, String)>,
}

impl Reader<'_> {
    fn name_resources(&mut self, name: &str, item: &ComponentItem) {
        match item {
            ComponentItem::Resource(resource) if self.resource(resource).is_none() => {
                self.resources.push((*resource, name.to_owned()));
            }
            ComponentItem::ComponentInstance(instance) => {
                for (inner, item) in instance.exports(self.engine) {
                    self.name_resources(&format!("{}#{inner}", track(name)), &item.ty);
                }
            }
            _ => {}
        }
    }

    fn resource(&self, resource: &ResourceType) -> Option<&str> {
        self.resources.iter().find(|(known, _)| known == resource).map(|(_, name)| name.as_str())
    }

    fn items(&self, name: &str, item: &ComponentItem, into: &mut Items) {
        let ComponentItem::ComponentInstance(instance) = item else {
            into.insert((String::new(), name.to_owned()), self.item(item));
            return;
        };
        if instance.exports(self.engine).len() == 0 {
            into.insert((name.to_owned(), String::new()), Structure::plain("interface"));
        }
        for (inner, item) in instance.exports(self.engine) {
            into.insert((name.to_owned(), inner.to_owned()), self.item(&item.ty));
        }
    }

    fn item(&self, item: &ComponentItem) -> Structure {
        let part = |role, name: &str, item: &ComponentItem| Part::new(role, name, Some(self.item(item)));
        match item {
            ComponentItem::ComponentFunc(function) => {
                let parameter = |(name, ty)| Part::new("parameter", name, Some(self.ty(&ty)));
                let result = |ty| Part::new("result", "", Some(self.ty(&ty)));
                let parts = function.params().map(parameter).chain(function.results().map(result)).collect();
                Structure { kind: if function.async_() { "async func" } else { "func" }.into(), parts }
            }
            ComponentItem::Type(ty) => self.ty(ty),
            ComponentItem::Resource(resource) => self.handle("resource", resource),
            ComponentItem::ComponentInstance(instance) => {
                let exports = instance.exports(self.engine);
                unordered("interface", exports.map(|(name, item)| part("export", name, &item.ty)))
            }
            ComponentItem::Component(component) => {
                let imports = component.imports(self.engine).map(|(name, item)| part("import", name, &item.ty));
                let exports = component.exports(self.engine).map(|(name, item)| part("export", name, &item.ty));
                unordered("component", imports.chain(exports))
            }
            ComponentItem::Module(module) => {
                let imports = module
                    .imports(self.engine)
                    .map(|((from, name), ty)| Part::new("import", format!("{from} {name}"), Some(core(&ty))));
                let exports = module.exports(self.engine);
                let exports = exports.map(|(name, ty)| Part::new("export", name, Some(core(&ty))));
                unordered("module", imports.chain(exports))
            }
            ComponentItem::CoreFunc(function) => Structure::plain(format!("core {function}")),
        }
    }

    fn handle(&self, kind: &'static str, resource: &ResourceType) -> Structure {
        let name = self.resource(resource).unwrap_or_default();
        Structure { kind: kind.into(), parts: vec![Part::new("resource", name, None)] }
    }

    fn ty(&self, ty: &Type) -> Structure {
        let of = |kind: &'static str, parts| Structure { kind: kind.into(), parts };
        let maybe = |role, ty: Option<Type>| Part::new(role, "", ty.map(|ty| self.ty(&ty)));
        let element = |ty: Type| maybe("element", Some(ty));
        match ty {
            Type::Bool => Structure::plain("bool"),
            Type::S8 => Structure::plain("s8"),
            Type::U8 => Structure::plain("u8"),
            Type::S16 => Structure::plain("s16"),
            Type::U16 => Structure::plain("u16"),
            Type::S32 => Structure::plain("s32"),
            Type::U32 => Structure::plain("u32"),
            Type::S64 => Structure::plain("s64"),
            Type::U64 => Structure::plain("u64"),
            Type::Float32 => Structure::plain("f32"),
            Type::Float64 => Structure::plain("f64"),
            Type::Char => Structure::plain("char"),
            Type::String => Structure::plain("string"),
            Type::ErrorContext => Structure::plain("error-context"),
            Type::List(list) => of("list", vec![element(list.ty())]),
            Type::FixedLengthList(list) => {
                Structure { kind: format!("list of {}", list.len()).into(), parts: vec![element(list.ty())] }
            }
            Type::Map(map) => of("map", vec![maybe("key", Some(map.key())), maybe("value", Some(map.value()))]),
            Type::Record(record) => of(
                "record",
                record.fields().map(|field| Part::new("field", field.name, Some(self.ty(&field.ty)))).collect(),
            ),
            Type::Tuple(tuple) => of("tuple", tuple.types().map(element).collect()),
            Type::Variant(variant) => {
                let case = |case: wasmtime::component::types::Case<'_>| {
                    Part::new("case", case.name, case.ty.map(|ty| self.ty(&ty)))
                };
                of("variant", variant.cases().map(case).collect())
            }
            Type::Enum(cases) => of("enum", cases.names().map(|name| Part::new("case", name, None)).collect()),
            Type::Flags(flags) => of("flags", flags.names().map(|name| Part::new("flag", name, None)).collect()),
            Type::Option(option) => of("option", vec![element(option.ty())]),
            Type::Result(result) => of("result", vec![maybe("ok", result.ok()), maybe("error", result.err())]),
            Type::Own(resource) => self.handle("own", resource),
            Type::Borrow(resource) => self.handle("borrow", resource),
            Type::Future(future) => of("future", vec![maybe("element", future.ty())]),
            Type::Stream(stream) => of("stream", vec![maybe("element", stream.ty())]),
        }
    }
}

/// One whose parts have no order of their own.
fn unordered(kind: &'static str, parts: impl Iterator<Item = Part>) -> Structure {
    let mut parts: Vec<Part> = parts.collect();
    parts.sort_by(|a, b| (a.role, &a.name).cmp(&(b.role, &b.name)));
    Structure { kind: kind.into(), parts }
}

fn core(ty: &ExternType) -> Structure {
    Structure::plain(match ty {
        ExternType::Func(function) => format!("core {function}"),
        other => format!("core {other:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::Interface;

    #[test]
    fn resources_are_told_apart_by_their_names() {
        let import = |version: &str, used: &str| {
            Interface::of_text(&format!(
                r#"(component
                    (import "a:b/c@{version}" (instance
                        (export "one" (type $one (sub resource)))
                        (export "two" (type $two (sub resource)))
                        (export "open" (func (result (own ${used})))))))"#
            ))
        };
        let open = |interface: &Interface| {
            let mut items = interface.imports.iter();
            items.find(|((_, name), _)| name == "open").map(|(_, structure)| structure.clone())
        };
        let before = open(&import("0.2.0", "one"));
        assert!(before.is_some());
        assert_eq!(before, open(&import("0.2.6", "one")));
        assert_ne!(before, open(&import("0.2.0", "two")));
    }

    #[test]
    fn what_a_tool_chain_left_behind_is_no_part_of_it_and_what_only_is_called_so_is() {
        let exported = |exported: &str, parameters: [&str; 3]| {
            let parameters = parameters.map(|name| format!(r#"(param "{name}" u32)"#)).concat();
            let text = format!(
                r#"(component
                    (core module $m (func (export "init") (param i32 i32 i32)))
                    (core instance $c (instantiate $m))
                    (func $init {parameters} (canon lift (core func $c "init")))
                    (instance $i (export "init" (func $init)))
                    (export "{exported}" (instance $i)))"#
            );
            Interface::of_text(&text).exports.len()
        };
        let left = ["app-name", "symbols", "stub-wasi"];
        assert_eq!(exported("exports", left), 0);
        assert_eq!(exported("others", left), 1);
        assert_eq!(exported("exports", ["app-name", "seed", "stub-wasi"]), 1);
    }

    #[test]
    fn what_is_exported_beside_interfaces_is_described_too() {
        let interface = Interface::of_text(
            r#"(component
                (core module $m (func (export "f") (param i32)))
                (instance $empty)
                (export "module" (core module $m))
                (export "a:b/empty" (instance $empty)))"#,
        );
        let kinds: Vec<_> = interface.exports.iter().map(|((of, name), is)| (&**of, &**name, &*is.kind)).collect();
        assert_eq!(kinds, [("", "module", "module"), ("a:b/empty", "", "interface")]);
    }
}
