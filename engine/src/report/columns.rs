//! Text in columns.

use super::{Style, Tone};

/// A piece of a row, with its colour.
pub(super) type Cell = (String, Option<Tone>);

/// Width that no column but the last is filled up to: one name with a digest does not push all
/// other rows off the screen.
pub(super) const WIDEST: usize = 48;

/// Rows below a dim head, columns as wide as their longest cell up to [`WIDEST`]; the last one is
/// not filled up. Nothing is cut off.
pub(super) fn columns<const N: usize>(head: [&str; N], rows: &[[Cell; N]], style: Style) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let cells = cells.map(|(text, _)| text.chars().count());
        let fits = cells.filter(|width| *width <= WIDEST);
        fits.chain(head.get(column).map(|text| text.len())).max().unwrap_or(0)
    });
    let line = |cells: [(&str, Option<Tone>); N]| -> String {
        let mut out = String::new();
        for (at, ((text, tone), width)) in cells.into_iter().zip(widths).enumerate() {
            match tone {
                Some(tone) => out.push_str(&style.paint(tone, text)),
                None => out.push_str(text),
            }
            // Padding stands behind the colour codes, which have no width.
            if at + 1 < N {
                out.push_str(&" ".repeat(width.saturating_sub(text.chars().count()) + 2));
            }
        }
        out
    };
    let mut out = style.paint(Tone::Dim, &line(head.map(|text| (text, None))));
    out.push('\n');
    for row in rows {
        out.push_str(&line(row.each_ref().map(|(text, tone)| (text.as_str(), *tone))));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_take_no_room() {
        let cell = |text: &str, tone| (text.to_owned(), tone);
        let rows = [
            [cell("build", Some(Tone::Work)), cell("a", None), cell("x", None)],
            [cell("b", None), cell("äöü", Some(Tone::Strong)), cell("", None)],
        ];
        assert_eq!(
            columns(["ACTION", "N", "WHY"], &rows, Style::Plain),
            "ACTION  N    WHY\nbuild   a    x\nb       äöü  \n"
        );
        let painted = columns(["ACTION", "N", "WHY"], &rows, Style::Ansi);
        assert!(painted.contains("\x1b[36mbuild\x1b[0m   a    x\n"), "{painted:?}");
        let long = "n".repeat(WIDEST + 1);
        let rows = [[cell(&long, None), cell("x", None)], [cell("short", None), cell("y", None)]];
        assert_eq!(
            columns(["NAME", "WHY"], &rows, Style::Plain),
            format!("NAME   WHY\n{long}  x\nshort  y\n")
        );
    }
}
