//! What a layer is asked, as blocks of the arguments of its functions, and its answers read of them. Written by hand,
//! as each message that is guarded has one of these: `tests.rs` compares them with blocks that are made by the types.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;

use crate::operation::{Operation, Operations};
use crate::typed::space::{Space, case, text};
use crate::typed::{FunctionType, Laid, Misfit, ValueType};

/// The interface of a layer.
const LAYER: &str = "airssys:actor/layer@0.1.0";

// Where the fields of an operation lie.
const KIND: usize = 0;
const NEEDS: usize = 8;
const SENDER: usize = 16;
const TARGET: usize = 28;
const ALSO: usize = 36;
const FUNCTION: usize = 48;
const SIZE: usize = 64;
const BODY: usize = 72;
const OPERATION_BYTES: usize = 88;
/// A text in a list of them.
const TEXT_BYTES: usize = 8;

// What comes after the operation.
const OUTCOME: usize = OPERATION_BYTES;
const FAILURE: usize = OPERATION_BYTES;
const FAILURE_BYTES: usize = 16;
const AFTER_BYTES: usize = OPERATION_BYTES + 24;

/// Where the text of an answer lies, behind its case.
const SAYS: usize = 4;

/// What somebody does, as a layer is told of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) operation: Operation,
    pub(crate) needs: Operations,
    pub(crate) sender: Option<&'a str>,
    pub(crate) target: &'a str,
    pub(crate) also: Option<&'a str>,
    pub(crate) function: Option<&'a FunctionType>,
    pub(crate) size: u64,
    pub(crate) body: Option<&'a [u8]>,
}

/// `before`, as all layers have it.
pub(crate) fn before() -> &'static Arc<FunctionType> {
    &FUNCTIONS[0]
}

/// `after`, as all layers have it.
pub(crate) fn after() -> &'static Arc<FunctionType> {
    &FUNCTIONS[1]
}

/// `on-error`, as all layers have it.
pub(crate) fn on_error() -> &'static Arc<FunctionType> {
    &FUNCTIONS[2]
}

/// All that a layer is asked.
pub(crate) fn functions() -> &'static [Arc<FunctionType>; 3] {
    &FUNCTIONS
}

static FUNCTIONS: LazyLock<[Arc<FunctionType>; 3]> = LazyLock::new(|| {
    let maybe = |laid: Laid| -> Laid { ValueType::Option(Box::new(laid)).into() };
    let list = |of: ValueType| -> Laid { ValueType::List(Box::new(of.into())).into() };
    let text = || -> Laid { ValueType::String.into() };
    let record = |fields: Vec<(&str, Laid)>| -> Laid {
        ValueType::Record(fields.into_iter().map(|(name, laid)| (name.into(), laid)).collect()).into()
    };
    let variant = |cases: Vec<(&str, Option<Laid>)>| -> Laid {
        ValueType::Variant(cases.into_iter().map(|(name, laid)| (name.into(), laid)).collect()).into()
    };
    let operation = || {
        record(vec![
            ("kind", text()),
            ("needs", list(ValueType::String)),
            ("sender", maybe(text())),
            ("target", text()),
            ("also", maybe(text())),
            ("function", maybe(text())),
            ("size", ValueType::U64.into()),
            ("body", maybe(list(ValueType::U8))),
        ])
    };
    let failure = || record(vec![("code", text()), ("detail", text())]);
    let verdict = variant(vec![("pass", None), ("reject", Some(text()))]);
    let outcome = variant(vec![("done", None), ("failed", Some(failure()))]);
    let error_verdict =
        variant(vec![("keep", None), ("replace", Some(text())), ("suppress", None), ("retry", None), ("stop", None)]);
    let function = |name: &str, params: Vec<(&str, Laid)>, result: Option<Laid>| {
        Arc::new(FunctionType { interface: Some(LAYER.into()), name: name.into(), params: record(params), result })
    };
    [
        function("before", vec![("what", operation())], Some(verdict)),
        function("after", vec![("what", operation()), ("outcome", outcome)], None),
        function("on-error", vec![("what", operation()), ("failure", failure())], Some(error_verdict)),
    ]
});

/// The arguments of `before`.
///
/// # Errors
///
/// It is more than a block can hold.
pub(crate) fn write_before(said: &Said<'_>) -> Result<Bytes, Misfit> {
    Ok(operation(said, OPERATION_BYTES)?.into_bytes())
}

/// The arguments of `after`; no failure where all is well.
///
/// # Errors
///
/// As [`write_before`].
pub(crate) fn write_after(said: &Said<'_>, failure: Option<(&str, &str)>) -> Result<Bytes, Misfit> {
    let mut space = operation(said, AFTER_BYTES)?;
    if let Some((code, detail)) = failure {
        space.put_case(OUTCOME, 1, 2)?;
        put(&mut space, OUTCOME + 4, code.as_bytes())?;
        put(&mut space, OUTCOME + 4 + TEXT_BYTES, detail.as_bytes())?;
    }
    Ok(space.into_bytes())
}

/// The arguments of `on-error`.
///
/// # Errors
///
/// As [`write_before`].
pub(crate) fn write_on_error(said: &Said<'_>, code: &str, detail: &str) -> Result<Bytes, Misfit> {
    let mut space = operation(said, OPERATION_BYTES + FAILURE_BYTES)?;
    put(&mut space, FAILURE, code.as_bytes())?;
    put(&mut space, FAILURE + TEXT_BYTES, detail.as_bytes())?;
    Ok(space.into_bytes())
}

/// An operation at the begin of so many bytes.
fn operation(said: &Said<'_>, bytes: usize) -> Result<Space, Misfit> {
    let body = said.body.map_or(0, <[u8]>::len);
    // What is long is handed over as it is made: see `typed/scratch.rs`.
    let mut space = Space::for_all_of(bytes + said.target.len() + 256 + body, bytes);
    put(&mut space, KIND, said.operation.name().as_bytes())?;
    if said.needs != Operations::of(said.operation) {
        put_needs(&mut space, said)?;
    }
    put_maybe(&mut space, SENDER, said.sender.map(str::as_bytes))?;
    put(&mut space, TARGET, said.target.as_bytes())?;
    put_maybe(&mut space, ALSO, said.also.map(str::as_bytes))?;
    if let Some(function) = said.function {
        put_maybe(&mut space, FUNCTION, Some(function.path().as_bytes()))?;
    }
    space.put(SIZE, said.size.to_le_bytes())?;
    put_maybe(&mut space, BODY, said.body)?;
    Ok(space)
}

#[cold]
fn put_needs(space: &mut Space, said: &Said<'_>) -> Result<(), Misfit> {
    let is_other = |one: &Operation| *one != said.operation && said.needs.contains(*one);
    let others: Vec<Operation> = Operation::ALL.into_iter().filter(is_other).collect();
    let first = space.room(others.len(), TEXT_BYTES, 4)?;
    space.put_place(NEEDS, first, others.len())?;
    for (at, one) in others.iter().enumerate() {
        put(space, first + at * TEXT_BYTES, one.name().as_bytes())?;
    }
    Ok(())
}

/// A text or bytes: elsewhere, and here where that is.
fn put(space: &mut Space, at: usize, bytes: &[u8]) -> Result<(), Misfit> {
    let place = space.append(bytes)?;
    space.put_place(at, place, bytes.len())
}

fn put_maybe(space: &mut Space, at: usize, bytes: Option<&[u8]>) -> Result<(), Misfit> {
    let Some(bytes) = bytes else { return Ok(()) };
    space.put_case(at, 1, 2)?;
    put(space, at + 4, bytes)
}

/// What `before` says: none to let it on, or why it does not go on.
///
/// # Errors
///
/// The block is no verdict.
pub(crate) fn read_verdict(block: &[u8]) -> Result<Option<&str>, Misfit> {
    Ok(if case(block, 0, 2)? == 1 { Some(text(block, SAYS)?) } else { None })
}

/// What `on-error` says: its case, in the order of the type, and the text of `replace`.
///
/// # Errors
///
/// The block is no such verdict.
pub(crate) fn read_error_verdict(block: &[u8]) -> Result<(usize, &str), Misfit> {
    let said = case(block, 0, 5)?;
    Ok((said, if said == 1 { text(block, SAYS)? } else { "" }))
}
