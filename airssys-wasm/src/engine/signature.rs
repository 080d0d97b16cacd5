//! The types of functions, as the engine has them, made into ours.

use wasmtime::Engine;
use wasmtime::component::ResourceType;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};

use crate::typed::{FunctionType, Laid, ValueType, track};

/// The resources that functions may mention. They have no structure, so they are told apart by their names, and have
/// that of the interface which says them first.
#[derive(Default)]
pub(super) struct Resources(Vec<(ResourceType, Box<str>)>);

impl Resources {
    /// Takes up those of an interface.
    pub(super) fn read(&mut self, engine: &Engine, interface: &str, item: &ComponentItem) {
        let ComponentItem::ComponentInstance(instance) = item else { return };
        for (name, item) in instance.exports(engine) {
            if let ComponentItem::Resource(resource) = item.ty
                && self.name(&resource).is_none()
            {
                self.0.push((resource, named(interface, name)));
            }
        }
    }

    /// Which of them it is, and its name.
    pub(super) fn get(&self, resource: &ResourceType) -> Option<(usize, &str)> {
        self.0.iter().position(|(known, _)| known == resource).and_then(|at| Some((at, &*self.0.get(at)?.1)))
    }

    /// Forgets those that others have as well.
    pub(super) fn without(mut self, others: &Self) -> Self {
        self.0.retain(|(resource, _)| others.name(resource).is_none());
        self
    }

    /// Its name, where it is one of these, and this interface says it first.
    pub(super) fn said_by(&self, resource: &ResourceType, interface: &str, name: &str) -> Option<&str> {
        self.name(resource).filter(|full| **full == *named(interface, name))
    }

    fn name(&self, resource: &ResourceType) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == resource).map(|(_, name)| &**name)
    }

    /// The type of a function; none where not all that it takes and returns are values that can cross.
    /// Whether it is async is its own affair, and not its callers'.
    pub(super) fn function(&self, interface: Option<&str>, name: &str, item: &ComponentFunc) -> Option<FunctionType> {
        let params = item.params().map(|(name, ty)| Some((name.into(), self.laid(&ty)?))).collect::<Option<_>>()?;
        let result = match item.results().next() {
            Some(ty) => Some(self.laid(&ty)?),
            None => None,
        };
        let (interface, name) = (interface.map(Into::into), name.into());
        Some(FunctionType { interface, name, params: ValueType::Record(params).into(), result })
    }

    /// A type of the engine as ours; none where values of it belong to an instance, and are no resources of these.
    fn laid(&self, ty: &Type) -> Option<Laid> {
        let boxed = |ty: Type| self.laid(&ty).map(Box::new);
        let maybe = |ty: Option<Type>| match ty {
            Some(ty) => Some(Some(boxed(ty)?)),
            None => Some(None),
        };
        Some(
            match ty {
                Type::Bool => ValueType::Bool,
                Type::S8 => ValueType::S8,
                Type::U8 => ValueType::U8,
                Type::S16 => ValueType::S16,
                Type::U16 => ValueType::U16,
                Type::S32 => ValueType::S32,
                Type::U32 => ValueType::U32,
                Type::S64 => ValueType::S64,
                Type::U64 => ValueType::U64,
                Type::Float32 => ValueType::F32,
                Type::Float64 => ValueType::F64,
                Type::Char => ValueType::Char,
                Type::String => ValueType::String,
                Type::List(list) => ValueType::List(boxed(list.ty())?),
                Type::Record(record) => {
                    let fields = record.fields().map(|field| Some((field.name.into(), self.laid(&field.ty)?)));
                    ValueType::Record(fields.collect::<Option<_>>()?)
                }
                Type::Tuple(tuple) => ValueType::Tuple(tuple.types().map(|ty| self.laid(&ty)).collect::<Option<_>>()?),
                Type::Variant(variant) => {
                    let cases = variant.cases().map(|case| {
                        let carries = match case.ty {
                            Some(ty) => Some(self.laid(&ty)?),
                            None => None,
                        };
                        Some((case.name.into(), carries))
                    });
                    ValueType::Variant(cases.collect::<Option<_>>()?)
                }
                Type::Enum(cases) => ValueType::Enum(cases.names().map(Into::into).collect()),
                Type::Flags(flags) => ValueType::Flags(flags.names().map(Into::into).collect()),
                Type::Option(option) => ValueType::Option(boxed(option.ty())?),
                Type::Result(result) => ValueType::Result(maybe(result.ok())?, maybe(result.err())?),
                Type::Own(resource) => ValueType::Own(self.name(resource)?.into()),
                Type::Borrow(resource) => ValueType::Borrow(self.name(resource)?.into()),
                Type::FixedLengthList(_) | Type::Map(_) | Type::Future(_) | Type::Stream(_) | Type::ErrorContext => {
                    return None;
                }
            }
            .into(),
        )
    }
}

/// The function that drops a handle of a resource: the component model has it beside those that a component exports.
pub(super) fn drop_function(interface: Option<&str>, resource: &str) -> FunctionType {
    let handle = ValueType::Own(resource.into()).into();
    let (within, name) = resource.rsplit_once('#').unwrap_or(("", resource));
    FunctionType {
        interface: Some(interface.unwrap_or(within).into()),
        name: format!("[resource-drop]{name}").into(),
        params: ValueType::Record(vec![("self".into(), handle)]).into(),
        result: None,
    }
}

pub(super) fn named(interface: &str, name: &str) -> Box<str> {
    format!("{}#{name}", track(interface)).into()
}
