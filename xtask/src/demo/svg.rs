//! Draws terminals as an SVG: a text element for each run of cells that look the same.

use std::fmt::Write;

use vt100::{Cell, Color, Screen};

use super::pane::COLUMNS;

/// The size of a cell.
const CELL: (f64, f64) = (8.0, 17.0);
const MARGIN: f64 = 14.0;
const TITLE: f64 = 28.0;
const GAP: f64 = 12.0;
const BACKGROUND: &str = "#1c2128";
const TEXT: &str = "#dfe4ea";
/// The first eight colours of a terminal.
const COLOURS: [&str; 8] =
    ["#3b4048", "#f47067", "#8ddb8c", "#e0b050", "#6cb6ff", "#dcbdfb", "#76d7d0", "#dfe4ea"];

/// Terminals above each other, each under its name.
pub(super) fn draw(terminals: &[(&str, &Screen)]) -> String {
    let width = f64::from(COLUMNS) * CELL.0 + 2.0 * MARGIN;
    let height = |rows: u16| TITLE + f64::from(rows) * CELL.1 + MARGIN;
    let rows: Vec<u16> = terminals.iter().map(|(_, screen)| rows_in_use(screen)).collect();
    let total: f64 = rows.iter().map(|rows| height(*rows) + GAP).sum::<f64>() - GAP;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {total:.0}\" width=\"{width:.0}\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"13\">\n"
    );
    let mut top = 0.0;
    for ((name, screen), rows) in terminals.iter().zip(rows) {
        // Writing to a string does not fail.
        let _ = writeln!(
            svg,
            "<rect y=\"{top:.0}\" width=\"{width:.0}\" height=\"{:.0}\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n\
             <text x=\"{:.0}\" y=\"{:.0}\" fill=\"#768390\" text-anchor=\"middle\">{}</text>",
            height(rows),
            width / 2.0,
            top + 18.0,
            escaped(name)
        );
        for row in 0..rows {
            draw_row(&mut svg, screen, row, top + TITLE + f64::from(row) * CELL.1 + 12.0);
        }
        top += height(rows) + GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

/// The rows down to the last one with text.
fn rows_in_use(screen: &Screen) -> u16 {
    let last = screen.rows(0, COLUMNS).zip(1..).filter(|(row, _)| !row.trim().is_empty()).last();
    last.map_or(1, |(_, rows)| rows)
}

fn draw_row(svg: &mut String, screen: &Screen, row: u16, y: f64) {
    let cells: Vec<&Cell> = (0..COLUMNS).filter_map(|column| screen.cell(row, column)).collect();
    let mut column = 0;
    for run in cells.chunk_by(|a, b| look(a) == look(b)) {
        let text: String =
            run.iter().map(|cell| if cell.has_contents() { cell.contents() } else { " " }).collect();
        let before = text.chars().take_while(|c| *c == ' ').count();
        let shown = text.trim();
        if !shown.is_empty() {
            let at = |columns: usize| columns as f64 * CELL.0;
            let weight = if run[0].bold() { " font-weight=\"bold\"" } else { "" };
            // The length holds the columns in line, whichever font there is.
            let _ = writeln!(
                svg,
                "<text x=\"{:.0}\" y=\"{y:.0}\" fill=\"{}\"{weight} textLength=\"{:.0}\" xml:space=\"preserve\">{}</text>",
                MARGIN + at(column + before),
                colour(run[0]),
                at(shown.chars().count()),
                escaped(shown)
            );
        }
        column += run.len();
    }
}

/// What makes a cell look other than its neighbour.
fn look(cell: &Cell) -> (Color, bool) {
    (cell.fgcolor(), cell.bold())
}

fn colour(cell: &Cell) -> &'static str {
    match cell.fgcolor() {
        Color::Idx(n) => COLOURS[usize::from(n % 8)],
        _ => TEXT,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::pane::screen_of;

    #[test]
    fn each_run_of_cells_stands_at_its_column() {
        let mut parser = screen_of(24, COLUMNS);
        parser.process(b"\x1b[1;32mbob$\x1b[0m  a <b>\r\n\r\n[=====]\r\x1b[Jend");
        let svg = draw(&[("bob", parser.screen())]);
        let texts: Vec<&str> = svg.lines().filter(|line| line.contains("xml:space")).collect();
        assert_eq!(texts.len(), 3, "{svg}");
        assert!(texts[0].contains(">bob$<") && texts[0].contains("bold") && texts[0].contains("x=\"14\""));
        assert!(texts[1].contains(">a &lt;b&gt;<") && texts[1].contains("x=\"62\""), "{}", texts[1]);
        assert!(texts[2].contains(">end<"), "what was erased is not drawn: {}", texts[2]);
        assert_eq!(rows_in_use(parser.screen()), 3);
    }
}
