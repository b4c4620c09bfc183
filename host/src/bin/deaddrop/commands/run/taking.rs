//! Takes one drop, into the folder, and confirms it.

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use deaddrop::{
    Claim, Content as Stored, Destination, Error, FetchError, FetchProgress, FoundOffer, Kind, Known, Offer,
    Place, Receiver, SaveError, Stopper, Unconfirmed, Unfinished,
};
use smol::{Timer, future};

use super::fetcher::{Fetcher, ROOM_AGAIN};
use super::programs::Arrived;
use super::queue::{Outcome, key};
use super::unsaved;
use crate::commands::fetch::{warn_exposed, warn_unconfirmed};
use crate::commands::progress::watch;
use crate::exit::Failure;
use crate::messages;
use crate::ui::{Content, Event, Progress, what};

/// For how long a sender is asked that does not answer. A drop that fails is tried again later anyway.
const WAIT: Duration = Duration::from_secs(3);
/// The same where the sender keeps the connection waiting for a place.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a fetch looks whether it is to give way.
const LOOK: Duration = Duration::from_secs(1);

/// How a drop was taken.
pub(super) struct Taken {
    pub(super) outcome: Outcome,
    /// The word and the reason of a failure.
    pub(super) why: (&'static str, String),
    /// How many files and folders it has.
    pub(super) entries: u32,
}

impl Fetcher<'_> {
    /// Takes a drop, which may have at most so many files and folders.
    pub(super) async fn take(&self, known: &Known, most: u32) -> Result<Taken, Failure> {
        let (stopper, progress, since) = (Stopper::default(), OnceCell::new(), Instant::now());
        let receiver = self.receiver.borrow().clone().wait(WAIT).patience(PATIENCE).stopped_by(&stopper);
        let receiving = self.receive(&receiver, (known, most), &progress);
        let stopping = async {
            loop {
                let stop = async {
                    self.signals.wait().await;
                    true
                };
                let look = async {
                    Timer::after(LOOK).await;
                    let stored = progress.get().map_or(0, FetchProgress::stored);
                    self.queue.borrow().is_to_give_way(Instant::now(), key(known), since, stored)
                };
                if future::or(stop, look).await {
                    stopper.stop();
                    return future::pending().await;
                }
            }
        };
        match future::or(receiving, stopping).await {
            Ok(unconfirmed) => {
                let entries = self.complete(&known.offer, known.from, unconfirmed).await?;
                Ok(Taken { outcome: Outcome::Received, why: ("", String::new()), entries })
            }
            Err(error) => {
                if let Some(error) = unsaved::of(&error) {
                    self.warn_unsaved(error).await?;
                }
                Ok(self.failed(known, error))
            }
        }
    }

    async fn receive(
        &self,
        receiver: &Receiver,
        (known, most): (&Known, u32),
        progress: &OnceCell<FetchProgress>,
    ) -> Result<Unconfirmed, Error> {
        let token = known.offer.token;
        let found = FoundOffer::from((known, vec![known.from]));
        let claim = match self.unfinished(known) {
            Some(mut unfinished) => self.resume(receiver, &mut unfinished, &found.place()).await?,
            None => receiver.claim(&found).await?,
        };
        let destination = match claim.offer().kind {
            Kind::Message => {
                Destination::path(self.job.out.join(message_name(SystemTime::now(), &token.to_string())))
            }
            _ => self.folder().map(|folder| folder.at_most_entries(most)),
        }?;
        // It is set once.
        let progress = progress.get_or_init(|| claim.progress());
        let is_folder = claim.offer().kind == Kind::Directory;
        let read = || {
            let files = is_folder.then(|| progress.files());
            vec![Progress { id: 0, by: None, stored: progress.stored(), files }]
        };
        let receiving = receive(claim, &destination);
        if self.ui.is_for_people() {
            // The lines of a terminal show the transfers of one drop.
            return receiving.await;
        }
        future::or(receiving, watch(self.ui, (token, known.offer.size), read)).await
    }

    /// Goes on with what is here of a drop; begins it anew, once, if that is not what its sender has. A drop that is here
    /// whole is never begun anew: its sender may have noted that, and then nobody has it any more.
    async fn resume(
        &self,
        receiver: &Receiver,
        unfinished: &mut Unfinished,
        at: &Place,
    ) -> Result<Claim, Error> {
        let at = std::slice::from_ref(at);
        match receiver.resume(unfinished, at).await {
            Err(error)
                if is_unusable(&error)
                    && !unfinished.is_whole()
                    && self.begun_anew.borrow_mut().insert(unfinished.offer().token) =>
            {
                unfinished.restart()?;
                receiver.resume(unfinished, at).await
            }
            claimed => claimed,
        }
    }

    /// What an earlier fetch has left of the drop.
    fn unfinished(&self, known: &Known) -> Option<Unfinished> {
        let token = known.offer.token;
        // The folder is read through for it, so only if there may be something.
        if !self.kept.borrow().contains(&token) {
            return None;
        }
        let found = self.folder().ok()?.unfinished(Some(&token.into()));
        found.into_iter().next()
    }

    /// Confirms a drop that is here, and tells of it. Returns how many files and folders it has.
    async fn complete(
        &self,
        offer: &Offer,
        from: SocketAddr,
        unconfirmed: Unconfirmed,
    ) -> Result<u32, Failure> {
        let content = unconfirmed.content().clone();
        let confirmed = unconfirmed.confirm().await;
        self.kept.borrow_mut().remove(&offer.token);
        self.begun_anew.borrow_mut().remove(&offer.token);
        self.fetched.set(self.fetched.get() + 1);
        self.unsaved.saved();
        let (shown, paths, entries) = match &content {
            Stored::Saved(path) => (Content::Saved(path), std::slice::from_ref(path), 1),
            Stored::Bundle(saved) => {
                (Content::Bundle(&saved.paths, saved.files), &*saved.paths, saved.entries)
            }
            Stored::Spooled(_) => return Err(Failure::failed("a drop that was to be saved was not")),
        };
        self.ui.show(&Event::received(offer, shown)).await?;
        warn_unconfirmed(self.ui, confirmed).await?;
        if let Stored::Bundle(saved) = &content {
            for alteration in &saved.alterations {
                let (code, message) = messages::alteration(alteration);
                self.ui.show(&Event::Warning { code, message: &message }).await?;
            }
        }
        warn_exposed(self.ui, paths).await?;
        if self.job.exec.is_some() {
            let (offer, paths) = (offer.clone(), paths.to_vec());
            self.programs.add(Arrived { offer, from, paths }).await;
        }
        Ok(entries)
    }

    /// What follows from an error.
    fn failed(&self, known: &Known, error: Error) -> Taken {
        let mut kept_some = false;
        let error = match error {
            Error::Kept { kept, error } => {
                kept_some = kept.stored > 0;
                self.kept.borrow_mut().insert(known.offer.token);
                *error
            }
            error => error,
        };
        let outcome = match &error {
            Error::Stopped if kept_some => Outcome::GaveWay,
            Error::Fetch(FetchError::Gone | FetchError::Expired | FetchError::Unknown) => Outcome::Over,
            Error::Fetch(
                FetchError::MessageTooLong(_) | FetchError::Unsupported(_) | FetchError::WrongKind(_),
            ) => Outcome::Refused,
            // It was begun anew before, or is here whole.
            error if is_unusable(error) => Outcome::Refused,
            _ => Outcome::Failed,
        };
        let full = matches!(error, Error::Save(SaveError::TooManyEntries { .. }));
        let outcome = if full { Outcome::PutOff(ROOM_AGAIN) } else { outcome };
        let code = if full { "total-reached" } else { "not-fetched" };
        let slow = "it came so slowly that others had to be let through";
        let differs = "what is kept of it is not what its sender has, also after it was begun anew";
        let why = match error {
            Error::Stopped => slow.into(),
            Error::Fetch(FetchError::PrefixDiffers) => differs.into(),
            // Without the advice to begin it anew: it may be here whole.
            Error::Save(error @ SaveError::NotResumable { .. }) => error.to_string(),
            error => Failure::from(error).message,
        };
        Taken { outcome, why: (code, why), entries: 0 }
    }

    /// Finishes a drop that an earlier run had received whole, or all but its last record.
    pub(super) async fn finish(&self, mut unfinished: Unfinished) -> Result<(), Failure> {
        let receiver =
            self.receiver.borrow().clone().wait(WAIT).patience(PATIENCE).stopped_by(self.signals.stopper());
        let (offer, from) = (unfinished.offer().clone(), unfinished.from());
        let at = Place::new([from.into()], Some(from.port()));
        let whole = unfinished.is_whole().then(|| unfinished.path());
        let received = async {
            let claim = self.resume(&receiver, &mut unfinished, &at).await?;
            claim.receive(&self.folder()?).await
        };
        match received.await {
            Ok(unconfirmed) => self.complete(&offer, from, unconfirmed).await.map(drop),
            // It is tried again by the next run, and is removed once it is stale.
            Err(error) => {
                // Nothing says here that it be begun anew, because nobody else may have it.
                let altered = match &error {
                    Error::Save(error @ SaveError::NotResumable { .. }) => Some(error.to_string()),
                    _ => None,
                };
                let failure = self.signals.failure(error);
                if self.signals.received().is_some() {
                    return Ok(());
                }
                let why = altered.unwrap_or(failure.message);
                let message = match whole {
                    Some(path) => unplaced(&offer, &path, &why),
                    None => why,
                };
                self.ui.show(&Event::Warning { code: "unfinished", message: &message }).await
            }
        }
    }
}

/// What is said of a drop that is here whole and cannot get its name.
fn unplaced(offer: &Offer, path: &Path, why: &str) -> String {
    let (token, path) = (offer.token, path.display());
    format!(
        "{token}, {}, was received whole by an earlier run and cannot get its name: {why}. It stays in {path}, and the next \
         run tries again: see to it that {path} is yours and has no second name (a hard link), or copy it and then \
         remove it with deaddrop fetch --discard --token {token}",
        what(offer.kind, &offer.name, offer.size)
    )
}

/// Whether what is here of a drop cannot be gone on with.
fn is_unusable(error: &Error) -> bool {
    matches!(error, Error::Fetch(FetchError::PrefixDiffers) | Error::Save(SaveError::NotResumable { .. }))
}

/// Boxed: the future is large, and stands in each of the lanes otherwise.
async fn receive(claim: Claim, destination: &Destination) -> Result<Unconfirmed, Error> {
    Box::pin(claim.receive(destination)).await
}

/// The name of the file of a message, by the time in UTC and its token, so that no two are alike.
fn message_name(now: SystemTime, token: &str) -> String {
    let time = humantime::format_rfc3339_seconds(now).to_string().replace(['-', ':'], "");
    format!("message-{time}-{token}.txt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_named_by_its_time_and_its_token() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let token = "cp2j3z761xdq7dfjzs3z499z44";
        assert_eq!(message_name(time, token), "message-20270115T080000Z-cp2j3z761xdq7dfjzs3z499z44.txt");
    }
}
