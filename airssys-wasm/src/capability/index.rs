//! Rules over addresses or topics, compiled: what one question takes does not depend on how many rules there are.
//!
//! A rule without a star is found by its text. Those with a star stand in a tree, segment by segment, in which a
//! question follows at most its own segments and the stars beside them. The narrowest rule answers: an exact segment
//! comes before `*`, and that before `**`.
//!
//! # Hot path
//!
//! One look-up of the whole target; where there are rules with stars, one for each segment besides. No allocation. The
//! bench row `decide` has it in it.
//!
//! Invariant: it decides as [`Pattern::matches`] does for each rule by itself.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::pattern::{Pattern, is_plain};
use super::topics::EVERYTHING;

/// By a text. Who asks cannot add one, so nobody but who writes the rules can make many of them meet in one place, and
/// a hash that withstands that is not needed: it would be most of what a question takes.
type Texts<T> = HashMap<Box<str>, T, BuildHasherDefault<Words>>;

/// Mixes a text in, eight bytes at a time.
#[derive(Debug, Default)]
struct Words(u64);

impl Words {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.mix(u64::from_le_bytes(*word)));
        let last = rest.iter().fold(bytes.len() as u64, |last, byte| last << 8 | u64::from(*byte));
        self.mix(last);
    }

    /// The end of a text: its length is in it.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        // The upper bits are the good ones, and a map looks at both ends.
        self.0.rotate_left(26)
    }
}

/// The rules, each with what is to be known of it.
#[derive(Debug, Default)]
pub(super) struct Index<M> {
    marks: Vec<M>,
    /// By its text, each rule: several may say the same.
    texts: Texts<Vec<usize>>,
    /// The tree of those with a star. The first one is its root; it is empty where there are none.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    next: Texts<usize>,
    star: Option<usize>,
    /// The rules that end here.
    ends: Vec<usize>,
    /// Those that go on with `**`.
    open: Vec<usize>,
}

impl<M> Index<M> {
    pub(super) fn new<'a>(rules: impl Iterator<Item = (&'a Pattern, M)>) -> Self {
        let mut index = Self { marks: Vec::new(), texts: Texts::default(), nodes: Vec::new() };
        for (rule, mark) in rules {
            let at = index.marks.len();
            index.marks.push(mark);
            index.texts.entry(rule.as_str().into()).or_default().push(at);
            if rule.as_str().contains('*') {
                index.plant(rule.as_str(), at);
            }
        }
        index
    }

    fn plant(&mut self, rule: &str, at: usize) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut here = 0;
        for segment in rule.split('/') {
            let new = self.nodes.len();
            let Some(node) = self.nodes.get_mut(here) else { return };
            here = match segment {
                "**" => return node.open.push(at),
                "*" => *node.star.get_or_insert(new),
                exactly => *node.next.entry(exactly.into()).or_insert(new),
            };
            if here == new {
                self.nodes.push(Node::default());
            }
        }
        if let Some(node) = self.nodes.get_mut(here) {
            node.ends.push(at);
        }
    }

    /// What is known of the narrowest rule that covers a target, of those of which this holds.
    pub(super) fn find(&self, target: &str, holds: impl Fn(&M) -> bool + Copy) -> Option<&M> {
        // A rule's own text is one that it covers.
        let exact = self.texts.get(target).and_then(|all| self.first(all, holds));
        if exact.is_some() || self.nodes.is_empty() || !target.split('/').all(is_plain) {
            return exact;
        }
        self.walk(0, target, holds)
    }

    /// The same for a target that is itself a pattern with a star: what is covered then is the same text, and all by
    /// the rule for everything.
    pub(super) fn find_pattern(&self, target: &str, holds: impl Fn(&M) -> bool + Copy) -> Option<&M> {
        let by_text = |text: &str| self.texts.get(text).and_then(|all| self.first(all, holds));
        by_text(target).or_else(|| by_text(EVERYTHING))
    }

    fn first(&self, all: &[usize], holds: impl Fn(&M) -> bool) -> Option<&M> {
        all.iter().filter_map(|at| self.marks.get(*at)).find(|mark| holds(mark))
    }

    /// No rule has more segments than its text has letters, so this goes no deeper than that.
    fn walk(&self, here: usize, rest: &str, holds: impl Fn(&M) -> bool + Copy) -> Option<&M> {
        let node = self.nodes.get(here)?;
        let (segment, rest) = match rest.split_once('/') {
            Some((segment, rest)) => (segment, Some(rest)),
            None => (rest, None),
        };
        let below = |next: usize| match rest {
            Some(rest) => self.walk(next, rest, holds),
            None => self.nodes.get(next).and_then(|node| self.first(&node.ends, holds)),
        };
        let exactly = node.next.get(segment).and_then(|next| below(*next));
        exactly.or_else(|| node.star.and_then(below)).or_else(|| self.first(&node.open, holds))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use proptest::prelude::*;

    use super::super::rule::Rule;
    use super::super::topics::Topics;
    use super::{Index, Pattern};

    fn rule() -> impl Strategy<Value = String> {
        let segment = prop_oneof![Just("a"), Just("b"), Just("ab"), Just("*")];
        let last = prop_oneof![Just("a"), Just("b"), Just("*"), Just("**")];
        (proptest::collection::vec(segment, 0..3), last)
            .prop_map(|(segments, last)| segments.into_iter().chain([last]).collect::<Vec<_>>().join("/"))
    }

    proptest! {
        /// Whichever rules there are and whichever of them are taken away: the index finds one where one of those that
        /// are left covers the target, and that one covers it.
        #[test]
        fn an_index_decides_as_each_rule_by_itself(
            rules in proptest::collection::vec((rule(), any::<bool>()), 0..8),
            target in "(a|b|ab|\\*|\\*\\*|\\.|\\.\\.|)(/(a|b|ab|\\*|\\*\\*|\\.\\.|)){0,3}",
        ) {
            let rules: Vec<(Pattern, bool)> =
                rules.into_iter().map(|(text, holds)| (text.parse().unwrap(), holds)).collect();
            let index = Index::new(rules.iter().enumerate().map(|(at, (rule, holds))| (rule, (at, *holds))));
            let naive = rules.iter().any(|(rule, holds)| *holds && rule.matches(&target));
            let found = index.find(&target, |(_, holds)| *holds);
            prop_assert_eq!(found.is_some(), naive, "{} of {:?}", target, rules);
            if let Some((at, holds)) = found {
                prop_assert!(*holds && rules[*at].0.matches(&target));
            }
            if target.contains('*') {
                let naive = rules.iter().any(|(rule, holds)| *holds && Topics(rule.clone()).lets(&target));
                prop_assert_eq!(index.find_pattern(&target, |(_, holds)| *holds).is_some(), naive);
            }
        }
    }

    #[test]
    fn the_narrowest_rule_answers() {
        let rules: Vec<Pattern> =
            ["**", "a/**", "a/*", "*/b", "a/b"].into_iter().map(|text| text.parse().unwrap()).collect();
        let index = Index::new(rules.iter().map(|rule| (rule, rule.as_str())));
        for (target, found) in
            [("a/b", "a/b"), ("a/c", "a/*"), ("c/b", "*/b"), ("a/b/c", "a/**"), ("c", "**"), ("a", "**")]
        {
            assert_eq!(index.find(target, |_| true), Some(&found), "{target}");
        }
    }
}
