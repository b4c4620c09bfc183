//! Finds drops and claims them.

mod found;
mod place;
mod rounds;
mod seek;
pub(crate) mod target;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use deaddrop_core::discovery::OfferEvent;
use deaddrop_core::exchange::Wanted;
use deaddrop_core::limits::RETRY_MIN;
use deaddrop_core::offer::Offer;
use deaddrop_core::time::Instant;
use deaddrop_core::token::{FetchId, Instance, Token, TokenPrefix};
use rand_core::Rng;
use smol::future;

use crate::address::Address;
use crate::claim::Claim;
use crate::error::Error;
use crate::fetch::credentials::Credentials;
use crate::fetch::error::FetchError;
use crate::fetch::transfer::Transfer;
use crate::files::save::SaveError;
use crate::files::unfinished::Unfinished;
use crate::lan::browser::Browser;
use crate::network::Network;
use crate::room::Room;
use crate::stop::Stopper;
use crate::transport::link::Route;
use crate::transport::socket::sleep_until;
use crate::{clock, random::system};

pub use found::FoundOffer;
use found::sorted;
pub use place::Place;
pub(crate) use seek::Seeker;
use target::Target;

/// How long to ask again unless something else is said.
const WAIT: Duration = Duration::from_secs(5);
/// How long to ask a sender that is flooded, unless something else is said.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest time to come back that is believed.
const COME_BACK_MAX: Duration = Duration::from_secs(60);
/// How long to wait for other offers after the first that matches.
const COLLECT: Duration = Duration::from_secs(1);

/// A member of a room that looks for drops and takes them.
///
/// Keep one for as long as drops are looked for, and clone it rather than make another: clones share the memory of
/// which addresses failed to show that they know the passphrase, and allow them few tries, so that no fake sender can
/// use the receiver to guess. They share the [`Stopper`] too.
///
/// ```
/// use std::net::Ipv4Addr;
/// use std::time::Duration;
/// use deaddrop::{Error, FetchError, Receiver, Room};
///
/// # fn main() -> Result<(), Error> {
/// let room = Room::from_passphrase("copper lantern harbour ninety")?;
/// let receiver = Receiver::new(&room).wait(Duration::ZERO);
/// // Nobody serves on a port that was free a moment ago.
/// let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
/// let listed = smol::block_on(receiver.list(Ipv4Addr::LOCALHOST.into(), Some(port)));
/// assert!(matches!(listed, Err(Error::Fetch(FetchError::Unreachable(_)))));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Receiver {
    credentials: Arc<Credentials>,
    network: Network,
    wait: Duration,
    patience: Duration,
    flooded: (async_channel::Sender<()>, async_channel::Receiver<()>),
    stopper: Stopper,
}

impl Receiver {
    /// A receiver in this room. It asks a sender that is busy or does not answer again for 5 seconds, and one that has no
    /// place for another connection for a minute.
    pub fn new(room: &Room) -> Self {
        Self {
            credentials: Arc::new(Credentials::new(&room.secret)),
            network: Network::default(),
            wait: WAIT,
            patience: PATIENCE,
            flooded: async_channel::bounded(1),
            stopper: Stopper::default(),
        }
    }

    /// Where to receive beacons, and the interfaces that connections take.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// For how long to ask a sender again that is busy or does not answer. Every port is asked at least once, and a port
    /// that refuses twice.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        (self.wait, self.patience) = (wait, wait);
        self
    }

    /// For how long to go on in all where a sender has no place for another connection, keeps ours waiting for one, or
    /// names a time to come back. No less than [`wait`](Self::wait), which sets both.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Waits until a call of this receiver or one of its clones goes on beyond [`wait`](Self::wait) because a sender is
    /// flooded. Await it beside that call.
    pub async fn flooded(&self) {
        if self.flooded.1.recv().await.is_err() {
            // Never: this holds a sender itself.
            std::future::pending::<()>().await;
        }
    }

    /// Whether to go on until `patience` although the time is over: true, and told, while a sender may have parked us, or
    /// if it has `put_off` a probe.
    fn goes_on(&self, patience: Instant, put_off: bool) -> bool {
        let goes_on = clock::now() < patience && (put_off || self.credentials.are_parked());
        if goes_on {
            self.tell_flooded();
        }
        goes_on
    }

    fn tell_flooded(&self) {
        // One that is not read yet says the same.
        let _ = self.flooded.0.try_send(());
    }

    /// Ends what this receiver and its clones are doing, from anywhere and for good: the call fails with
    /// [`Error::Stopped`], as does every later one. A drop that is whole already is still confirmed.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Has this stopper end its calls, instead of one of its own.
    #[must_use]
    pub fn stopped_by(mut self, stopper: &Stopper) -> Self {
        self.stopper = stopper.clone();
        self
    }

    /// Has a browser probe senders as a member of this receiver's room.
    pub fn browse(&self, browser: &mut Browser) {
        browser.join(self.credentials.clone());
    }

    /// Browses for as long as `span`, and returns what members of the room offer then.
    ///
    /// Senders answer at once, so that a second or two suffice on most networks. A network on which the system receives
    /// no beacons is passed over.
    ///
    /// # Errors
    /// If an interface that was named is not there, or the system refuses the sockets.
    pub async fn discover(&self, span: Duration) -> Result<Vec<FoundOffer>, Error> {
        let mut browser = Browser::open(&self.network)?;
        self.browse(&mut browser);
        let until = clock::now() + span;
        self.collect(&mut browser, until, until, |_| None).await?;
        Ok(sorted(browser.found().map(FoundOffer::from).collect()))
    }

    /// Browses until an offer matches the token, or any offer without one, and returns those that do; none if none is
    /// found within the time of [`wait`](Self::wait).
    ///
    /// A whole token settles it at once. Otherwise other offers are waited for during one more second: the token of
    /// another sender's drop may begin with the same characters, the more so if that sender means it to.
    ///
    /// # Errors
    /// If the [`Stopper`] is used.
    pub async fn find(
        &self,
        browser: &mut Browser,
        token: Option<&TokenPrefix>,
    ) -> Result<Vec<FoundOffer>, Error> {
        self.browse(browser);
        let matches = |offer: &Offer| token.is_none_or(|token| token.matches(&offer.token));
        let settle = |offer: &Offer| matches(offer).then(|| collect_for(token));
        let now = clock::now();
        self.collect(browser, now + self.wait, now + self.patience, settle).await?;
        let found = browser.found().filter(|(known, _)| matches(&known.offer)).map(FoundOffer::from);
        Ok(sorted(found.collect()))
    }

    /// Browses until `until`, or until the time is over that `settle` gives an offer that appears. Until `patience` if
    /// none has, and a sender keeps a probe waiting or names a time to come back.
    async fn collect(
        &self,
        browser: &mut Browser,
        until: Instant,
        patience: Instant,
        settle: impl Fn(&Offer) -> Option<Duration>,
    ) -> Result<(), Error> {
        let (mut until, mut settled) = (until, false);
        loop {
            let late = async {
                sleep_until(until).await;
                None
            };
            let event = async { Some(browser.next_event().await) };
            match self.unless_stopped(future::or(event, late)).await? {
                Some(OfferEvent::Appeared { offer }) => {
                    if let Some(span) = settle(&offer.offer) {
                        until = settle_by(until, clock::now(), span);
                        settled = true;
                    }
                }
                Some(OfferEvent::Gone { .. }) => {}
                None if !settled && self.goes_on(patience, browser.is_put_off()) => until = patience,
                None => return Ok(()),
            }
        }
    }

    /// Whether a place can be asked at all.
    ///
    /// # Errors
    /// If all its addresses are link-local without their interface, or it is behind no interface of the receiver's
    /// [`Network`].
    pub fn can_ask(&self, place: &Place) -> Result<(), Error> {
        Target::all(std::slice::from_ref(place), None, &self.network).map(drop).map_err(Error::from)
    }

    /// What the members of the room at this address offer. Without a port, every default port is asked, 48556 to 48571.
    /// Once one has answered with offers, the others have one more second.
    ///
    /// # Errors
    /// If nobody answers, everybody there is in another room, or all are busy.
    pub async fn list(&self, ip: IpAddr, port: Option<u16>) -> Result<Vec<FoundOffer>, Error> {
        self.list_at(&[Place::new([Address::from(ip)], port)]).await
    }

    /// What the members of the room at these places offer, as [`list`](Self::list) at one. Each place is taken for
    /// another machine, and all are asked at once.
    ///
    /// # Errors
    /// If none of them gives anything: why, of the one that says most. If none of them [can be asked](Self::can_ask).
    pub async fn list_at(&self, places: &[Place]) -> Result<Vec<FoundOffer>, Error> {
        let targets = Target::all(places, None, &self.network)?;
        let listed = self.rounds(targets, |round| rounds::list(self, round)).await;
        match listed {
            // Members are there, and none has anything.
            Err(Error::Fetch(FetchError::Unknown)) => Ok(Vec::new()),
            listed => Ok(sorted(listed?)),
        }
    }

    /// Claims the drop whose token is this, or begins like this, from the member of the room at this address that has
    /// it. Without a port, every default port is asked, 48556 to 48571.
    ///
    /// # Errors
    /// If nobody answers there, nobody is in the room, nobody has the drop, or somebody else holds it.
    pub async fn claim_from(
        &self,
        ip: IpAddr,
        port: Option<u16>,
        token: impl Into<TokenPrefix>,
    ) -> Result<Claim, Error> {
        self.claim_at(&[Place::new([Address::from(ip)], port)], token).await
    }

    /// Claims the drop whose token is this, or begins like this, from the member of the room at one of these places that
    /// has it. Each place is taken for another machine, and all are asked at once.
    ///
    /// # Errors
    /// As [`claim_from`](Self::claim_from); if none of the places [can be asked](Self::can_ask).
    pub async fn claim_at(&self, places: &[Place], token: impl Into<TokenPrefix>) -> Result<Claim, Error> {
        let wanted = Wanted::Token(token.into());
        let targets = Target::all(places, None, &self.network)?;
        let transfer = self.rounds(targets, |round| rounds::claim(self, None, &wanted, None, round)).await?;
        Claim::new(transfer, |transfer, token| self.seeker(transfer, token))
    }

    /// Claims a drop that was found, at whichever address of its sender answers.
    ///
    /// # Errors
    /// If its sender does not answer any more, the drop has ended, it is not what was found, or somebody else holds it.
    pub async fn claim(&self, found: &FoundOffer) -> Result<Claim, Error> {
        let wanted = Wanted::Offered(found.offer.clone());
        let to = [found.from].into_iter().chain(found.also_from.iter().copied());
        let target = Target::one(to, &self.network)?;
        let claim = |round| rounds::claim(self, found.instance, &wanted, None, round);
        let transfer = self.rounds(vec![target], claim).await?;
        Claim::new(transfer, |transfer, token| self.seeker(transfer, token))
    }

    /// Claims a drop again that an earlier fetch has begun to receive, from the member of the room at one of these
    /// places, and goes on after what is here of it. Nobody is asked for a drop that is here whole: [`Claim::receive`]
    /// brings it to its place, and it is confirmed at the first of the places.
    ///
    /// The earlier claim goes on if its lease has not lapsed, and always if the earlier fetch had asked for the final
    /// record. Otherwise this is a claim like any other.
    ///
    /// # Errors
    /// As [`claim_from`](Self::claim_from). [`FetchError::PrefixDiffers`] if the drop does not begin with what is here:
    /// [`Unfinished::restart`] forgets that. Whatever the error, `unfinished` can be used again.
    pub async fn resume(&self, unfinished: &mut Unfinished, places: &[Place]) -> Result<Claim, Error> {
        let prefix = unfinished.prefix()?;
        let (offer, id) = (unfinished.offer().clone(), unfinished.id());
        let wanted = Wanted::Offered(offer);
        let transfer = if unfinished.open()?.is_whole() {
            let routes = Target::first(places, unfinished.from().port(), &self.network)?;
            self.transfer(routes, None, wanted.clone(), id, clock::now()).of_whole(wanted)
        } else {
            let targets = Target::all(places, Some(id), &self.network)?;
            let claimed = self.rounds(targets, |round| rounds::claim(self, None, &wanted, prefix, round));
            match claimed.await {
                Err(Error::Fetch(FetchError::Changed)) if prefix.is_some() => {
                    // Its sender has ended this fetch id.
                    unfinished.renew(&FetchId::random(&mut system()));
                    return Err(FetchError::PrefixDiffers.into());
                }
                Err(error @ Error::Fetch(FetchError::Gone | FetchError::Expired)) if prefix.is_none() => {
                    // Nothing of it is here, and nothing can be had.
                    unfinished.clear();
                    return Err(error);
                }
                claimed => claimed?,
            }
        };
        let incoming = unfinished.take().ok_or(SaveError::Bug)?;
        Claim::resumed(transfer, incoming, |transfer, token| self.seeker(transfer, token))
    }

    /// What looks for the sender of a transfer if it moves.
    fn seeker(&self, transfer: &Transfer, token: Token) -> Seeker {
        Seeker::of(transfer, token, &self.network, &self.credentials)
    }

    /// Removes what an earlier fetch has left of a drop, and gives its claim back if it may still stand, to the sender
    /// at the first of these places; without a port, at the one where it was.
    ///
    /// A drop that the earlier fetch had asked for to the end stays held for this receiver alone: others do not get it,
    /// and its sender says in the end that nobody confirmed it.
    pub async fn discard(&self, unfinished: Unfinished, places: &[Place]) {
        if unfinished.is_claimed() {
            let wanted = Wanted::Offered(unfinished.offer().clone());
            // Where it cannot be reached, it lapses by itself.
            let routes = Target::first(places, unfinished.from().port(), &self.network).unwrap_or_default();
            let transfer = self.transfer(routes, None, wanted, unfinished.id(), clock::now());
            let released = async {
                let mut transfer = transfer;
                if transfer.claim().await.is_ok() {
                    transfer.release().await;
                }
            };
            // Otherwise it lapses by itself.
            future::or(released, sleep_until(clock::now() + COLLECT)).await;
        }
        unfinished.discard();
    }

    /// A transfer from the sender at the end of these routes, with nothing done yet.
    fn transfer(
        &self,
        routes: Vec<Route>,
        expected: Option<Instance>,
        wanted: Wanted,
        id: FetchId,
        give_up: Instant,
    ) -> Transfer {
        Transfer::new(routes, expected, wanted, id, give_up, &self.credentials, &self.stopper)
    }

    /// Waits before a sender is asked again.
    async fn pause(&self, until: Instant) -> Result<(), Error> {
        self.unless_stopped(sleep_until(until)).await
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        let stopped = async {
            self.stopper.stopped().await;
            Err(Error::Stopped)
        };
        future::or(stopped, async { Ok(work.await) }).await
    }
}

/// When to ask a server again that has no place for us: at the time that it named, plus jitter of up to as much again.
fn come_back(now: Instant, after: Duration) -> Instant {
    let after = after.clamp(RETRY_MIN, COME_BACK_MAX);
    let jitter = after.mul_f64(f64::from(system().next_u32()) / f64::from(u32::MAX));
    now + after + jitter
}

/// How long to go on browsing once an offer matches: not at all if the whole token was given.
fn collect_for(token: Option<&TokenPrefix>) -> Duration {
    if token.is_some_and(|token| token.whole().is_some()) { Duration::ZERO } else { COLLECT }
}

/// When to stop browsing once an offer has matched: never later than what was asked for, even if that is less than the
/// time to collect others.
fn settle_by(until: Instant, now: Instant, collect: Duration) -> Instant {
    until.min(now + collect)
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver")
            .field("network", &self.network)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_token_settles_it_at_once() {
        let (now, until) = (Instant::from_millis(0), Instant::from_millis(5_000));
        let whole: TokenPrefix = "0123456789abcdefghjkmnpqrg".parse().unwrap();
        let part: TokenPrefix = "0123".parse().unwrap();
        let settles = |token, until| settle_by(until, now, collect_for(token));
        assert_eq!(settles(Some(&whole), until), now);
        assert_eq!(settles(Some(&part), until), now + COLLECT);
        assert_eq!(settles(None, until), now + COLLECT);
        assert_eq!(settles(None, Instant::from_millis(10)), Instant::from_millis(10));
    }

    #[test]
    fn the_time_to_come_back_is_obeyed_with_jitter() {
        let now = Instant::from_millis(1_000);
        for (named, least) in [(1, 100), (5_000, 5_000), (65_535, 60_000)] {
            let waits: Vec<u64> = (0..50)
                .map(|_| come_back(now, Duration::from_millis(named)).as_millis() - now.as_millis())
                .collect();
            assert!(waits.iter().all(|wait| (least..=2 * least).contains(wait)), "{named}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{named}: no jitter");
        }
    }

    #[test]
    fn its_futures_run_on_any_executor() {
        fn is_send<T: Send>(_: &T) {}
        let room = Room { secret: deaddrop_core::crypto::keys::RoomSecret::new([7; 32]) };
        let receiver = Receiver::new(&room);
        let ip = IpAddr::from([127, 0, 0, 1]);
        let token: TokenPrefix = "0123".parse().unwrap();
        is_send(&receiver.discover(Duration::ZERO));
        is_send(&receiver.list(ip, None));
        is_send(&receiver.claim_from(ip, None, token));
    }
}
