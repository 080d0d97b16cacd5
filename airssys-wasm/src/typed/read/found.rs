//! A value that lies in a block, and what there is to know of it.

use serde::de::Visitor;

use crate::typed::space::{bytes, case};
use crate::typed::{Laid, Misfit, ValueType};

/// A value that lies in a block.
#[derive(Clone, Copy)]
pub(in crate::typed) struct Found<'a> {
    pub(super) block: &'a [u8],
    /// None is no value at all.
    pub(super) laid: Option<&'a Laid>,
    pub(super) at: usize,
    /// It is the record of a function's parameters, which may be taken in order.
    pub(super) is_parameters: bool,
    /// What the type of Rust has more than this one is refused as well.
    pub(super) is_strict: bool,
    /// Structs are given their fields in order, without names. Only where it was strictly read in this way before.
    pub(super) in_order: bool,
}

impl<'a> Found<'a> {
    /// What the type of Rust has more is refused.
    #[inline]
    pub(in crate::typed) fn strictly(block: &'a [u8], laid: Option<&'a Laid>) -> Self {
        Self { block, laid, at: 0, is_parameters: false, is_strict: true, in_order: false }
    }

    /// Structs are given their fields in order.
    pub(in crate::typed) fn in_order(self) -> Self {
        Self { in_order: true, ..self }
    }

    /// The same for the parameters of a function.
    pub(in crate::typed) fn parameters(block: &'a [u8], params: &'a Laid) -> Self {
        Self { is_parameters: true, ..Self::strictly(block, Some(params)) }
    }

    #[inline]
    pub(super) fn ty(&self) -> Option<&'a ValueType> {
        self.laid.map(|laid| &laid.ty)
    }

    /// Another value that lies in the same block.
    #[inline]
    pub(super) fn other(&self, laid: Option<&'a Laid>, at: usize) -> Self {
        Self { laid, at, is_parameters: false, ..*self }
    }

    pub(super) fn number<const N: usize>(&self) -> Result<[u8; N], Misfit> {
        bytes(self.block, self.at)
    }

    /// It is something else in Rust.
    pub(super) fn differs<T>(&self, rust: impl std::fmt::Display) -> Result<T, Misfit> {
        Err(match self.laid {
            Some(laid) => Misfit::new(format!("it is {laid}, and {rust} in Rust")),
            None => Misfit::new(format!("it is nothing, and {rust} in Rust")),
        })
    }

    /// The case that it is, and what that carries.
    #[inline]
    pub(super) fn case(&self) -> Result<Option<(&'a str, Self)>, Misfit> {
        let begins = self.at + self.ty().map_or(0, ValueType::carried_at);
        let which = |cases| case(self.block, self.at, cases);
        Ok(match self.ty() {
            Some(ValueType::Variant(cases)) => {
                cases.get(which(cases.len())?).map(|(name, of)| (&**name, self.other(of.as_ref(), begins)))
            }
            Some(ValueType::Enum(names)) => {
                names.get(which(names.len())?).map(|name| (&**name, self.other(None, begins)))
            }
            Some(ValueType::Option(of)) => Some(match which(2)? {
                0 => ("none", self.other(None, begins)),
                _ => ("some", self.other(Some(of), begins)),
            }),
            Some(ValueType::Result(ok, error)) => Some(match which(2)? {
                0 => ("ok", self.other(ok.as_deref(), begins)),
                _ => ("err", self.other(error.as_deref(), begins)),
            }),
            _ => None,
        })
    }

    pub(super) fn float<'de, V: Visitor<'de>>(
        self,
        value: f64,
        single: Option<f32>,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match (value, single) {
            // What JSON has no numbers for.
            _ if value.is_nan() => visitor.visit_str("NaN"),
            _ if value.is_infinite() => visitor.visit_str(if value > 0.0 { "Infinity" } else { "-Infinity" }),
            (_, Some(single)) => visitor.visit_f32(single),
            (value, None) => visitor.visit_f64(value),
        }
    }
}
