//! What is offered on the LAN: beacons heard, senders looked at, offers kept.

use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use async_channel::{Receiver, Sender, unbounded};
use deaddrop_core::discovery::{Listener, Look, OfferEvent, Offers, Outcome, PeerEvent};
use deaddrop_core::session::ClientError;
use deaddrop_core::time::Instant;
use deaddrop_core::token::Instance;
use smol::{LocalExecutor, Timer, future};

use crate::look::{Listing, list, shake_hands};
use crate::member::Member;
use crate::net::beacons::{Beacons, Skipped};
use crate::net::hearing::Hearing;
use crate::net::link::SmolLink;
use crate::pump::PumpError;
use crate::stop::Stop;
use crate::{clock, random::system};

/// Senders remembered.
const PEERS: usize = 1_024;
/// Offers remembered.
const OFFERS: usize = 512;
/// How often to look whether the machine's interfaces have changed.
const REFRESH: Duration = Duration::from_secs(2);

/// The offers a host remembers.
pub(crate) type HostOffers = Offers<OFFERS>;

/// A listener at work.
pub(crate) struct Discovery<'e> {
    executor: &'e LocalExecutor<'static>,
    member: Rc<Member>,
    beacons: Beacons,
    hearing: Hearing,
    listener: Box<Listener<PEERS>>,
    /// The offers known now.
    pub(crate) offers: Box<HostOffers>,
    looks: (Sender<Looked>, Receiver<Looked>),
    refresh_at: Instant,
}

/// What came of a look.
struct Looked {
    look: Look,
    result: Result<Listing, PumpError>,
}

impl<'e> Discovery<'e> {
    /// Begins to listen and to solicit.
    pub(crate) fn new(
        executor: &'e LocalExecutor<'static>,
        member: Rc<Member>,
        beacons: Beacons,
    ) -> std::io::Result<Self> {
        let now = clock::now();
        let own = member.own.unwrap_or_else(|| Instance::random(&mut system()));
        let mut hearing = Hearing::new();
        hearing.listen(executor, &beacons)?;
        Ok(Self {
            executor,
            member,
            beacons,
            hearing,
            listener: Box::new(Listener::new(now, own)),
            offers: Box::new(Offers::new()),
            looks: unbounded(),
            refresh_at: now + REFRESH,
        })
    }

    /// The addresses of this machine.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.beacons.addresses()
    }

    /// The next change among the offers, waited for.
    pub(crate) async fn next_event(&mut self) -> OfferEvent {
        loop {
            if let Some(event) = self.offers.poll_event() {
                return event;
            }
            self.step().await;
        }
    }

    /// Does what is due, then waits for one thing to happen. Dropping the future half-way loses nothing.
    async fn step(&mut self) {
        let now = clock::now();
        if self.refresh_at <= now {
            self.refresh_at = now + REFRESH;
            // An interface list that cannot be read now may be readable in two seconds.
            if let Ok((true, _)) = self.beacons.refresh() {
                let _ = self.hearing.listen(self.executor, &self.beacons);
                self.listener.resolicit(now);
            }
        }
        while let Some(beacon) = self.listener.poll_transmit(now) {
            self.beacons.broadcast(&beacon);
        }
        while let Some(look) = self.listener.poll_look(now, &mut system()) {
            let (member, sender) = (self.member.clone(), self.looks.0.clone());
            let looking = async move {
                let result = look_at(&member, look.peer, Some(look.instance)).await;
                let _ = sender.try_send(Looked { look, result });
            };
            self.executor.spawn(looking).detach();
        }
        while let Some(event) = self.listener.poll_event() {
            match event {
                PeerEvent::Lost { instance } => self.offers.lost(instance),
                PeerEvent::Moved { instance, from, to } => self.offers.moved(instance, from, to),
            }
        }
        self.offers.handle_timeout(now);
        let due = [self.listener.poll_timeout(), self.offers.poll_timeout(), Some(self.refresh_at)];
        let due = due.into_iter().fold(None, Instant::earliest);

        enum Happened {
            Beacon(deaddrop_core::discovery::Arrival, deaddrop_core::wire::Beacon),
            Looked(Looked),
            Time,
        }
        let beacon = async {
            let (arrival, beacon) = self.hearing.next().await;
            Happened::Beacon(arrival, beacon)
        };
        let looked = async {
            match self.looks.1.recv().await {
                Ok(looked) => Happened::Looked(looked),
                Err(_) => pending().await,
            }
        };
        let time = async {
            match due {
                Some(at) => Timer::after(now.until(at)).await,
                None => pending().await,
            };
            Happened::Time
        };
        match future::or(looked, future::or(beacon, time)).await {
            Happened::Beacon(arrival, beacon) => {
                self.listener.handle_beacon(clock::now(), &arrival, &beacon, &mut system());
            }
            Happened::Looked(looked) => self.handle_looked(looked),
            Happened::Time => {}
        }
    }

    fn handle_looked(&mut self, Looked { look, result }: Looked) {
        let now = clock::now();
        let outcome = match result {
            Ok(listing) => {
                self.keep(now, look.instance, look.peer, &listing);
                Outcome::Listed { revision: listing.revision }
            }
            Err(PumpError::Session(ClientError::NotMember)) => Outcome::NotMember,
            Err(PumpError::Session(ClientError::NoBudget)) => Outcome::NoBudget,
            Err(PumpError::Session(e @ (ClientError::Busy | ClientError::Handshake(_)))) => {
                Outcome::Busy { retry_after: e.retry_after().unwrap_or(BUSY_RETRY) }
            }
            Err(_) => Outcome::Failed,
        };
        self.listener.handle_look(now, &look, outcome);
    }

    /// Brings the offers of one sender up to date.
    fn keep(&mut self, now: Instant, instance: Instance, from: SocketAddr, listing: &Listing) {
        self.offers.begin_list(instance);
        for ending in &listing.endings {
            self.offers.ending(now, instance, ending.token, ending.reason);
        }
        for offer in &listing.offers {
            // What there is no room for cannot be shown; the sender itself still has it.
            let _ = self.offers.offer(now, instance, from, offer);
        }
        self.offers.complete(now, instance);
    }
}

/// When to ask a busy sender again that named no time.
const BUSY_RETRY: Duration = Duration::from_millis(500);

/// Connects to a sender and asks for its whole list.
pub(crate) async fn look_at(
    member: &Member,
    sender: SocketAddr,
    expected: Option<Instance>,
) -> Result<Listing, PumpError> {
    let link = SmolLink::connect(sender, None).await?;
    let mut pump = shake_hands(link, member, expected, None::<&Stop>).await?;
    let listing = list(&mut pump).await?;
    pump.close();
    Ok(listing)
}

/// What a person is told of an interface that beacons cannot use.
pub(crate) fn skipped_message(skipped: &Skipped) -> String {
    format!(
        "discovery does not reach the network behind {}: {}; others there can still fetch with --from",
        skipped.interface, skipped.error
    )
}
