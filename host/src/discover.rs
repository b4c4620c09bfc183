//! What is offered on the LAN, as the smol front end finds it: a task a socket, a task a look.

use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use async_channel::{Receiver, Sender, unbounded};
use deaddrop_core::discovery::{Arrival, OfferEvent, Probe};
use deaddrop_core::session::ClientError;
use deaddrop_core::token::Instance;
use deaddrop_core::wire::Beacon;
use smol::{LocalExecutor, Timer, future};

use crate::clock;
use crate::listening::{HostOffers, Listening};
use crate::lock::lock;
use crate::look::{Listing, look};
use crate::member::Member;
use crate::net::beacons::{Beacons, Skipped};
use crate::net::hearing::Hearing;
use crate::net::link::SmolLink;
use crate::pump::PumpError;

/// A listener that has asked who is there, and cannot look at anybody yet: the room's secret is still being
/// derived, and answers come meanwhile.
pub(crate) struct Asking<'e> {
    executor: &'e LocalExecutor<'static>,
    listening: Listening,
    hearing: Hearing,
}

impl<'e> Asking<'e> {
    /// Begins to listen, and solicits at once.
    pub(crate) fn begin(executor: &'e LocalExecutor<'static>, beacons: Beacons) -> std::io::Result<Self> {
        let mut hearing = Hearing::new();
        hearing.listen(executor, &beacons)?;
        let mut listening = Listening::new(beacons, None);
        listening.solicit();
        Ok(Self { executor, listening, hearing })
    }

    /// Goes on as a member of a room: whoever has answered by now is looked at.
    pub(crate) fn join(self, member: Rc<Member>) -> Discovery<'e> {
        let Self { executor, listening, hearing } = self;
        Discovery { executor, member, listening, hearing, looks: unbounded() }
    }
}

/// A listener at work.
pub(crate) struct Discovery<'e> {
    executor: &'e LocalExecutor<'static>,
    member: Rc<Member>,
    listening: Listening,
    hearing: Hearing,
    looks: (Sender<Looked>, Receiver<Looked>),
}

/// What came of a look.
struct Looked {
    look: Probe,
    result: Result<Listing, PumpError>,
}

impl Discovery<'_> {
    /// The addresses of this machine.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.listening.beacons.addresses()
    }

    /// The offers known now.
    pub(crate) fn offers(&self) -> &HostOffers {
        &self.listening.offers
    }

    /// The next change among the offers, waited for.
    pub(crate) async fn next_event(&mut self) -> OfferEvent {
        loop {
            if let Some(event) = self.listening.offers.poll_event() {
                return event;
            }
            self.step().await;
        }
    }

    /// Does what is due, then waits for one thing to happen. Dropping the future half-way loses nothing.
    async fn step(&mut self) {
        if self.listening.refresh() {
            let _ = self.hearing.listen(self.executor, &self.listening.beacons);
        }
        let (looks, due) = self.listening.step();
        for look in looks {
            let (member, sender) = (self.member.clone(), self.looks.0.clone());
            let looking = async move {
                let result = look_at(&member, look.peer, Some(look.instance)).await;
                let _ = sender.try_send(Looked { look, result });
            };
            self.executor.spawn(looking).detach();
        }

        enum Happened {
            Beacon(Arrival, Beacon),
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
            Timer::after(clock::now().until(due)).await;
            Happened::Time
        };
        match future::or(looked, future::or(beacon, time)).await {
            Happened::Beacon(arrival, beacon) => self.listening.handle_beacon(&arrival, &beacon),
            Happened::Looked(Looked { look, result }) => self.listening.handle_looked(&look, result),
            Happened::Time => {}
        }
    }
}

/// Connects to a sender and asks for its whole list, if there is a handshake left to do that with.
pub(crate) async fn look_at(
    member: &Member,
    sender: SocketAddr,
    expected: Option<Instance>,
) -> Result<Listing, PumpError> {
    if !lock(&member.guard).has(clock::now(), sender.ip()) {
        return Err(ClientError::NoBudget.into());
    }
    look(SmolLink::connect(sender, None).await?, member, expected, None).await
}

/// What a person is told of an interface that beacons cannot use.
pub(crate) fn skipped_message(skipped: &Skipped) -> String {
    if let Some(port) = skipped.deaf {
        return format!(
            "nothing is heard on UDP port {port} of {}: {}; end the program that holds it, or agree with the others \
             on another --udp-port",
            skipped.interface, skipped.error
        );
    }
    format!(
        "discovery does not reach the network behind {}: {}; others there can still fetch with --from",
        skipped.interface, skipped.error
    )
}
