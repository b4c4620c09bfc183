//! A member of the room, on an [`embassy_net::Stack`].
//!
//! One future does it all, so that any embassy firmware can run it as one task beside its own: it hears beacons and
//! looks at senders, fetches what is asked for, and serves drops of its own exactly as a host does. IPv4 only.
//!
//! Every part has a file: `beacons` and `network` know the LAN, `errands` goes out to senders by way of a
//! `dialogue`, `serve` answers those who come, a `door` those for whom there is no place, `orders` does what the console asks, and `signs` shows that it
//! all still works. They share a `member`, take turns, and wait only for each other's `bell`.

mod apart;
mod beacons;
mod bell;
mod clock;
mod connection;
mod dialogue;
mod door;
mod errands;
mod fetch;
mod look;
mod member;
mod memory;
mod network;
mod orders;
mod rounds;
mod serve;
mod settings;
mod signs;

pub use apart::Apart;
pub use memory::{
    ANSWERED, BoardStore, DROPS, Memory, OFFERS, PEERS, SERVERS, SOCKETS, SOURCES, STORE_BYTES, STORE_ENTRIES,
};
pub use settings::Settings;

use core::cell::{Cell, RefCell};
use core::pin::pin;

use chacha20::ChaCha20Rng;
use deaddrop_core::crypto::keys::Prs;
use deaddrop_core::discovery::{Advertiser, Prober};
use deaddrop_core::exchange::Server;
use deaddrop_core::guard::ClientGuard;
use embassy_futures::join::{join, join3, join4};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_net::udp::UdpSocket;
use embedded_io_async::{Read, Write};
use heapless::Deque;

use crate::PROFILE;
use crate::console::Console;
use crate::desk::Desk;
use bell::Bell;
use member::{Member, Online, State};
use memory::ServerBuffers;
use rounds::{Part, Rounds};

/// Shows that something waits in the room: an LED, as a rule.
pub trait Indicator {
    /// Something waits, or nothing does any more.
    fn set(&mut self, waiting: bool);
}

/// Starts the board again unless it is fed.
pub trait Watchdog {
    /// All is well. Called about once a second, and not called once a part of the app has been stuck for ten.
    fn feed(&mut self);
}

/// A socket that sends what it is given at once: it is given whole records.
fn socket(stack: Stack<'static>, received: &'static mut [u8], sent: &'static mut [u8]) -> TcpSocket<'static> {
    let mut socket = TcpSocket::new(stack, received, sent);
    socket.set_nagle_enabled(false);
    socket
}

/// The app, ready to run.
pub struct App {
    member: Member,
    /// The places at which connections are served.
    places: [TcpSocket<'static>; SERVERS],
    door: TcpSocket<'static>,
    errand: TcpSocket<'static>,
    shared_port: UdpSocket<'static>,
    own_port: UdpSocket<'static>,
}

impl App {
    /// A member of the room with this `prs`, on a stack with room for [`SOCKETS`] sockets beside DHCP's.
    ///
    /// `rng` is this start's randomness: no two starts may have the same. A stack carries one app.
    pub fn new(
        stack: Stack<'static>,
        memory: &'static mut Memory,
        prs: Prs,
        mut rng: ChaCha20Rng,
        settings: Settings,
    ) -> Self {
        let now = clock::now();
        let Memory { desk, store, serving, listener, announcer, offers, guard, record, .. } = memory;
        // Both ends of a connection need it: one copy for those who connect, one for those we connect to.
        let serving = serving.insert(Server::new(now, Prs::new(*prs.expose()), &PROFILE, &mut rng));
        let own = serving.instance();
        let state = State {
            serving,
            listener: listener.insert(Prober::new(now, own)),
            announcer: announcer.insert(Advertiser::new(own)),
            offers,
            guard: guard.insert(ClientGuard::new(now)),
            record,
            rng,
            wanted: None,
            fetching: false,
            auto: settings.auto,
            tried: Deque::new(),
            more_offers: false,
        };
        let member = Member {
            stack,
            settings,
            prs,
            desk,
            store,
            state: RefCell::new(state),
            bell: Bell::new(),
            rounds: Rounds::new(now),
            online: Cell::new(Online { network: None, era: 0 }),
            started: now,
        };
        let places =
            memory.servers.each_mut().map(|ServerBuffers { received, sent }| socket(stack, received, sent));
        let door = socket(stack, &mut memory.door.received, &mut memory.door.sent);
        Self {
            member,
            places,
            door,
            errand: socket(stack, &mut memory.client.received, &mut memory.client.sent),
            shared_port: memory.shared_port.socket(stack),
            own_port: memory.own_port.socket(stack),
        }
    }

    /// Where the console, or whatever stands in for it, gives orders and hears news.
    pub const fn desk(&self) -> &'static Desk {
        self.member.desk
    }

    /// What was received, and what is to be offered. Not to be held across an `await`.
    pub const fn store(&self) -> &'static RefCell<BoardStore> {
        self.member.store
    }

    /// Runs for as long as the board is on, with its console on `serial`.
    ///
    /// A read of `serial` that is given up while it waits must lose no bytes: news interrupts it.
    pub async fn run(
        &mut self,
        serial: impl Read + Write,
        indicator: impl Indicator,
        watchdog: impl Watchdog,
    ) -> ! {
        let (desk, store) = (self.desk(), self.store());
        let mut console = Console::new(serial);
        let console = pin!(console.run(desk, store));
        let app = pin!(self.run_without_console(indicator, watchdog));
        join(Apart::new(console), Apart::new(app)).await.0
    }

    /// Runs everything but the console, which somebody else has to serve by way of [`Self::desk`].
    pub async fn run_without_console(&mut self, mut indicator: impl Indicator, mut watchdog: impl Watchdog) {
        let Self { member, places, door, errand, shared_port, own_port } = self;
        let member = &*member;
        let [first, second] = places;
        let first = pin!(serve::serve(member, Part::Serving(0), first));
        let second = pin!(serve::serve(member, Part::Serving(1), second));
        let door = pin!(door::door(member, door));
        let network = pin!(network::network(member));
        let beacons = pin!(beacons::beacons(member, shared_port, own_port));
        let errands = pin!(errands::errands(member, errand));
        let orders = pin!(orders::orders(member));
        let signs = pin!(signs::signs(member, &mut indicator, &mut watchdog));
        join4(
            join3(Apart::new(first), Apart::new(second), Apart::new(door)),
            join(Apart::new(network), Apart::new(beacons)),
            join(Apart::new(errands), Apart::new(orders)),
            Apart::new(signs),
        )
        .await;
    }
}
