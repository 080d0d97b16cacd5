//! Rows, as a table and as JSON.

use serde_json::{Value, json};

use crate::measure::{Series, extent, median};

/// One line of the report.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    unit: &'static str,
    series: Series,
    at_most: Option<f64>,
}

impl Row {
    /// A row beside its floor. `at_most` is the ratio that it may have.
    pub(crate) fn new(
        name: impl Into<String>,
        unit: &'static str,
        at_most: impl Into<Option<f64>>,
        series: Series,
    ) -> Self {
        Self { name: name.into(), unit, series, at_most: at_most.into() }
    }

    /// A row that is told, and has no floor.
    pub(crate) fn told(name: impl Into<String>, unit: &'static str, ours: Vec<f64>) -> Self {
        Self::new(name, unit, None, Series { ours, floor: Vec::new() })
    }

    fn ours(&self) -> f64 {
        median(&self.series.ours)
    }

    fn floor(&self) -> Option<f64> {
        (!self.series.floor.is_empty()).then(|| median(&self.series.floor))
    }

    /// The medians' ratio.
    fn ratio(&self) -> Option<f64> {
        self.floor().map(|floor| self.ours() / floor)
    }

    /// The ratio of each round.
    fn ratios(&self) -> Vec<f64> {
        self.series.ours.iter().zip(&self.series.floor).map(|(ours, floor)| ours / floor).collect()
    }

    /// Whether it is over what it may have, as far as two digits behind the point say.
    pub(crate) fn misses(&self) -> bool {
        matches!((self.ratio(), self.at_most), (Some(ratio), Some(at_most)) if (ratio * 100.0).round() > at_most * 100.0)
    }

    fn json(&self) -> Value {
        let spread = |figures: &[f64]| (!figures.is_empty()).then(|| extent(figures).map(rounded));
        json!({
            "name": self.name,
            "unit": self.unit,
            "ours": rounded(self.ours()),
            "floor": self.floor().map(rounded),
            "ratio": self.ratio().map(rounded),
            "at_most": self.at_most,
            "spread": { "ours": spread(&self.series.ours), "floor": spread(&self.series.floor), "ratio": spread(&self.ratios()) },
            "runs": self.series.ours.len(),
        })
    }

    fn cells(&self) -> [String; 9] {
        let or_none = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), figure_text);
        let spread = |figures: &[f64]| {
            if figures.is_empty() {
                return "-".to_owned();
            }
            let [least, most] = extent(figures);
            format!("{}..{}", figure_text(least), figure_text(most))
        };
        let verdict = match self.at_most {
            None => "",
            Some(_) if self.misses() => "MISSED",
            Some(_) => "ok",
        };
        [
            self.name.clone(),
            self.unit.to_owned(),
            figure_text(self.ours()),
            or_none(self.floor()),
            self.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
            self.at_most.map_or_else(|| "-".to_owned(), |most| format!("{most:.1}")),
            spread(&self.series.ours),
            spread(&self.series.floor),
            verdict.to_owned(),
        ]
    }
}

fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

/// Three digits where there are as few.
fn figure_text(figure: f64) -> String {
    if figure >= 100.0 { format!("{figure:.0}") } else { format!("{figure:.2}") }
}

/// The rows as a JSON list.
pub(crate) fn json(rows: &[Row]) -> String {
    let list: Vec<Value> = rows.iter().map(Row::json).collect();
    format!("{:#}\n", Value::from(list))
}

/// The rows as a table on stdout.
pub(crate) fn print(rows: &[Row]) {
    let header = ["row", "unit", "ours", "floor", "ratio", "at most", "ours, min..max", "floor, min..max", ""]
        .map(str::to_owned);
    let lines: Vec<[String; 9]> = std::iter::once(header).chain(rows.iter().map(Row::cells)).collect();
    let widths: [usize; 9] =
        std::array::from_fn(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0));
    for line in &lines {
        let mut text = String::new();
        for (column, cell) in line.iter().enumerate() {
            // Words to the left, figures to the right.
            let padded = if matches!(column, 0 | 1 | 8) {
                format!("{cell:<0$}", widths[column])
            } else {
                format!("{cell:>0$}", widths[column])
            };
            text.push_str(&padded);
            text.push_str("  ");
        }
        println!("{}", text.trim_end());
    }
}
