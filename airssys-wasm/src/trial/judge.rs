//! `[[judge]]`: a component that judges, as it is named in a test file. What it is told is in `judges.rs`.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::act::found;
use super::written::folder_of;
use crate::config_file::{ConfigError, Source};

/// A judge as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    component: Spanned<String>,
}

/// A component that judges.
#[derive(Debug, Clone)]
pub(super) struct Judge {
    /// As it is named in the file.
    pub(super) named: String,
    pub(super) component: PathBuf,
}

impl Judge {
    pub(super) fn of(source: &Source, written: &Spanned<Written>) -> Result<Self, ConfigError> {
        let component = &written.get_ref().component;
        let named = component.get_ref();
        let _it_is_there = found(source, &component.span(), named)?;
        Ok(Self { named: named.clone(), component: folder_of(source).join(named) })
    }
}
