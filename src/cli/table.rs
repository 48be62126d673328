//! Tables on a terminal.

use comfy_table::{ContentArrangement, Table, presets};

/// Blanks between two columns.
const GAP: u16 = 2;

/// Rows with their cells under each other, the first as heading; cells wrap at the edge of a
/// terminal.
pub fn table(rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    rows.iter().for_each(|row| {
        table.add_row(row);
    });
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, GAP));
    });
    table.trim_fmt()
}
