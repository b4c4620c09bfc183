//! A passphrase as a QR code.

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use zeroize::Zeroizing;

use crate::exit::Failure;

/// Black on white, whatever the terminal's own colours are: a code in other colours is not read by every camera.
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";
/// The terminal's own colours.
const OWN_COLOURS: &str = "\x1b[0m";

/// The lines of a QR code that holds the text, two rows of it in each.
pub(crate) fn drawn(text: &str) -> Result<Zeroizing<String>, Failure> {
    let code =
        QrCode::new(text).map_err(|error| Failure::failed(format!("cannot draw a QR code: {error}")))?;
    let image = Zeroizing::new(code.render::<Dense1x2>().build());
    // No line grows by more than this.
    let more = image.lines().count() * (BLACK_ON_WHITE.len() + OWN_COLOURS.len() + 1);
    let mut drawn = Zeroizing::new(String::with_capacity(image.len() + more));
    for line in image.lines() {
        for part in [BLACK_ON_WHITE, line, OWN_COLOURS, "\n"] {
            drawn.push_str(part);
        }
    }
    Ok(drawn)
}

/// How many columns a code that was drawn takes.
pub(crate) fn columns(drawn: &str) -> usize {
    let line = drawn.lines().next().unwrap_or_default();
    line.chars().count().saturating_sub(BLACK_ON_WHITE.len() + OWN_COLOURS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The dark modules of a drawn code, without the quiet zone of four around it.
    fn dark(drawn: &str) -> Vec<Vec<bool>> {
        let mut rows = Vec::new();
        for line in drawn.lines() {
            let line =
                line.strip_prefix(BLACK_ON_WHITE).and_then(|line| line.strip_suffix(OWN_COLOURS)).unwrap();
            rows.push(line.chars().map(|c| matches!(c, '\u{2580}' | '\u{2588}')).collect::<Vec<_>>());
            rows.push(line.chars().map(|c| matches!(c, '\u{2584}' | '\u{2588}')).collect());
        }
        let width = rows[0].len();
        assert!(rows.iter().all(|row| row.len() == width));
        assert!(rows[..4].iter().flatten().all(|dark| !dark), "a quiet zone");
        let side = width - 8;
        rows[4..4 + side].iter().map(|row| row[4..4 + side].to_vec()).collect()
    }

    #[test]
    fn what_is_drawn_is_the_code() {
        let text = "correct horse battery staple";
        let code = QrCode::new(text).unwrap();
        let modules: Vec<_> = code.to_colors().iter().map(|color| *color == qrcode::Color::Dark).collect();
        let rows: Vec<_> = modules.chunks(code.width()).map(<[bool]>::to_vec).collect();
        let drawn = drawn(text).unwrap();
        assert_eq!(dark(&drawn), rows);
        assert_eq!(columns(&drawn), code.width() + 8);
    }
}
