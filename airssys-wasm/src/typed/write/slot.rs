//! The place of one value in a block.

use crate::typed::space::Space;
use crate::typed::{Laid, Misfit, ValueType, same_name};

/// Where a value is to lie, and of which type it is to be; none is no value at all.
pub(in crate::typed) struct Slot<'a> {
    pub(super) space: &'a mut Space,
    pub(super) laid: Option<&'a Laid>,
    pub(super) at: usize,
    /// It is the record of a function's parameters, which may be given in order.
    pub(super) is_parameters: bool,
}

impl<'a> Slot<'a> {
    #[inline]
    pub(in crate::typed) fn new(space: &'a mut Space, laid: Option<&'a Laid>, at: usize) -> Self {
        Self { space, laid, at, is_parameters: false }
    }

    #[inline]
    pub(super) fn of_parameters(space: &'a mut Space, params: &'a Laid) -> Self {
        Self { space, laid: Some(params), at: 0, is_parameters: true }
    }

    #[inline]
    pub(super) fn ty(&self) -> Option<&'a ValueType> {
        self.laid.map(|laid| &laid.ty)
    }

    /// What is in an option, where JSON says just that.
    #[inline]
    pub(super) fn within(self) -> Result<Self, Misfit> {
        match self.laid {
            Some(laid) if matches!(laid.ty, ValueType::Option(_)) && !laid.is_nested_option() => {
                self.case_of_json("some")
            }
            _ => Ok(self),
        }
    }

    #[inline]
    pub(super) fn put<const N: usize>(self, bytes: [u8; N]) -> Result<(), Misfit> {
        self.space.put(self.at, bytes)
    }

    pub(super) fn misfit<T>(&self, found: impl std::fmt::Display) -> Result<T, Misfit> {
        Err(match self.laid {
            Some(laid) => Misfit::wanted(laid, &found),
            None => Misfit::wanted(&"nothing", &found),
        })
    }

    /// A whole number, whatever kind of number is wanted: JSON has one kind.
    pub(super) fn integer(self, value: i128) -> Result<(), Misfit> {
        macro_rules! of {
            ($ty:ty) => {
                match <$ty>::try_from(value) {
                    Ok(value) => self.put(value.to_le_bytes()),
                    Err(_) => self.misfit(value),
                }
            };
        }
        match self.ty() {
            Some(ValueType::S8) => of!(i8),
            Some(ValueType::U8) => of!(u8),
            Some(ValueType::S16) => of!(i16),
            Some(ValueType::U16) => of!(u16),
            Some(ValueType::S32) => of!(i32),
            Some(ValueType::U32) => of!(u32),
            Some(ValueType::S64) => of!(i64),
            Some(ValueType::U64) => of!(u64),
            // The nearest one, as of any other text of a number.
            Some(ValueType::F32) => self.put((value as f32).to_le_bytes()),
            Some(ValueType::F64) => self.put((value as f64).to_le_bytes()),
            _ => self.misfit(value),
        }
    }

    /// Writes which case it is; where what it carries lies.
    fn begin_case(self, name: &str, is_same: impl Fn(&str, &str) -> bool) -> Result<Self, Misfit> {
        let found = match self.laid {
            Some(laid) => laid.case_named(|case| is_same(case, name)),
            None => None,
        };
        let Some((case, cases, carried)) = found else { return self.misfit(text(name)) };
        self.space.put_case(self.at, case, cases)?;
        let begins = self.ty().map_or(0, ValueType::carried_at);
        Ok(Self { laid: carried, at: self.at + begins, is_parameters: false, ..self })
    }

    /// The same for one that carries something, as Rust has it.
    pub(super) fn case_of_rust(self, name: &str) -> Result<Self, Misfit> {
        self.begin_case(name, same_name)
    }

    /// The same as JSON has it.
    pub(super) fn case_of_json(self, name: &str) -> Result<Self, Misfit> {
        self.begin_case(name, |case, name| case == name)
    }
}

/// A value as what an error says of it.
pub(super) fn text(value: &str) -> String {
    let mut shown: String = value.chars().take(40).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}
