//! Circles of wires: services that call each other in a ring.
//!
//! They are told, and not refused. Whether a call closes the ring depends on what the others wait for at that moment,
//! and on which of several actors it comes to: with keys or a pool, a ring of services need be none of actors. A call
//! that does close it is refused when it is made, with `deadlock`, so nothing hangs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::tree::Topology;

/// Services that call each other in a ring over their wires. The first one stands at the end again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Circle(Vec<String>);

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = self.0.join(" -> ");
        write!(f, "the wires {ring} are a circle: a call that closes it while the others wait fails with `deadlock`")
    }
}

impl Topology {
    /// The circles of its wires, each once: the shortest one over each wire of the service in it that comes first by
    /// its name.
    pub(crate) fn circles(&self) -> Vec<Circle> {
        let mut wires: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for node in self.services() {
            wires.insert(node.address.as_str(), node.wires.values().map(|wire| wire.to.service()).collect());
        }
        let begins = wires.iter().flat_map(|(first, next)| next.iter().map(|next| (*first, *next)));
        begins.filter_map(|(first, next)| way_back(&wires, first, next)).map(Circle).collect()
    }
}

/// The shortest way from `first` over `next` to `first` again, over services that come after it by their names.
fn way_back(wires: &BTreeMap<&str, BTreeSet<&str>>, first: &str, next: &str) -> Option<Vec<String>> {
    let (mut seen, mut ways) = (BTreeSet::from([next]), vec![vec![first, next]]);
    ways.retain(|_| next >= first);
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let last = *way.last()?;
            if last == first {
                return Some(way.into_iter().map(str::to_owned).collect());
            }
            for next in wires.get(last).into_iter().flatten().filter(|next| **next >= first && seen.insert(**next)) {
                longer.push([way.as_slice(), &[*next]].concat());
            }
        }
        ways = longer;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::way_back;

    #[test]
    fn each_circle_is_told_once_over_its_first_service() {
        let of = |text: &'static str| -> BTreeMap<&str, BTreeSet<&str>> {
            let each = text.split(' ').filter_map(|part| part.split_once(':'));
            each.map(|(from, to)| (from, to.split(',').collect())).collect()
        };
        let told = |text: &'static str| -> Vec<String> {
            let wires = of(text);
            let begins = wires.iter().flat_map(|(first, next)| next.iter().map(|next| (*first, *next)));
            begins.filter_map(|(first, next)| way_back(&wires, first, next)).map(|way| way.concat()).collect()
        };
        assert_eq!(told("a:b b:c c:d"), [""; 0]);
        assert_eq!(told("a:a"), ["aa"]);
        assert_eq!(told("a:b b:a"), ["aba"]);
        assert_eq!(told("c:b b:a a:c"), ["acba"]);
        assert_eq!(told("a:b b:c c:b"), ["bcb"]);
        assert_eq!(told("a:b,c b:a c:b,d d:c"), ["aba", "acba", "cdc"]);
    }
}
