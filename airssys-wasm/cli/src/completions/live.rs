//! What a running host completes. Where none runs there is nothing to complete with, and nothing is said.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap_complete::{ArgValueCompleter, CompletionCandidate};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::control;
use crate::control::protocol::Request;
use crate::output::USUAL_DATA;

/// The names of its services.
pub(crate) fn services() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let services: Vec<Value> = ask(&Request::Services {}).unwrap_or_default();
        let names = services.iter().filter_map(|service| service.get("service")?.as_str());
        candidates(names, current)
    })
}

/// The functions of the service that stands before.
pub(crate) fn functions() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let service = service(words()).and_then(|service| service.into_string().ok());
        let functions = service.and_then(|service| ask::<Vec<String>>(&Request::Functions { service }));
        candidates(functions.iter().flatten().map(String::as_str), current)
    })
}

fn candidates<'a>(names: impl Iterator<Item = &'a str>, current: &OsStr) -> Vec<CompletionCandidate> {
    let begun = current.to_str().unwrap_or_default();
    names.filter(|name| name.starts_with(begun)).map(CompletionCandidate::new).collect()
}

fn ask<T: DeserializeOwned>(request: &Request) -> Option<T> {
    control::ask(&data(words()), request).ok()
}

/// The command line that is completed: what the shell has passed on.
fn words() -> impl Iterator<Item = OsString> {
    std::env::args_os().skip_while(|word| word != "--").skip(1)
}

/// The data folder that it names.
fn data(mut words: impl Iterator<Item = OsString>) -> PathBuf {
    while let Some(word) = words.next() {
        if word == "--data" {
            return words.next().unwrap_or_default().into();
        }
        if let Some(folder) = word.to_str().and_then(|word| word.strip_prefix("--data=")) {
            return folder.into();
        }
    }
    USUAL_DATA.into()
}

/// The service that it names: behind the command and its subcommand the first word that is neither an option nor what
/// stands behind one.
fn service(words: impl Iterator<Item = OsString>) -> Option<OsString> {
    let mut is_value = false;
    let mut plain = words.filter(|word| {
        let word = word.to_string_lossy();
        let is_option = word.starts_with("--");
        let is_taken = std::mem::replace(&mut is_value, is_option && word != "--json" && !word.contains('='));
        !is_option && !is_taken
    });
    plain.nth(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_and_the_folder_are_found_wherever_options_stand() {
        for (line, found, folder) in [
            ("airssys call pricing ", Some("pricing"), ".airssys"),
            ("airssys call --data d --json pricing", Some("pricing"), "d"),
            ("airssys call --data=d --timeout 1s pricing", Some("pricing"), "d"),
            ("airssys call", None, ".airssys"),
            ("airssys call --data", None, ""),
        ] {
            let words = || line.split_whitespace().map(OsString::from);
            assert_eq!(service(words()).as_deref(), found.map(OsStr::new), "{line}");
            assert_eq!(data(words()), PathBuf::from(folder), "{line}");
        }
    }
}
