//! What a topology grants a service: each grant is for something that is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::names::{Named, NodeKind};
use super::programs::programs;
use super::variables::environment;
use super::written;
use crate::address::split;
use crate::capability::{Access, FileGrant, Given, Grants, Pattern, ProcessGrant, given, spelling};
use crate::config_file::{ConfigError, Source, parse_all};

pub(super) fn grants(
    source: &Source,
    written: &written::Topology,
    names: &BTreeMap<&str, Named<'_>>,
    asked: &written::Grants,
) -> Result<Grants, ConfigError> {
    let said = |list: &'_ Option<Vec<Spanned<String>>>| list.clone().unwrap_or_default();
    check_spawned(source, written, names, &said(&asked.spawn))?;
    let files = asked.files.as_ref().map_or_else(|| Ok(BTreeMap::new()), |asked| files(source, asked))?;
    let processes = asked.processes.as_ref().map_or_else(|| Ok(BTreeMap::new()), |asked| programs(source, asked))?;
    check_own_programs(source, asked, &files, &processes)?;
    Ok(Grants {
        send: addresses(source, names, &said(&asked.send), split_address)?,
        call: addresses(source, names, &said(&asked.call), split_function)?,
        publish: parse_all(source, &said(&asked.publish))?,
        subscribe: parse_all(source, &said(&asked.subscribe))?,
        spawn: addresses(source, names, &said(&asked.spawn), split_address)?,
        files,
        environment: asked
            .environment
            .as_ref()
            .map_or_else(|| Ok(BTreeMap::new()), |asked| environment(source, asked))?,
        sockets: parse_all(source, &said(&asked.sockets))?,
        bind: parse_all(source, &said(&asked.bind))?,
        http: parse_all(source, &said(&asked.http))?,
        processes,
        ..Grants::default()
    })
}

/// Patterns of addresses: the service of each is one of the topology, or has a wildcard.
fn addresses(
    source: &Source,
    names: &BTreeMap<&str, Named<'_>>,
    texts: &[Spanned<String>],
    service_of: fn(&str) -> &str,
) -> Result<Vec<Given<Pattern>>, ConfigError> {
    for text in texts {
        let service = service_of(given::before_until(text.get_ref()));
        let known = matches!(names.get(service).map(|named| named.node), Some(NodeKind::Service(_)));
        if !service.contains('*') && !known {
            let what = format!("a grant for {:?}, and there is no service {service:?}", text.get_ref());
            return Err(source.error(&text.span(), what, "name a [[service]], or use a pattern with '*'"));
        }
    }
    parse_all(source, texts)
}

fn split_address(text: &str) -> &str {
    split(text).0
}

/// What may be called is a service, a key of it, or some of its functions: `pricing#quote`.
fn split_function(text: &str) -> &str {
    match text.split_once('#') {
        Some((service, _)) if !service.contains('/') => service,
        _ => split_address(text),
    }
}

/// Children are spawned only under a service whose actors are.
fn check_spawned(
    source: &Source,
    written: &written::Topology,
    names: &BTreeMap<&str, Named<'_>>,
    texts: &[Spanned<String>],
) -> Result<(), ConfigError> {
    for text in texts {
        let (service, _) = split(given::before_until(text.get_ref()));
        if let Some(NodeKind::Service(at)) = names.get(service).map(|named| named.node)
            && written.services[at].get_ref().spawned.is_none()
        {
            let what = format!("a grant to spawn {:?}, and the actors of {service:?} are not spawned", text.get_ref());
            return Err(source.error(&text.span(), what, format!("give {service:?} `spawned = {{}}`")));
        }
    }
    Ok(())
}

fn files(source: &Source, asked: &BTreeMap<String, written::File>) -> Result<BTreeMap<String, FileGrant>, ConfigError> {
    let (mut files, mut folders) = (BTreeMap::new(), spelling::Folders::default());
    for (guest, file) in asked {
        if let Some(first) = folders.take(guest) {
            let what = format!("the guest's folder {guest:?} stands there twice, also as {first:?}");
            return Err(source.error(&file.host.span(), what, "leave one of them out"));
        }
        files.insert(guest.clone(), file_grant(source, guest, file)?);
    }
    Ok(files)
}

fn file_grant(source: &Source, guest: &str, file: &written::File) -> Result<FileGrant, ConfigError> {
    let host = from_file(source, file.host.get_ref());
    if !host.is_dir() {
        let what = format!("the granted folder {} is not there", host.display());
        return Err(source.error(&file.host.span(), what, "make it, or leave the grant out"));
    }
    let access = file.access.unwrap_or(Access::VIEW);
    if access.changes() && lies_in(&source.path, &host) {
        let what = format!("the granted folder {} may be written to, and this file lies in it", host.display());
        let hint = "who can write this file can grant itself anything: grant a folder that does not hold it";
        return Err(source.error(&file.host.span(), what, hint));
    }
    let mut grant = FileGrant::new(host, access);
    if let Some(until) = &file.until {
        let end = given::parse_time(until.get_ref());
        grant.until = Some(end.map_err(|why| source.error(&until.span(), why, ""))?);
    }
    if let Some(max) = &file.max {
        if !access.changes() {
            let what = format!("the grant of {guest:?} has a `max`, and the folder may only be read");
            return Err(source.error(&max.span(), what, "leave it out, or write `access = \"read-write\"`"));
        }
        grant.max_bytes = max.get_ref().0;
    }
    Ok(grant)
}

/// No program lies where who may start it may write: it could start anything.
fn check_own_programs(
    source: &Source,
    asked: &written::Grants,
    files: &BTreeMap<String, FileGrant>,
    processes: &BTreeMap<String, ProcessGrant>,
) -> Result<(), ConfigError> {
    let written = || files.values().filter(|file| file.access.changes());
    for (name, process) in asked.processes.iter().flatten() {
        let program = processes.get(name).map(|granted| granted.program.as_path()).unwrap_or(Path::new(""));
        if let Some(folder) = written().find(|file| lies_in(program, &file.host)) {
            let (program, folder) = (program.display(), folder.host.display());
            let what = format!("the program {program} lies in the granted folder {folder}, which may be written to");
            let hint = "who can write a program can start anything: grant one that lies elsewhere";
            return Err(source.error(&process.program.span(), what, hint));
        }
    }
    Ok(())
}

/// Whether a file is in a folder, whatever links lead to either.
fn lies_in(file: &Path, folder: &Path) -> bool {
    matches!((file.canonicalize(), folder.canonicalize()), (Ok(file), Ok(folder)) if file.starts_with(&folder))
}

/// A path of the file, which is taken from the folder of the file.
pub(super) fn from_file(source: &Source, path: &Path) -> PathBuf {
    source.path.parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
}
