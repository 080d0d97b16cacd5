//! A layer that notes what it is asked about and how that ended, and answers as it was told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use airssys_wasm::error::CallError;
use airssys_wasm::hint::Coded;
use airssys_wasm::message::Answer;
use airssys_wasm::middleware::{Context, ErrorVerdict, Layer, Operations, Verdict};
use bytes::Bytes;

#[derive(Default)]
struct Noted {
    entries: u64,
    /// Those that are not settled.
    open: BTreeMap<u64, String>,
    /// What was settled, in that order, and how.
    settled: Vec<String>,
    errors: usize,
    wrong: Vec<String>,
}

/// What a layer has seen.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Noted>>);

impl Seen {
    /// What was settled since the last time.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().settled)
    }

    /// Whether this was settled since the last time.
    pub(crate) fn has(&self, note: &str) -> bool {
        self.0.lock().unwrap().settled.iter().any(|settled| settled == note)
    }

    /// How many errors it was asked about.
    pub(crate) fn errors(&self) -> usize {
        self.0.lock().unwrap().errors
    }

    /// Each entry has been settled, and once.
    pub(crate) fn is_settled(&self) {
        let noted = self.0.lock().unwrap();
        assert_eq!((&noted.open, &noted.wrong), (&BTreeMap::new(), &Vec::new()));
    }
}

pub(crate) type Before = fn(&Context<'_>, &mut Bytes) -> Option<Verdict>;

pub(crate) struct Watch {
    pub(crate) priority: i32,
    pub(crate) of: Operations,
    pub(crate) seen: Seen,
    /// The targets that it answers about; else all.
    pub(crate) target: Option<&'static [&'static str]>,
    pub(crate) before: Before,
    pub(crate) on_error: fn(&CallError) -> ErrorVerdict,
    pub(crate) after_panics: bool,
}

impl Watch {
    /// Lets everything on.
    pub(crate) fn of(of: Operations, seen: &Seen) -> Self {
        Self {
            priority: 10,
            of,
            seen: seen.clone(),
            target: None,
            before: |_, _| None,
            on_error: |_| ErrorVerdict::Continue,
            after_panics: false,
        }
    }
}

impl Watch {
    /// Where it leaves its number: there are two of them in a stack at most.
    fn key(&self) -> &'static str {
        if self.priority == 10 { "watch" } else { "other" }
    }
}

fn text(bytes: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(bytes))
}

impl Layer for Watch {
    fn name(&self) -> &'static str {
        "watch"
    }

    fn priority(&self) -> i32 {
        self.priority
    }

    fn applies_to(&self) -> Operations {
        self.of
    }

    fn before(&self, context: &mut Context<'_>, body: &mut Bytes) -> Verdict {
        let key = self.key();
        assert!(context.needs.contains(context.operation) && context.needs.intersects(self.of));
        let mut note = format!("{} [{}] {}", context.operation, context.needs, context.target);
        if let Some(also) = context.also {
            note += &format!(" and {also}");
        }
        if note.contains("-write [") {
            note += &format!(" {}", text(body));
        }
        {
            let mut noted = self.seen.0.lock().unwrap();
            noted.entries += 1;
            let entry = noted.entries;
            noted.open.insert(entry, note);
            context.attributes.insert(key, entry.to_string().into());
        }
        if self.target.is_some_and(|targets| !targets.contains(&context.target)) {
            return Verdict::Continue;
        }
        (self.before)(context, body).unwrap_or(Verdict::Continue)
    }

    fn on_error(&self, _: &Context<'_>, error: &CallError) -> ErrorVerdict {
        self.seen.0.lock().unwrap().errors += 1;
        (self.on_error)(error)
    }

    fn after(&self, context: &Context<'_>, outcome: &Answer) {
        {
            let mut noted = self.seen.0.lock().unwrap();
            let entry: Option<u64> = context.attributes.get(self.key()).map(|entry| entry.parse().unwrap());
            match entry.and_then(|entry| noted.open.remove(&entry)) {
                None => {
                    noted.wrong.push(format!("{} {}: settled twice, or never asked", context.operation, context.target))
                }
                Some(note) => {
                    let how = match outcome {
                        Ok(None) => "ok".to_owned(),
                        Ok(Some(body)) => format!("ok {}", text(body)),
                        Err(CallError::Failed { code }) => format!("failed {code}"),
                        Err(error) => error.code().to_owned(),
                    };
                    noted.settled.push(format!("{note}: {how}"));
                }
            }
        }
        assert!(!self.after_panics, "told to panic");
    }
}
