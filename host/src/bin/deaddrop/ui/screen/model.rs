//! What the screen is about: the offers, which of them is selected, and what is being fetched. Knows no terminal.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use deaddrop::{FoundOffer, Instance, Known, Offer, OfferEvent, Token};

use super::keys::Key;

/// Names an offer. Another sender may copy the token of its drop.
pub(crate) type OfferKey = (Instance, Token);

/// For so long after the selected offer has gone Enter does not fetch the one that took its place.
const SETTLES: Duration = Duration::from_secs(1);
/// The rows of a page.
const PAGE: usize = 8;

/// What becomes of an offer here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing yet.
    Offered,
    /// It is to be fetched, in the order of these numbers.
    Queued(u64),
    /// It is being fetched.
    Fetching,
    /// It was fetched. Others may fetch it still.
    Fetched,
    /// It could not be fetched.
    Failed,
}

/// One offer.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) known: Known,
    /// When its TTL passes.
    pub(super) until: Instant,
    pub(super) state: State,
    /// Its sender offers it no longer. It stays while it is being fetched.
    gone: bool,
}

/// How a line to the person at the terminal is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// An answer to a key.
    Hint,
    Warning,
    Error,
}

/// What the person at the terminal is told, until something else is.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) tone: Tone,
    pub(super) text: String,
    /// It goes above the screen once it gives way, to stay.
    pub(super) kept: bool,
}

/// How far the drop that is being fetched has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    pub(super) stored: u64,
    pub(super) size: u64,
}

/// All that is shown.
#[derive(Default)]
pub(super) struct Model {
    /// In the order in which they appeared.
    pub(super) entries: Vec<Entry>,
    /// The place of the selected one, if there is any.
    pub(super) selected: usize,
    /// When another offer took the place of the selected one.
    slipped: Option<Instant>,
    queued: u64,
    pub(super) transfer: Option<Transfer>,
    pub(super) note: Option<Note>,
    /// Notes that gave way and are not above the screen yet.
    pub(super) past: Vec<Note>,
    pub(super) help: bool,
    /// This machine's addresses.
    pub(super) addresses: Vec<String>,
}

/// What a key asks of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nothing.
    Nothing,
    /// To look what is to be fetched.
    Fetch,
    /// To leave.
    Leave,
}

impl Model {
    /// An offer has appeared, is another now, or has ended.
    pub(super) fn heard(&mut self, now: Instant, event: &OfferEvent) {
        match event {
            OfferEvent::Appeared { offer } => self.appeared(now, offer),
            OfferEvent::Gone { token, instance, .. } => {
                let Some(place) = self.place((*instance, *token)) else { return };
                match self.entries.get_mut(place) {
                    Some(entry) if entry.state == State::Fetching => entry.gone = true,
                    _ => self.remove(now, place),
                }
            }
        }
    }

    fn appeared(&mut self, now: Instant, known: &Known) {
        let until = now + known.offer.ttl_left;
        if let Some(entry) = self.place(key(known)).and_then(|place| self.entries.get_mut(place)) {
            // It comes again with another address. Its time is the one that was listed first.
            (entry.until, entry.gone) = (entry.until.min(until), false);
            entry.known = known.clone();
            return;
        }
        self.entries.push(Entry { known: known.clone(), until, state: State::Offered, gone: false });
    }

    fn remove(&mut self, now: Instant, place: usize) {
        let removed = self.entries.remove(place);
        if place == self.selected && place < self.entries.len() {
            self.slipped = Some(now);
        } else if place < self.selected {
            self.selected -= 1;
        }
        self.selected = self.selected.min(self.entries.len().saturating_sub(1));
        if matches!(removed.state, State::Queued(_)) {
            let text = "an offer that was to be fetched has gone";
            self.tell(Note { tone: Tone::Hint, text: text.into(), kept: false });
        }
    }

    /// A key was pressed.
    pub(super) fn press(&mut self, now: Instant, key: Key) -> Asked {
        self.note.take_if(|note| note.tone == Tone::Hint);
        let last = self.entries.len().saturating_sub(1);
        let to = match key {
            Key::Up => self.selected.saturating_sub(1),
            Key::Down => self.selected.saturating_add(1),
            Key::PageUp => self.selected.saturating_sub(PAGE),
            Key::PageDown => self.selected.saturating_add(PAGE),
            Key::First => 0,
            Key::Last => last,
            Key::Fetch => return self.queue_selected(now),
            Key::FetchAll => return self.queue_all(),
            Key::Help => {
                self.help = !self.help;
                return Asked::Nothing;
            }
            Key::Leave => return Asked::Leave,
        };
        (self.selected, self.slipped) = (to.min(last), None);
        Asked::Nothing
    }

    fn queue_selected(&mut self, now: Instant) -> Asked {
        if self.slipped.take().is_some_and(|slipped| now < slipped + SETTLES) {
            return self.hint("the selected offer has gone: press Enter again to fetch the next one");
        }
        let number = self.number();
        match self.entries.get_mut(self.selected) {
            None => self.hint("there is nothing to fetch yet"),
            Some(Entry { state: State::Queued(_) | State::Fetching, .. }) => {
                self.hint("it is being fetched, or is about to be")
            }
            Some(entry) => {
                entry.state = State::Queued(number);
                Asked::Fetch
            }
        }
    }

    fn queue_all(&mut self) -> Asked {
        let mut asked = false;
        for place in 0..self.entries.len() {
            let number = self.number();
            if let Some(entry) = self.entries.get_mut(place)
                && matches!(entry.state, State::Offered | State::Failed)
            {
                entry.state = State::Queued(number);
                asked = true;
            }
        }
        if asked { Asked::Fetch } else { self.hint("there is nothing else to fetch") }
    }

    fn number(&mut self) -> u64 {
        self.queued += 1;
        self.queued
    }

    fn hint(&mut self, text: &str) -> Asked {
        self.tell(Note { tone: Tone::Hint, text: text.into(), kept: false });
        Asked::Nothing
    }

    /// Tells something, in the place of what was told before.
    pub(super) fn tell(&mut self, note: Note) {
        self.let_go();
        self.note = Some(note);
    }

    /// Takes the note away. One that is kept waits to be written above the screen.
    pub(super) fn let_go(&mut self) {
        self.past.extend(self.note.take().filter(|note| note.kept));
    }

    /// The next offer to fetch, which is being fetched from now on.
    pub(super) fn next(&mut self) -> Option<FoundOffer> {
        let order = |entry: &&mut Entry| match entry.state {
            State::Queued(number) => Some(number),
            _ => None,
        };
        let queued = self.entries.iter_mut().filter(|entry| order(entry).is_some());
        let entry = queued.min_by_key(order)?;
        entry.state = State::Fetching;
        Some(FoundOffer::from((&entry.known, vec![entry.known.from])))
    }

    /// The fetch under way has ended.
    pub(super) fn ended(&mut self, now: Instant, fetched: bool) {
        self.transfer = None;
        let Some(place) = self.entries.iter().position(|entry| entry.state == State::Fetching) else {
            return;
        };
        if let Some(entry) = self.entries.get_mut(place) {
            entry.state = if fetched { State::Fetched } else { State::Failed };
            if entry.gone {
                self.remove(now, place);
            }
        }
    }

    /// Nothing more is fetched than what is under way.
    pub(super) fn clear_queue(&mut self) {
        for entry in &mut self.entries {
            if matches!(entry.state, State::Queued(_)) {
                entry.state = State::Offered;
            }
        }
    }

    fn place(&self, wanted: OfferKey) -> Option<usize> {
        self.entries.iter().position(|entry| key(&entry.known) == wanted)
    }
}

impl Entry {
    pub(super) fn offer(&self) -> &Offer {
        &self.known.offer
    }

    pub(super) fn from(&self) -> SocketAddr {
        self.known.from
    }
}

fn key(known: &Known) -> OfferKey {
    (known.instance, known.offer.token)
}

#[cfg(test)]
pub(super) mod tests {
    use deaddrop::{EndReason, Kind, Name};
    use deaddrop_core::time;

    use super::*;

    /// An offer of sender `from`, whose token begins with `token`.
    pub(in crate::ui::screen) fn known(from: u8, token: u8, kind: Kind, name: &str, size: u64) -> Known {
        let offer = Offer {
            token: Token::from_bytes([token; 16]),
            kind,
            name: Name::new(name).unwrap_or_default(),
            size,
            ttl_left: Duration::from_secs(120),
            fetches_left: 1,
        };
        let from_bytes = Instance::from_bytes([from; 8]);
        let at = SocketAddr::from(([192, 168, 1, from], 48_556));
        Known { offer, from: at, instance: from_bytes, until: time::Instant::default() }
    }

    pub(in crate::ui::screen) fn appeared(known: Known) -> OfferEvent {
        OfferEvent::Appeared { offer: known }
    }

    fn gone(from: u8, token: u8) -> OfferEvent {
        OfferEvent::Gone {
            token: Token::from_bytes([token; 16]),
            instance: Instance::from_bytes([from; 8]),
            reason: EndReason::Withdrawn,
        }
    }

    /// A model of messages with these tokens, each of a sender of its own.
    fn of(now: Instant, tokens: &[u8]) -> Model {
        let mut model = Model::default();
        for token in tokens {
            model.heard(now, &appeared(known(*token, *token, Kind::Message, "", 5)));
        }
        model
    }

    fn selected(model: &Model) -> u8 {
        model.entries[model.selected].offer().token.as_bytes()[0]
    }

    fn next(model: &mut Model) -> Option<u8> {
        model.next().map(|found| found.offer.token.as_bytes()[0])
    }

    #[test]
    fn the_selection_stays_with_its_offer() {
        let now = Instant::now();
        let mut model = of(now, &[1, 2, 3, 4]);
        for key in [Key::Down, Key::Down, Key::Down, Key::Up] {
            assert_eq!(model.press(now, key), Asked::Nothing);
        }
        assert_eq!(selected(&model), 3);
        model.heard(now, &gone(1, 1));
        model.heard(now, &gone(4, 4));
        model.heard(now, &appeared(known(9, 9, Kind::File, "x", 1)));
        assert_eq!(selected(&model), 3);
        for (key, token) in [
            (Key::Last, 9),
            (Key::Down, 9),
            (Key::First, 2),
            (Key::Up, 2),
            (Key::PageDown, 9),
            (Key::PageUp, 2),
        ] {
            model.press(now, key);
            assert_eq!(selected(&model), token, "{key:?}");
        }
        for token in [2, 3, 9] {
            model.heard(now, &gone(token, token));
        }
        assert_eq!((model.entries.len(), model.selected), (0, 0));
        assert_eq!(model.press(now, Key::Down), Asked::Nothing);
        assert_eq!(model.press(now, Key::Fetch), Asked::Nothing);
        assert_eq!(model.selected, 0);
    }

    #[test]
    fn enter_never_fetches_what_has_only_just_taken_the_place_of_another() {
        let now = Instant::now();
        let mut model = of(now, &[1, 2, 3]);
        model.heard(now, &gone(1, 1));
        assert_eq!(model.press(now + SETTLES / 2, Key::Fetch), Asked::Nothing);
        assert_eq!(next(&mut model), None);
        assert!(model.note.as_ref().unwrap().text.contains("has gone"));
        assert_eq!(model.press(now + SETTLES / 2, Key::Fetch), Asked::Fetch, "the second time it is meant");
        assert_eq!(next(&mut model), Some(2));
        assert!(model.note.is_none());
        model.ended(now, true);
        model.heard(now, &gone(2, 2));
        assert_eq!(model.press(now + SETTLES, Key::Fetch), Asked::Fetch, "it has been there for a while");
        // One that was chosen by a key is meant at once.
        let mut model = of(now, &[1, 2, 3]);
        model.heard(now, &gone(1, 1));
        model.press(now, Key::Down);
        assert_eq!(model.press(now, Key::Fetch), Asked::Fetch);
        assert_eq!(next(&mut model), Some(3));
    }

    #[test]
    fn what_is_chosen_is_fetched_in_turn() {
        let now = Instant::now();
        let mut model = of(now, &[1, 2, 3, 4]);
        model.press(now, Key::Last);
        assert_eq!(model.press(now, Key::Fetch), Asked::Fetch);
        assert_eq!(model.press(now, Key::FetchAll), Asked::Fetch);
        assert_eq!(model.press(now, Key::FetchAll), Asked::Nothing, "all are");
        assert_eq!(next(&mut model), Some(4));
        model.ended(now, false);
        assert_eq!(next(&mut model), Some(1));
        model.ended(now, true);
        // One goes while it waits.
        model.heard(now, &gone(2, 2));
        assert_eq!(next(&mut model), Some(3));
        model.ended(now, true);
        assert_eq!(next(&mut model), None);
        // What failed is tried again, what was fetched is not unless it is selected.
        assert_eq!(model.press(now, Key::FetchAll), Asked::Fetch);
        assert_eq!((next(&mut model), next(&mut model)), (Some(4), None));
        model.ended(now, true);
        model.press(now, Key::First);
        assert_eq!(model.press(now, Key::Fetch), Asked::Fetch);
        model.press(now, Key::FetchAll);
        model.clear_queue();
        assert_eq!(next(&mut model), None);
    }

    #[test]
    fn an_offer_that_goes_while_it_is_fetched_stays_until_it_is() {
        let now = Instant::now();
        let mut model = of(now, &[1, 2]);
        model.press(now, Key::Fetch);
        assert_eq!(next(&mut model), Some(1));
        model.heard(now, &gone(1, 1));
        assert_eq!(model.entries.len(), 2);
        model.ended(now, true);
        assert_eq!((model.entries.len(), selected(&model)), (1, 2));
    }

    #[test]
    fn an_offer_that_has_moved_keeps_its_time() {
        let now = Instant::now();
        let mut model = of(now, &[1]);
        let until = model.entries[0].until;
        let mut moved = known(1, 1, Kind::Message, "", 5);
        moved.from = "10.0.0.9:48556".parse().unwrap();
        model.heard(now + Duration::from_secs(60), &appeared(moved));
        assert_eq!((model.entries.len(), model.entries[0].until), (1, until));
        assert_eq!(model.entries[0].from().to_string(), "10.0.0.9:48556");
        // The same token from another sender is another offer.
        model.heard(now, &appeared(known(2, 1, Kind::Message, "", 5)));
        assert_eq!(model.entries.len(), 2);
    }

    #[test]
    fn a_note_that_is_kept_waits_to_be_written_above_the_screen() {
        let mut model = Model::default();
        let note = |text: &str, kept| Note { tone: Tone::Warning, text: text.into(), kept };
        model.tell(note("one", true));
        model.tell(note("two", false));
        model.tell(note("three", true));
        model.press(Instant::now(), Key::Down);
        assert_eq!(model.note.as_ref().unwrap().text, "three", "no key takes a warning away");
        model.let_go();
        let past: Vec<_> = model.past.iter().map(|note| &*note.text).collect();
        assert_eq!((past, model.note.is_none()), (vec!["one", "three"], true));
    }
}
