//! `airssys audit show`.

use std::path::{Path, PathBuf};

use airssys_wasm::command::{AuditLine, AuditLines, RawLine, Record};

use super::{AuditCommandError, ShowArgs, Source};
use crate::logs::changes::Changes;
use crate::output::{count, print_lines, printable};

pub(super) fn run(args: &ShowArgs) -> Result<(), AuditCommandError> {
    let path = args.from.path();
    let mut from = From::default();
    loop {
        let folder = if path.is_dir() { &path } else { path.parent().unwrap_or(&path) };
        // Before it is looked: what comes after that is a change.
        let changes = args.follow.then(|| Changes::of(folder));
        let files = match Source::files(&path) {
            // The host that will write it may not be up yet.
            Err(AuditCommandError::None { .. }) if args.follow => Vec::new(),
            files => files?,
        };
        if !from.tell(args, &path, files)? {
            return Ok(());
        }
        if !changes.is_some_and(Changes::wait) {
            return Ok(());
        }
    }
}

/// How far it was read.
#[derive(Default)]
struct From {
    file: Option<PathBuf>,
    at: u64,
}

impl From {
    /// Prints what is there and was not yet; false where nobody reads it any more.
    fn tell(&mut self, args: &ShowArgs, path: &Path, files: Vec<PathBuf>) -> Result<bool, AuditCommandError> {
        let unread = files.into_iter().skip_while(|file| self.file.as_ref().is_some_and(|last| file < last));
        let mut shown = Vec::new();
        for raw in AuditLines::of(unread.collect()) {
            let raw = raw.map_err(|source| AuditCommandError::Read { path: path.to_owned(), source })?;
            let is_new = self.file.as_ref() != Some(&raw.file) || raw.at > self.at;
            if !raw.is_whole || !is_new {
                continue;
            }
            (self.file, self.at) = (Some(raw.file.clone()), raw.at);
            shown.extend(line(args, &raw));
            if shown.len() >= 1_024 && !print_lines(&std::mem::take(&mut shown)).map_err(AuditCommandError::Output)? {
                return Ok(false);
            }
        }
        print_lines(&shown).map_err(AuditCommandError::Output)
    }
}

/// A line as it is printed; none where it is not asked for. What is no record is shown to who asks for everything.
fn line(args: &ShowArgs, raw: &RawLine) -> Option<String> {
    let text = String::from_utf8_lossy(&raw.bytes);
    let is_for_all = args.service.is_none() && args.kind.is_empty() && args.since.is_none();
    let Ok(line) = serde_json::from_slice::<AuditLine>(&raw.bytes) else {
        return is_for_all.then(|| printable(&text));
    };
    let is_of = args.service.as_ref().is_none_or(|service| line.record.service.as_ref() == Some(service));
    let is_kind = args.kind.is_empty() || args.kind.contains(&line.record.kind);
    let is_late = args.since.is_none_or(|since| humantime::parse_rfc3339(&line.at).is_ok_and(|at| at >= since));
    let is_wanted = is_of && is_kind && is_late;
    is_wanted.then(|| if args.json { text.into_owned() } else { printable(&said(&line)) })
}

/// For people: the number, the time, the kind, the service or `(host)`, and what it was.
fn said(line: &AuditLine) -> String {
    let Record { kind, service, actor, by, operation, target, missing, detail, times, key, .. } = &line.record;
    let who = actor.as_ref().or(service.as_ref()).map_or("(host)", String::as_str);
    let mut told = [operation, target].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
    let mut add = |part: String| {
        let comma = if told.is_empty() { "" } else { ", " };
        told.push_str(&format!("{comma}{part}"));
    };
    [missing, detail].into_iter().flatten().for_each(|part| add(part.clone()));
    times.iter().filter(|times| **times > 1).for_each(|times| {
        add(count(usize::try_from(*times).unwrap_or(usize::MAX), "time"));
    });
    by.iter().for_each(|by| add(format!("by {by}")));
    key.iter().for_each(|key| add(format!("signed by {key}")));
    format!("{:>6}  {}  {:<13}  {who}  {told}", line.number, line.at, kind.to_string())
}
