#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::{
    Audit, AuditError, AuditHead, AuditKind, AuditLine, News, Record, Verified, VerifyAudit, audit_files, verify_audit,
};

type Heard = Arc<Mutex<Vec<(News, String)>>>;

fn open(folder: &Path, required: bool) -> (Arc<Audit>, Heard) {
    let heard = Heard::default();
    let told = Arc::clone(&heard);
    let tell = Box::new(move |news, detail| told.lock().unwrap().push((news, detail)));
    (Audit::open(folder, None, required, tell).unwrap(), heard)
}

fn denied(target: &str) -> Record {
    let (service, target) = (Some("bare".to_owned()), Some(target.to_owned()));
    Record { service, target, ..Record::of(AuditKind::Denied) }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("000001.jsonl")
}

fn lines(folder: &Path) -> Vec<AuditLine> {
    let text = fs::read_to_string(file(folder)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn verified(folder: &Path) -> Verified {
    let asked = VerifyAudit { is_whole: true, ..VerifyAudit::default() };
    verify_audit(audit_files(folder).unwrap(), &asked).unwrap()
}

fn kinds(folder: &Path) -> Vec<AuditKind> {
    lines(folder).iter().map(|line| line.record.kind).collect()
}

/// As one that was killed leaves it.
fn cut_short(folder: &Path) {
    let text = fs::read_to_string(file(folder)).unwrap();
    let begun: Vec<&str> = text.split_inclusive('\n').filter(|line| !line.contains("\"kind\":\"end\"")).collect();
    fs::write(file(folder), begun[..begun.len() - 1].concat() + "{\"number\":4,\"at\":\"20").unwrap();
}

#[test]
fn the_chain_goes_on_behind_an_end_and_behind_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (audit, heard) = open(folder.path(), false);
    audit.note(denied("one"));
    audit.note(denied("two"));
    audit.end();
    drop(audit);
    use AuditKind::{Begin, Cut, Denied, End, Head};
    assert_eq!(kinds(folder.path()), [Begin, Denied, Denied, End, Head]);
    assert!(heard.lock().unwrap().is_empty());
    let found = verified(folder.path());
    assert_eq!((found.lines, found.signed_to, found.fault, found.notes), (5, 5, None, Vec::new()));

    cut_short(folder.path());
    let torn = verified(folder.path());
    assert_eq!((torn.lines, torn.fault), (3, None));
    assert!(torn.notes.iter().any(|note| note.contains("are no whole line")), "{:?}", torn.notes);

    let (audit, heard) = open(folder.path(), false);
    audit.end();
    drop(audit);
    assert_eq!(kinds(folder.path())[3..], [Begin, Cut, End, Head]);
    assert_eq!(heard.lock().unwrap()[0].0, News::Cut);
    let found = verified(folder.path());
    assert_eq!((found.lines, found.fault), (7, None));
    let said = |part: &str| assert!(found.notes.iter().any(|note| note.contains(part)), "{part}: {:?}", found.notes);
    said("line 4 did not stop in order");
    said("line 5: 20 bytes that were no whole line");
}

#[test]
fn a_text_is_one_line_whatever_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let (audit, _) = open(folder.path(), false);
    let evil = "a\"}\n{\"number\":9,\"kind\":\"grant\"}\r\n\u{1b}[2J\u{2028}\u{0}\\";
    audit.note(denied(evil));
    audit.end();
    let lines = lines(folder.path());
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[1].record.target.as_deref(), Some(evil));
    assert_eq!(verified(folder.path()).fault, None);
}

#[test]
fn what_was_noted_elsewhere_tells_of_lines_that_are_gone_from_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (audit, _) = open(folder.path(), false);
    (0..5).for_each(|at| audit.note(denied(&at.to_string())));
    audit.end();
    let status = audit.status();
    let noted = Some(AuditHead { number: status.number, head: status.head.clone() });
    let look = |noted: &Option<AuditHead>| {
        let asked = VerifyAudit { noted: noted.clone(), ..VerifyAudit::default() };
        verify_audit(audit_files(folder.path()).unwrap(), &asked).unwrap().fault
    };
    assert_eq!(look(&noted), None);
    let text = fs::read_to_string(file(folder.path())).unwrap();
    let fewer: Vec<&str> = text.split_inclusive('\n').take(4).collect();
    fs::write(file(folder.path()), fewer.concat()).unwrap();
    assert_eq!(look(&None), None, "nothing in the files says so");
    let fault = look(&noted).unwrap();
    assert_eq!((fault.number, fault.what.as_str()), (status.number, "removed"));
}

#[test]
fn a_chain_that_was_made_anew_has_no_signature() {
    let folder = tempfile::tempdir().unwrap();
    let (audit, _) = open(folder.path(), false);
    (0..3).for_each(|at| audit.note(denied(&at.to_string())));
    audit.end();
    let mut before = super::record::NOTHING;
    let mut text = Vec::new();
    for mut line in lines(folder.path()) {
        line.before = crate::hex::encode(&before);
        if line.record.target.as_deref() == Some("1") {
            line.record.target = Some("nothing of the kind".to_owned());
        }
        let bytes = line.bytes();
        before = super::record::hash(&bytes);
        text.extend_from_slice(&bytes);
        text.push(b'\n');
    }
    fs::write(file(folder.path()), text).unwrap();
    let fault = verified(folder.path()).fault.unwrap();
    assert_eq!((fault.number, fault.what.as_str()), (6, "forged"));
    let other = crate::keys::SecretKey::generate().unwrap().public();
    let asked = VerifyAudit { key: Some(other), ..VerifyAudit::default() };
    let fault = verify_audit(audit_files(folder.path()).unwrap(), &asked).unwrap().fault.unwrap();
    assert_eq!(fault.what, "forged");
}

#[test]
fn one_host_has_the_folder_and_a_key_that_is_none_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (audit, _) = open(folder.path(), false);
    let again = Audit::open(folder.path(), None, false, Box::new(|_, _| {}));
    assert!(matches!(again, Err(AuditError::Taken { .. })));
    audit.end();
    drop(audit);
    fs::write(folder.path().join("key"), "no key").unwrap();
    let required = Audit::open(folder.path(), None, true, Box::new(|_, _| {}));
    assert!(matches!(required, Err(AuditError::Key(_))));
    let (audit, heard) = open(folder.path(), false);
    assert_eq!(heard.lock().unwrap()[0].0, News::Unsigned);
    audit.end();
    assert_eq!(kinds(folder.path())[3..], [AuditKind::Begin, AuditKind::End]);
}

#[test]
fn a_service_that_is_denied_over_and_over_has_a_count_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (audit, _) = open(folder.path(), false);
    (0..5_000).for_each(|_| audit.note(denied("x")));
    audit.end();
    let denials: Vec<u64> = lines(folder.path())
        .into_iter()
        .filter(|line| line.record.kind == AuditKind::Denied)
        .map(|line| line.record.times.unwrap_or(1))
        .collect();
    assert!(denials.len() < 1_000, "{} lines", denials.len());
    assert_eq!(denials.iter().sum::<u64>(), 5_000, "none is left out of the count");
}

#[test]
fn what_has_no_room_is_a_line_of_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let (audit, heard) = open(folder.path(), false);
    let record = |at: u64| Record { times: Some(at), ..Record::of(AuditKind::LimitReached) };
    let all = 20 * super::queue::MOST as u64;
    (0..all).for_each(|at| audit.note(record(at)));
    audit.end();
    let lines = lines(folder.path());
    let of = |kind| lines.iter().filter(move |line| line.record.kind == kind);
    let lost: u64 = of(AuditKind::Lost).filter_map(|line| line.record.times).sum();
    assert_eq!(of(AuditKind::LimitReached).count() as u64 + lost, all);
    assert_eq!(audit.status().lost, lost);
    assert_eq!(lost > 0, heard.lock().unwrap().iter().any(|(news, _)| *news == News::Lost));
    assert_eq!(verified(folder.path()).fault, None);
}

#[test]
fn a_file_that_is_moved_away_is_missed_and_the_chain_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (audit, heard) = open(folder.path(), true);
    audit.act_now(Record::act("one", None, None)).unwrap();
    let away = folder.path().join("away");
    fs::rename(file(folder.path()), &away).unwrap();
    audit.act_now(Record::act("two", None, None)).unwrap();
    assert!(heard.lock().unwrap().iter().any(|(news, _)| *news == News::Lost));
    audit.end();
    let fault = verified(folder.path()).fault.unwrap();
    assert_eq!((fault.number, fault.what.as_str()), (1, "removed"));
    fs::rename(&away, file(folder.path())).unwrap();
    assert_eq!(verified(folder.path()).fault, None);
}

/// What is done to a file by hand.
#[derive(Debug, Clone)]
enum Edit {
    Byte(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Twice(prop::sample::Index, prop::sample::Index),
    Cut(prop::sample::Index),
    Join(prop::sample::Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
        at().prop_map(Edit::Remove),
        (at(), at()).prop_map(|(from, to)| Edit::Swap(from, to)),
        (at(), at()).prop_map(|(from, to)| Edit::Twice(from, to)),
        at().prop_map(Edit::Cut),
        at().prop_map(Edit::Join),
    ]
}

proptest! {
    /// Whatever is done to one place of a file, the first line that is not as it was is named; but for lines that are
    /// cut off from the end.
    #[test]
    fn an_edit_is_found_and_its_line_is_named(count in 1_usize..12, edit in edit()) {
        let folder = tempfile::tempdir().unwrap();
        let (audit, _) = open(folder.path(), false);
        (0..count).for_each(|at| audit.note(denied(&at.to_string())));
        audit.end();
        let text = fs::read(file(folder.path())).unwrap();
        let lines: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let mut edited = lines.clone();
        match &edit {
            Edit::Byte(at, byte) => {
                let mut bytes = text.clone();
                *at.get_mut(&mut bytes) ^= byte;
                edited = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            }
            Edit::Remove(at) => drop(edited.remove(at.index(lines.len()))),
            Edit::Swap(from, to) => edited.swap(from.index(lines.len()), to.index(lines.len())),
            Edit::Twice(from, to) => {
                let line = from.get(&lines).clone();
                edited.insert(to.index(lines.len()), line);
            }
            Edit::Cut(at) => {
                let line = at.get_mut(&mut edited);
                line.drain(..line.len() / 2);
            }
            Edit::Join(at) => {
                let line = at.get_mut(&mut edited);
                line.pop();
            }
        }
        fs::write(file(folder.path()), edited.concat()).unwrap();
        let found = verified(folder.path());
        let edited = edited.concat();
        if text == edited {
            prop_assert_eq!(found.fault, None);
        } else if text.starts_with(&edited) {
            prop_assert_eq!(found.fault, None, "lines that are gone from the end leave no trace: {:?}", edit);
        } else {
            let same = text.iter().zip(&edited).take_while(|(one, other)| one == other).count();
            let first = text[..same].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
            let fault = found.fault;
            let named = fault.as_ref().map(|fault| fault.number);
            // A line that comes a second time is named by the number that it has.
            let is_second = fault.as_ref().is_some_and(|fault| fault.what == "duplicated");
            // Behind the last line there is none that would vouch for it: what was torn there is as after a kill.
            let is_torn = named.is_none() && first == lines.len() as u64 && !edited.ends_with(b"\n");
            // Lines that stand behind the last one are behind it.
            prop_assert!(
                named == Some(first) || (is_second && named.is_some_and(|named| named < first)) || is_torn,
                "{edit:?}: line {first} differs first, found {fault:?}"
            );
        }
    }
}
