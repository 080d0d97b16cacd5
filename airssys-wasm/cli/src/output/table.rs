//! Columns for people: the first one to the left, numbers to the right.

use super::printable;

/// Lines with aligned columns, each indented by two. A column is a number's where every cell below its head is one, or
/// is empty. A row is one line, whatever is in its cells.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &Vec<String>, column: usize| row.get(column).map(|text| printable(text)).unwrap_or_default();
    let width = |column: usize| rows.iter().map(|row| cell(row, column).chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let is_number = |text: &str| text.chars().all(|digit| digit.is_ascii_digit() || digit == '-');
    let to_the_right: Vec<bool> =
        (0..columns).map(|column| rows.iter().skip(1).all(|row| is_number(&cell(row, column)))).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (column, (width, right)) in widths.iter().zip(&to_the_right).enumerate() {
            let cell = cell(row, column);
            line.push_str(&if *right { format!(" {cell:>width$} ") } else { format!(" {cell:<width$} ") });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn names_stand_left_and_numbers_right() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let text = table(&[row(["service", "n"]), row(["a", "10"]), row(["long-name", "7"])]);
        assert_eq!(text, "  service     n\n  a          10\n  long-name   7\n");
    }
}
