//! Programs of the machine: what may be started, and with what.
//!
//! The program and its folder are the operator's to say; a guest names the grant, and gives arguments and variables,
//! each of which has to be within it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use super::given::Mark;

/// What one argument may be, or all that are left.
///
/// `*` stands for any text within a step, that is without `/`, and is neither `.` nor `..` by itself. Where an argument
/// may begin with it, that does not begin with `-`: what is to name something cannot be an option. `**` alone, as the
/// last one, is any arguments, as many as there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArgumentPattern(String);

/// A text that is no pattern of an argument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no pattern of an argument: {why}")]
pub(crate) struct ArgumentError {
    text: String,
    why: &'static str,
}

/// All that are left.
const REST: &str = "**";

impl FromStr for ArgumentPattern {
    type Err = ArgumentError;

    fn from_str(text: &str) -> Result<Self, ArgumentError> {
        let bad = |why| Err(ArgumentError { text: text.to_owned(), why });
        match text {
            REST => {}
            _ if text.contains("**") => return bad("\"**\" stands alone, for all arguments that are left"),
            _ if text.contains('\0') => return bad("it has the character 0 in it"),
            _ => {}
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ArgumentPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ArgumentPattern {
    /// Whether it stands for all that are left.
    pub(crate) fn is_rest(&self) -> bool {
        self.0 == REST
    }

    /// Whether it is this argument.
    fn matches(&self, argument: &str) -> bool {
        if self.0.starts_with('*') && argument.starts_with('-') {
            return false;
        }
        let (steps, found) = (self.0.split('/'), argument.split('/'));
        steps.clone().count() == found.clone().count() && steps.zip(found).all(|(pattern, step)| is_step(pattern, step))
    }
}

/// Whether a step of a path is within its part of a pattern.
fn is_step(pattern: &str, step: &str) -> bool {
    if !pattern.contains('*') {
        return pattern == step;
    }
    if matches!(step, "" | "." | "..") {
        return false;
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| step.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    // The first place is as good as any other for those in the middle: what is left is the longest then.
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether these are arguments that those patterns allow, each in its place.
fn allows(patterns: &[ArgumentPattern], arguments: &[String]) -> bool {
    let mut left = arguments.iter();
    for pattern in patterns {
        if pattern.is_rest() {
            return true;
        }
        if !left.next().is_some_and(|argument| pattern.matches(argument)) {
            return false;
        }
    }
    left.next().is_none()
}

/// A program that may be started, under the name that a guest knows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessGrant {
    /// The program, by its whole path.
    pub(crate) program: PathBuf,
    /// Its arguments, each in its place.
    pub(crate) arguments: Vec<ArgumentPattern>,
    /// Variables that a guest may give it.
    pub(crate) environment: Vec<String>,
    /// Those that it has with these values.
    pub(crate) variables: BTreeMap<String, String>,
    /// Its working folder; none for `/`.
    pub(crate) folder: Option<PathBuf>,
    /// The address space of each of its processes, in bytes.
    pub(crate) memory_bytes: u64,
    /// How long each of its processes may compute.
    pub(crate) cpu: Duration,
    /// Files that each of its processes may have open.
    pub(crate) files: u64,
    /// How many may run at a time for the service.
    pub(crate) at_a_time: usize,
    /// How long it may run.
    pub(crate) time: Duration,
    /// What may be read of its output, in bytes.
    pub(crate) output_bytes: u64,
    /// Until when it is granted; none for good.
    pub(crate) until: Option<SystemTime>,
    /// What became of it.
    pub(crate) mark: Mark,
}

impl ProcessGrant {
    /// A program that is started without arguments, with the default bounds.
    #[must_use]
    pub(crate) fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            variables: BTreeMap::new(),
            folder: None,
            memory_bytes: 512 << 20,
            cpu: Duration::from_secs(10),
            files: 64,
            at_a_time: 4,
            time: Duration::from_secs(60),
            output_bytes: 16 << 20,
            until: None,
            mark: Mark::default(),
        }
    }

    /// What of this is not within it; none where all is.
    pub(super) fn beyond(&self, arguments: &[String], variables: &[(String, String)]) -> Option<String> {
        if !allows(&self.arguments, arguments) {
            let allowed: Vec<String> = self.arguments.iter().map(|one| format!("{one:?}")).collect();
            let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
            return Some(format!("its grant allows other arguments than {arguments:?}: {allowed}"));
        }
        let not_allowed =
            |(name, _): &&(String, String)| !self.environment.contains(name) || self.variables.contains_key(name);
        let (name, _) = variables.iter().find(not_allowed)?;
        Some(format!("its grant does not let the variable {name:?} through"))
    }
}

/// Whether a program can be granted under this name: letters, digits, `-` and `_`.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|one| one.is_ascii_alphanumeric() || matches!(one, '-' | '_'))
}

/// What is told of a name that is none.
pub(crate) const NAME_HINT: &str = "a name is made of letters, digits, \"-\" and \"_\"";

/// A name and arguments behind it, as people write a start: `convert in.png out.png`.
pub(super) fn parse_start(target: &str) -> (&str, Option<Vec<String>>) {
    match target.split_once(' ') {
        Some((name, arguments)) => (name, Some(arguments.split_whitespace().map(str::to_owned).collect())),
        None => (target, None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::{ArgumentPattern, ProcessGrant, allows};

    fn check(patterns: &[&str], arguments: &[&str]) -> bool {
        let patterns: Vec<ArgumentPattern> = patterns.iter().map(|text| text.parse().unwrap()).collect();
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        allows(&patterns, &arguments)
    }

    #[test]
    fn arguments_are_compared_each_in_its_place_and_step_by_step() {
        for (patterns, arguments, allowed) in [
            (&[][..], &[][..], true),
            (&[], &["a"], false),
            (&["a"], &[], false),
            (&["-v", "*"], &["-v", "x"], true),
            (&["-v", "*"], &["-v", "x", "y"], false),
            (&["-v", "*"], &["x", "-v"], false),
            (&["*"], &["-x"], false),
            (&["*.png"], &["--out.png"], false),
            (&["-*"], &["-x"], true),
            (&["*.png"], &["a.png"], true),
            (&["*.png"], &["a.png.sh"], false),
            (&["*.png"], &["dir/a.png"], false),
            (&["in/*.png"], &["in/a.png"], true),
            (&["in/*"], &["in/.."], false),
            (&["in/*"], &["in/../x"], false),
            (&["in/*/x"], &["in/../x"], false),
            (&["in/*"], &["in/"], false),
            (&["in/*"], &["other/a"], false),
            (&["a*b*c"], &["abc"], true),
            (&["a*b*c"], &["axbxbxc"], true),
            (&["a*b*c"], &["acb"], false),
            (&["aa*aa"], &["aaa"], false),
            (&["*"], &[""], false),
            (&[""], &[""], true),
            (&["-c", "**"], &["-c"], true),
            (&["-c", "**"], &["-c", "-x", "../y"], true),
            (&["-c", "**"], &["-d"], false),
        ] {
            assert_eq!(check(patterns, arguments), allowed, "{patterns:?} {arguments:?}");
        }
        assert!("a**".parse::<ArgumentPattern>().is_err() && "a/**".parse::<ArgumentPattern>().is_err());
    }

    #[test]
    fn a_variable_is_let_through_by_its_name_and_one_that_is_set_is_not_the_guests() {
        let mut grant = ProcessGrant::new("/bin/true");
        grant.environment = vec!["LANG".into(), "PATH".into()];
        grant.variables.insert("PATH".into(), "/bin".into());
        let with = |name: &str| grant.beyond(&[], &[(name.to_owned(), "x".to_owned())]);
        assert_eq!(with("LANG"), None);
        assert!(with("PATH").unwrap().contains("PATH") && with("LD_PRELOAD").unwrap().contains("LD_PRELOAD"));
        assert!(grant.beyond(&["x".to_owned()], &[]).unwrap().contains("none"));
    }
}
