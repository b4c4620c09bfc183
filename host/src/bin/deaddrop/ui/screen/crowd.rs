//! Thousands of offers, at a terminal that is emulated.

use std::num::NonZero;
use std::time::Instant;

use deaddrop::{EndReason, Kind, Known, OfferEvent, Token};
use vt100::Parser;

use super::frame::Frame;
use super::keys::Key;
use super::layout::rows;
use super::model::Model;
use super::model::tests::{appeared, known};
use crate::ui::status::Window;

const WINDOW: Window = Window { columns: 80, rows: 24 };
const OFFERS: u16 = 5_000;
/// Each is heard, and one of so many is followed by a painting.
const PAINTED: u16 = 25;

fn offer(n: u16) -> Known {
    let mut known = known((n % 200) as u8, 0, Kind::File, &format!("{n}.bin"), u64::from(n));
    let [high, low] = n.to_be_bytes();
    known.offer.token = Token::from_bytes(std::array::from_fn(|at| if at % 2 == 0 { high } else { low }));
    known
}

/// The terminal, with what was fetched before above the screen.
struct Terminal {
    emulated: Parser,
    frame: Frame,
    now: Instant,
}

impl Terminal {
    /// Paints, and checks that the terminal shows this and has kept what stood above it. Gives the heading.
    fn paints(&mut self, model: &Model) -> String {
        let rows = rows(model, self.now, WINDOW, true, None);
        let texts: Vec<String> = rows.iter().map(|row| row.text.clone()).collect();
        let bytes = String::from_utf8(self.frame.paint(rows, WINDOW, true)).unwrap();
        assert!(bytes.len() < 2_048, "no more than the rows: {} bytes", bytes.len());
        // As a terminal does it.
        self.emulated.process(bytes.replace('\n', "\r\n").as_bytes());
        let shown: Vec<String> = self.emulated.screen().rows(0, WINDOW.columns).collect();
        assert_eq!(shown[0], "what was fetched");
        assert_eq!(shown[1..=texts.len()], texts);
        assert!(shown[texts.len() + 1..].iter().all(String::is_empty), "{shown:?}");
        texts[0].clone()
    }
}

#[test]
fn thousands_come_and_go_in_the_rows_that_there_are() {
    let now = Instant::now();
    let [rows, columns] = [WINDOW.rows, WINDOW.columns].map(|cells| NonZero::new(cells).unwrap());
    let emulated = Parser::new(rows, columns, 0);
    let mut terminal = Terminal { emulated, frame: Frame::default(), now };
    terminal.emulated.process(b"what was fetched\r\n");
    let mut model = Model::default();
    for n in 0..OFFERS {
        model.heard(now, &appeared(offer(n)));
        if n % PAINTED == 0 {
            terminal.paints(&model);
        }
    }
    assert_eq!(terminal.paints(&model), "5000 offers, 1 to 9 shown; no network yet");
    model.press(now, Key::Last);
    assert_eq!(terminal.paints(&model), "5000 offers, 4992 to 5000 shown; no network yet");
    model.press(now, Key::FetchAll);
    let first = model.next().map(|found| found.offer.token);
    assert_eq!(first, Some(offer(0).offer.token), "in their order");
    model.ended(now, true);
    // The selected one is the last to go.
    for n in 0..OFFERS {
        let known = offer(n);
        let (token, instance) = (known.offer.token, known.instance);
        model.heard(now, &OfferEvent::Gone { token, instance, reason: EndReason::Withdrawn });
        let left = usize::from(OFFERS - 1 - n);
        assert_eq!((model.entries.len(), model.selected), (left, left.saturating_sub(1)));
        if n % PAINTED == 0 {
            terminal.paints(&model);
        }
    }
    assert_eq!(terminal.paints(&model), "No offers yet; no network yet");
}
