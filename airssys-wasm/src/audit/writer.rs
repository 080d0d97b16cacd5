//! The thread that writes the chain.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::act::Unrecorded;
use super::chain::{Chain, Signer};
use super::queue::{Entry, Queue, Taken};
use super::record::{AuditKind, Record};
use super::status::{News, Shared, Tell};
use crate::hex;

/// A head is signed when so many lines have no signature over them,
const HEAD_EVERY: u64 = 1_000;
/// or have had none for so long.
const HEAD_AFTER: Duration = Duration::from_secs(60);
/// How long lines may be written and not yet safe from a power cut, where nobody waits for them.
const SYNC_AFTER: Duration = Duration::from_secs(1);
/// How often it is tried again where nothing can be written.
const TRY_AFTER: Duration = Duration::from_secs(1);
/// How long it waits for something to do.
const IDLE: Duration = Duration::from_secs(60);

pub(super) struct Writer {
    chain: Chain,
    signer: Option<Signer>,
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    tell: Tell,
    /// What is to be written and could not be yet.
    kept: VecDeque<Entry>,
    /// Lines that are missing and of which no line tells yet.
    lost: u64,
    /// Since when nothing can be written, and why.
    broken: Option<(SystemTime, String)>,
    /// Lines without a signature over them, and since when.
    unsigned: Option<(u64, Instant)>,
    /// Since when lines are not synced.
    unsynced: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        chain: Chain,
        signer: Option<Signer>,
        queue: Arc<Queue>,
        shared: Arc<Shared>,
        tell: Tell,
    ) -> Self {
        let (kept, lost, broken, unsigned, unsynced) = (VecDeque::new(), 0, None, None, None);
        Self { chain, signer, queue, shared, tell, kept, lost, broken, unsigned, unsynced }
    }

    /// Writes until nothing comes any more.
    pub(super) fn run(mut self) {
        loop {
            let Taken { entries, lost, ended } = self.queue.take(self.wait(), self.kept.len());
            self.kept.extend(entries);
            self.lost += lost;
            if ended {
                self.kept.push_back(Entry { at: SystemTime::now(), record: Record::of(AuditKind::End), answer: None });
            }
            let is_due = |since: Option<Instant>, after| since.is_some_and(|since: Instant| since.elapsed() >= after);
            let head = ended || is_due(self.unsigned.map(|(_, since)| since), HEAD_AFTER);
            if !self.kept.is_empty() || self.lost > 0 || self.broken.is_some() || (head && self.unsigned.is_some()) {
                let tried = self.write(head, ended);
                self.settle(tried);
            }
            if is_due(self.unsynced, SYNC_AFTER) {
                match self.chain.sync() {
                    Ok(()) => self.unsynced = None,
                    Err(error) => self.breaks(&error),
                }
            }
            if ended {
                // The folder is let go of before anybody is told.
                let queue = Arc::clone(&self.queue);
                drop(self);
                queue.done();
                return;
            }
        }
    }

    /// How long there is nothing to do unless something comes.
    fn wait(&self) -> Duration {
        let left = |since: Instant, after: Duration| after.saturating_sub(since.elapsed());
        let sync = self.unsynced.map_or(IDLE, |since| left(since, SYNC_AFTER));
        let head = self.unsigned.map_or(IDLE, |(_, since)| left(since, HEAD_AFTER));
        let again = if self.broken.is_some() || self.queue.has_counts() { TRY_AFTER } else { IDLE };
        sync.min(head).min(again)
    }

    /// Writes what is kept, with the line that tells what is missing before it, and a head where one is due.
    fn write(&mut self, head: bool, ended: bool) -> io::Result<u64> {
        let (mut place, mut lines) = (self.chain.place, Vec::new());
        let is_moved = !self.chain.is_there();
        if is_moved || self.chain.is_full() {
            self.chain.next_file()?;
            if is_moved {
                let told = "the file that was written was moved or removed while the host ran".to_owned();
                (self.tell)(News::Lost, told.clone());
                let record = Record { detail: Some(told), ..Record::of(AuditKind::Lost) };
                place.add(SystemTime::now(), record, None, &mut lines);
            }
            if let Some((to, told)) = self.chain.retire()? {
                let record = Record { detail: Some(told), times: Some(to), ..Record::of(AuditKind::Retired) };
                place.add(SystemTime::now(), record, None, &mut lines);
            }
        }
        let gap = self.broken.as_ref().map(|(since, why)| {
            format!("nothing could be written from {} on: {why}", humantime::format_rfc3339_seconds(*since))
        });
        if self.lost > 0 || gap.is_some() {
            let record = Record { times: Some(self.lost), detail: gap, ..Record::of(AuditKind::Lost) };
            place.add(SystemTime::now(), record, None, &mut lines);
        }
        for entry in &self.kept {
            place.add(entry.at, entry.record.clone(), None, &mut lines);
        }
        let unsigned = self.unsigned.map_or(0, |(lines, _)| lines) + (place.number - self.chain.place.number);
        let is_signed = self.signer.is_some() && (head || unsigned >= HEAD_EVERY);
        if is_signed {
            place.add(SystemTime::now(), Record::of(AuditKind::Head), self.signer.as_ref(), &mut lines);
        }
        let sync = ended || is_signed || self.kept.iter().any(|entry| entry.answer.is_some());
        self.chain.append(&lines, place, sync)?;
        self.unsynced = if sync { None } else { self.unsynced.or_else(|| Some(Instant::now())) };
        Ok(if is_signed { 0 } else { unsigned })
    }

    /// Tells those who wait, and what has become of the chain.
    fn settle(&mut self, tried: io::Result<u64>) {
        match tried {
            Ok(unsigned) => {
                let since = self.unsigned.map_or_else(Instant::now, |(_, since)| since);
                self.unsigned = (unsigned > 0).then_some((unsigned, since));
                let lost = std::mem::take(&mut self.lost);
                let mut status = self.shared.status();
                (status.number, status.head) = (self.chain.place.number, hex::encode(&self.chain.place.head));
                status.lost += lost;
                drop(status);
                if self.broken.take().is_some() {
                    self.shared.set_broken(None);
                    (self.tell)(News::Mended, "the audit is written again".to_owned());
                }
                if lost > 0 {
                    (self.tell)(News::Lost, format!("{lost} lines of the audit are lost"));
                }
                self.kept.drain(..).filter_map(|entry| entry.answer).for_each(|answer| answer(Ok(())));
            }
            Err(error) => self.breaks(&error),
        }
    }

    /// An act that waits does not happen, so no line of it is ever written. All else is kept for later.
    fn breaks(&mut self, error: &io::Error) {
        let why = error.to_string();
        if self.broken.is_none() {
            self.broken = Some((SystemTime::now(), why.clone()));
            self.shared.set_broken(Some(why.clone()));
            (self.tell)(News::Broken, format!("the audit cannot be written: {why}"));
        }
        for mut entry in std::mem::take(&mut self.kept) {
            match entry.answer.take() {
                Some(answer) => answer(Err(Unrecorded::of(why.clone()))),
                None => self.kept.push_back(entry),
            }
        }
    }
}
