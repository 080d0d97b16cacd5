//! What is written in a test file in more than one place: times, and paths from where it lies; and how a time of a
//! run is told.

use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use crate::config_file::{ConfigError, Source};

/// The longest time that is written in the file.
pub(super) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Where its paths are from.
pub(super) fn folder_of(source: &Source) -> &Path {
    source.path.parent().unwrap_or(Path::new(""))
}

pub(super) fn time(source: &Source, text: &Spanned<String>) -> Result<Duration, ConfigError> {
    match humantime::parse_duration(text.get_ref()) {
        Ok(time) if time <= LONGEST => Ok(time),
        Ok(_) => Err(source.error(&text.span(), format!("{:?} is longer than ten years", text.get_ref()), "")),
        Err(error) => Err(source.error(
            &text.span(),
            format!("{:?} is no time: {error}", text.get_ref()),
            "write a number and its unit, such as \"10ms\" or \"1h\"",
        )),
    }
}

/// A time of a run, as its steps have it.
pub(super) fn seconds(at: Duration) -> String {
    format!("{}.{:06}", at.as_secs(), at.subsec_micros())
}
