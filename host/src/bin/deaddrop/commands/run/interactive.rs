//! What a person does at the screen: keys choose what is fetched, one drop after the other.

use std::cell::Cell;
use std::convert::Infallible;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use deaddrop::{OfferEvent, Receiver, Stopper};
use smol::{Timer, future};

use super::fetcher;
use crate::commands::fetch;
use crate::exit::Failure;
use crate::signals::Signals;
use crate::ui::{Screen, Ui};

/// How often the screen is painted at most, whatever happens.
const PAINT_EVERY: Duration = Duration::from_millis(100);
/// How often the times on it are counted down.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// A person at the screen.
pub(super) struct Interactive<'a> {
    ui: &'a Ui,
    signals: &'a Signals,
    pub(super) screen: Screen,
    receiver: Receiver,
    /// Where files go.
    out: Option<PathBuf>,
    /// Ends the fetch under way.
    stopper: Stopper,
    /// All fetches have ended, and no other begins.
    settled: Cell<bool>,
}

impl<'a> Interactive<'a> {
    pub(super) fn new(
        ui: &'a Ui,
        signals: &'a Signals,
        screen: Screen,
        receiver: Receiver,
        out: Option<PathBuf>,
    ) -> Self {
        let stopper = Stopper::default();
        let receiver = fetch::patient(receiver, None).stopped_by(&stopper);
        Self { ui, signals, screen, receiver, out, stopper, settled: Cell::new(false) }
    }

    /// Does what the person says beside `listening`, until one of the two ends; and until a fetch that is under way has
    /// kept what it has.
    pub(super) async fn run(
        &self,
        listening: impl Future<Output = Result<Infallible, Failure>>,
    ) -> Result<(), Failure> {
        let fetching = self.fetch();
        let mut fetching = std::pin::pin!(fetching);
        let ended = async {
            let listening = async { listening.await.map(|never| match never {}) };
            let painting = async { self.paint().await.map(|never| match never {}) };
            let leaving = async {
                self.screen.heed_keys().await;
                Ok(())
            };
            future::or(listening, future::or(leaving, future::or(painting, &mut fetching))).await
        };
        let ended = ended.await;
        self.screen.clear_queue();
        self.stopper.stop();
        if self.settled.get() {
            return ended;
        }
        // What it says of what is kept is worth more than that a signal has come.
        match fetching.await {
            Ok(()) => ended,
            failed => failed,
        }
    }

    /// An offer has appeared or ended.
    pub(super) fn heard(&self, event: &OfferEvent) {
        self.screen.heard(event);
    }

    /// Paints what changes, and the times.
    async fn paint(&self) -> Result<Infallible, Failure> {
        let mut next = Instant::now() + COUNT_EVERY;
        loop {
            let counting = async {
                if !self.screen.counts_down() {
                    future::pending::<()>().await;
                }
                Timer::at(next).await;
            };
            future::or(self.screen.changed(), counting).await;
            let now = Instant::now();
            while next <= now {
                next += COUNT_EVERY;
            }
            self.screen.take_in_foreground();
            self.ui.paint(&self.screen).await?;
            Timer::after(PAINT_EVERY).await;
        }
    }

    /// Fetches what was chosen, until it is stopped and the fetch under way has ended.
    async fn fetch(&self) -> Result<(), Failure> {
        let ended = self.fetch_each().await;
        self.settled.set(true);
        ended
    }

    async fn fetch_each(&self) -> Result<(), Failure> {
        loop {
            let stopped = async {
                let asked = async {
                    self.signals.wait().await;
                };
                future::or(asked, self.stopper.stopped()).await;
                None
            };
            let next = async { Some(self.screen.next().await) };
            let Some(chosen) = future::or(stopped, next).await else { return Ok(()) };
            let (ui, signals, receiver, out) = (self.ui, self.signals, &self.receiver, self.out.as_deref());
            let fetching = async {
                // A folder that is gone would be taken for the name of a new file.
                out.map_or(Ok(()), fetcher::check)?;
                fetch::fetch_chosen(ui, signals, receiver, out, &chosen).await
            };
            let stopping = async {
                signals.wait().await;
                self.stopper.stop();
                future::pending().await
            };
            // Boxed: the future is large.
            let fetched = future::or(Box::pin(fetching), stopping).await;
            self.screen.ended(fetched.is_ok());
            match fetched {
                Ok(()) => {}
                Err(failure) if failure.code == "output" || signals.received().is_some() => {
                    return Err(failure);
                }
                Err(failure) => self.screen.fail(&failure.message),
            }
        }
    }
}
