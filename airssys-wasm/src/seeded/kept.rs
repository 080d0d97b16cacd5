//! What is durable in a run, as those were told who wrote it: a host that starts again has to find that on its disk.
//!
//! A commit that was on its way when the host was killed may be there or not. What was acknowledged is.

use std::collections::BTreeMap;
use std::mem;

/// A state: of which service, and of which actor there.
type Place = (String, String);

/// What is known of a state.
#[derive(Debug, Default)]
struct State {
    /// What was acknowledged last; none where nobody has written to it.
    acknowledged: Option<String>,
    /// What may be on the disk in its place.
    under_way: Vec<Option<String>>,
}

/// All durable states.
#[derive(Debug, Default)]
pub(crate) struct Kept(BTreeMap<Place, State>);

impl Kept {
    /// A commit goes to the disk, after which the state is this; none for one that is forgotten.
    pub(crate) fn begins(&mut self, service: &str, actor: &str, record: Option<String>) {
        self.0.entry((service.to_owned(), actor.to_owned())).or_default().under_way.push(record);
    }

    /// The last one that began is there, and was told to be.
    pub(crate) fn is_there(&mut self, service: &str, actor: &str) {
        if let Some(state) = self.0.get_mut(&(service.to_owned(), actor.to_owned())) {
            state.acknowledged = mem::take(&mut state.under_way).pop().flatten();
        }
    }

    /// A host has found these states of a service. What is wrong with them.
    pub(crate) fn found(&mut self, service: &str, states: BTreeMap<String, String>) -> Vec<String> {
        let known = self.0.keys().filter(|(of, _)| of == service).map(|(_, actor)| actor.clone());
        let actors: std::collections::BTreeSet<String> = known.chain(states.keys().cloned()).collect();
        let mut wrong = Vec::new();
        for actor in actors {
            let found = states.get(&actor).cloned();
            let State { acknowledged, under_way } =
                self.0.remove(&(service.to_owned(), actor.clone())).unwrap_or_default();
            if found != acknowledged && !under_way.contains(&found) {
                let of = if actor.is_empty() { service.to_owned() } else { format!("{service}/{actor}") };
                let say = |record: &Option<String>| record.clone().unwrap_or_else(|| "nothing".to_owned());
                wrong.push(format!(
                    "the durable state of {of}: {} was acknowledged, and {} is on the disk",
                    say(&acknowledged),
                    say(&found)
                ));
            }
            let state = State { acknowledged: found, under_way: Vec::new() };
            self.0.insert((service.to_owned(), actor), state);
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Kept;

    fn found(record: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(String::new(), record.to_owned())])
    }

    #[test]
    fn what_was_acknowledged_is_there_or_what_was_under_way() {
        let mut kept = Kept::default();
        kept.begins("a", "", Some("1".to_owned()));
        kept.is_there("a", "");
        kept.begins("a", "", Some("2".to_owned()));
        assert_eq!(kept.found("a", found("2")), Vec::<String>::new());
        let wrong = kept.found("a", found("1"));
        assert!(wrong[0].contains("of a: 2 was acknowledged, and 1 is on the disk"), "{wrong:?}");
        assert_eq!(kept.found("b", BTreeMap::new()), Vec::<String>::new());
    }

    #[test]
    fn what_is_lost_is_told() {
        let mut kept = Kept::default();
        kept.begins("a", "", Some("1".to_owned()));
        assert_eq!(kept.found("a", BTreeMap::new()), Vec::<String>::new(), "it was not acknowledged");
        kept.begins("a", "", Some("1".to_owned()));
        kept.is_there("a", "");
        assert!(kept.found("a", BTreeMap::new())[0].contains("and nothing is on the disk"));
    }
}
