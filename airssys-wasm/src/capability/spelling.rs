//! How a guest's folders and environment variables are named.
//!
//! A folder has one name only. Written in two ways it would be two entries, with two kinds of access, and a guest would
//! get whichever it finds first.

use std::collections::BTreeMap;

/// The folders that were named so far.
#[derive(Debug, Default)]
pub(crate) struct Folders<'a>(BTreeMap<String, &'a str>);

impl<'a> Folders<'a> {
    /// Takes a folder in; where it is there already, under which name.
    pub(crate) fn take(&mut self, path: &'a str) -> Option<&'a str> {
        let steps = path.split('/').filter(|step| !matches!(*step, "" | "."));
        self.0.insert(steps.collect::<Vec<_>>().join("/"), path)
    }
}

/// Whether a variable can have this name.
pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

/// What is told of a name that is none.
pub(crate) const VARIABLE_HINT: &str = "a name has at least one character, and neither \"=\" nor the character 0";

#[cfg(test)]
mod tests {
    use super::{Folders, is_variable};

    #[test]
    fn a_folder_is_one_folder_whichever_way_it_is_written() {
        let mut folders = Folders::default();
        assert_eq!(folders.take("/data"), None);
        for same in ["/data/", "data", "/./data", "//data/."] {
            assert!(folders.take(same).is_some(), "{same}");
        }
        for other in ["/data/in", "/Data", "/", "/.data"] {
            assert_eq!(folders.take(other), None, "{other}");
        }
    }

    #[test]
    fn a_variable_ends_before_its_value() {
        assert!(is_variable("TZ") && is_variable("a b"));
        assert!(!is_variable("") && !is_variable("A=B") && !is_variable("A\0"));
    }
}
