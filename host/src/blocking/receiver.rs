//! Finding and claiming drops without an executor.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use deaddrop_core::discovery::Known;
use deaddrop_core::offer::Offer;
use deaddrop_core::time::Instant;
use deaddrop_core::token::{FetchId, Instance, TokenPrefix};
use smol::future::block_on;

use super::claim::Claim;
use super::doorbell::Doorbell;
use super::ears::Ears;
use super::link::BlockingLink;
use super::looks::Looks;
use super::{Network, Room, Stopper, broken};
use crate::exit::Failure;
use crate::fetch::{Refusal, Tally, Wanted, claim, jittered, pick};
use crate::listening::Listening;
use crate::look::Listing;
use crate::member::Member;
use crate::net::beacons::Beacons;
use crate::net::listen::ports;
use crate::pump::PumpError;
use crate::stop::Stop;
use crate::{clock, random::system};

/// How long to ask again unless something else is said.
const WAIT: Duration = Duration::from_secs(5);

/// A member of a room who looks for drops and takes them.
///
/// Keep one for as long as drops are looked for: it remembers which addresses failed to show that they know
/// the passphrase, and allows them few tries, so that no fake sender can use it to guess.
pub struct Receiver {
    pub(super) member: Member,
    network: Network,
    wait: Duration,
    pub(super) stop: Stop,
}

/// An offer, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// What is offered. The name is the sender's words: no part of a path, and not fit for a terminal as it
    /// stands.
    pub offer: Offer,
    /// Where its sender serves it.
    pub from: SocketAddr,
    /// Which process that is, if it was heard.
    instance: Option<Instance>,
}

/// What to do after an answer.
enum Then {
    Done,
    HearTheOthers,
}

impl From<&Known> for Found {
    fn from(known: &Known) -> Self {
        Self { offer: known.offer.clone(), from: known.from, instance: Some(known.instance) }
    }
}

impl Receiver {
    /// A receiver in this room. It asks a sender that is busy or does not answer again for 5 seconds.
    pub fn new(room: &Room) -> Self {
        Self {
            member: Member::new(&room.secret, None),
            network: Network::default(),
            wait: WAIT,
            stop: Stop::default(),
        }
    }

    /// Where to listen for announcements.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// For how long to ask a sender again that is busy or does not answer. Every port is asked at least
    /// once, and a port that refuses twice.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Ends what this receiver is doing from another thread, for good: the call fails with
    /// [`Exit::Interrupted`](crate::exit::Exit::Interrupted), as does every later one. A drop that is
    /// whole already is still confirmed.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Listens for announcements for as long as `wait`, and gives what members of the room offer then.
    ///
    /// Senders answer at once, so that a second or two suffice on most networks. A network that the system
    /// lets no beacons into is passed over.
    ///
    /// # Errors
    /// If an interface that was named is not there, or the system refuses what listening takes.
    pub fn discover(&self, wait: Duration) -> Result<Vec<Found>, Failure> {
        let until = clock::now() + wait;
        let (beacons, _) = Beacons::open(self.network.udp_port, &self.network.interfaces)?;
        let mut ears = Ears::of(&beacons).map_err(broken)?;
        let mut listening = Listening::new(beacons, None);
        std::thread::scope(|scope| {
            let mut looks = Looks::new(scope, &self.member);
            let bell = Doorbell::new([looks.bell(), self.stop.bell()]).map_err(broken)?;
            loop {
                self.go_on()?;
                if listening.refresh() {
                    ears = Ears::of(&listening.beacons).map_err(broken)?;
                }
                let (due_looks, due) = listening.step();
                for look in due_looks {
                    looks.take(look, look.peer, Some(look.instance));
                }
                // What counts is what is there in the end.
                while listening.offers.poll_event().is_some() {}
                if clock::now() >= until {
                    break;
                }
                let due = [Some(due.min(until)), ears.due()].into_iter().fold(None, Instant::earliest);
                bell.wait(ears.sockets(), due).map_err(broken)?;
                ears.hear(|arrival, beacon| listening.handle_beacon(arrival, beacon));
                while let Some((look, result)) = looks.next() {
                    listening.handle_looked(&look, result);
                }
            }
            let mut found: Vec<Found> = listening.offers.iter().map(Found::from).collect();
            // Whoever copies the token of another's drop does not stand in its place: both are given.
            found.sort_by_key(|found| (found.offer.token, found.from));
            Ok(found)
        })
    }

    /// What the members of the room at this address offer. Without a port, all ports are asked that senders
    /// take by themselves, 48556 to 48571.
    ///
    /// # Errors
    /// If nobody answers, everybody there is in another room, or all are busy.
    pub fn list(&self, ip: IpAddr, port: Option<u16>) -> Result<Vec<Found>, Failure> {
        let mut found = Vec::new();
        self.ask(ip, port, |from, listing| {
            found.extend(listing.offers.into_iter().map(|offer| Found { offer, from, instance: None }));
            Ok(Then::HearTheOthers)
        })?;
        Ok(found)
    }

    /// Claims the drop whose token is this, or begins like this, from whichever member of the room at this
    /// address has it. Without a port, all ports are asked that senders take by themselves.
    ///
    /// # Errors
    /// If nobody answers there, nobody is in the room, nobody has the drop, or somebody else holds it.
    pub fn claim_from(
        &self,
        ip: IpAddr,
        port: Option<u16>,
        token: impl Into<TokenPrefix>,
    ) -> Result<Claim<'_>, Failure> {
        let token = token.into();
        let mut found = None;
        self.ask(ip, port, |from, listing| {
            let offer = pick(listing, &token)?;
            found = Some(Found { offer, from, instance: None });
            Ok(Then::Done)
        })?;
        let found = found.ok_or_else(|| Refusal::Unknown.failure())?;
        self.claim(&found)
    }

    /// Claims a drop that was found.
    ///
    /// # Errors
    /// If its sender does not answer any more, the drop has ended, it is not what was found, or somebody
    /// else holds it.
    pub fn claim(&self, found: &Found) -> Result<Claim<'_>, Failure> {
        let until = clock::now() + self.wait;
        let id = FetchId::random(&mut system());
        let wanted = Wanted::Offered(Box::new(found.offer.clone()));
        loop {
            let claimed =
                BlockingLink::connect(found.from, &self.stop).map_err(Refusal::from).and_then(|link| {
                    block_on(claim(link, &self.member, found.instance, &wanted, id, Some(&self.stop)))
                });
            match claimed {
                Ok(claim) => return Ok(Claim::new(self, found.from, claim)),
                Err(refusal @ (Refusal::Busy(_) | Refusal::Nobody(_))) if clock::now() < until => {
                    self.pause(if let Refusal::Busy(after) = refusal { after } else { None })?;
                }
                Err(refusal) => return Err(refusal.failure()),
            }
        }
    }

    /// Asks every port for its list, in rounds, until `judge` has found what was looked for, or there is no
    /// hope.
    fn ask(
        &self,
        ip: IpAddr,
        port: Option<u16>,
        mut judge: impl FnMut(SocketAddr, Listing) -> Result<Then, Refusal>,
    ) -> Result<(), Failure> {
        let until = clock::now() + self.wait;
        let mut ports = ports(port);
        let mut tally = Tally::default();
        loop {
            tally.begin_round();
            let mut found = false;
            self.round(ip, &ports, |from, result| {
                match result.map_err(Refusal::from).and_then(|listing| judge(from, listing)) {
                    Ok(then) => {
                        found = true;
                        then
                    }
                    Err(refusal) => {
                        tally.note(from.port(), refusal);
                        Then::HearTheOthers
                    }
                }
            })?;
            if found {
                return Ok(());
            }
            if let Some(refusal) = tally.verdict() {
                return Err(refusal.failure());
            }
            if clock::now() >= until && !tally.must_go_on() {
                return Err(tally.likeliest().failure());
            }
            ports.retain(|port| tally.is_worth_asking(*port));
            self.pause(tally.retry_after())?;
        }
    }

    /// Asks these ports at once, until all have answered or `judge` has heard enough.
    fn round(
        &self,
        ip: IpAddr,
        ports: &[u16],
        mut judge: impl FnMut(SocketAddr, Result<Listing, PumpError>) -> Then,
    ) -> Result<(), Failure> {
        std::thread::scope(|scope| {
            let mut looks = Looks::new(scope, &self.member);
            let bell = Doorbell::new([looks.bell(), self.stop.bell()]).map_err(broken)?;
            for port in ports {
                let sender = SocketAddr::new(ip, *port);
                looks.take(sender, sender, None);
            }
            loop {
                self.go_on()?;
                while let Some((from, result)) = looks.next() {
                    if matches!(judge(from, result), Then::Done) {
                        return Ok(());
                    }
                }
                if !looks.under_way() {
                    return Ok(());
                }
                bell.wait([], None).map_err(broken)?;
            }
        })
    }

    fn go_on(&self) -> Result<(), Failure> {
        self.stop.asked().map_or(Ok(()), Err)
    }

    /// Gives a busy sender time.
    fn pause(&self, retry_after: Option<Duration>) -> Result<(), Failure> {
        let until = clock::now() + jittered(retry_after);
        let bell = Doorbell::new([self.stop.bell()]).map_err(broken)?;
        while clock::now() < until {
            self.go_on()?;
            bell.wait([], Some(until)).map_err(broken)?;
        }
        self.go_on()
    }
}
