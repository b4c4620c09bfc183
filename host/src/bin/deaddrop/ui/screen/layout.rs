//! The rows of the screen, from what it is about: the same rows for the same model, time and terminal.

use std::time::Instant;

use deaddrop::text::Bytes;
use deaddrop::{Address, Endpoint, Kind};
use indicatif::DecimalBytes;

use super::model::{Entry, Model, State, Tone};
use super::text::{countdown, cut, cut_front, left, right, shown, width, wrap};
use crate::ui::status::Window;

/// From this many columns on a row has the address of its sender, and the name a part of its own.
const WIDE: usize = 60;
/// Without columns for the size a row is still worth something.
const SIZED: usize = 30;
/// The screen takes one part of so many of the terminal's rows: what was fetched stands above it.
const PART: usize = 2;
/// It has so many rows all the same, if the terminal has.
const ROWS_MIN: usize = 8;
/// The most rows of a note.
const NOTE_ROWS: usize = 4;
const SIZE: usize = 10;
const STATE: usize = 8;

/// How a row looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Heading,
    Selected,
    Faint,
    Warning,
    Error,
}

/// A row of the screen: its text, which fits, and its look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) text: String,
    pub(super) look: Look,
}

/// The rows. `bar` is the line of the fetch under way, if it has one.
pub(super) fn rows(model: &Model, now: Instant, window: Window, utf8: bool, bar: Option<&str>) -> Vec<Row> {
    let columns = usize::from(window.columns).saturating_sub(1).max(1);
    let terminal = usize::from(window.rows).saturating_sub(1).max(1);
    let most = (usize::from(window.rows) / PART).max(ROWS_MIN).min(terminal);
    let row = |text: &str, look| Row { text: cut(text, columns), look };
    // The list has a row at least. What else there is finds room in this order.
    let mut free = most.saturating_sub(1);
    let mut take = |wanted: Vec<Row>| {
        let taken: Vec<Row> = wanted.into_iter().take(free).collect();
        free -= taken.len();
        taken
    };
    let bar = take(bar.iter().map(|bar| row(bar, Look::Plain)).collect());
    let note = take(note(model, columns, utf8));
    let keys = take(keys(model, columns));
    let heading = take(vec![row("", Look::Heading)]);
    let details = take(details(model, columns, utf8));
    let (list, first) = list(model, now, columns, utf8, free + 1);
    let heading_text = heading_of(model, first, list.len());
    let heading = heading.into_iter().map(|_| row(&heading_text, Look::Heading));
    heading.chain(list).chain(details).chain(bar).chain(note).chain(keys).collect()
}

fn heading_of(model: &Model, first: usize, rows: usize) -> String {
    let count = model.entries.len();
    let offers = match count {
        0 => "No offers yet".to_owned(),
        1 => "1 offer".to_owned(),
        _ if rows < count => format!("{count} offers, {} to {} shown", first + 1, first + rows),
        _ => format!("{count} offers"),
    };
    if model.addresses.is_empty() {
        return format!("{offers}; no network yet");
    }
    format!("{offers}; listening on {}", model.addresses.join(", "))
}

/// As many rows as there are or fit, around the selected one, and the place of the first.
fn list(model: &Model, now: Instant, columns: usize, utf8: bool, rows: usize) -> (Vec<Row>, usize) {
    let count = model.entries.len();
    let first = model.selected.saturating_sub(rows / 2).min(count.saturating_sub(rows));
    let visible = model.entries.iter().enumerate().skip(first).take(rows);
    let addresses: Vec<String> =
        visible.clone().map(|(_, entry)| Address::from(entry.from()).to_string()).collect();
    let widest = addresses.iter().map(String::len).max().unwrap_or(0);
    let list = visible.zip(&addresses).map(|((place, entry), address)| {
        let selected = place == model.selected;
        let text = if columns >= WIDE {
            wide(model, entry, now, columns, utf8, (address, widest))
        } else {
            narrow(model, entry, now, columns, utf8)
        };
        let mark = if selected { "> " } else { "  " };
        let look = if selected { Look::Selected } else { Look::Plain };
        Row { text: left(&format!("{mark}{text}"), columns).trim_end().to_owned(), look }
    });
    (list.collect(), first)
}

/// Token, kind, name, size, sender, and time left.
fn wide(
    model: &Model,
    entry: &Entry,
    now: Instant,
    columns: usize,
    utf8: bool,
    (address, widest): (&str, usize),
) -> String {
    let (token, kind) = (token(entry, 6), kind(entry.offer().kind));
    // Both share what the others leave. The name has 12 columns at least.
    let both = columns - (2 + 7 + 8 + 1 + SIZE + 2 + 1 + STATE);
    let of_address = widest.min(both - 12);
    let name = left(&name(entry, utf8), both - of_address);
    let address = left(&cut_front(address, of_address), of_address);
    let size = right(&DecimalBytes(entry.offer().size).to_string(), SIZE);
    format!("{token} {kind:<7} {name} {size}  {address} {}", state(model, entry, now))
}

/// Token, name or kind, size, and time left.
fn narrow(model: &Model, entry: &Entry, now: Instant, columns: usize, utf8: bool) -> String {
    let (token, state) = (token(entry, 4), state(model, entry, now));
    let what = match (name(entry, utf8), entry.offer().kind) {
        (name, kind_of) if name.is_empty() => kind(kind_of).to_owned(),
        (name, Kind::Directory) => format!("{name}/"),
        (name, _) => name,
    };
    let rest = columns.saturating_sub(2 + 5 + 1 + STATE);
    if columns < SIZED {
        return format!("{token} {} {state}", left(&what, rest));
    }
    let size = right(&DecimalBytes(entry.offer().size).to_string(), SIZE);
    format!("{token} {} {size} {state}", left(&what, rest.saturating_sub(SIZE + 1)))
}

/// The first characters of its token, by which `fetch` knows it too.
fn token(entry: &Entry, characters: usize) -> String {
    entry.offer().token.to_string().chars().take(characters).collect()
}

fn name(entry: &Entry, utf8: bool) -> String {
    shown(entry.offer().name.as_str(), utf8)
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Directory => "folder",
        kind => kind.word(),
    }
}

/// The time left, or what is done about it.
fn state(model: &Model, entry: &Entry, now: Instant) -> String {
    let state = match (entry.state, model.transfer) {
        (State::Offered, _) => countdown(entry.until.saturating_duration_since(now)),
        (State::Queued(_), _) => "queued".into(),
        (State::Fetching, Some(transfer)) if transfer.size > 0 => {
            let percent = u128::from(transfer.stored) * 100 / u128::from(transfer.size);
            format!("{percent}%")
        }
        (State::Fetching, _) => "fetching".into(),
        (State::Fetched, _) => "fetched".into(),
        (State::Failed, _) => "failed".into(),
    };
    right(&state, STATE)
}

/// All of the selected offer, of which its own row may have left something out.
fn details(model: &Model, columns: usize, utf8: bool) -> Vec<Row> {
    let Some(entry) = model.entries.get(model.selected) else { return Vec::new() };
    let rows = if columns >= WIDE { 1 } else { 2 };
    let offer = entry.offer();
    let rest = format!(", {} from {}", Bytes(offer.size), Endpoint(entry.from()));
    let mut what = kind(offer.kind).to_owned();
    let name = name(entry, utf8);
    if !name.is_empty() {
        // What follows is worth more than the end of a long name. A row may have to end between two words.
        let free = (columns * rows).saturating_sub(width(&what) + width(&rest) + 3);
        let free = if rows > 1 && width(&name) > free { free.saturating_sub(width(&rest) / 2) } else { free };
        what.push_str(&format!(" \"{}\"", cut(&name, free.max(8))));
    }
    let text = format!("{what}{rest}");
    wrap(&text, columns, rows).into_iter().map(|text| Row { text, look: Look::Faint }).collect()
}

fn note(model: &Model, columns: usize, utf8: bool) -> Vec<Row> {
    let Some(note) = &model.note else { return Vec::new() };
    let look = match note.tone {
        Tone::Hint => Look::Plain,
        Tone::Warning => Look::Warning,
        Tone::Error => Look::Error,
    };
    let rows = wrap(&shown(&note.text, utf8), columns, NOTE_ROWS);
    rows.into_iter().map(|text| Row { text, look }).collect()
}

fn keys(model: &Model, columns: usize) -> Vec<Row> {
    let (text, rows) = match model.help {
        true => ("Up, Down or k, j: select; Enter: fetch; a: fetch all; q or Ctrl-C: leave", 2),
        false => ("Enter: fetch, a: all, ?: help, q: leave", 1),
    };
    wrap(text, columns, rows).into_iter().map(|text| Row { text, look: Look::Faint }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::rows as rows_of;
    use super::*;
    use crate::ui::screen::keys::Key;
    use crate::ui::screen::model::tests::{appeared, known};
    use crate::ui::screen::model::{Note, Transfer};

    const NAMES: [&str; 4] = ["", "report.pdf", "\u{5199}\u{771f}\u{1b}[2J \u{e9}t\u{e9} 2026", "photos"];

    fn model(now: Instant) -> Model {
        let mut model = Model::default();
        model.addresses = vec!["192.168.1.9".into(), "127.0.0.1".into()];
        let of = |from, token, kind, name, size| appeared(known(from, token, kind, name, size));
        model.heard(now, &of(7, 1, Kind::Message, NAMES[0], 11));
        model.heard(now, &of(8, 2, Kind::File, NAMES[1], 1_234_567));
        model.heard(now, &of(8, 3, Kind::File, NAMES[2], 999_999_999));
        model.heard(now, &of(112, 4, Kind::Directory, NAMES[3], 34_000_000_000));
        model
    }

    /// The rows at a terminal of this size after some time.
    fn at(model: &Model, now: Instant, (columns, rows): (u16, u16), utf8: bool) -> Vec<String> {
        let rows = rows_of(model, now, Window { columns, rows }, utf8, None);
        rows.into_iter().map(|row| row.text).collect()
    }

    #[test]
    fn eighty_columns() {
        let now = Instant::now();
        let mut model = model(now);
        model.press(now, Key::Down);
        let later = now + Duration::from_secs(61);
        assert_eq!(
            at(&model, later, (80, 24), true),
            [
                "4 offers; listening on 192.168.1.9, 127.0.0.1",
                "  040g20 message                                   11 B  192.168.1.7       0:59",
                "> 081040 file    report.pdf                     1.23 MB  192.168.1.8       0:59",
                "  0c1g60 file    \u{5199}\u{771f}\\u{1b}[2J \u{e9}t\u{e9} 2026      1000.00 MB  192.168.1.8       0:59",
                "  0g2081 folder  photos                        34.00 GB  192.168.1.112     0:59",
                "file \"report.pdf\", 1234567 bytes from 192.168.1.8:48556",
                "Enter: fetch, a: all, ?: help, q: leave",
            ]
        );
    }

    #[test]
    fn forty_columns() {
        let now = Instant::now();
        let mut model = model(now);
        model.press(now, Key::Last);
        model.press(now, Key::Help);
        assert_eq!(
            at(&model, now, (40, 24), true),
            [
                "4 offers; listening on 192.168.1.9, 12~",
                "  040g message            11 B     2:00",
                "  0810 report.pdf      1.23 MB     2:00",
                "  0c1g \u{5199}\u{771f}\\u{1b}[~ 1000.00 MB     2:00",
                "> 0g20 photos/        34.00 GB     2:00",
                "folder \"photos\", 34000000000 bytes from",
                "192.168.1.112:48556",
                "Up, Down or k, j: select; Enter: fetch;",
                "a: fetch all; q or Ctrl-C: leave",
            ]
        );
    }

    #[test]
    fn a_terminal_without_utf8_gets_ascii() {
        let now = Instant::now();
        let mut model = model(now);
        for _ in 0..2 {
            model.press(now, Key::Down);
        }
        let note = Note { tone: Tone::Warning, text: "caf\u{e9}".into(), kept: true };
        model.tell(note);
        let rows = at(&model, now, (80, 24), false);
        assert!(rows.iter().all(|row| row.is_ascii()), "{rows:?}");
        assert!(rows[3].contains(r"\u{5199}\u{771f}\u{1b}[2J"), "{}", rows[3]);
        assert!(rows.contains(&r"caf\u{e9}".to_owned()));
    }

    #[test]
    fn every_row_fits_every_terminal() {
        let now = Instant::now();
        let mut model = model(now);
        for n in 0..200 {
            let name = NAMES[usize::from(n) % 4].repeat(9);
            model.heard(now, &appeared(known(n, n + 5, Kind::File, &name, u64::MAX >> (n % 60))));
        }
        model.addresses.push("2001:db8:1234:5678:9abc:def0:1234:5678".into());
        let text = "it went wrong: ".repeat(40);
        model.tell(Note { tone: Tone::Error, text, kept: true });
        for help in [false, true] {
            model.help = help;
            for columns in [1, 2, 3, 9, 20, 29, 30, 31, 39, 40, 59, 60, 61, 62, 80, 133, 500] {
                for height in [1, 2, 3, 4, 5, 8, 9, 24, 100] {
                    for key in [Key::First, Key::PageDown, Key::Last] {
                        model.press(now, key);
                        for utf8 in [true, false] {
                            let bar = Some("[=====>   ] 1.00 MB of 2.00 MB");
                            let window = Window { columns, rows: height };
                            let rows = rows_of(&model, now, window, utf8, bar);
                            let most = usize::from(height.saturating_sub(1).max(1));
                            assert!(!rows.is_empty() && rows.len() <= most, "{columns}x{height}: {rows:?}");
                            assert!(rows.len() <= usize::from((height / 2).max(8)));
                            let widest = usize::from(columns.saturating_sub(1).max(1));
                            assert!(rows.iter().all(|row| width(&row.text) <= widest), "{columns}: {rows:?}");
                            let selected = rows.iter().filter(|row| row.look == Look::Selected);
                            assert_eq!(selected.count(), 1, "{columns}x{height}: {rows:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_long_list_shows_what_is_around_the_selected_offer() {
        let now = Instant::now();
        let mut model = Model::default();
        for n in 0..100 {
            model.heard(now, &appeared(known(n, n, Kind::Message, "", 5)));
        }
        let list = |model: &Model| {
            let rows = rows_of(model, now, Window { columns: 80, rows: 24 }, true, None);
            let place = rows.iter().position(|row| row.look == Look::Selected).unwrap();
            (rows[0].text.clone(), place, rows.len())
        };
        assert_eq!(list(&model), ("100 offers, 1 to 9 shown; no network yet".into(), 1, 12));
        for _ in 0..50 {
            model.press(now, Key::Down);
        }
        assert_eq!(list(&model), ("100 offers, 47 to 55 shown; no network yet".into(), 5, 12));
        model.press(now, Key::Last);
        assert_eq!(list(&model), ("100 offers, 92 to 100 shown; no network yet".into(), 9, 12));
    }

    #[test]
    fn what_is_done_about_an_offer_stands_in_the_place_of_its_time() {
        let now = Instant::now();
        let mut model = model(now);
        let states = |model: &Model| {
            let rows = at(model, now, (80, 24), true);
            rows[1..5].iter().map(|row| row.rsplit(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        model.press(now, Key::FetchAll);
        model.next();
        assert_eq!(states(&model), ["fetching", "queued", "queued", "queued"]);
        model.ended(now, true);
        model.next();
        model.transfer = Some(Transfer { stored: 617_283, size: 1_234_567 });
        assert_eq!(states(&model), ["fetched", "49%", "queued", "queued"]);
        model.ended(now, false);
        model.clear_queue();
        assert_eq!(states(&model), ["fetched", "failed", "2:00", "2:00"]);
    }

    #[test]
    fn a_note_and_a_bar_stand_below_the_list() {
        let now = Instant::now();
        let mut model = model(now);
        let text = "deaddrop: warning: ".to_owned() + &"something is odd, ".repeat(20);
        model.tell(Note { tone: Tone::Warning, text, kept: true });
        let window = Window { columns: 80, rows: 24 };
        let rows = rows_of(&model, now, window, true, Some("[==>  ] 1 of 2"));
        let looks: Vec<_> = rows.iter().map(|row| row.look).collect();
        use Look::{Faint, Heading, Plain, Selected, Warning};
        let list = [Heading, Selected, Plain, Plain, Plain, Faint, Plain];
        assert_eq!(looks, [&list[..], &[Warning; 4], &[Faint]].concat());
        assert_eq!(rows[6].text, "[==>  ] 1 of 2");
        assert!(rows[10].text.ends_with('~'), "the whole of it is written above in the end");
    }
}
