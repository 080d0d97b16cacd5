//! In what a shadow differs from the turn that it was shown, in words: of two values that are long, the part in which
//! they do.

use bytes::Bytes;

use crate::engine::{Answered, shown_call, shown_result};
use crate::error::Fault;
use crate::message::Envelope;
use crate::shown::{beginning, beginning_of_values, bodies_apart, values_apart};
use crate::state::Transaction;
use crate::typed::FunctionType;

/// In which way two turns differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Apart {
    /// Both answer, and not the same.
    Answers,
    /// One fails where the other does not, or both do in other words.
    Errors,
    /// They ask other things of others.
    Effects,
    /// They write other things to their state.
    State,
}

/// What a shadow did with a message.
pub(crate) struct Played {
    pub(crate) answer: Result<Answered, Fault>,
    pub(crate) writes: Transaction,
    pub(crate) differences: Vec<String>,
}

impl Played {
    /// In what it differs from the live turn, which was over a call of this function, if it was; from what that wrote
    /// only where the two can be compared.
    pub(crate) fn differs(
        self,
        function: Option<&FunctionType>,
        answer: &Result<Answered, Fault>,
        writes: Option<&Transaction>,
    ) -> Vec<(Apart, String)> {
        let mut what: Vec<(Apart, String)> =
            self.differences.into_iter().map(|effect| (Apart::Effects, effect)).collect();
        // What failed writes nothing.
        let commits = |answer: &Result<Answered, Fault>| answer.as_ref().is_ok_and(|answer| answer.commits);
        if self.answer != *answer {
            let (this, that) = answers_apart(function, &self.answer, answer);
            let apart = if commits(&self.answer) && commits(answer) { Apart::Answers } else { Apart::Errors };
            what.push((apart, format!("it answers {this} instead of {that}")));
        }
        if let Some(writes) = writes.filter(|_| commits(&self.answer) && commits(answer)) {
            what.extend(self.writes.differences(writes).into_iter().map(|write| (Apart::State, write)));
        }
        what
    }
}

/// What a message asks, as it is told.
pub(crate) fn asked(envelope: &Envelope) -> String {
    let call = envelope.function.as_deref().and_then(|function| shown_call(function, &envelope.body));
    call.map_or_else(|| beginning(&envelope.body), |call| beginning_of_values(&call))
}

/// An answer as it is told: that of a function by its type.
pub(crate) fn said(function: Option<&FunctionType>, answer: &Result<Answered, Fault>) -> String {
    match answer {
        Ok(Answered { body: None, .. }) => "nothing".to_owned(),
        Ok(Answered { body: Some(body), .. }) => function
            .and_then(|function| shown_result(function, body))
            .map_or_else(|| beginning(body), |typed| beginning_of_values(&typed)),
        Err(fault) => format!("the fault {fault}"),
    }
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
    (said(function, one), said(function, other))
}
