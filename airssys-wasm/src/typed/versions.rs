//! The names of interfaces, and which of their versions are compatible.

use std::borrow::Cow;

/// The name of an interface without its version: `a:b/c` for `a:b/c@0.2.6`.
#[must_use]
pub(crate) fn unversioned(interface: &str) -> &str {
    interface.split_once('@').map_or(interface, |(bare, _)| bare)
}

/// The names that a versioned interface shares with those that are compatible by their version: `a:b/c@0.2` for
/// `a:b/c@0.2.6`. The same rule as the linker's: a version before 1.0.0 changes with its second number, one before
/// 0.1.0 and a pre-release is like no other.
#[must_use]
pub(crate) fn track(name: &str) -> Cow<'_, str> {
    let Some((bare, version)) = name.split_once('@') else { return Cow::Borrowed(name) };
    match semver::Version::parse(version) {
        Ok(version) if !version.pre.is_empty() => Cow::Borrowed(name),
        Ok(version) if version.major != 0 => Cow::Owned(format!("{bare}@{}", version.major)),
        Ok(version) if version.minor != 0 => Cow::Owned(format!("{bare}@0.{}", version.minor)),
        _ => Cow::Borrowed(name),
    }
}

/// Whether a function of the one is the same of the other one: they have one name, and compatible versions.
#[must_use]
pub(crate) fn compatible(one: &str, other: &str) -> bool {
    // Nearly always they are the same, and no version is read.
    one == other || track(one) == track(other)
}

#[cfg(test)]
mod tests {
    use super::track;

    #[test]
    fn versions_are_compatible_as_for_the_linker() {
        for (name, expected) in [
            ("a", "a"),
            ("a:b/c", "a:b/c"),
            ("a:b/c@1.2.3", "a:b/c@1"),
            ("a:b/c@2.1.2+abc", "a:b/c@2"),
            ("a:b/c@0.2.6", "a:b/c@0.2"),
            ("a:b/c@0.0.1", "a:b/c@0.0.1"),
            ("a:b/c@1.0.0-rc.1", "a:b/c@1.0.0-rc.1"),
            ("a:b/c@x", "a:b/c@x"),
        ] {
            assert_eq!(track(name), expected);
        }
    }
}
