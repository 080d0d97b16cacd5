//! Variables of an environment with their values: each has a name that can be one.

use std::collections::BTreeMap;

use toml::Spanned;

use crate::capability::{Given, spelling};
use crate::config_file::{ConfigError, Source};

pub(super) fn environment(
    source: &Source,
    asked: &BTreeMap<String, Spanned<String>>,
) -> Result<BTreeMap<String, Given<String>>, ConfigError> {
    for (name, value) in asked {
        if !spelling::is_variable(name) {
            let what = format!("{name:?} is no name of a variable");
            return Err(source.error(&value.span(), what, spelling::VARIABLE_HINT));
        }
        if value.get_ref().contains('\0') {
            let what = format!("the value of the variable {name:?} has the character 0 in it");
            return Err(source.error(&value.span(), what, "leave the character out"));
        }
    }
    Ok(asked.iter().map(|(name, value)| (name.clone(), value.get_ref().clone().into())).collect())
}
