//! The smallest grants under which a service may do what it was seen to do, and the proof that they are.
//!
//! A grant is for one target alone. Only where many targets differ in their last segment alone, as keys and what is
//! made of data do, one `*` stands for that segment: there will be others of them. What was seen is then decided again,
//! by the decision itself: all of it is allowed, and of each grant that is taken away something is not.

use std::collections::{BTreeMap, HashMap};

use super::access::{Access, parse_path};
use super::given::Mark;
use super::grant::{Grants, Requests};
use super::kind::Kind;
use super::policy::Policy;
use super::tally::Once;

/// From how many targets on that differ in their last segment alone `*` stands for it.
pub(crate) const MANY: usize = 9;

/// What was learned of a service.
#[derive(Debug)]
pub(crate) struct Smallest {
    /// The grants that are enough, and none too much.
    pub(crate) grants: Grants,
    /// What its release would have to ask for besides, by its keys.
    pub(crate) lacking: BTreeMap<&'static str, Vec<String>>,
    /// What was let through that was not granted.
    pub(crate) let_through: Vec<(Kind, Box<str>)>,
    /// How many operations were decided again.
    pub(crate) operations: usize,
    /// How many grants there are, each of which something needs.
    pub(crate) lines: usize,
    /// What it did that no grant can be written for.
    pub(crate) beyond: Vec<(Kind, Box<str>)>,
    /// Whether it did more than is counted.
    pub(crate) is_full: bool,
}

/// What the tally of these grants says; none where nothing is counted.
pub(crate) fn learn(requests: &Requests, before: &Grants) -> Option<Smallest> {
    let (seen, is_full) = before.tally.tally()?.all();
    let was_let = |(kind, target, once): &(Kind, Box<str>, Once)| (!once.was_granted).then(|| (*kind, target.clone()));
    let let_through = seen.iter().filter_map(was_let).collect();
    let seen: Vec<(Kind, Box<str>)> = seen.into_iter().map(|(kind, target, _)| (kind, target)).collect();
    Some(Smallest { is_full, let_through, ..smallest(requests, before, &seen) })
}

/// The smallest grants for this, of a service that is granted `before`.
fn smallest(requests: &Requests, before: &Grants, seen: &[(Kind, Box<str>)]) -> Smallest {
    let (mut grants, mut requests, mut beyond) = (Grants::default(), requests.clone(), Vec::new());
    // Where a folder or a program is and what a variable says is the operator's to know: what of these is used stays as
    // it is.
    let is_seen = |kind: Kind, name: &str| seen.iter().any(|(of, target)| *of == kind && **target == *name);
    for (name, given) in &before.environment {
        if is_seen(Kind::Environment, name) {
            grants.environment.insert(name.clone(), given.what.clone().into());
        }
    }
    for (guest, file) in &before.files {
        let there = requests.files.get(guest).map_or(Access::NONE, |wanted| *wanted & file.now());
        if let Some(access) = needed(seen, guest, there) {
            grants.files.insert(guest.clone(), super::FileGrant { access, ..file.anew() });
        }
    }
    for (name, program) in &before.processes {
        if is_seen(Kind::Processes, name) {
            grants.processes.insert(name.clone(), super::ProcessGrant { mark: Mark::default(), ..program.clone() });
        }
    }
    let is_written = |kind: &Kind| !matches!(kind, Kind::Environment | Kind::Files | Kind::Processes);
    for kind in Kind::ALL.into_iter().filter(is_written) {
        let targets = seen.iter().filter(|(of, _)| *of == kind).map(|(_, target)| &**target);
        for text in widened(targets) {
            // It is no rule where the target has a star of its own, say.
            let _unwritable = grants.under_mut(kind).add(&text);
        }
    }
    let mut lacking: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for kind in Kind::ALL {
        let not_asked_for = requests.beside(kind, &grants).lacking();
        for text in not_asked_for {
            // An import of a function is asked for by the import.
            if requests.add(kind, &text) && !text.contains('#') {
                lacking.entry(kind.name()).or_default().push(text);
            }
        }
    }
    let policy = Policy::new(requests, grants.clone());
    let mut decided: HashMap<usize, Vec<&(Kind, Box<str>)>> = HashMap::new();
    for one in seen {
        match policy.by(one.0, &one.1) {
            Some(mark) => decided.entry(mark.id()).or_default().push(one),
            None => beyond.push(one.clone()),
        }
    }
    let mut lines = 0;
    for kind in Kind::ALL {
        for line in policy.grants.under(kind).parts() {
            let by_it = decided.remove(&line.mark.id()).unwrap_or_default();
            line.mark.revoke();
            if by_it.iter().any(|(kind, target)| policy.by(*kind, target).is_none()) {
                line.mark.restore();
                lines += 1;
                continue;
            }
            // Another one gives all of it: this one stays taken away.
            for one in by_it {
                if let Some(mark) = policy.by(one.0, &one.1) {
                    decided.entry(mark.id()).or_default().push(one);
                }
            }
        }
    }
    for kind in Kind::ALL {
        grants.under_mut(kind).take_out("");
    }
    let operations = seen.len() - beyond.len();
    Smallest { grants, lacking, let_through: Vec::new(), operations, lines, beyond, is_full: false }
}

/// The rights that were used of a folder, of those that there are; none where nobody did anything in it. Who only
/// looked at something needs one of them: the one to list, if possible.
fn needed(seen: &[(Kind, Box<str>)], guest: &str, there: Access) -> Option<Access> {
    let in_it = seen.iter().filter(|(kind, _)| *kind == Kind::Files).map(|(_, target)| parse_path(target));
    let used = in_it.filter(|(_, folder)| *folder == guest).map(|(right, _)| right).reduce(|all, right| all | right)?;
    if !used.is_empty() {
        return Some(used);
    }
    if there.contains(Access::LIST) { Some(Access::LIST) } else { there.each().next() }
}

/// The targets as rules: those of which many differ in their last segment alone, as one.
fn widened<'a>(targets: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut by_parent: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for target in targets {
        // Not of a function, nor of the host of a request.
        let parent = match target.rsplit_once('/') {
            Some((parent, last)) if !target.contains(['#', '*']) && !parent.ends_with('/') && !last.is_empty() => {
                parent
            }
            _ => "",
        };
        by_parent.entry(parent).or_default().push(target);
    }
    let rules = by_parent.into_iter().flat_map(|(parent, targets)| match targets.len() {
        many if many >= MANY && !parent.is_empty() => vec![format!("{parent}/*")],
        _ => targets.into_iter().map(str::to_owned).collect(),
    });
    rules.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use proptest::prelude::*;

    use super::super::grant::FileGrant;
    use super::{Access, Grants, Kind, MANY, Policy, Requests, Smallest, smallest};

    fn seen(all: &[(&str, &str)]) -> Vec<(Kind, Box<str>)> {
        all.iter().map(|(kind, target)| (kind.parse().unwrap(), (*target).into())).collect()
    }

    fn everything() -> Requests {
        let mut requests = Requests::default();
        for (kind, text) in [
            (Kind::Send, "**"),
            (Kind::Call, "**"),
            (Kind::Publish, "**"),
            (Kind::Subscribe, "**"),
            (Kind::Spawn, "**"),
            (Kind::Sockets, "*:*"),
            (Kind::Bind, "*:*"),
            (Kind::Http, "* http://**:*/**"),
            (Kind::Http, "* https://**:*/**"),
        ] {
            assert!(requests.add(kind, text));
        }
        requests.files = ["/c", "/d"].map(|folder| (folder.into(), Access::ALL)).into();
        requests
    }

    /// Two folders, since nobody can say where one is but the operator.
    fn folders() -> Grants {
        let files = ["/c", "/d"].map(|folder| (folder.into(), FileGrant::new("/tmp", Access::ALL))).into();
        Grants { files, ..Grants::default() }
    }

    fn texts(learned: &Smallest) -> Vec<String> {
        let of = |kind: Kind| {
            let lines = learned.grants.under(kind).lines().into_iter();
            lines.map(move |line| format!("{} {}", kind.name(), line.text()))
        };
        Kind::ALL.into_iter().flat_map(of).collect()
    }

    #[test]
    fn what_is_learned_is_for_each_target_alone_until_there_are_many() {
        let few: Vec<String> = (0..MANY - 1).map(|key| format!("carts/{key}")).collect();
        let many: Vec<String> = (0..MANY).map(|key| format!("GET https://a.example/v1/{key}")).collect();
        let mut all: Vec<(&str, &str)> = vec![
            ("call", "pricing"),
            ("call", "pricing#acme:shop/pricing@1.0.0#quote"),
            ("subscribe", "t/*"),
            ("subscribe", "t/a"),
            ("publish", "t/a"),
            ("sockets", "127.0.0.1:80"),
            ("http", "POST https://a.example/v1/0"),
        ];
        all.extend(few.iter().map(|target| ("send", target.as_str())));
        all.extend(many.iter().map(|target| ("http", target.as_str())));
        let learned = smallest(&everything(), &Grants::default(), &seen(&all));
        let texts = texts(&learned);
        assert_eq!(texts.iter().filter(|text| text.starts_with("send carts/")).count(), MANY - 1, "{texts:?}");
        for text in [
            "call pricing",
            "call pricing#acme:shop/pricing@1.0.0#quote",
            "subscribe t/*",
            "http GET https://a.example/v1/*",
            "http POST https://a.example/v1/0",
            "sockets 127.0.0.1:80",
        ] {
            assert!(texts.iter().any(|there| there == text), "no {text:?} in {texts:?}");
        }
        assert!(!texts.iter().any(|text| text == "subscribe t/a"), "another one gives it: {texts:?}");
        assert_eq!((learned.operations, learned.lines, learned.beyond.len()), (all.len(), texts.len(), 0));
        assert!(learned.lacking.is_empty(), "{:?}", learned.lacking);
    }

    #[test]
    fn of_a_folder_the_rights_are_learned_that_were_used() {
        for (used, learned) in [
            (&["read /d", "list /d"][..], Some(Access::VIEW)),
            (&["create /d", "write /d"], Some(Access::CREATE | Access::WRITE)),
            (&["inspect /d", "delete /d"], Some(Access::DELETE)),
            (&["inspect /d"], Some(Access::LIST)),
            (&["read /c"], None),
        ] {
            let all: Vec<(&str, &str)> = used.iter().map(|target| ("files", *target)).collect();
            let found = smallest(&everything(), &folders(), &seen(&all));
            assert_eq!(found.grants.files.get("/d").map(|file| file.access), learned, "{used:?}");
            assert_eq!((found.operations, found.beyond.len()), (all.len(), 0), "{used:?}");
        }
    }

    #[test]
    fn what_the_release_does_not_ask_for_is_told() {
        let learned = smallest(&Requests::default(), &Grants::default(), &seen(&[("send", "a"), ("publish", "t")]));
        assert_eq!(
            learned.lacking.into_iter().collect::<Vec<_>>(),
            [("publish", vec!["t".to_owned()]), ("send", vec!["a".to_owned()])]
        );
        assert_eq!(learned.operations, 2);
    }

    fn operation() -> impl Strategy<Value = (Kind, Box<str>)> {
        let address = "(a|b)(/[a-l]){0,2}";
        prop_oneof![
            (prop_oneof![Just(Kind::Send), Just(Kind::Call), Just(Kind::Publish), Just(Kind::Spawn)], address),
            (Just(Kind::Subscribe), "(a|b)(/(a|b|\\*)){0,2}"),
            (Just(Kind::Sockets), "10\\.0\\.0\\.[1-3]:[1-3]"),
            (Just(Kind::Bind), "10\\.0\\.0\\.[1-3]:[1-3]"),
            (Just(Kind::Http), "(GET|POST) https://(a|b)\\.example/[a-l]"),
            (Just(Kind::Files), "(read|write|create|delete|list|inspect) /[cd]"),
        ]
        .prop_map(|(kind, target)| (kind, target.into()))
    }

    proptest! {
        /// Under what is learned everything is allowed that was seen, and without any one of the grants it is not.
        #[test]
        fn what_is_learned_is_enough_and_minimal(seen in proptest::collection::btree_set(operation(), 0..40)) {
            let seen: Vec<_> = seen.into_iter().collect();
            let learned = smallest(&everything(), &folders(), &seen);
            prop_assert!(learned.beyond.is_empty(), "{:?}", learned.beyond);
            let allowed = |grants: &Grants| {
                let policy = Policy::new(everything(), grants.clone());
                seen.iter().filter(|(kind, target)| policy.by(*kind, target).is_some()).count()
            };
            prop_assert_eq!(allowed(&learned.grants), seen.len());
            let mut lines = 0;
            for kind in Kind::ALL {
                for line in learned.grants.under(kind).parts() {
                    lines += 1;
                    let mut fewer = learned.grants.clone();
                    fewer.under_mut(kind).take_out(&line.text());
                    prop_assert!(allowed(&fewer) < seen.len(), "{} {} is too much", kind.name(), line.what);
                }
            }
            prop_assert_eq!(learned.lines, lines);
        }

        /// Nothing is allowed that one of the sides does not have, and with less granted nothing more is.
        #[test]
        fn what_is_allowed_exceeds_neither_side_and_does_not_grow_with_less(
            asked in proptest::collection::vec(rule(), 0..6),
            given in proptest::collection::vec(rule(), 0..6),
            gone in any::<proptest::sample::Index>(),
            operation in operation(),
        ) {
            let (kind, target) = &operation;
            let (mut requests, mut grants) = (Requests::default(), Grants::default());
            for (of, text) in &asked { requests.add(*of, text); }
            for (of, text) in &given { grants.under_mut(*of).add(text).unwrap(); }
            let allows = |requests: &Requests, grants: &Grants| {
                Policy::new(requests.clone(), grants.clone()).by(*kind, target).is_some()
            };
            let is = allows(&requests, &grants);
            let all = everything();
            let mut all_given = folders();
            for (of, text) in [(Kind::Send, "**"), (Kind::Call, "**"), (Kind::Publish, "**"), (Kind::Subscribe, "**"),
                (Kind::Spawn, "**"), (Kind::Sockets, "*:*"), (Kind::Bind, "*:*"), (Kind::Http, "* https://**:*/**")] {
                all_given.under_mut(of).add(text).unwrap();
            }
            prop_assert_eq!(is, allows(&all, &grants) && allows(&requests, &all_given));
            if !given.is_empty() {
                let (of, text) = gone.get(&given);
                let mut fewer = grants.clone();
                fewer.under_mut(*of).take_out(text);
                prop_assert!(is || !allows(&requests, &fewer));
                let policy = Policy::new(requests.clone(), grants.clone());
                grants.under(*of).find(text).unwrap().unwrap().revoke();
                prop_assert_eq!(policy.by(*kind, target).is_some(), allows(&requests, &fewer), "as if it were not there");
            }
        }
    }

    fn rule() -> impl Strategy<Value = (Kind, String)> {
        let address = "(a|b|\\*)(/[a-l]|/\\*){0,2}(/\\*\\*)?";
        prop_oneof![
            (prop_oneof![Just(Kind::Send), Just(Kind::Call), Just(Kind::Publish), Just(Kind::Spawn)], address),
            (Just(Kind::Subscribe), "(a|b|\\*)(/(a|b|\\*)){0,2}(/\\*\\*)?"),
            (Just(Kind::Sockets), "(10\\.0\\.0\\.[1-3]|\\*):([1-3]|\\*)"),
            (Just(Kind::Http), "(GET|\\*) https://(a|\\*)\\.example/([a-l]|\\*|\\*\\*)"),
        ]
    }
}
