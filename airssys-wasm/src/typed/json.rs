//! Values as JSON, and JSON as values. What stands for which type is in the book: `mdbook/src/typed.md`.

mod parse;
mod value;

use bytes::Bytes;

use self::value::Json;
use super::{FunctionType, Misfit, read_result, write_arguments};

/// A text is no JSON, or not of the types that are wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoJson {
    /// Where, both counted from 1.
    #[error("line {line}, column {column}: {detail}")]
    Text { line: usize, column: usize, detail: String },
    #[error(transparent)]
    Misfit(#[from] Misfit),
}

/// The arguments of a call that JSON says: a list, or an object by the names of the parameters.
///
/// # Errors
///
/// [`NoJson`].
pub(crate) fn arguments_of_json(function: &FunctionType, text: &str) -> Result<Bytes, NoJson> {
    let json = parse::parse(text).map_err(|error| {
        // What stands first in a line, serde_json counts as 0.
        let (line, column, detail) = (error.line(), error.column().max(1), error.to_string());
        // It says where as well.
        let detail = detail.split(" at line ").next().unwrap_or_default().to_owned();
        NoJson::Text { line, column, detail }
    })?;
    Ok(write_arguments(function, &json)?)
}

/// The result of a call as JSON; none where the function has none.
///
/// # Errors
///
/// It is not of the function's type.
pub(crate) fn result_as_json(function: &FunctionType, answer: Option<&[u8]>) -> Result<Option<String>, Misfit> {
    if function.result.is_none() {
        return Ok(None);
    }
    let json: Json = read_result(function, answer, false)?;
    serde_json::to_string(&json).map(Some).map_err(|error| Misfit::new(error.to_string()))
}
