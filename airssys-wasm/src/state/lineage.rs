//! Which turns a state has behind it, where it can be put back to what it was: those that were discarded by that are
//! told apart from those that came after them. Pure.

use std::sync::Arc;

/// The turns that a state has behind it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lineage {
    /// How many.
    turns: u64,
    /// Since when they are others than those of a state that was put back; none where it never was.
    branch: Option<Arc<Branch>>,
}

/// Where a state was put back to, and what it had behind it there. One for each time that turns were discarded and
/// others came after them.
#[derive(Debug)]
struct Branch {
    from: Lineage,
}

impl Lineage {
    /// That of a state that had so many turns behind it which are all gone.
    pub(crate) fn anew(turns: u64) -> Self {
        Self { turns, branch: None }
    }

    /// How many turns.
    pub(crate) fn turns(&self) -> u64 {
        self.turns
    }

    /// How many came after it was put back last; all of them where it never was.
    pub(crate) fn since_put_back(&self) -> u64 {
        self.turns.saturating_sub(self.before().map_or(0, |before| before.turns))
    }

    /// One turn more.
    pub(crate) fn grow(&mut self) {
        self.turns += 1;
    }

    /// The same, and `more` turns that may come.
    pub(crate) fn and(mut self, more: u64) -> Self {
        self.turns += more;
        self
    }

    /// The lineage of a state that is put back to what it was here, and has `now` behind it; to nothing where it was
    /// forgotten since, after so many.
    pub(crate) fn put_back(&self, now: &Self, forgotten: u64) -> Self {
        let to = if self.turns < forgotten { Self::anew(forgotten) } else { self.clone() };
        if to.is(now) {
            return to;
        }
        // Where no turn came after it was put back to something before, nothing has to be told apart there.
        let from = match to.branch {
            Some(branch) if branch.from.turns == to.turns => branch.from.clone(),
            branch => Self { branch, ..to },
        };
        Self { turns: from.turns, branch: Some(Arc::new(Branch { from })) }
    }

    /// How many turns both have behind them.
    pub(crate) fn common(&self, other: &Self) -> u64 {
        let mut ours = Some(self);
        while let Some(own) = ours {
            let mut theirs = Some(other);
            while let Some(theirs_now) = theirs {
                if own.is_on_branch_of(theirs_now) {
                    return own.turns.min(theirs_now.turns);
                }
                theirs = theirs_now.before();
            }
            ours = own.before();
        }
        0
    }

    fn before(&self) -> Option<&Self> {
        self.branch.as_deref().map(|branch| &branch.from)
    }

    fn is(&self, other: &Self) -> bool {
        self.turns == other.turns && self.is_on_branch_of(other)
    }

    fn is_on_branch_of(&self, other: &Self) -> bool {
        match (&self.branch, &other.branch) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (own, other) => own.is_none() && other.is_none(),
        }
    }
}
