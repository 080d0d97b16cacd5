//! A granted folder, as whatever is open in it is asked about: which rights there are now, and which one is missing.
//!
//! # Hot path
//!
//! Each operation on a file asks: a few loads, no allocation, no lock. Only where the service is counted there is one.

use super::access::{Access, RightMarks, right_text};
use super::given::Mark;
use super::kind::Kind;
use super::policy::Policy;
use super::tally::Tallied;

/// What of a folder is asked for, and what is granted.
#[derive(Debug)]
pub(crate) struct FolderRights {
    guest: Box<str>,
    wanted: Access,
    granted: Access,
    mark: Mark,
    marks: RightMarks,
    tally: Tallied,
}

impl Policy {
    /// The rights in a folder; none where it is not asked for or not granted.
    pub(crate) fn folder(&self, guest: &str) -> Option<FolderRights> {
        let (wanted, given) = (self.requests.files.get(guest)?, self.grants.files.get(guest)?);
        Some(FolderRights {
            guest: guest.into(),
            wanted: *wanted,
            granted: given.access,
            mark: given.mark.clone(),
            marks: given.rights.clone(),
            tally: self.grants.tally.clone(),
        })
    }
}

impl FolderRights {
    /// The rights that there are now.
    pub(crate) fn now(&self) -> Access {
        if self.mark.is_revoked() { Access::NONE } else { (self.wanted & self.granted) - self.marks.revoked() }
    }

    /// Whether all of these are there for what is about to be done, which is noted then. To look at something needs
    /// any right.
    pub(crate) fn lets(&self, needs: Access) -> bool {
        let now = self.now();
        let is_let = !now.is_empty() && now.contains(needs);
        if is_let {
            self.note(needs);
        }
        is_let
    }

    /// Notes that these were used.
    pub(crate) fn note(&self, rights: Access) {
        self.mark.note_use();
        self.marks.note_use(rights);
        if let Some(tally) = self.tally.of(Kind::Files) {
            let inspects = rights.is_empty().then_some(Access::NONE);
            for right in rights.each().chain(inspects) {
                let _granted = tally.lets(Kind::Files, &right_text(right, &self.guest), true);
            }
        }
    }

    /// Whether it is counted what is done.
    pub(crate) fn is_counted(&self) -> bool {
        self.tally.is_counted()
    }

    /// What `other` allows and this does not.
    pub(crate) fn less_than(&self, other: &Self) -> Access {
        other.now() - self.now()
    }

    /// Says which of these rights are missing, and to whom. Off the hot path.
    pub(crate) fn missing(&self, who: &str, needs: Access) -> String {
        let (folder, not_asked) = (&self.guest, needs - self.wanted);
        if !not_asked.is_empty() {
            return format!(
                "not requested: add {} to {folder:?} under `files` of [requests] in its Component.toml, and grant it in the topology",
                words(not_asked)
            );
        }
        let lacking = if needs.is_empty() { self.wanted } else { needs - self.now() };
        format!(
            "no grant: add {} to `access` of {folder:?} under `files` of the grants of service {who:?} in the topology",
            words(lacking)
        )
    }
}

fn words(rights: Access) -> String {
    let all: Vec<String> = rights.each().map(|right| format!("{:?}", right_text(right, "").trim_end())).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::super::grant::{FileGrant, Grants, Requests};
    use super::super::lines::Lines as _;
    use super::{Access, Policy};

    const WORDS: [&str; 5] = ["read", "write", "create", "delete", "list"];

    fn access(words: &BTreeSet<&str>) -> Access {
        words.iter().fold(Access::NONE, |all, word| all | Access::right(word).unwrap())
    }

    fn some() -> impl Strategy<Value = BTreeSet<&'static str>> {
        proptest::sample::subsequence(&WORDS[..], 0..=WORDS.len()).prop_map(|words| words.into_iter().collect())
    }

    fn policy(asked: &BTreeSet<&str>, given: &BTreeSet<&str>) -> Policy {
        let requests = Requests { files: BTreeMap::from([("/d".into(), access(asked))]), ..Requests::default() };
        let files = BTreeMap::from([("/d".into(), FileGrant::new("/tmp", access(given)))]);
        Policy::new(requests, Grants { files, ..Grants::default() })
    }

    proptest! {
        /// What is asked for and granted and not taken away is let, and nothing else, whoever asks: what is open, the
        /// policy, or an operator.
        #[test]
        fn a_folder_decides_as_sets_of_words_do(
            asked in some(), given in some(), gone in some(), needs in some(), gone_whole in any::<bool>(),
        ) {
            let policy = policy(&asked, &given);
            let folder = policy.folder("/d").unwrap();
            for word in &gone {
                policy.grants.files.find(&format!("{word} /d")).unwrap().into_iter().for_each(|mark| mark.revoke());
            }
            if gone_whole {
                policy.grants.files.find("/d").unwrap().into_iter().for_each(|mark| mark.revoke());
            }
            let is = |word: &&str| asked.contains(*word) && given.contains(*word) && !gone.contains(*word) && !gone_whole;
            let any = WORDS.iter().any(is);
            prop_assert_eq!(folder.lets(access(&needs)), any && needs.iter().all(is));
            for word in WORDS {
                let target = format!("{word} /d/x");
                let why = policy.why("a", super::Kind::Files, &target).unwrap();
                prop_assert_eq!(why.allowed, is(&word), "{}", word);
                prop_assert_eq!(policy.by(super::Kind::Files, &format!("{word} /d")).is_some(), is(&word));
            }
            let files: Vec<_> = policy.files().map(|(_, grant)| grant.access).collect();
            prop_assert_eq!(files.is_empty(), !any);
            prop_assert!(files.into_iter().all(|access| access == folder.now()));
        }

        /// With less granted or asked for, nothing more is let; and a line that is taken out is as one that is revoked.
        #[test]
        fn taking_a_right_away_never_allows_more(
            asked in some(), given in some(), gone in proptest::sample::select(&WORDS[..]), needs in some(),
        ) {
            let before = policy(&asked, &given).folder("/d").unwrap().lets(access(&needs));
            let mut fewer = given.clone();
            fewer.remove(gone);
            let without = policy(&asked, &fewer).folder("/d").unwrap().lets(access(&needs));
            prop_assert!(before || !without);
            let mut grants = policy(&asked, &given).grants;
            grants.files.take_out(&format!("{gone} /d"));
            prop_assert_eq!(grants.files.get("/d").map_or(Access::NONE, FileGrant::now), access(&fewer));
            let mut asked_less = asked.clone();
            asked_less.remove(gone);
            prop_assert!(before || !policy(&asked_less, &given).folder("/d").unwrap().lets(access(&needs)));
        }

        /// A right that is given to a folder is there, and one that was taken away comes back by that alone.
        #[test]
        fn a_right_that_is_added_is_granted(given in some(), more in proptest::sample::select(&WORDS[..])) {
            let mut grants = policy(&given, &given).grants;
            let text = format!("{more} /d");
            if given.contains(more) {
                grants.files.find(&text).unwrap().unwrap().revoke();
            }
            let before = grants.clone();
            prop_assert!(grants.files.add(&text).unwrap());
            prop_assert!(!grants.files.add(&text).unwrap(), "it is there");
            grants.follow(&before);
            let mut all = given.clone();
            all.insert(more);
            prop_assert_eq!(grants.files.get("/d").unwrap().now(), access(&all));
        }
    }

    #[test]
    fn what_is_missing_is_said_of_the_half_that_has_it_not() {
        let sets = |words: &[&'static str]| words.iter().copied().collect::<BTreeSet<_>>();
        let folder = policy(&sets(&["read", "write"]), &sets(&["read"])).folder("/d").unwrap();
        let not_asked = folder.missing("a", Access::DELETE | Access::READ);
        assert!(not_asked.starts_with("not requested: add \"delete\" to \"/d\""), "{not_asked}");
        let not_granted = folder.missing("a", Access::WRITE);
        assert!(not_granted.starts_with("no grant: add \"write\" to `access` of \"/d\""), "{not_granted}");
    }
}
