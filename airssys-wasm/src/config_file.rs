//! Reads a TOML file into a plain struct, and says where in it something is wrong.

pub(crate) mod number;

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::DeserializeOwned;

use crate::hint::{Coded, Hint};

/// Something wrong in a file that people write.
///
/// # Example
///
/// ```
/// use airssys_wasm::ConfigError;
/// use airssys_wasm::topology::Topology;
///
/// let error: ConfigError = Topology::parse("name = \"shop\"\nnmae = 7", ".".as_ref()).unwrap_err();
/// assert!(error.at.is_some() && error.what.contains("nmae"), "{error}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line and column, both from 1; none where it is about the whole file.
    pub at: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
    /// What to do about it; may be empty.
    pub hint: Hint,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    /// About a whole file or folder.
    pub(crate) fn whole(path: &Path, what: impl Into<String>, hint: impl Into<Hint>) -> Self {
        Self { path: path.to_owned(), at: None, what: what.into(), hint: hint.into() }
    }
}

impl Coded for ConfigError {
    fn code(&self) -> &'static str {
        "config"
    }

    fn hint(&self) -> Option<Hint> {
        self.hint.clone().some()
    }
}

/// A file that was read.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn read(path: &Path, hint: &str) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self { path: path.to_owned(), text }),
            Err(error) => Err(ConfigError::whole(path, format!("cannot be read: {error}"), hint)),
        }
    }

    #[cfg(test)]
    pub(crate) fn of_text(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.to_owned() }
    }

    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(&self.text).map_err(|error| {
            let what = error.message().lines().collect::<Vec<_>>().join("; ");
            let hint = if what.contains("unknown field") || what.contains(": it is ") {
                "see the reference of the file's keys in the book"
            } else if what.contains("expected usize") || what.contains("expected u32") {
                "write a whole number from 0; the reference in the book says how large it may be"
            } else {
                ""
            };
            match error.span() {
                Some(span) => self.error(&span, what, hint),
                None => ConfigError::whole(&self.path, what, hint),
            }
        })
    }

    pub(crate) fn error(&self, span: &Range<usize>, what: impl Into<String>, hint: impl Into<Hint>) -> ConfigError {
        let before = &self.text[..self.text.floor_char_boundary(span.start.min(self.text.len()))];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        ConfigError { path: self.path.clone(), at: Some((line, column)), what: what.into(), hint: hint.into() }
    }
}

/// Text that is parsed into a `T`, with where it stands.
pub(crate) fn parse_at<T>(source: &Source, text: &toml::Spanned<String>) -> Result<T, ConfigError>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    text.get_ref().parse().map_err(|error: T::Err| source.error(&text.span(), error.to_string(), ""))
}

pub(crate) fn parse_all<T>(source: &Source, texts: &[toml::Spanned<String>]) -> Result<Vec<T>, ConfigError>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    texts.iter().map(|text| parse_at(source, text)).collect()
}
