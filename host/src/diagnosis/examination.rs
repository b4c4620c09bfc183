//! The checks, one after the other.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use deaddrop_core::token::Instance;
use smol::{Executor, Task, future};

use super::contact::try_sender;
use super::finding::Finding;
use super::firewall::Traffic;
use super::presence::{Presence, Service};
use super::verdict::Verdict;
use super::{firewall, interfaces as links, ports};
use crate::address::Endpoint;
use crate::clock;
use crate::error::Error;
use crate::fetch::contact::Contact;
use crate::fetch::credentials::Credentials;
use crate::lan::beacons::{BeaconSockets, SkippedInterface};
use crate::lan::browser::Browser;
use crate::lan::interfaces::{Interface, InterfaceError, interfaces};
use crate::network::Network;
use crate::random::system;
use crate::receiver::Place;
use crate::receiver::target::routes;
use crate::room::Room;
use crate::serve::listen::{listen_on, ports as ports_of};
use crate::serve::server::Server;
use crate::transport::link::{Link, Route};

/// How long to listen for others unless something else is said.
const SPAN: Duration = Duration::from_secs(5);
/// How long own beacons may take to come in again. They do not leave this machine.
const ECHO_WITHIN: Duration = Duration::from_millis(400);
/// How long a connection of this machine to itself may take.
const OWN_WITHIN: Duration = Duration::from_secs(1);
/// The longest that all contacts may take: longer than one with 16 ports does.
const CONTACTS_WITHIN: Duration = Duration::from_secs(90);

/// An examination of this machine and its network.
///
/// While it listens it is a sender without drops, if it was given a room, so that two members who examine their machines
/// at the same time find each other. It changes nothing on the machine.
///
/// ```
/// use std::time::Duration;
/// use deaddrop::diagnosis::{Examination, Verdict};
/// use deaddrop::Network;
///
/// # fn main() -> Result<(), deaddrop::Error> {
/// // A port of its own, and loopback alone: that reaches nobody.
/// let network = Network { udp_port: 48_713, interfaces: vec!["lo".into()], mdns: false };
/// let mut examination = Examination::new(&network).listen_for(Duration::ZERO);
/// smol::block_on(async {
///     while let Some(findings) = examination.next().await? {
///         findings.iter().for_each(|finding| println!("{}: {finding}", finding.check().word()));
///     }
///     Ok::<(), deaddrop::Error>(())
/// })?;
/// // Which of the two depends on whether this machine is in a network.
/// assert!(matches!(examination.verdict(), Verdict::NoneNamed | Verdict::NoInterface));
/// # Ok(())
/// # }
/// ```
pub struct Examination {
    network: Network,
    room: Option<InRoom>,
    named: Vec<Place>,
    span: Duration,
    step: Step,
    beacons: Option<BeaconSockets>,
    skipped: Vec<SkippedInterface>,
    used: Vec<Interface>,
    service: Option<(Vec<TcpListener>, u16)>,
    findings: Vec<Finding>,
}

/// What takes the room.
struct InRoom {
    credentials: Arc<Credentials>,
    server: Arc<Server>,
}

/// Tries a sender, and says where.
type Trying = Task<(SocketAddr, Contact)>;

/// The check that is next.
#[derive(Clone, Copy)]
enum Step {
    Interfaces,
    Ports,
    Firewall,
    Others,
    Clock,
    Over,
}

impl Examination {
    /// Of this network, without a room: senders are then tried no further than their greeting.
    pub fn new(network: &Network) -> Self {
        Self {
            network: network.clone(),
            room: None,
            named: Vec::new(),
            span: SPAN,
            step: Step::Interfaces,
            beacons: None,
            skipped: Vec::new(),
            used: Vec::new(),
            service: None,
            findings: Vec::new(),
        }
    }

    /// As a member of this room.
    #[must_use]
    pub fn room(mut self, room: &Room) -> Self {
        let credentials = Arc::new(Credentials::new(&room.secret));
        self.room = Some(InRoom { credentials, server: Arc::new(Server::new(&room.secret)) });
        self
    }

    /// Tries these machines too, whether they are heard or not.
    #[must_use]
    pub fn named(mut self, places: Vec<Place>) -> Self {
        self.named = places;
        self
    }

    /// Listens for others for so long: 5 seconds unless something else is said.
    #[must_use]
    pub fn listen_for(mut self, span: Duration) -> Self {
        self.span = span;
        self
    }

    /// Makes the next check, and returns what it has seen; `None` after the last.
    ///
    /// # Errors
    /// If the system does not list its interfaces, or an interface that was named is not there.
    pub async fn next(&mut self) -> Result<Option<Vec<Finding>>, Error> {
        let (findings, next) = match self.step {
            Step::Interfaces => (self.interfaces()?, Step::Ports),
            Step::Ports => (self.ports().await, Step::Firewall),
            Step::Firewall => (self.firewall().await, Step::Others),
            Step::Others => (self.others().await?, Step::Clock),
            Step::Clock => (vec![Finding::Clock], Step::Over),
            Step::Over => return Ok(None),
        };
        self.step = next;
        self.findings.extend_from_slice(&findings);
        Ok(Some(findings))
    }

    /// What is most likely in the way, from all that was seen so far.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(&self.findings)
    }

    fn interfaces(&mut self) -> Result<Vec<Finding>, InterfaceError> {
        let (beacons, skipped) = BeaconSockets::open(&self.network)?;
        let findings = links::look(&self.network, &skipped)?;
        self.used = used(&self.network)?;
        (self.beacons, self.skipped) = (Some(beacons), skipped);
        Ok(findings)
    }

    async fn ports(&mut self) -> Vec<Finding> {
        let mut findings = vec![ports::udp(self.network.udp_port, &self.skipped)];
        match listen_on(None) {
            Ok((listeners, port)) => {
                findings.push(Finding::TcpPort(Ok(port)));
                // The system has connections to itself go by way of loopback, whatever their address.
                if has_loopback() {
                    findings.extend(connect_to_self(&self.used, port).await);
                }
                self.service = Some((listeners, port));
            }
            Err(error) => findings.push(Finding::TcpPort(Err(error.to_string()))),
        }
        findings
    }

    async fn firewall(&self) -> Vec<Finding> {
        read_rules(self.network.udp_port, self.used.clone()).await
    }

    /// Listens, and tries every sender as soon as it is heard: it may not be there for long.
    async fn others(&mut self) -> Result<Vec<Finding>, InterfaceError> {
        let Some(beacons) = self.beacons.take() else { return Ok(Vec::new()) };
        let own = self.room.as_ref().map(|room| room.server.instance());
        let instance = own.unwrap_or_else(|| Instance::random(&mut system()));
        let mut presence = Presence::new(beacons, &self.network, instance).map_err(InterfaceError::Listen)?;
        let service = match (&self.room, self.service.take()) {
            (Some(room), Some((listeners, port))) => Some(Service::new(room.server.clone(), listeners, port)),
            _ => None,
        };
        let credentials = self.room.as_ref().map(|room| room.credentials.clone());
        let executor = Executor::new();
        let mut contacts: Vec<(Option<Instance>, Trying)> = Vec::new();
        for place in &self.named {
            let mut ways = Vec::new();
            for port in ports_of(place.port()) {
                let to = place.addresses().iter().map(|address| address.at(port));
                ways.extend(routes(&self.network, to)?);
            }
            let credentials = credentials.clone();
            contacts
                .push((None, executor.spawn(async move { try_named(&ways, credentials.as_ref()).await })));
        }
        let chosen = self.network.clone();
        let found = |at: SocketAddr, instance: Instance| {
            // What was heard on an interface that is used is behind it.
            let route = routes(&chosen, [at]).ok().and_then(|routes| routes.first().copied());
            let credentials = credentials.clone();
            let contact = async move {
                let route = route.unwrap_or_else(|| Route::from(at));
                (at, try_sender(route, credentials.as_ref()).await)
            };
            contacts.push((Some(instance), executor.spawn(contact)));
        };
        let listened = executor.run(presence.listen(self.span, service.as_ref(), found)).await;
        listened.map_err(InterfaceError::Listen)?;
        let mut findings = presence.echoes(self.is_deaf());
        findings.extend(presence.listeners.iter().map(|address| Finding::Listener(*address)));
        let ended = async {
            let mut ended = Vec::new();
            for (instance, contact) in contacts {
                let (at, contact) = contact.await;
                ended.push(Finding::Sender {
                    at: Endpoint(at),
                    named: instance.is_none(),
                    instance,
                    contact,
                });
            }
            Ok(ended)
        };
        // Others may be trying us meanwhile. A sender that is heard from now on has its turn another time.
        let present = async {
            presence.listen(CONTACTS_WITHIN, service.as_ref(), |_, _| ()).await?;
            Ok(Vec::new())
        };
        let senders = executor.run(future::or(ended, present)).await;
        let senders: Vec<Finding> = senders.map_err(InterfaceError::Listen)?;
        if let Some(service) = &service {
            presence.farewell(service);
        }
        if senders.is_empty() {
            findings.push(Finding::Nobody);
        }
        findings.extend(senders);
        Ok(findings)
    }

    fn is_deaf(&self) -> bool {
        self.skipped.iter().any(|skipped| skipped.receive_unavailable.is_some())
    }
}

/// What is most likely the reason that a browser has found nothing: from what it has seen of senders, and a short look at
/// this machine.
///
/// # Errors
/// If the system does not list its interfaces.
pub async fn likely_reason(network: &Network, browser: &Browser) -> Result<Verdict, Error> {
    let mut examination = Examination::new(network);
    let mut findings = examination.interfaces()?;
    findings.push(ports::udp(network.udp_port, &examination.skipped));
    let deaf = examination.is_deaf();
    if let Some(beacons) = examination.beacons.take() {
        let instance = Instance::random(&mut system());
        let mut presence = Presence::new(beacons, network, instance).map_err(InterfaceError::Listen)?;
        presence.listen(ECHO_WITHIN, None, |_, _| ()).await.map_err(InterfaceError::Listen)?;
        findings.extend(presence.echoes(deaf));
        findings.extend(presence.listeners.iter().map(|address| Finding::Listener(*address)));
    }
    let rules = examination.firewall().await;
    // Whether others can connect to this machine is nothing to a receiver.
    findings.extend(rules.into_iter().filter(
        |rule| !matches!(rule, Finding::RulesClosed(closed) if closed.traffic == Traffic::Connections),
    ));
    findings.extend(browser.contacts().map(|(at, contact)| {
        let (at, contact) = (Endpoint(*at), contact.clone());
        Finding::Sender { at, named: false, instance: None, contact }
    }));
    Ok(Verdict::of(&findings))
}

/// The interfaces over which others are reached.
fn used(network: &Network) -> Result<Vec<Interface>, InterfaceError> {
    let mut used = interfaces().map_err(InterfaceError::Unreadable)?;
    let chosen = &network.interfaces;
    used.retain(|interface| chosen.is_empty() || chosen.iter().any(|name| interface.is_meant_by(name)));
    used.retain(|interface| !interface.is_loopback());
    Ok(used)
}

/// Whether loopback is up. What cannot be listed is no reason to say that it is not.
fn has_loopback() -> bool {
    interfaces().map_or(true, |all| all.iter().any(Interface::is_loopback))
}

async fn read_rules(udp_port: u16, used: Vec<Interface>) -> Vec<Finding> {
    smol::unblock(move || firewall::look(udp_port, &used)).await
}

/// Connects to this machine at each of its addresses. What fails is told, and otherwise one that does not.
async fn connect_to_self(used: &[Interface], port: u16) -> Vec<Finding> {
    let mut findings = Vec::new();
    for own in used.iter().flat_map(Interface::own) {
        let to = own.at(port);
        let connected = Link::connect(to.into(), clock::now() + OWN_WITHIN, None).await;
        let error = connected.err().filter(says_much).map(|error| match error.kind() {
            io::ErrorKind::TimedOut => "no answer".into(),
            _ => error.to_string(),
        });
        findings.push(Finding::OwnConnection { to: Endpoint(to), error });
    }
    if findings.iter().any(Finding::is_fault) {
        findings.retain(Finding::is_fault);
    } else {
        findings.truncate(1);
    }
    findings
}

/// Whether an error of a connection to ourselves is a firewall's. An address can be gone meanwhile, or be tentative.
fn says_much(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, PermissionDenied, TimedOut};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | PermissionDenied | TimedOut)
}

/// Tries a machine by these routes until one says more than that nobody serves there.
async fn try_named(ways: &[Route], credentials: Option<&Arc<Credentials>>) -> (SocketAddr, Contact) {
    let mut last = (SocketAddr::from(([0, 0, 0, 0], 0)), Contact::Unreachable);
    for (tried, way) in ways.iter().enumerate() {
        let contact = try_sender(*way, credentials).await;
        let refused = contact == Contact::Refused;
        // The first port says where the machine is, if no port does better.
        if tried == 0 || !refused {
            last = (way.to, contact);
        }
        if !refused {
            break;
        }
    }
    last
}

impl std::fmt::Debug for Examination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Examination").field("findings", &self.findings).finish_non_exhaustive()
    }
}
