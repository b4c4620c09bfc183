//! A bar chart in SVG: the time of a transfer as a multiple of plain TCP's, for each program and size.

use std::fmt::Write;

use super::figures::{Row, Series};
use super::peer::Peer;
use super::report::size;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 140.0;
const BAR: f64 = 18.0;
const GAP: f64 = 6.0;
const TITLE: f64 = 34.0;

/// Draws one group of bars for each size; those of one size share a scale.
pub(super) fn draw(series: &[Series]) -> String {
    let groups: Vec<_> = series.iter().map(|series| (series.size, series.rows())).collect();
    let height: f64 = groups.iter().map(|(_, rows)| group_height(rows)).sum::<f64>() + GAP;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let mut top = 0.0;
    for (bytes, rows) in &groups {
        draw_group(&mut svg, top, *bytes, rows);
        top += group_height(rows);
    }
    svg.push_str("</svg>\n");
    svg
}

fn group_height(rows: &[Row]) -> f64 {
    rows.iter().fold(TITLE, |height, _| height + BAR + GAP)
}

fn draw_group(svg: &mut String, top: f64, bytes: u64, rows: &[Row]) {
    let longest = rows.iter().map(|row| row.wall).fold(0.0, f64::max);
    // Writing to a string does not fail.
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{:.0}\" font-weight=\"bold\">{}, seconds (less is better)</text>",
        top + 22.0,
        size(bytes)
    );
    let mut y = top + TITLE;
    for row in rows {
        let length = if longest > 0.0 { row.wall / longest * (WIDTH - LEFT - 80.0) } else { 0.0 };
        let colour = match row.peer {
            Peer::Deaddrop | Peer::DeaddropOpenssl => "#0b6e4f",
            Peer::Socat => "#bbbbbb",
            Peer::SocatTls | Peer::Scp => "#6b7a8f",
        };
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{y:.0}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{:.0}\">{:.3}</text>",
            LEFT - 8.0,
            y + 14.0,
            row.peer.name(),
            LEFT + length + 6.0,
            y + 14.0,
            row.wall
        );
        y += BAR + GAP;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::figures::{Run, Usage};
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_width_and_every_peer_has_one() {
        let usage = Usage { cpu: 0.0, memory: 0.0 };
        let mut series = Series::new(1 << 30);
        for (peer, ms) in Peer::ALL.into_iter().zip([500, 1_000, 2_000, 700, 600]) {
            series.note(peer, Run { wall: Duration::from_millis(ms), sender: usage, receiver: usage });
        }
        let svg = draw(&[series]);
        assert_eq!(svg.matches("<rect x=").count(), 5);
        assert!(svg.contains("width=\"500.0\"") && svg.contains(">2.000<") && svg.contains("1 GiB, seconds"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}
