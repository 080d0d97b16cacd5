//! `airssys audit verify`.

use airssys_wasm::command::{Verified, VerifyAudit, verify_audit};

use super::{AuditCommandError, Source, VerifyArgs};
use crate::output::{self, count, printable};

pub(super) fn run(args: &VerifyArgs) -> Result<(), AuditCommandError> {
    let path = args.from.path();
    let files = Source::files(&path)?;
    let asked = VerifyAudit { key: args.key, noted: args.noted.clone(), is_whole: path.is_dir() };
    let unread = |source| AuditCommandError::Read { path: path.clone(), source };
    let found = verify_audit(files, &asked).map_err(unread)?;
    if args.json {
        output::print_json(&found)?;
    } else {
        output::print(&text(&found))?;
    }
    match found.fault {
        None => Ok(()),
        Some(fault) => Err(AuditCommandError::Fault { path, number: fault.number, what: fault.what }),
    }
}

/// For people.
fn text(found: &Verified) -> String {
    let mut told = String::new();
    if let Some(fault) = &found.fault {
        let place = if fault.at > 0 { format!(" ({}:{})", fault.file.display(), fault.at) } else { String::new() };
        told.push_str(&format!("line {} is {}: {}{place}\n", fault.number, fault.what, fault.detail));
    }
    found.notes.iter().for_each(|note| told.push_str(&format!("note: {note}\n")));
    let lines = count(usize::try_from(found.lines).unwrap_or(usize::MAX), "line");
    let fit = if found.fault.is_some() { " before it" } else { "" };
    told.push_str(&format!("{lines}{fit} as they were written, the last one is {}:{}\n", found.last, found.head));
    match found.keys.as_slice() {
        [] => told.push_str("nothing is signed"),
        keys => told.push_str(&format!("signed to line {} by {}", found.signed_to, keys.join(" and by "))),
    }
    told.lines().map(printable).collect::<Vec<_>>().join("\n")
}
