//! The screen of a listener at a terminal (decision 0044): the last rows of it show what is offered, and what was fetched
//! stands above them for good.
//!
//! | file | idea |
//! |---|---|
//! | `model` | the offers, the selection, the queue; knows no terminal |
//! | `layout` | the rows of it, at a time and for a size |
//! | `frame` | what of the rows is on the terminal |
//! | `keys` | keys, from the bytes of a terminal |
//! | `text` | text in columns |

#[cfg(test)]
mod crowd;
mod frame;
mod keys;
mod layout;
mod model;
mod text;

use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use deaddrop::{FoundOffer, OfferEvent};
use event_listener::{Event, EventListener};
use smol::future;

use super::progress::Progress;
use super::status::{Status, Window};
use crate::platform::{self, Keyboard, in_foreground};
use crate::signals::HasTerminal;
use frame::Frame;
use keys::Keys;
pub(crate) use model::Asked;
use model::{Model, Note, Tone, Transfer};

/// Notes that wait to be written above the screen. A terminal that is stopped gets no more of them.
const PAST_MAX: usize = 32;

/// The screen, shared by all that show something on it.
///
/// The model is locked for moments alone. The frame is locked while the terminal takes what is written, which can be for as
/// long as it is stopped: by writes alone.
#[derive(Clone)]
pub(crate) struct Screen(Arc<Inner>);

struct Inner {
    model: Mutex<Model>,
    frame: Mutex<Frame>,
    /// The bar of the fetch under way.
    bar: Mutex<Bar>,
    keyboard: Keyboard,
    /// The terminal is not another program's, as far as we know.
    ours: AtomicBool,
    /// It has become ours, or another program's.
    switched: Event,
    /// There is something to paint.
    dirty: AtomicBool,
    changed: Event,
    /// There is something to fetch.
    asked: Event,
    utf8: bool,
    colour: bool,
}

/// indicatif's estimate of how fast it goes, and what of it is shown.
#[derive(Default)]
struct Bar {
    status: Status,
    transfers: Vec<Progress>,
    size: u64,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// If it cannot be had: there is none, its size is not known, or it is another program's.
    pub(super) fn open() -> std::io::Result<Self> {
        let size = platform::window_of_stderr().filter(|(columns, rows)| *columns > 0 && *rows > 0);
        if size.is_none() || !in_foreground() {
            return Err(std::io::ErrorKind::Unsupported.into());
        }
        let keyboard = Keyboard::open()?;
        keyboard.take()?;
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let screen = Self(Arc::new(Inner {
            model: Mutex::default(),
            frame: Mutex::default(),
            bar: Mutex::default(),
            keyboard,
            ours: AtomicBool::new(true),
            switched: Event::new(),
            dirty: AtomicBool::new(true),
            changed: Event::new(),
            asked: Event::new(),
            utf8: platform::shows_utf8(),
            colour,
        }));
        screen.give_back_at_a_panic();
        Ok(screen)
    }

    /// The terminal is given back at a panic too, before its message.
    fn give_back_at_a_panic(&self) {
        let (inner, before) = (Arc::downgrade(&self.0), panic::take_hook());
        panic::set_hook(Box::new(move |panic| {
            if let Some(inner) = inner.upgrade()
                && inner.ours.swap(false, Ordering::AcqRel)
            {
                inner.keyboard.give_back();
                inner.keyboard.write_now(b"\n");
            }
            before(panic);
        }));
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.0.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, act: impl FnOnce(&mut Model)) {
        act(&mut self.model());
        self.is_changed();
    }

    fn is_changed(&self) {
        self.0.dirty.store(true, Ordering::Release);
        self.0.changed.notify(usize::MAX);
    }

    /// An offer has appeared or ended.
    pub(crate) fn heard(&self, event: &OfferEvent) {
        self.change(|model| model.heard(Instant::now(), event));
    }

    /// This machine has these addresses.
    pub(super) fn listens_on(&self, addresses: Vec<String>) {
        self.change(|model| model.addresses = addresses);
    }

    /// Warns. A warning that `stays` is above the screen in the end.
    pub(super) fn warn(&self, message: &str, stays: bool) {
        let text = format!("deaddrop: warning: {message}");
        self.tell(Note { tone: Tone::Warning, text, kept: stays });
    }

    /// Says that a fetch has failed.
    pub(crate) fn fail(&self, message: &str) {
        self.tell(Note { tone: Tone::Error, text: format!("deaddrop: {message}"), kept: true });
    }

    fn tell(&self, note: Note) {
        self.change(|model| {
            model.tell(note);
            let over = model.past.len().saturating_sub(PAST_MAX);
            model.past.drain(..over);
        });
    }

    /// How far the drop that is being fetched has come.
    pub(super) fn progress(&self, size: u64, transfers: Vec<Progress>) {
        let stored = transfers.first().map_or(0, |progress| progress.stored);
        {
            let mut bar = self.bar();
            (bar.size, bar.transfers) = (size, transfers);
        }
        self.change(|model| model.transfer = Some(Transfer { stored, size }));
    }

    /// There is nothing more to show of how far it has come.
    pub(super) fn end_progress(&self) {
        *self.bar() = Bar::default();
        self.change(|model| model.transfer = None);
    }

    fn bar(&self) -> MutexGuard<'_, Bar> {
        self.0.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next offer that is to be fetched. From now on it is being fetched.
    pub(crate) async fn next(&self) -> FoundOffer {
        loop {
            let asked = self.0.asked.listen();
            if let Some(found) = self.model().next() {
                self.is_changed();
                return found;
            }
            asked.await;
        }
    }

    /// The fetch under way has ended.
    pub(crate) fn ended(&self, fetched: bool) {
        self.end_progress();
        self.change(|model| model.ended(Instant::now(), fetched));
    }

    /// Fetches nothing more than what is under way.
    pub(crate) fn clear_queue(&self) {
        self.change(Model::clear_queue);
    }

    /// Does what the keys say. Ends when one says to leave.
    pub(crate) async fn heed_keys(&self) {
        let (mut keys, mut buffer) = (Keys::default(), [0; 64]);
        loop {
            let switched = self.0.switched.listen();
            let read = async {
                if !self.0.ours.load(Ordering::Acquire) {
                    // What is typed is for the program in the foreground. Reading it would stop this process.
                    return future::pending().await;
                }
                Some(self.0.keyboard.read(&mut buffer).await)
            };
            // A switch first: what waits to be read may be for another program by then.
            let read = match future::or(until(switched), read).await {
                None => continue,
                Some(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Some(Ok(read @ 1..)) => read,
                // The terminal is gone. A signal says so, or the next write fails.
                Some(Ok(0) | Err(_)) => future::pending().await,
            };
            for key in buffer.iter().take(read).filter_map(|byte| keys.next(*byte)) {
                let asked = self.model().press(Instant::now(), key);
                self.is_changed();
                match asked {
                    Asked::Nothing => {}
                    Asked::Fetch => {
                        self.0.asked.notify(usize::MAX);
                    }
                    Asked::Leave => return,
                }
            }
        }
    }

    /// Waits until there is something to paint.
    pub(crate) async fn changed(&self) {
        loop {
            let changed = self.0.changed.listen();
            if self.0.dirty.swap(false, Ordering::AcqRel) {
                return;
            }
            changed.await;
        }
    }

    /// Whether something changes by the time alone. In the background the terminal may become ours.
    pub(crate) fn counts_down(&self) -> bool {
        !self.0.ours.load(Ordering::Acquire) || !self.model().entries.is_empty()
    }

    /// Takes the terminal again if this process is in the foreground and does not have it: bash says nothing to a job that
    /// runs in the background already when it brings it there. To be called where signals are handled, so that the terminal
    /// is not taken while the process is about to be stopped.
    pub(crate) fn take_in_foreground(&self) {
        if !self.0.ours.load(Ordering::Acquire) && in_foreground() {
            self.take_again();
        }
    }

    /// What is to be written to paint the screen, below what is to stay on the terminal. Of two calls the bytes have to be
    /// written in the same order.
    pub(super) fn painted(&self, stays: &[u8]) -> Vec<u8> {
        let (now, window, ours) = (Instant::now(), Window::of_stderr(), self.is_ours());
        let mut frame = self.0.frame.lock().unwrap_or_else(PoisonError::into_inner);
        let line = {
            let mut bar = self.bar();
            let Bar { status, transfers, size } = &mut *bar;
            status.lines(now, *size, transfers, window).pop()
        };
        let (past, rows) = {
            let mut model = self.model();
            if !stays.is_empty() {
                // What was told before comes first.
                model.let_go();
            }
            let past = std::mem::take(&mut model.past);
            (past, layout::rows(&model, now, window, self.0.utf8, line.as_deref()))
        };
        let mut bytes = Vec::new();
        if !ours {
            frame.leave();
        }
        if !past.is_empty() || !stays.is_empty() {
            bytes.extend(frame.erase(window));
            for note in past {
                bytes.extend(format!("{}\n", deaddrop::text::line(&note.text)).into_bytes());
            }
            bytes.extend_from_slice(stays);
        }
        if ours {
            bytes.extend(frame.paint(rows, window, self.0.colour));
        }
        bytes
    }

    /// Whether the terminal is ours to paint.
    fn is_ours(&self) -> bool {
        self.0.ours.load(Ordering::Acquire) && in_foreground()
    }

    /// Gives the terminal back, for good, and says what is to be written for it: the screen is erased, and what was told
    /// last stays.
    pub(super) fn end(&self) -> Vec<u8> {
        let ours = self.is_ours();
        self.0.ours.store(false, Ordering::Release);
        self.0.keyboard.give_back();
        self.0.switched.notify(usize::MAX);
        let mut frame = self.0.frame.lock().unwrap_or_else(PoisonError::into_inner);
        if !ours {
            frame.leave();
        }
        let mut bytes = frame.erase(Window::of_stderr());
        let mut model = self.model();
        model.let_go();
        for note in std::mem::take(&mut model.past) {
            bytes.extend(format!("{}\n", deaddrop::text::line(&note.text)).into_bytes());
        }
        bytes
    }

    /// Gives the keyboard back at once, whatever the terminal takes or does not.
    pub(super) fn give_keyboard_back(&self) {
        self.0.keyboard.give_back();
    }
}

impl HasTerminal for Screen {
    fn give_back(&self) {
        // Not while something is being written, which a stopped terminal may not take.
        if let Ok(mut frame) = self.0.frame.try_lock() {
            self.0.keyboard.write_now(&frame.erase(Window::of_stderr()));
        }
        self.0.keyboard.give_back();
        self.0.ours.store(false, Ordering::Release);
        self.0.switched.notify(usize::MAX);
    }

    fn take_again(&self) {
        // In the background the terminal is another program's until this one is brought to the foreground. Some shells say so
        // with a signal, which comes here too; for the others see `take_in_foreground`.
        if self.0.keyboard.take().is_ok() {
            if !self.0.ours.swap(true, Ordering::AcqRel)
                && let Ok(mut frame) = self.0.frame.try_lock()
            {
                frame.leave();
            }
            self.0.switched.notify(usize::MAX);
            self.is_changed();
        }
    }

    fn resized(&self) {
        self.is_changed();
    }
}

/// Waits, and gives nothing.
async fn until<T>(listener: EventListener) -> Option<T> {
    listener.await;
    None
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::{Command, Stdio};

    use rustix::termios::tcgetattr;
    use testbed::terminal::{of_size, wait_for};

    use super::*;

    /// Set where the first test plays its part in the second.
    const PLAYED: &str = "DEADDROP_TEST_PANICS";

    #[test]
    fn a_screen_panics() {
        if std::env::var_os(PLAYED).is_some() {
            // It is not dropped either, as if the process were aborted after the message.
            std::mem::forget(Screen::open().unwrap());
            panic!("at the screen");
        }
    }

    #[test]
    fn a_panic_gives_the_terminal_back() {
        let (mut ours, theirs) = of_size(80, 24).unwrap();
        let modes = |terminal: &File| format!("{:?}", tcgetattr(terminal).unwrap());
        let before = modes(&theirs);
        let copy = || Stdio::from(theirs.try_clone().unwrap());
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(std::env::current_exe().unwrap());
        command.args(["--exact", "ui::screen::tests::a_screen_panics", "--nocapture", "--test-threads", "1"]);
        command.env(PLAYED, "1").stdin(copy()).stdout(copy()).stderr(copy());
        let mut panicking = command.spawn().unwrap();
        wait_for(&mut ours, "at the screen");
        panicking.wait().unwrap();
        assert_eq!(modes(&theirs), before);
    }
}
