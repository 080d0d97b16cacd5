//! What decides whether a component can run, beside the component itself: its lane, its limits and its requests.

use super::contract::Lane;
use crate::capability::Requests;
use crate::limits::Limits;

/// What a release asks of its host before it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demands<'a> {
    pub(crate) lane: Lane,
    pub(crate) limits: &'a Limits,
    pub(crate) requests: &'a Requests,
}
