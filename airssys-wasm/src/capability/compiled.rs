//! The decision over messages, compiled once of what is requested and what is granted.

use std::collections::HashMap;

use super::given::{Given, Mark};
use super::grant::{Grants, Requests, gives_part};
use super::index::Index;
use super::kind::Kind;
use super::pattern::Pattern;
use super::topics::Topics;
use crate::typed::FunctionType;

/// What a service may send, call, publish, subscribe to and spawn. It is made of what it is compared by: it is equal to
/// any other.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    asked: [Index<()>; Kind::OF_MESSAGES],
    given: [Index<Mark>; Kind::OF_MESSAGES],
    /// By the service, the grants to call a part of it: `pricing#quote`.
    parts: HashMap<Box<str>, Vec<(Box<str>, Mark)>>,
}

impl Compiled {
    pub(super) fn new(requests: &Requests, grants: &Grants) -> Self {
        let mut parts: HashMap<Box<str>, Vec<(Box<str>, Mark)>> = HashMap::new();
        for given in &grants.call {
            if let Some((service, part)) = given.what.as_str().split_once('#') {
                parts.entry(service.into()).or_default().push((part.into(), given.mark.clone()));
            }
        }
        let topics = requests.subscribe.iter().map(|Topics(pattern)| (pattern, ()));
        let given_topics = grants.subscribe.iter().map(|given| (&given.what.0, given.mark.clone()));
        Self {
            asked: [
                asked(&requests.send),
                asked(&requests.call),
                asked(&requests.publish),
                Index::new(topics),
                asked(&requests.spawn),
            ],
            given: [
                given(&grants.send),
                given(&grants.call),
                given(&grants.publish),
                Index::new(given_topics),
                given(&grants.spawn),
            ],
            parts,
        }
    }

    /// The grant by which this may be done with this target; none where it is not requested or not granted.
    #[inline]
    pub(super) fn decide(&self, kind: Kind, target: &str) -> Option<&Mark> {
        if !self.is_requested(kind, target) {
            return None;
        }
        self.given(kind, target)
    }

    /// The grant for this, whether it is requested or not.
    pub(super) fn given(&self, kind: Kind, target: &str) -> Option<&Mark> {
        find(self.given.get(kind as usize)?, kind, target, |mark| !mark.is_revoked())
    }

    /// Whether it is requested.
    pub(super) fn is_requested(&self, kind: Kind, target: &str) -> bool {
        self.asked.get(kind as usize).is_some_and(|index| find(index, kind, target, |()| true).is_some())
    }

    /// The grant by which this function of a service may be called.
    pub(super) fn function(&self, service: &str, function: &FunctionType) -> Option<&Mark> {
        let whole = self.given.get(Kind::Call as usize)?.find(service, |mark| !mark.is_revoked());
        whole.or_else(|| {
            let mut parts = self.parts.get(service)?.iter();
            parts.find(|(part, mark)| !mark.is_revoked() && gives_part(part, function)).map(|(_, mark)| mark)
        })
    }
}

fn asked(rules: &[Pattern]) -> Index<()> {
    Index::new(rules.iter().map(|rule| (rule, ())))
}

fn given(rules: &[Given<Pattern>]) -> Index<Mark> {
    Index::new(rules.iter().map(|given| (&given.what, given.mark.clone())))
}

#[inline]
fn find<'a, M>(index: &'a Index<M>, kind: Kind, target: &str, holds: impl Fn(&M) -> bool + Copy) -> Option<&'a M> {
    match kind {
        Kind::Subscribe if target.contains('*') => index.find_pattern(target, holds),
        _ => index.find(target, holds),
    }
}

impl PartialEq for Compiled {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Compiled {}
