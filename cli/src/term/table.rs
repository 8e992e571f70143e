//! Tables of text.

use mabuild_engine::report::{Style, Tone, words};

/// Rows below a dim head, columns as wide as their longest cell.
pub fn table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>, style: Style) -> String {
    let rows: Vec<[String; N]> =
        rows.into_iter().map(|row| row.map(|cell| words::one_line(&cell))).collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    });
    let line = |cells: [&str; N]| -> String {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut out = style.paint(Tone::Dim, &line(head));
    out.push('\n');
    for row in &rows {
        out.push_str(&line(row.each_ref().map(String::as_str)));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_cells_are_one_line() {
        let rows =
            vec![["a\nb".to_owned(), "1".to_owned()], ["long name".to_owned(), String::new()]];
        assert_eq!(
            table(["NAME", "N"], rows, Style::Plain),
            "NAME       N\na b        1\nlong name\n"
        );
    }
}
