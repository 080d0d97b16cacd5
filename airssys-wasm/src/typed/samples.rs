//! Whether a type of Rust is one of WIT: told before a call is made, by values that show each case of the type.
//!
//! serde does not tell what a type is, only what a value is. So values of the type are read as that of Rust, which
//! tells what it wants instead, and written again, which tells what it has more.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::ser::{SerializeMap as _, Serializer};

use super::read::Found;
use super::space::Space;
use super::write::Slot;
use super::{FunctionType, Handle, Laid, Misfit, ValueType, write_arguments};

/// Whether these are the arguments of a function.
///
/// # Errors
///
/// Where they differ.
pub(crate) fn check_arguments<T: Serialize + DeserializeOwned>(function: &FunctionType) -> Result<(), Misfit> {
    each_sample(&function.params, |block| {
        write_arguments(function, &T::deserialize(Found::parameters(block, &function.params))?).map(drop)
    })
}

/// Whether this is the result of a function.
///
/// # Errors
///
/// Where they differ.
pub(crate) fn check_result<T: DeserializeOwned>(function: &FunctionType) -> Result<(), Misfit> {
    let checked = match &function.result {
        Some(laid) => each_sample(laid, |block| T::deserialize(Found::strictly(block, Some(laid))).map(drop)),
        None => T::deserialize(Found::strictly(&[], None)).map(drop),
    };
    checked.map_err(Misfit::of_result)
}

/// Whether the result of a function is read in the order of its fields as well as by their names: what serde derives
/// for structs whose fields stand as those of WIT do.
pub(crate) fn has_fields_in_order<T: DeserializeOwned>(function: &FunctionType) -> bool {
    let in_order = |block: &[u8], laid| T::deserialize(Found::strictly(block, laid).in_order()).map(drop);
    function.result.as_ref().is_some_and(|laid| each_sample(laid, |block| in_order(block, Some(laid))).is_ok())
}

fn each_sample(laid: &Laid, mut check: impl FnMut(&[u8]) -> Result<(), Misfit>) -> Result<(), Misfit> {
    for turn in 0..turns(laid) {
        let mut space = Space::of(laid);
        Sample { laid, turn }.serialize(Slot::new(&mut space, Some(laid), 0))?;
        check(space.bytes())?;
    }
    Ok(())
}

/// How many values show each case of a type at least once.
fn turns(laid: &Laid) -> usize {
    let carried = |of: Option<&Laid>| of.map_or(1, turns);
    match &laid.ty {
        ValueType::List(of) => turns(of),
        ValueType::Record(fields) => fields.iter().map(|(_, laid)| turns(laid)).max().unwrap_or(1),
        ValueType::Tuple(types) => types.iter().map(turns).max().unwrap_or(1),
        ValueType::Variant(cases) => cases.iter().map(|(_, of)| carried(of.as_ref())).sum(),
        ValueType::Enum(names) => names.len(),
        ValueType::Option(of) => 1 + turns(of),
        ValueType::Result(ok, error) => carried(ok.as_deref()) + carried(error.as_deref()),
        _ => 1,
    }
}

/// One of them, as JSON has it.
struct Sample<'a> {
    laid: &'a Laid,
    turn: usize,
}

impl Serialize for Sample<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The parts of a value come to their ends at different times, and begin again.
        let turn = self.turn % turns(self.laid).max(1);
        let of = |laid| Sample { laid, turn };
        match &self.laid.ty {
            ValueType::Bool => serializer.serialize_bool(true),
            ValueType::F32 | ValueType::F64 => serializer.serialize_f64(0.5),
            ValueType::Char => serializer.serialize_char('a'),
            ValueType::String => serializer.serialize_str("a"),
            ValueType::Own(_) | ValueType::Borrow(_) => serializer.collect_str(&Handle { incarnation: 0, number: 0 }),
            ValueType::List(inner) => serializer.collect_seq([of(inner)]),
            ValueType::Tuple(types) => serializer.collect_seq(types.iter().map(of)),
            ValueType::Record(fields) => serializer.collect_map(fields.iter().map(|(name, laid)| (name, of(laid)))),
            ValueType::Enum(names) => serializer.serialize_str(names.get(turn).map_or("", |name| name)),
            ValueType::Flags(names) => serializer.collect_seq(names),
            ValueType::Option(_) if turn == 0 => serializer.serialize_none(),
            ValueType::Option(of) => serializer.serialize_some(&Sample { laid: of, turn: turn - 1 }),
            ValueType::Variant(cases) => {
                one_case(serializer, cases.iter().map(|(name, of)| (&**name, of.as_ref())), turn)
            }
            ValueType::Result(ok, error) => {
                one_case(serializer, [("ok", ok.as_deref()), ("err", error.as_deref())].into_iter(), turn)
            }
            // All whole numbers have it.
            _ => serializer.serialize_u8(1),
        }
    }
}

fn one_case<'a, S: Serializer>(
    serializer: S,
    cases: impl Iterator<Item = (&'a str, Option<&'a Laid>)>,
    mut turn: usize,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    for (name, of) in cases {
        let turns = of.map_or(1, turns);
        if turn < turns {
            match of {
                Some(laid) => map.serialize_entry(name, &Sample { laid, turn })?,
                None => map.serialize_entry(name, &())?,
            }
            break;
        }
        turn -= turns;
    }
    map.end()
}
