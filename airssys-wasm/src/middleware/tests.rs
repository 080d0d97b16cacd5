#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by panicking")]

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::{Context, ErrorVerdict, Layer, Operations, Passage, Settled, Stack, Verdict, Who};
use crate::address::Address;
use crate::capability::{Operation, Policy};
use crate::error::{CallError, SendError};
use crate::events::Events;
use crate::hint::Coded;
use crate::message::Answer;
use crate::rate::Rate;

type Log = Arc<Mutex<Vec<String>>>;

/// Says what it was asked, and answers as it was told.
struct Told {
    name: &'static str,
    priority: i32,
    log: Log,
    before: fn(&mut Context<'_>, &mut Bytes) -> Verdict,
    on_error: fn(&CallError) -> ErrorVerdict,
}

impl Layer for Told {
    fn name(&self) -> &'static str {
        self.name
    }

    fn priority(&self) -> i32 {
        self.priority
    }

    fn before(&self, context: &mut Context<'_>, body: &mut Bytes) -> Verdict {
        self.log.lock().unwrap().push(format!("{} before", self.name));
        (self.before)(context, body)
    }

    fn after(&self, _: &Context<'_>, outcome: &Answer) {
        let outcome = if outcome.is_ok() { "ok" } else { "error" };
        self.log.lock().unwrap().push(format!("{} after {outcome}", self.name));
    }

    fn on_error(&self, _: &Context<'_>, error: &CallError) -> ErrorVerdict {
        self.log.lock().unwrap().push(format!("{} on {}", self.name, error.code()));
        (self.on_error)(error)
    }
}

fn layer(log: &Log, name: &'static str, priority: i32) -> Told {
    Told {
        name,
        priority,
        log: Arc::clone(log),
        before: |_, _| Verdict::Continue,
        on_error: |_| ErrorVerdict::Continue,
    }
}

/// Sends through `outer` and `inner`, the mailbox answering `outcome`.
fn pass(outer: Told, inner: Told, outcome: &Answer) -> Answer {
    let stack = Stack::new(vec![Arc::new(inner), Arc::new(outer)], &Events::new(1, 1_024));
    let mut retries = 0;
    loop {
        let mut passage = Passage::new(&stack, Context::new(Who::Host, Operation::Send, "somebody"));
        let outcome = passage.enter(&mut Bytes::new()).map_or_else(|outcome| outcome, |()| outcome.clone());
        match passage.settle(outcome, retries) {
            Settled::Done(outcome) => return outcome.answer,
            Settled::Retry => retries += 1,
        }
    }
}

#[test]
fn layers_run_by_priority_and_back_in_reverse() {
    let log = Log::default();
    pass(layer(&log, "outer", 9), layer(&log, "inner", 1), &Ok(None)).unwrap();
    assert_eq!(*log.lock().unwrap(), ["outer before", "inner before", "inner after ok", "outer after ok"]);
}

#[test]
fn a_layer_that_handles_or_rejects_keeps_the_inner_ones_out() {
    let log = Log::default();
    let outer = Told { before: |_, _| Verdict::Handled(Some("mine".into())), ..layer(&log, "outer", 9) };
    assert_eq!(pass(outer, layer(&log, "inner", 1), &Ok(None)), Ok(Some("mine".into())));
    let outer = Told { before: |_, _| Verdict::Reject(CallError::Timeout), ..layer(&log, "outer", 9) };
    assert_eq!(pass(outer, layer(&log, "inner", 1), &Ok(None)), Err(CallError::Timeout));
    assert_eq!(
        *log.lock().unwrap(),
        ["outer before", "outer after ok", "outer before", "outer on timeout", "outer after error"]
    );
}

#[test]
fn every_answer_to_an_error_is_obeyed() {
    let failed: Answer = Err(CallError::Timeout);
    for (recovery, outcome, asked_outer) in [
        ((|_| ErrorVerdict::Continue) as fn(&CallError) -> ErrorVerdict, failed.clone(), Some("outer on timeout")),
        (|_| ErrorVerdict::Replace(CallError::Deadlock), Err(CallError::Deadlock), Some("outer on deadlock")),
        (|_| ErrorVerdict::Suppress, Ok(None), None),
        (|_| ErrorVerdict::Stop, failed.clone(), None),
    ] {
        let log = Log::default();
        let inner = Told { on_error: recovery, ..layer(&log, "inner", 1) };
        assert_eq!(pass(layer(&log, "outer", 9), inner, &failed), outcome);
        let asked = log.lock().unwrap().iter().find(|line| line.starts_with("outer on")).cloned();
        assert_eq!(asked.as_deref(), asked_outer);
    }
}

#[test]
fn a_retry_is_bounded_and_a_denial_never_retried() {
    let log = Log::default();
    let inner = Told { on_error: |_| ErrorVerdict::Retry, ..layer(&log, "inner", 1) };
    assert_eq!(pass(layer(&log, "outer", 9), inner, &Err(CallError::Timeout)), Err(CallError::Timeout));
    assert_eq!(log.lock().unwrap().iter().filter(|line| *line == "inner before").count(), 4);

    let denied = Policy::default().denial("a", Operation::Send, "b");
    let denied: Answer = Err(CallError::NotSent(SendError::Denied(Box::new(denied))));
    let log = Log::default();
    let inner = Told { on_error: |_| ErrorVerdict::Retry, ..layer(&log, "inner", 1) };
    assert_eq!(pass(layer(&log, "outer", 9), inner, &denied), denied);
    assert_eq!(log.lock().unwrap().iter().filter(|line| *line == "inner before").count(), 1);
}

#[test]
fn layers_hand_attributes_and_a_changed_body_on() {
    let log = Log::default();
    let outer = Told {
        before: |context, body| {
            context.attributes.insert("tenant", "blue".into());
            *body = "changed".into();
            Verdict::Continue
        },
        ..layer(&log, "outer", 9)
    };
    let inner = Told {
        before: |context, body| Verdict::Handled(Some(format!("{} {:?}", context.attributes["tenant"], body).into())),
        ..layer(&log, "inner", 1)
    };
    assert_eq!(pass(outer, inner, &Ok(None)), Ok(Some("blue b\"changed\"".into())));
}

#[test]
fn a_service_may_write_to_itself_and_to_nobody_else() {
    let stack = Stack::new(Vec::new(), &Events::new(1, 1_024));
    let address = Address::of_service("me").unwrap();
    let policy = Policy::default();
    let who = Who::Service { address: &address, policy: &policy };
    let enter =
        |target| Passage::new(&stack, Context::new(who, Operation::Send, target)).enter(&mut Bytes::new()).is_ok();
    assert!(enter("me"));
    assert!(!enter("you"));
}

#[test]
fn where_nobody_can_wait_a_layer_that_has_to_is_named_and_settled() {
    let log = Log::default();
    let waits = Told {
        before: |context, _| {
            assert!(!context.may_wait);
            Verdict::Later(Box::pin(async { panic!("nobody looks at it") }))
        },
        ..layer(&log, "later", 9)
    };
    let Err(CallError::NotSent(SendError::Rejected { layer: by, .. })) =
        pass(waits, layer(&log, "inner", 1), &Ok(None))
    else {
        panic!("it does not go on")
    };
    assert_eq!(by, "later");
    assert_eq!(*log.lock().unwrap(), ["later before", "later on rejected", "later after error"]);
}

#[test]
fn a_layer_is_named_by_what_it_turns_away_or_replaces() {
    let log = Log::default();
    let sent = |outer: Told, inner: Told, outcome: Answer| {
        let stack = Stack::new(vec![Arc::new(inner), Arc::new(outer)], &Events::new(1, 1_024));
        let mut passage = Passage::new(&stack, Context::new(Who::Host, Operation::Send, "somebody"));
        let outcome = passage.enter(&mut Bytes::new()).map_or_else(|outcome| outcome, |()| outcome);
        passage.end(outcome).sent().unwrap_err().to_string()
    };
    let rejects = Told { before: |_, _| Verdict::Reject(CallError::Timeout), ..layer(&log, "inner", 1) };
    assert_eq!(sent(layer(&log, "outer", 9), rejects, Ok(None)), "inner rejected it: no answer within the deadline");
    let replaces = Told { on_error: |_| ErrorVerdict::Replace(CallError::Timeout), ..layer(&log, "outer", 9) };
    let full = || Err(SendError::Overloaded { what: "it".to_owned() }.into());
    assert_eq!(sent(replaces, layer(&log, "inner", 1), full()), "outer rejected it: no answer within the deadline");
    assert_eq!(sent(layer(&log, "outer", 9), layer(&log, "inner", 1), full()), "it is full", "no layer's");
}

#[test]
fn where_nothing_is_configured_nobody_is_asked_about_more_than_messages() {
    let stack = Stack::new(Vec::new(), &Events::new(8, 8 << 10));
    let others = || Operation::ALL.into_iter().filter(|one| !Operations::MESSAGES.contains(*one));
    let unasked = || others().all(|one| !stack.wants(one.into()));
    assert!(stack.wants(Operations::MESSAGES) && unasked());
    let quota = Rate { name: "files".to_owned(), operations: 1, ..Rate::default() };
    stack.limit(&[quota], [("a", "files")].into_iter());
    assert!(stack.wants(Operations::FILES) && !stack.wants(Operation::Clock.into()));
    stack.limit(&[], std::iter::empty());
    assert!(unasked(), "what is gone costs nothing any more");
}
