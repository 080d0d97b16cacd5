//! A table of keys, and what is made of it.

use toml::Table;

use super::key::{Key, Number};
use super::range::Unit;
use super::written::Written;

/// What is written as a table of keys.
pub(crate) trait Schema {
    /// The keys, in the order of the book.
    const KEYS: &'static [Key];
    /// What a file says of it.
    type Written;

    /// Changes what a file says; all else stays.
    fn take(&mut self, written: &Self::Written);

    /// Whether a file says something of this key.
    fn names(written: &Self::Written, key: &str) -> bool;

    /// Each key with its value, as it is written.
    fn table(&self) -> Table;

    /// The numbers in it, in the order of the keys.
    fn numbers(&self) -> Vec<Number>;
}

/// What the book calls the type of what is written for a field.
pub(crate) const fn kind_of<W: Written<F>, F, T>(_field: fn(&T) -> &F) -> &'static str {
    W::KIND
}

/// What is counted by what is written for a field.
pub(crate) const fn unit_of<W: Written<F>, F, T>(_field: fn(&T) -> &F) -> Option<Unit> {
    W::UNIT
}

/// A table of keys.
///
/// `schema! { pub struct T, written W { ... } }` makes the struct `T` with a field and a default for each row, `W`,
/// which is what a file says of it, with an option for each row, and `Schema for T`.
/// `schema! { of T, written W { ... } }` does without the struct, and the rows name fields of `T`.
///
/// A row: what it means (also what the book says), the key, how it is written, the field, its type and its default,
/// whether it may not be left out (`needed`, and what the book says of that), what a number may be (`in`), how it is
/// changed while a host runs (`by`), what the book calls its type (`kind`) and its default (`default`) where that does
/// not follow, and what happens past it (`past`).
macro_rules! schema {
    (
        $(#[$meta:meta])*
        $visible:vis struct $of:ident, written $(#[$written_meta:meta])* $written:ident {
            $(
                $(#[doc = $text:literal])+
                $key:ident: $kind:ty => $field:ident: $type:ty = $value:expr
                    $(, in $range:expr)? $(, by $way:ident)? $(, kind $told:literal)? $(, default $default:literal)?
                    $(, past $past:literal)?;
            )+
        }
    ) => {
        $(#[$meta])*
        $visible struct $of {
            $(
                $(#[doc = $text])+
                #[doc = ""]
                #[doc = concat!("Default: `", stringify!($value), "`.")]
                $visible $field: $type,
            )+
        }

        impl Default for $of {
            fn default() -> Self {
                Self { $($field: $value,)+ }
            }
        }

        $crate::schema::schema! {
            of $of, written $(#[$written_meta])* $written {
                $(
                    $(#[doc = $text])+
                    $key: $kind => $field
                        $(, in $range)? $(, by $way)? $(, kind $told)? $(, default $default)? $(, past $past)?;
                )+
            }
        }
    };
    (
        of $of:ty, written $(#[$written_meta:meta])* $written:ident {
            $(
                $(#[doc = $text:literal])+
                $key:ident: $kind:ty => $($field:ident).+
                    $(, needed $needed:literal)? $(, in $range:expr)? $(, by $way:ident)? $(, kind $told:literal)?
                    $(, default $default:literal)? $(, past $past:literal)?;
            )+
        }
    ) => {
        #[doc = concat!("What a file says of [`", stringify!($of), "`]; what it does not say is left as it was.")]
        $(#[$written_meta])*
        #[derive(Debug, Clone, PartialEq, ::serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $written {
            $(pub(crate) $key: $crate::schema::schema!(@held [$($needed)?] $kind),)+
        }

        /// Within another table: what is left out is as it was.
        impl $crate::schema::Written<$of> for $written {
            const KIND: &'static str = "table";

            fn put(&self, field: &mut $of) {
                $crate::schema::Schema::take(field, self);
            }

            fn value(field: &$of) -> Option<::toml::Value> {
                Some($crate::schema::Schema::table(field).into())
            }

            fn numbers(field: &$of, key: &'static $crate::schema::Key, all: &mut Vec<$crate::schema::Number>) {
                let numbers = $crate::schema::Schema::numbers(field).into_iter();
                all.extend(numbers.map(|number| number.within(key.key)));
            }
        }

        impl $crate::schema::Schema for $of {
            const KEYS: &'static [$crate::schema::Key] = &[
                $($crate::schema::Key {
                    key: stringify!($key),
                    kind: $crate::schema::schema!(@or [$($told)?] {
                        $crate::schema::kind_of::<$kind, _, _>(|of: &$of| &of.$($field).+)
                    }),
                    range: $crate::schema::Key::range(
                        stringify!($key),
                        $crate::schema::unit_of::<$kind, _, _>(|of: &$of| &of.$($field).+),
                        $crate::schema::schema!(@some [$((*($range).start(), *($range).end()))?]),
                    ),
                    default: $crate::schema::schema!(@some [$($needed)? $($default)?]),
                    way: $crate::schema::schema!(@some [$($crate::schema::ChangeMode::$way)?]),
                    meaning: concat!($($text),+),
                    past: $crate::schema::schema!(@some [$($past)?]),
                },)+
            ];

            type Written = $written;

            fn take(&mut self, written: &$written) {
                $(
                    if let Some(written) = $crate::schema::schema!(@said [$($needed)?] written.$key) {
                        $crate::schema::Written::put(written, &mut self.$($field).+);
                    }
                )+
            }

            fn names(written: &$written, key: &str) -> bool {
                match key {
                    $(stringify!($key) => $crate::schema::schema!(@said [$($needed)?] written.$key).is_some(),)+
                    _ => false,
                }
            }

            fn table(&self) -> ::toml::Table {
                let mut table = ::toml::Table::new();
                $(
                    if let Some(value) = <$kind as $crate::schema::Written<_>>::value(&self.$($field).+) {
                        table.insert(stringify!($key).to_owned(), value);
                    }
                )+
                table
            }

            fn numbers(&self) -> Vec<$crate::schema::Number> {
                let mut all = Vec::new();
                let mut keys = <Self as $crate::schema::Schema>::KEYS.iter();
                $(
                    if let Some(key) = keys.next() {
                        <$kind as $crate::schema::Written<_>>::numbers(&self.$($field).+, key, &mut all);
                    }
                )+
                all
            }
        }
    };
    (@held [] $kind:ty) => { Option<$kind> };
    (@held [$needed:literal] $kind:ty) => { $kind };
    (@said [] $written:expr) => { $written.as_ref() };
    (@said [$needed:literal] $written:expr) => { Some(&$written) };
    (@some []) => { None };
    (@some [$value:expr]) => { Some($value) };
    (@or [] { $other:expr }) => { $other };
    (@or [$value:expr] { $other:expr }) => { $value };
}
pub(crate) use schema;
