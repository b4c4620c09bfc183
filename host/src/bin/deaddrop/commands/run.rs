//! `deaddrop run`: browse, and show offers as they come and go. Fetches them too, if it is told to, or a person at the
//! screen does.

mod allowance;
mod exec;
mod fetcher;
mod interactive;
mod programs;
mod queue;
mod reload;
mod service;
mod taking;
mod unsaved;

use std::cell::Cell;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use deaddrop::{AddressChanges, Browser, EndReason, OfferEvent, Receiver, Room, Zeroizing};
use smol::future;

use super::setup::{derive, network, open_browser, warn_of_discovery, warn_weak};
use crate::cli::{AutoFetch, Limits, NetArgs};
use crate::exit::Failure;
use crate::platform;
use crate::signals::Signals;
use crate::ui::{Event, Ui};
pub(super) use exec::Exec;
use fetcher::Fetcher;
use interactive::Interactive;
use service::{Manager, Status};

/// How long the program of `--exec` may take, unless something else is said.
pub(super) const EXEC_TIMEOUT: Duration = Duration::from_secs(60);

/// Why there is no folder for what is fetched.
pub(super) const OUT_WITHOUT_A_SCREEN: &str = "--out is for what is fetched, and nothing is: give --auto-fetch messages or --auto-fetch all too, or fetch at a \
     terminal, which this is not";

/// What to show, and what to fetch.
pub(super) struct Job {
    /// What all commands share.
    pub(super) net: NetArgs,
    /// The room.
    pub(super) passphrase: Zeroizing<String>,
    /// The file that it is from.
    pub(super) room_file: Option<PathBuf>,
    /// Absent if nothing is fetched.
    pub(super) fetching: Option<Fetching>,
    /// Where files go that a person fetches.
    pub(super) out: Option<PathBuf>,
}

/// What to fetch as it appears.
pub(super) struct Fetching {
    /// Which drops.
    pub(super) kinds: AutoFetch,
    /// The folder for them.
    pub(super) out: PathBuf,
    /// How much of them.
    pub(super) limits: Limits,
    /// What to run for each of them.
    pub(super) exec: Option<Exec>,
}

/// Browses until a signal ends it.
pub(super) async fn run(ui: &Ui, signals: &Signals, job: Job) -> Result<(), Failure> {
    let Job { net, passphrase, room_file, fetching, out } = job;
    // The end of a terminal ends what runs on it. A service has none.
    let room_file = room_file.filter(|_| !platform::has_terminal());
    if room_file.is_none() {
        signals.end_on_hangup();
    }
    let deriving = Room::derive(passphrase.clone());
    warn_weak(ui, &passphrase).await?;
    drop(passphrase);
    if let Some(out) = &out {
        fetcher::check(out)?;
    }
    if let Some(fetching) = &fetching {
        fetcher::check(&fetching.out)?;
        fetching.exec.as_ref().map_or(Ok(()), Exec::check)?;
    }
    let mut browser = open_browser(ui, &net).await?;
    let receiver = Receiver::new(&derive(deriving, signals).await?).network(network(&net));
    receiver.browse(&mut browser);
    let (fetcher, interactive) = match fetching {
        Some(fetching) => (Some(Fetcher::new(ui, signals, receiver, fetching)), None),
        None => {
            let at = |screen| Interactive::new(ui, signals, screen, receiver, out);
            (None, ui.open_screen().map(at))
        }
    };
    let (manager, offered) = (Manager::ours(), Cell::new(0));
    let listener = Listener {
        ui,
        signals,
        net,
        room_file,
        fetcher: fetcher.as_ref(),
        screen: interactive.as_ref(),
        offered: &offered,
    };
    listener.ready(&browser).await?;
    let status = || Status { offered: offered.get(), fetched: fetcher.as_ref().map(|it| it.fetched.get()) };
    let telling = service::tend(manager.as_ref(), &status);
    let listening = future::or(listener.listen(browser), telling);
    let ended = match (&fetcher, &interactive) {
        (None, None) => listening.await.map(|never| match never {}),
        (_, Some(interactive)) => {
            let ended = interactive.run(listening).await;
            let closed = ui.close_screen().await;
            ended.and(closed)
        }
        (Some(fetcher), None) => {
            let stopping = || manager.iter().for_each(Manager::stopping);
            until_both_end(listening, fetcher.run(), || signals.received(), stopping).await
        }
    };
    manager.iter().for_each(Manager::stopping);
    ended
}

/// Listens and fetches. A signal ends both, and what is fetched then gives its claim back, or is kept; either may notice
/// it first. An error of one ends the other at once.
async fn until_both_end(
    listening: impl Future<Output = Result<Infallible, Failure>>,
    fetching: impl Future<Output = Result<(), Failure>>,
    signal: impl Fn() -> Option<Failure>,
    stopping: impl Fn(),
) -> Result<(), Failure> {
    let mut fetching = pin!(fetching);
    let listened = async { Err(listening.await.map(|never| match never {})) };
    let first = future::or(listened, async { Ok((&mut fetching).await) }).await;
    stopping();
    match (first, signal()) {
        (Ok(fetched), Some(failure)) => fetched.and(Err(failure)),
        (Ok(fetched), None) => fetched,
        (Err(listened), Some(_)) => fetching.await.and(listened),
        (Err(listened), None) => listened,
    }
}

/// What listens.
struct Listener<'a> {
    ui: &'a Ui,
    signals: &'a Signals,
    net: NetArgs,
    /// Read again when it is asked for.
    room_file: Option<PathBuf>,
    fetcher: Option<&'a Fetcher<'a>>,
    /// What shows the offers, and fetches those that are chosen there.
    screen: Option<&'a Interactive<'a>>,
    /// How many drops are offered.
    offered: &'a Cell<usize>,
}

impl Listener<'_> {
    async fn ready(&self, browser: &Browser) -> Result<(), Failure> {
        self.ui.show(&Event::Ready { addresses: &browser.addresses(), serving: None, again: false }).await
    }

    /// Shows that this machine has other addresses, whenever it has.
    async fn tell_of_moves(&self, changes: &AddressChanges) -> Result<Infallible, Failure> {
        loop {
            let addresses = changes.next().await;
            self.ui.show(&Event::Ready { addresses: &addresses, serving: None, again: true }).await?;
        }
    }

    /// Listens until a signal comes, in the room that the room file names.
    async fn listen(&self, mut browser: Browser) -> Result<Infallible, Failure> {
        loop {
            let (warnings, changes) = (browser.warnings(), browser.address_changes());
            let telling = future::or(self.tell_of_moves(&changes), warn_of_discovery(self.ui, &warnings));
            let room =
                future::or(self.browse(&mut browser), async { telling.await.map(|never| match never {}) })
                    .await?;
            // Before the other is given up: the interface that is named can be down at the moment.
            let other = match open_browser(self.ui, &self.net).await {
                Ok(other) => other,
                Err(failure) if failure.code == "output" => return Err(failure),
                Err(failure) => {
                    reload::warn_unchanged(self.ui, &failure).await?;
                    continue;
                }
            };
            let receiver = Receiver::new(&room).network(network(&self.net));
            for known in browser.offers() {
                let gone = Event::Gone { token: known.offer.token, reason: EndReason::Lost };
                self.ui.show(&gone).await?;
            }
            self.offered.set(0);
            browser = other;
            receiver.browse(&mut browser);
            if let Some(fetcher) = self.fetcher {
                fetcher.join(receiver);
            }
            self.ready(&browser).await?;
        }
    }

    /// Shows what is offered, until the room file was read again: the room that it names.
    async fn browse(&self, browser: &mut Browser) -> Result<Room, Failure> {
        // Beside the offers: the file may be a pipe, to which nobody writes.
        let mut reading = pin!(self.read_again());
        loop {
            let event = async { Ok(ControlFlow::Continue(browser.next_event().await)) };
            let read = async { (&mut reading).await.map(ControlFlow::Break) };
            let stopped = async { Err(self.signals.wait().await) };
            match future::or(stopped, future::or(read, event)).await? {
                ControlFlow::Break(room) => return Ok(room),
                ControlFlow::Continue(event) => {
                    // An offer appears again when its sender has moved.
                    self.offered.set(browser.offers().count());
                    self.heard(event).await?;
                }
            }
        }
    }

    /// Reads the room file again when it is asked for, if there is one.
    async fn read_again(&self) -> Result<Room, Failure> {
        match &self.room_file {
            Some(path) => reload::room(self.ui, self.signals, path).await,
            None => future::pending().await,
        }
    }

    async fn heard(&self, event: OfferEvent) -> Result<(), Failure> {
        if let Some(screen) = self.screen {
            screen.heard(&event);
            return Ok(());
        }
        match &event {
            OfferEvent::Appeared { offer: known } => {
                self.ui.show(&Event::offer(&known.offer, known.from)).await?;
            }
            OfferEvent::Gone { token, reason, .. } => {
                self.ui.show(&Event::Gone { token: *token, reason: *reason }).await?;
            }
        }
        if let Some(fetcher) = self.fetcher {
            fetcher.heard(event);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use smol::block_on;

    use super::*;

    async fn forever() -> Result<Infallible, Failure> {
        future::pending().await
    }

    #[test]
    fn a_signal_that_the_fetches_notice_first_ends_both() {
        // What listens is still busy with a line that nobody reads.
        let stopped = || Some(Failure::terminated());
        let ended = block_on(until_both_end(forever(), async { Ok(()) }, stopped, || ()));
        assert_eq!(ended.unwrap_err().code, Failure::terminated().code);
    }

    #[test]
    fn a_signal_that_the_listener_notices_first_waits_for_what_is_fetched() {
        let (fetched, listening) = (Cell::new(false), async { Err(Failure::terminated()) });
        let fetching = async {
            future::yield_now().await;
            fetched.set(true);
            Ok(())
        };
        let ended = block_on(until_both_end(listening, fetching, || Some(Failure::terminated()), || ()));
        assert!(ended.is_err() && fetched.get());
    }

    #[test]
    fn an_error_of_one_does_not_wait_for_the_other() {
        let ended = block_on(until_both_end(forever(), async { Err(Failure::failed("x")) }, || None, || ()));
        assert_eq!(ended.unwrap_err().message, "x");
        let listening = async { Err(Failure::failed("y")) };
        let ended = block_on(until_both_end(listening, future::pending(), || None, || ()));
        assert_eq!(ended.unwrap_err().message, "y");
    }
}
