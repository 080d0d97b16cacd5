//! The table at the end, for people and, as JSON, for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use airssys_wasm::ServiceStatus;
use serde::Serialize;
use shop_model::{Attempt, Cents, Notes, Outcome, Reason, Verdict};

use crate::books::{Flaw, check};
use crate::evidence::Evidence;
use crate::renew::Renewal;

/// How many flaws are shown; the rest is counted.
const FLAWS_SHOWN: usize = 20;

/// How the day in the shop went.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Lines that were read.
    pub lines: usize,
    /// Askings more than lines: customers who did not learn what became of their order.
    pub asked_again: usize,
    /// Askings that the mesh did not take, by what it said.
    pub turned_away: BTreeMap<&'static str, usize>,
    /// Askings that the mesh took. Each ended as one of the next four.
    pub taken: usize,
    /// Answered: sold.
    pub sold: usize,
    /// Answered: refused, by reason.
    pub refused: BTreeMap<Reason, usize>,
    /// Answered: a fault, by its kind.
    pub faulted: BTreeMap<&'static str, usize>,
    /// Ended as dead letters, by reason.
    pub dead: BTreeMap<&'static str, usize>,
    /// Orders in the books that were sold.
    pub orders_sold: usize,
    /// Orders in the books that were refused.
    pub orders_refused: usize,
    /// What was sold, by the ledger.
    pub ledger_cents: Cents,
    /// What was charged and stands, by payments.
    pub charged_cents: Cents,
    /// What was charged and paid back.
    pub paid_back_cents: Cents,
    /// Pieces on the shelves at the start, sold, and left.
    pub pieces: (u64, u64, u64),
    /// Each service.
    pub services: Vec<ServiceReport>,
    /// What the numbers on the trucks' notes say.
    pub notes: Notes,
    /// The releases that were to take over.
    pub renewals: Vec<Renewal>,
    /// What the snoop tried.
    pub snoop: Vec<Attempt>,
    /// What does not agree; empty where all is well.
    pub flaws: Vec<Flaw>,
    /// How long the selling took, in milliseconds.
    pub sold_in_ms: u128,
}

/// How a service did.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceReport {
    /// Its name.
    pub service: String,
    /// Turns that committed.
    pub handled: u64,
    /// Turns that returned a fault.
    pub faulted: u64,
    /// Turns that crashed.
    pub crashed: u64,
    /// Instances that were started.
    pub started: u64,
}

impl Report {
    /// Puts what was seen together, and checks it.
    #[must_use]
    pub fn new(
        evidence: &Evidence,
        services: &[ServiceStatus],
        snoop: Vec<Attempt>,
        renewals: Vec<Renewal>,
        took: Duration,
    ) -> Self {
        let Evidence { sales, books, till, stock, .. } = evidence;
        let orders_sold = books.entries.values().filter(|entry| matches!(entry.outcome, Outcome::Sold(_))).count();
        let pieces_sold =
            books.entries.values().filter_map(|entry| entry.goods.as_ref()).map(|goods| goods.quantity).sum();
        let mut flaws = check(evidence);
        flaws.extend(
            snoop
                .iter()
                .filter(|attempt| !is_kept_out(attempt))
                .map(|attempt| Flaw::Snooped { deed: attempt.deed.clone() }),
        );
        Self {
            lines: sales.lines,
            asked_again: sales.asked - sales.lines,
            turned_away: sales.turned_away.clone(),
            taken: evidence.taken,
            sold: sales.sold,
            refused: sales.refused.clone(),
            faulted: sales.faulted.clone(),
            dead: evidence.dead.clone(),
            orders_sold,
            orders_refused: books.entries.len() - orders_sold,
            ledger_cents: books.cents,
            charged_cents: till.charged.values().sum(),
            paid_back_cents: till.paid_back,
            pieces: (evidence.initial.values().sum(), pieces_sold, stock.left.values().sum()),
            services: services.iter().map(ServiceReport::new).collect(),
            notes: stock.notes.clone(),
            renewals,
            snoop,
            flaws,
            sold_in_ms: took.as_millis(),
        }
    }
}

/// Whether the snoop was kept from what it tried.
fn is_kept_out(attempt: &Attempt) -> bool {
    matches!(attempt.verdict, Verdict::Denied | Verdict::Nothing)
}

impl ServiceReport {
    fn new(status: &ServiceStatus) -> Self {
        let ServiceStatus { service, handled, faulted, crashed, started, .. } = status;
        Self { service: service.clone(), handled: *handled, faulted: *faulted, crashed: *crashed, started: *started }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, name: &str, count: usize| {
            writeln!(f, "  {name:<34}{:>9}", grouped(count as u64))
        };
        writeln!(f, "orders")?;
        row(f, "lines read", self.lines)?;
        row(f, "asked again, not knowing", self.asked_again)?;
        row(f, "turned away at the door", self.turned_away.values().sum())?;
        row(f, "taken by the mesh", self.taken)?;
        row(f, "  answered: sold", self.sold)?;
        row(f, "  answered: refused", self.refused.values().sum())?;
        for (reason, count) in &self.refused {
            row(f, &format!("      {}", word(reason)), *count)?;
        }
        row(f, "  answered: a fault", self.faulted.values().sum())?;
        for (kind, count) in &self.faulted {
            row(f, &format!("      {kind}"), *count)?;
        }
        row(f, "  dead letters", self.dead.values().sum())?;
        for (reason, count) in &self.dead {
            row(f, &format!("      {reason}"), *count)?;
        }
        writeln!(f, "\nservices      {:>9} {:>9} {:>9} {:>9}", "handled", "refused", "crashed", "started")?;
        for ServiceReport { service, handled, faulted, crashed, started } in &self.services {
            writeln!(
                f,
                "  {service:<12}{:>9} {:>9} {:>9} {:>9}",
                grouped(*handled),
                grouped(*faulted),
                grouped(*crashed),
                grouped(*started)
            )?;
        }
        let (initial, sold, left) = self.pieces;
        writeln!(f, "\nbooks")?;
        row(f, "orders sold, by the ledger", self.orders_sold)?;
        row(f, "orders refused, by the ledger", self.orders_refused)?;
        writeln!(f, "  {:<31}{:>12}", "sold, by the ledger", money(self.ledger_cents))?;
        writeln!(f, "  {:<31}{:>12}", "charged, by payments", money(self.charged_cents))?;
        writeln!(f, "  {:<31}{:>12}", "charged and paid back", money(self.paid_back_cents))?;
        writeln!(f, "  pieces: {} on the shelves - {} sold = {} left", grouped(initial), grouped(sold), grouped(left))?;
        if !self.renewals.is_empty() {
            writeln!(f, "\nreleases      {:>20} {:>9} {:>9}", "", "waited", "pause")?;
            for Renewal { service, release, live, pause_us, waited, .. } in &self.renewals {
                let end = if *live { release } else { "the one before" };
                writeln!(f, "  {service:<12}{end:>20} {waited:>9} {pause_us:>6.0} µs")?;
            }
            let Notes { taken, lost, repeated, late } = self.notes;
            writeln!(
                f,
                "  numbered messages meanwhile: {}; {lost} lost, {repeated} repeated, {late} reordered",
                grouped(taken)
            )?;
        }
        if self.flaws.is_empty() {
            return write!(f, "\nThe books agree to the cent, order by order.");
        }
        writeln!(f, "\nTHE BOOKS DO NOT AGREE: {}", self.flaws.len())?;
        for flaw in self.flaws.iter().take(FLAWS_SHOWN) {
            writeln!(f, "  {flaw}")?;
        }
        let more = self.flaws.len().saturating_sub(FLAWS_SHOWN);
        if more > 0 { write!(f, "  and {more} more") } else { Ok(()) }
    }
}

/// A reason, as it is written.
fn word(reason: &Reason) -> String {
    match serde_json::to_value(reason) {
        Ok(serde_json::Value::String(word)) => word,
        _ => format!("{reason:?}"),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn money(cents: Cents) -> String {
    format!("{}.{:02}", grouped(cents / 100), cents % 100)
}

#[cfg(test)]
mod tests {
    use super::{grouped, money};

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([grouped(0), grouped(999), grouped(1_000), grouped(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([money(0), money(7), money(123_456)], ["0.00", "0.07", "1,234.56"]);
    }
}
