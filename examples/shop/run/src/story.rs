//! What happens, told as it happens: the runtime's events in words. The first few of a kind, then a count.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// How many events of one kind are told.
const TOLD: usize = 2;

/// The story, and who tells it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Story {
    paused: Arc<AtomicBool>,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Debug, Default)]
struct Notes {
    /// How often each thing happened.
    happened: BTreeMap<String, usize>,
    /// The last words of each service: where it panicked, and over what.
    last_words: BTreeMap<String, String>,
}

impl Story {
    /// Tells nothing more.
    pub(crate) fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    /// What happened so often that it was not told each time.
    pub(crate) fn summary(&self) -> String {
        let notes = self.notes();
        let often = notes.happened.iter().filter(|(_, times)| **times > TOLD);
        often.map(|(line, times)| format!("\n  {times:>4} times: {line}")).collect()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, target: &str, fields: &Fields) {
        let mut notes = self.notes();
        let service = fields.get("service");
        let line = match (target, fields.get("message")) {
            ("airssys::guest", line) => {
                notes.listen(service, line);
                None
            }
            ("airssys::actor", "crashed") => {
                let how = notes.last_words.remove(service);
                let how = how.unwrap_or_else(|| fields.get("crash").to_owned());
                notes.first(format!("{service} crashed: {how}"))
            }
            (_, "starts") => {
                let child = fields.get("child");
                if fields.get("generation") == FIRST {
                    Some(format!("  {child} starts"))
                } else {
                    let member = child.rsplit('/').next().unwrap_or(child);
                    let service = member.split('#').next().unwrap_or(member);
                    notes.first(format!("{service} is started again"))
                }
            }
            (_, "gives up: too many restarts") => Some(format!(
                "  supervisor {} gives up: too many restarts of {}",
                fields.get("supervisor"),
                fields.get("child")
            )),
            _ => None,
        };
        drop(notes);
        if let Some(line) = line {
            say(true, &line);
        }
    }
}

impl Notes {
    /// The line, where it was not told often enough.
    fn first(&mut self, line: String) -> Option<String> {
        let times = self.happened.entry(line.clone()).or_default();
        *times += 1;
        (*times <= TOLD).then(|| format!("  {line}"))
    }

    /// A panic comes as a line that says where and one that says why.
    fn listen(&mut self, service: &str, line: &str) {
        if let Some((_, place)) = line.split_once("panicked at ") {
            self.last_words.insert(service.to_owned(), format!("panic at {place}"));
        } else if let Some(words) = self.last_words.get_mut(service)
            && words.ends_with(':')
        {
            *words = format!("{words} {line}");
        }
    }
}

/// The generation of a child that was never started before.
const FIRST: &str = "1";

impl<S: Subscriber> Layer<S> for Story {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !self.paused.load(Ordering::Relaxed) && event.metadata().target().starts_with("airssys") {
            let mut fields = Fields::default();
            event.record(&mut fields);
            self.tell(event.metadata().target(), &fields);
        }
    }
}

/// An event's fields, as text.
#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Fields {
    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

/// Prints a line where somebody wants it. Whoever does not read on is none of our business.
pub(crate) fn say(wanted: bool, line: &str) {
    if wanted {
        let _nobody_reads = writeln!(std::io::stdout(), "{line}");
    }
}

/// Prints what went wrong.
pub(crate) fn complain(line: &str) {
    let _nobody_reads = writeln!(std::io::stderr(), "error: {line}");
}
