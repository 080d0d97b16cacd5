//! What is written of logs: each has its name, a place of its own, and is about something that there is.

use std::path::PathBuf;

use super::grants::from_file;
use super::written;
use crate::address::is_service_name;
use crate::config_file::{ConfigError, Source};
use crate::logger::{LogSettings, LogTo, WrittenLog, operations_of};
use crate::schema::Schema;

/// All logs, in the order of the file.
pub(super) fn logs(source: &Source, written: &written::Topology) -> Result<Vec<LogSettings>, ConfigError> {
    let mut all: Vec<LogSettings> = Vec::new();
    for entry in &written.logs {
        let log = log(source, entry, written)?;
        let same_name = |other: &&LogSettings| other.name == log.name;
        if all.iter().any(|other| same_name(&other)) {
            let what = format!("there is a log {:?} already", log.name);
            return Err(source.error(&entry.name.span(), what, "give one of them another name"));
        }
        let same_file = all.iter().find(|other| log.path.is_some() && other.path == log.path);
        if let (Some(other), Some(path)) = (same_file, &entry.path) {
            let what = format!("the log {:?} is written to this file", other.name);
            return Err(source.error(&path.span(), what, "give each log a file of its own"));
        }
        all.push(log);
    }
    Ok(all)
}

fn log(source: &Source, entry: &WrittenLog, written: &written::Topology) -> Result<LogSettings, ConfigError> {
    let mut log = LogSettings::default();
    log.take(entry);
    let (at, name) = (entry.name.span(), entry.name.get_ref());
    if !is_service_name(name) {
        let what = format!("{name:?} is no name of a log");
        return Err(source.error(&at, what, "names are of lower-case letters, digits and `-`, such as \"all\""));
    }
    log.path = match (&entry.path, log.to) {
        (None, LogTo::File) => {
            let what = format!("the log {name:?} goes to a file, and there is no `path` of it");
            return Err(source.error(&entry.to.span(), what, "add one, such as `path = \"log/mesh.jsonl\"`"));
        }
        (Some(path), LogTo::Console | LogTo::Tracing) => {
            let what = format!("the log {name:?} goes to no file");
            return Err(source.error(&path.span(), what, "leave `path` out, or say `to = \"file\"`"));
        }
        (path, _) => path.as_ref().map(|path| absolute(from_file(source, path.get_ref()))),
    };
    log.services.clear();
    for service in entry.services.iter().flatten() {
        log.services.push(service.get_ref().clone());
    }
    let named = entry.services.iter().flatten().chain(entry.levels.iter().flat_map(|levels| levels.keys()));
    for service in named {
        if !written.services.iter().any(|known| known.get_ref().name.get_ref() == service.get_ref()) {
            let what = format!("there is no service {:?}", service.get_ref());
            return Err(source.error(&service.span(), what, "name one of the [[service]] entries"));
        }
    }
    for word in entry.operations.iter().flatten() {
        if operations_of(word.get_ref()).is_none() {
            let what = format!("{:?} is no operation", word.get_ref());
            let hint = "write `messages`, `files`, `sockets`, `state`, `all`, or one by its name, such as `send`";
            return Err(source.error(&word.span(), what, hint));
        }
    }
    Ok(log)
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}
