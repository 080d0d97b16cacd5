//! What a place is to be, told naively: one release, and the turns that are to be seen.

use super::toys::Toy;

pub(super) struct Model {
    /// The release that is to serve.
    pub(super) serves: Toy,
    /// The numbers of the turns that are to be seen.
    pub(super) turns: Vec<u64>,
    /// How many there ever were.
    numbers: u64,
    /// Those that there were before a person wanted some discarded, as long as that is not for good.
    pub(super) undiscarded: Option<Vec<u64>>,
    /// How many came since that was carried out.
    pub(super) since: Option<u64>,
}

impl Model {
    pub(super) fn new(serves: Toy) -> Self {
        Self { serves, turns: Vec::new(), numbers: 0, undiscarded: None, since: None }
    }

    /// One turn more; its number.
    pub(super) fn turn(&mut self) -> u64 {
        self.numbers += 1;
        self.turns.push(self.numbers);
        self.since = self.since.map(|since| since + 1);
        self.numbers
    }

    /// A person wants turns discarded.
    pub(super) fn wants_discarded(&mut self) {
        if self.since.is_some() {
            self.come_back();
        }
        if self.undiscarded.is_none() {
            (self.undiscarded, self.since) = (Some(self.turns.clone()), None);
        }
    }

    /// What was discarded is there again, unless other turns came after it.
    pub(super) fn come_back(&mut self) {
        let Some(turns) = self.undiscarded.take() else { return };
        if self.since.take().unwrap_or_default() == 0 {
            self.turns = turns;
        }
    }
}
