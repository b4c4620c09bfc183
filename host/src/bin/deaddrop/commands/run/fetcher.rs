//! Fetches drops as they appear, a few at a time.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use deaddrop::{Destination, Kind, Known, OfferEvent, Receiver, SaveError, Token};
use event_listener::Event as Changed;
use smol::lock::Mutex;
use smol::{Timer, future};

use super::Fetching;
use super::allowance::{self, Allowance, Refusal};
use super::programs::Programs;
use super::queue::{Outcome, Queue, key};
use super::unsaved;
use crate::cli::AutoFetch;
use crate::commands::fetch;
use crate::exit::Failure;
use crate::signals::Signals;
use crate::ui::{Event, Ui, what};

/// How soon a drop is looked at again for which there was no room.
pub(super) const ROOM_AGAIN: Duration = Duration::from_secs(60);
/// How often what earlier fetches have left is looked through for what is stale.
const SWEEP: Duration = Duration::from_secs(600);

/// What fetches drops, and what its lanes share.
pub(super) struct Fetcher<'a> {
    pub(super) ui: &'a Ui,
    pub(super) signals: &'a Signals,
    /// A member of the room, which can become another.
    pub(super) receiver: RefCell<Receiver>,
    pub(super) job: Fetching,
    pub(super) queue: RefCell<Queue>,
    changed: Changed,
    allowance: Mutex<Allowance>,
    /// Why drops could not be saved lately.
    pub(super) unsaved: unsaved::Told,
    /// Drops of which a part is kept in the folder.
    pub(super) kept: RefCell<HashSet<Token>>,
    /// Those of them that were begun anew, because what was kept is not what their senders have.
    pub(super) begun_anew: RefCell<HashSet<Token>>,
    /// What is to be run for the drops that are here.
    pub(super) programs: Programs,
    /// How many drops were fetched.
    pub(super) fetched: Cell<u64>,
}

/// Checks the folder for what is fetched.
pub(super) fn check(folder: &Path) -> Result<(), Failure> {
    allowance::check(folder).map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            return SaveError::NoFolder { path: folder.to_owned() }.into();
        }
        Failure::usage(format!(
            "cannot save into the folder {}: {error}; see to it that you can write to it",
            folder.display()
        ))
    })
}

impl<'a> Fetcher<'a> {
    /// Fetches into a folder.
    pub(super) fn new(ui: &'a Ui, signals: &'a Signals, receiver: Receiver, job: Fetching) -> Self {
        let allowance = Mutex::new(Allowance::of(&job.out, job.limits));
        let (queue, changed, kept) = (RefCell::default(), Changed::new(), RefCell::default());
        let receiver = RefCell::new(receiver);
        Self {
            ui,
            signals,
            receiver,
            job,
            queue,
            changed,
            allowance,
            unsaved: unsaved::Told::default(),
            kept,
            begun_anew: RefCell::default(),
            programs: Programs::default(),
            fetched: Cell::new(0),
        }
    }

    /// The folder for what is fetched, which somebody can have removed meanwhile.
    pub(super) fn folder(&self) -> Result<Destination, SaveError> {
        // With a slash at its end: without it the path of a folder that is gone would be the name of a new file.
        Destination::path(self.job.out.join(""))
    }

    /// An offer has appeared or ended.
    pub(super) fn heard(&self, event: OfferEvent) {
        let mut queue = self.queue.borrow_mut();
        match event {
            OfferEvent::Appeared { offer } if self.is_wanted(offer.offer.kind) => {
                queue.offered(Instant::now(), offer);
            }
            OfferEvent::Appeared { .. } => return,
            OfferEvent::Gone { token, instance, .. } => queue.gone((instance, token)),
        }
        self.changed.notify(usize::MAX);
    }

    /// The room is another now. Fetches that are under way go on.
    pub(super) fn join(&self, receiver: Receiver) {
        self.receiver.replace(receiver);
        self.queue.borrow_mut().clear();
    }

    fn is_wanted(&self, kind: Kind) -> bool {
        match self.job.kinds {
            AutoFetch::None => false,
            AutoFetch::Messages => kind == Kind::Message,
            AutoFetch::All => matches!(kind, Kind::Message | Kind::File | Kind::Directory),
        }
    }

    /// Fetches until a signal comes, and until what was under way then has ended.
    pub(super) async fn run(&self) -> Result<(), Failure> {
        // Boxed: the futures are large, and each of those around them has their size again otherwise.
        let lane = || Box::pin(self.lane());
        let lanes = future::try_zip(future::try_zip(lane(), lane()), future::try_zip(lane(), lane()));
        let beside = future::try_zip(self.measure(), Box::pin(self.see_to_leftovers()));
        let fetching = async {
            let ended = future::try_zip(lanes, beside).await;
            self.programs.close();
            ended
        };
        let running = async {
            match &self.job.exec {
                Some(exec) => self.programs.run(exec, self.ui, self.signals).await,
                None => Ok(()),
            }
        };
        future::try_zip(fetching, running).await?;
        Ok(())
    }

    /// Measures the folder at once, so that the first drop need not wait for it.
    async fn measure(&self) -> Result<(), Failure> {
        let stopped = async {
            self.signals.wait().await;
        };
        future::or(stopped, async { self.allowance.lock().await.measure().await }).await;
        Ok(())
    }

    /// One fetch after another.
    async fn lane(&self) -> Result<(), Failure> {
        while self.signals.received().is_none() {
            let changed = self.changed.listen();
            let now = Instant::now();
            let next = self.queue.borrow_mut().next(now);
            match next {
                Some(known) => self.fetch(known).await?,
                None => {
                    let due = self.queue.borrow().due(now);
                    let due = due.map_or_else(Timer::never, Timer::at);
                    let waiting = future::or(changed, async {
                        due.await;
                    });
                    let stopped = async {
                        self.signals.wait().await;
                    };
                    future::or(stopped, waiting).await;
                }
            }
        }
        Ok(())
    }

    /// Fetches an offer, if there is room for it, and says what became of it.
    async fn fetch(&self, known: Known) -> Result<(), Failure> {
        if let Err(error) = unsaved::check(self.job.out.clone()).await {
            self.queue.borrow_mut().ended(Instant::now(), key(&known), Outcome::NotSavable);
            self.changed.notify(usize::MAX);
            return self.warn_unsaved(&error).await;
        }
        let size = known.offer.size;
        // It may measure the folder again. Nothing is admitted until it has.
        let admitting = async { Some(self.allowance.lock().await.admit(known.offer.kind, size).await) };
        let stopped = async {
            self.signals.wait().await;
            None
        };
        let Some(admitted) = future::or(stopped, admitting).await else { return Ok(()) };
        let (outcome, why) = match admitted {
            Ok(most) => {
                let taken = self.take(&known, most).await;
                let entries = taken.as_ref().map_or(0, |taken| taken.entries);
                self.allowance.lock().await.release(size, most, entries);
                let taken = taken?;
                (taken.outcome, taken.why)
            }
            Err(refusal) => {
                let outcome = match refusal {
                    Refusal::TooLarge(_) => Outcome::Refused,
                    _ => Outcome::PutOff(ROOM_AGAIN),
                };
                (outcome, refusal.told(&self.job.limits))
            }
        };
        let told = self.queue.borrow_mut().ended(Instant::now(), key(&known), outcome);
        self.changed.notify(usize::MAX);
        if told { self.warn(&known, why).await } else { Ok(()) }
    }

    /// Says that a drop is not fetched, and why.
    async fn warn(&self, known: &Known, (code, why): (&str, String)) -> Result<(), Failure> {
        let offer = &known.offer;
        let later = if code == "total-reached" || code == "disk-nearly-full" {
            "; it is fetched if room is made while it is offered"
        } else {
            ""
        };
        let message = format!(
            "not fetched: {}, {}: {why}{later}",
            offer.token,
            what(offer.kind, &offer.name, offer.size)
        );
        self.ui.show(&Event::Warning { code, message: &message }).await
    }

    /// Goes on with drops that an earlier run has received to the end, or nearly so, and that nobody else can have; then
    /// removes from time to time what is stale.
    async fn see_to_leftovers(&self) -> Result<(), Failure> {
        let Ok(folder) = self.folder() else { return Ok(()) };
        fetch::warn_damaged(self.ui, &folder).await?;
        let (ours, others): (Vec<_>, Vec<_>) =
            folder.unfinished(None).into_iter().partition(|unfinished| unfinished.is_ours());
        self.kept.borrow_mut().extend(others.iter().map(|unfinished| unfinished.offer().token));
        drop(others);
        for unfinished in ours {
            self.finish(unfinished).await?;
        }
        while self.signals.received().is_none() {
            let pause = async {
                Timer::after(SWEEP).await;
            };
            let stopped = async {
                self.signals.wait().await;
            };
            future::or(stopped, pause).await;
            if !self.kept.borrow().is_empty() && self.signals.received().is_none() {
                let left = folder.unfinished(None);
                let left: HashSet<_> = left.iter().map(|unfinished| unfinished.offer().token).collect();
                // What is being received is locked, and not among them.
                self.kept.borrow_mut().retain(|token| left.contains(token));
                self.begun_anew.borrow_mut().retain(|token| left.contains(token));
            }
        }
        Ok(())
    }
}
