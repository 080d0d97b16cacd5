//! How a stored release is named: `NAME@VERSION`, or `NAME` for its newest version.

use std::fmt;

use semver::Version;

use crate::address::is_service_name;

/// The longest version, in bytes: it is the name of a file, with an ending.
const MAX_VERSION: usize = 128;

/// A stored release, by its name and perhaps its version.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Reference;
///
/// let reference: Reference = "pricing@1.2.0".parse().unwrap();
/// assert_eq!(reference.name, "pricing");
/// assert!(Reference::is_meant("pricing@one") && !Reference::is_meant("./pricing"));
/// assert!("pricing@1.2".parse::<Reference>().is_err());
/// assert!("pricing".parse::<Reference>().unwrap().version.is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Reference {
    /// Its name.
    pub name: String,
    /// Its version; none where the newest is meant.
    pub version: Option<Version>,
}

impl Reference {
    /// Whether a text is meant as one, and not as the path of a release: it has an `@`, no separator of folders, and
    /// does not end as a component file does.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.contains('@') && !text.contains(['/', '\\']) && !text.ends_with(".wasm")
    }

    pub(super) fn of(name: &str, version: &Version) -> Self {
        Self { name: name.to_owned(), version: Some(version.clone()) }
    }
}

/// What is wrong with a name or a version of a release: both become names in the file system.
pub(super) fn check(name: &str, version: Option<&str>) -> Result<Option<Version>, String> {
    if !is_service_name(name) {
        return Err(format!(
            "a name has 1 to 64 ASCII letters, digits, '-', '_' and '.', beginning with a letter or a digit, and {name:?} is none"
        ));
    }
    let Some(text) = version else { return Ok(None) };
    if text.len() > MAX_VERSION {
        return Err(format!("a version has at most {MAX_VERSION} characters, and this one has {}", text.len()));
    }
    text.parse().map(Some).map_err(|error| format!("{text:?} is no version: {error}"))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, "@{version}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::Reference;

    #[test]
    fn what_leads_out_of_the_store_is_no_reference() {
        for bad in
            ["", "@1.0.0", "a@", "a@1", "a@1.0.0@1.0.0", "../a@1.0.0", "a@../1.0.0", "a@1.0.0-\u{e9}", ".a@1.0.0"]
        {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
        let long = format!("a@1.0.0-{}", "x".repeat(128));
        assert!(long.parse::<Reference>().unwrap_err().to_string().contains("at most 128"));
        for good in ["a", "a@1.0.0", "a.b@1.0.0-rc.1+build.5"] {
            assert_eq!(good.parse::<Reference>().unwrap().to_string(), good);
        }
    }

    #[test]
    fn a_path_is_not_meant_as_one() {
        for path in ["gateway", "carts/carts.wasm", "a.wasm", "./a@1.0.0", "a@1.wasm", "/srv/a@b"] {
            assert!(!Reference::is_meant(path), "{path}");
        }
        for reference in ["a@1.0.0", "a@", "a@one"] {
            assert!(Reference::is_meant(reference), "{reference}");
        }
    }
}
