//! A table for a terminal. Pure.

/// Sets rows under their headings, in columns as wide as their widest cell.
pub(super) fn columns<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let width_of = |text: &str| text.chars().count();
    let mut widths = headings.map(width_of);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(width_of(cell));
        }
    }
    let line = |cells: &[String; N]| {
        let padded: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let lines: Vec<String> = std::iter::once(&headings.map(str::to_owned)).chain(rows).map(line).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_in_characters() {
        let rows = [["ä".to_owned(), "long cell".to_owned()], ["abc".to_owned(), String::new()]];
        assert_eq!(columns(["a", "b"], &rows), "a    b\nä    long cell\nabc");
    }
}
