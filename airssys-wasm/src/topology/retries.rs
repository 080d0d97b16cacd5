//! What is written of policies by which what failed is tried again.

use toml::Spanned;

use super::written;
use crate::address::is_service_name;
use crate::config_file::{ConfigError, Source};
use crate::guard::operations;
use crate::retry::{ERRORS, RetryPolicy, WrittenRetry};
use crate::schema::Schema;

/// All policies, in the order of the file.
pub(super) fn retries(source: &Source, written: &[WrittenRetry]) -> Result<Vec<RetryPolicy>, ConfigError> {
    let mut all: Vec<RetryPolicy> = Vec::new();
    for entry in written {
        let policy = one(source, entry)?;
        if all.iter().any(|other| other.name == policy.name) {
            let what = format!("there is a [[retry]] {:?} already", policy.name);
            return Err(source.error(&entry.name.span(), what, "give one of them another name"));
        }
        all.push(policy);
    }
    Ok(all)
}

fn one(source: &Source, entry: &WrittenRetry) -> Result<RetryPolicy, ConfigError> {
    let mut policy = RetryPolicy::default();
    policy.take(entry);
    if !is_service_name(entry.name.get_ref()) {
        let what = format!("{:?} is no name of a [[retry]]", entry.name.get_ref());
        let hint = "names are of lower-case letters, digits and `-`, such as \"patient\"";
        return Err(source.error(&entry.name.span(), what, hint));
    }
    for (number, range) in [(&entry.factor, 1.0..=100.0), (&entry.jitter, 0.0..=1.0)] {
        if let Some(number) = number.as_ref().filter(|number| !range.contains(number.get_ref())) {
            let what = format!("{} is none of {} to {}", number.get_ref(), range.start(), range.end());
            return Err(source.error(&number.span(), what, "write a number of these, with its point, such as `1.0`"));
        }
    }
    if let Some(words) = &entry.errors {
        if let Some(word) = words.iter().find(|word| !ERRORS.contains(&word.get_ref().as_str())) {
            let what = format!("{:?} is no error after which something is tried again", word.get_ref());
            return Err(source.error(&word.span(), what, format!("there are {}", ERRORS.join(", "))));
        }
        policy.errors = words.iter().map(|word| word.get_ref().clone()).collect();
    }
    if let Some(words) = &entry.applies_to {
        policy.applies_to.clear();
        for word in words {
            let means =
                operations(word.get_ref()).filter(|all| all.iter().all(|one| RetryPolicy::ABOUT.contains(*one)));
            let Some(means) = means else {
                let what = format!("{:?} is nothing that is tried again", word.get_ref());
                return Err(source.error(&word.span(), what, "write \"messages\", \"files\", or what is one of them"));
            };
            policy.applies_to.extend(means);
        }
        policy.applies_to.sort_by_key(|one| *one as u64);
        policy.applies_to.dedup();
    }
    Ok(policy)
}

/// The policy that a service uses, where it is there.
pub(super) fn tried(
    source: &Source,
    written: &written::Topology,
    name: &Spanned<String>,
) -> Result<String, ConfigError> {
    if written.retries.iter().any(|retry| retry.name.get_ref() == name.get_ref()) {
        return Ok(name.get_ref().clone());
    }
    let what = format!("there is no [[retry]] {:?}", name.get_ref());
    Err(source.error(&name.span(), what, "name one of the [[retry]] entries"))
}
