//! In what a shadow differs from the turn that it was shown, in words: of two values that are long, the part in which
//! they do.

use bytes::Bytes;

use crate::engine::{Answered, shown_call, shown_result};
use crate::error::Fault;
use crate::message::Envelope;
use crate::shown::{beginning, beginning_of_values, bodies_apart, values_apart};
use crate::state::Transaction;
use crate::typed::FunctionType;

/// What a shadow did with a message.
pub(super) struct Played {
    pub(super) answer: Result<Answered, Fault>,
    pub(super) writes: Transaction,
    pub(super) differences: Vec<String>,
}

impl Played {
    /// In what it differs from the live turn, which was over a call of this function, if it was.
    pub(super) fn differs(
        self,
        function: Option<&FunctionType>,
        answer: &Result<Answered, Fault>,
        writes: &Transaction,
    ) -> Vec<String> {
        let mut what = self.differences;
        if self.answer != *answer {
            let (this, that) = answers_apart(function, &self.answer, answer);
            what.push(format!("it answers {this} instead of {that}"));
        }
        // What failed writes nothing.
        let commits = |answer: &Result<Answered, Fault>| answer.as_ref().is_ok_and(|answer| answer.commits);
        if commits(&self.answer) && commits(answer) {
            what.extend(self.writes.differences(writes));
        }
        what
    }
}

/// What a message asks, as it is told.
pub(super) fn asked(envelope: &Envelope) -> String {
    let call = envelope.function.as_deref().and_then(|function| shown_call(function, &envelope.body));
    call.map_or_else(|| beginning(&envelope.body), |call| beginning_of_values(&call))
}

/// Two answers that differ, as they are told: those of a function by its type.
fn answers_apart(
    function: Option<&FunctionType>,
    one: &Result<Answered, Fault>,
    other: &Result<Answered, Fault>,
) -> (String, String) {
    let body = |answer: &Result<Answered, Fault>| answer.as_ref().ok().and_then(|answer| answer.body.clone());
    let typed = |body: &Bytes| shown_result(function?, body);
    if let (Some(one), Some(other)) = (body(one), body(other)) {
        return match (typed(&one), typed(&other)) {
            (Some(one), Some(other)) if one != other => values_apart(&one, &other),
            _ => bodies_apart(&one, &other),
        };
    }
    let said = |answer: &Result<Answered, Fault>| match answer {
        Ok(Answered { body: None, .. }) => "nothing".to_owned(),
        Ok(Answered { body: Some(body), .. }) => {
            typed(body).map_or_else(|| beginning(body), |typed| beginning_of_values(&typed))
        }
        Err(fault) => format!("the fault {fault}"),
    };
    (said(one), said(other))
}
