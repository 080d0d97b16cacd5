//! One name as it is written in WIT and in Rust, and the cases that a type has by name.

use super::{Laid, ValueType};

/// Whether a name of WIT is this one of Rust: `unit-price` is `unit_price` and `UnitPrice`, and `type` is `type_`.
#[inline]
#[must_use]
pub(crate) fn same_name(wit: &str, rust: &str) -> bool {
    wit == rust || same_letters(wit, rust)
}

fn same_letters(wit: &str, rust: &str) -> bool {
    fn letters(name: &str) -> impl Iterator<Item = u8> {
        name.bytes().filter(|byte| !matches!(byte, b'-' | b'_')).map(|byte| byte.to_ascii_lowercase())
    }
    letters(wit).eq(letters(rust))
}

/// A case: which one it is, of how many, and what it carries.
type Case<'a> = (usize, usize, Option<&'a Laid>);

impl Laid {
    /// The case of this type that `is_it`; none where it has no cases, or no such one.
    pub(super) fn case_named(&self, is_it: impl Fn(&str) -> bool) -> Option<Case<'_>> {
        let two = |first: &str, second: &str| if is_it(first) { Some(0) } else { is_it(second).then_some(1) };
        match &self.ty {
            ValueType::Variant(cases) => {
                let (case, (_, carried)) = cases.iter().enumerate().find(|(_, (name, _))| is_it(name))?;
                Some((case, cases.len(), carried.as_ref()))
            }
            ValueType::Enum(names) => Some((names.iter().position(|name| is_it(name))?, names.len(), None)),
            ValueType::Option(of) => two("none", "some").map(|case| (case, 2, (case == 1).then_some(&**of))),
            ValueType::Result(ok, error) => {
                let case = two("ok", "err")?;
                Some((case, 2, if case == 0 { ok.as_deref() } else { error.as_deref() }))
            }
            _ => None,
        }
    }

    /// Whether it is an option of an option, whose `some(none)` JSON could not tell from `none`.
    pub(super) fn is_nested_option(&self) -> bool {
        matches!(&self.ty, ValueType::Option(of) if matches!(of.ty, ValueType::Option(_)))
    }
}
