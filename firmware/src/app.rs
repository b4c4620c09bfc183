//! A node of the room on an [`embassy_net::Stack`], IPv4 only.
//!
//! [`App::run`] is one future, so any embassy firmware can run it as one task beside its own. Inside, these tasks are
//! joined and polled together:
//!
//! | task | what it does |
//! |---|---|
//! | `network` | follows link and address, and notices a driver that has gone deaf (`silence`) |
//! | `beacons` | sends and receives beacons |
//! | `client` | probes senders and fetches drops, one connection at a time (`probe`, `fetch`, `client_connection`) |
//! | `server`, once for each slot | serves the board's own drops |
//! | `busy_responder` | answers `busy` when all server slots are in use |
//! | `command` | carries out what the console asks for |
//! | `status` | drives the indicator and feeds the watchdog while the others are alive (`liveness`) |
//!
//! They share the tables of `state`, and wake each other through `notify` when something in them changes.

mod beacons;
mod busy_responder;
mod client;
mod client_connection;
mod clock;
mod command;
mod connection;
mod context;
mod fetch;
mod let_others_run;
mod liveness;
mod memory;
mod network;
mod notify;
mod outlined;
mod probe;
mod reply_delay;
mod room;
mod server;
mod settings;
mod silence;
mod state;
mod status;

pub use crate::signal::Indicator;
pub use memory::{
    ANSWERED, BoardStore, DROPS, Memory, OFFERS, PEERS, SERVERS, SOCKETS, SOURCES, STORE_BYTES, STORE_ENTRIES,
};
pub use outlined::Outlined;
pub use reply_delay::measured_reply_delay;
pub use room::{OfferError, Outcome, ReceivedDrop, Room, Source, Terms};
pub use settings::Settings;

use core::cell::RefCell;
use core::pin::pin;

use chacha20::ChaCha20Rng;
use deaddrop_core::crypto::keys::Prs;
use deaddrop_core::discovery::{Advertiser, Browser};
use deaddrop_core::exchange::Server;
use deaddrop_core::guard::ClientGuard;
use embassy_futures::join::{join, join3, join4};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_net::udp::UdpSocket;
use embedded_io_async::{Read, Write};
use heapless::Deque;

use crate::PROFILE;
use crate::board::Wire;
use crate::console::Console;
use crate::mailbox::Mailbox;
use crate::values::Persist;
use context::TaskContext;
use liveness::Task;
use memory::ServerBuffers;
use state::{AppState, Tables};

/// A watchdog timer: resets the board unless it is fed.
pub trait Watchdog {
    /// Restarts the timer. Called about once a second, until a task of the app has been stuck for 10 s.
    fn feed(&mut self);
}

/// No watchdog.
impl Watchdog for () {
    fn feed(&mut self) {}
}

/// A socket without Nagle's algorithm: it is only written whole records.
fn socket(stack: Stack<'static>, received: &'static mut [u8], sent: &'static mut [u8]) -> TcpSocket<'static> {
    let mut socket = TcpSocket::new(stack, received, sent);
    socket.set_nagle_enabled(false);
    socket
}

/// The app, ready to run.
pub struct App {
    state: AppState,
    servers: [TcpSocket<'static>; SERVERS],
    busy_responder: TcpSocket<'static>,
    client: TcpSocket<'static>,
    shared_port: UdpSocket<'static>,
    own_port: UdpSocket<'static>,
}

impl App {
    /// A member of the room with this `prs`, on a stack with room for [`SOCKETS`] sockets beside the one of DHCP.
    ///
    /// `rng` is seeded anew at each start: no two starts may draw the same bytes. A stack carries one app.
    pub fn new(
        stack: Stack<'static>,
        memory: &'static mut Memory,
        prs: Prs,
        mut rng: ChaCha20Rng,
        settings: Settings,
    ) -> Self {
        let now = clock::now();
        let Memory { mailbox, store, server, browser, advertiser, guard, record, .. } = memory;
        // Both roles need the PRS: one copy for the server, one for the client.
        let server = server.insert(Server::new(now, Prs::new(*prs.expose()), &PROFILE, &mut rng));
        let own = server.instance();
        let tables = Tables {
            server,
            browser: browser.insert(Browser::new(now, own)),
            advertiser: advertiser.insert(Advertiser::new(own)),
            guard: guard.insert(ClientGuard::new(now)),
            record,
            rng,
            requested: None,
            fetching: false,
            received: None,
            auto: settings.auto,
            tried: Deque::new(),
        };
        let state = AppState {
            stack,
            ttl: settings.ttl,
            prs,
            mailbox,
            store,
            persist: None,
            tables: RefCell::new(tables),
            context: TaskContext::new(now, settings.reply_delay),
            started: now,
            wire: None,
        };
        // Server sockets come before the busy responder's: see there.
        let servers =
            memory.servers.each_mut().map(|ServerBuffers { received, sent }| socket(stack, received, sent));
        let busy = &mut memory.busy_responder;
        Self {
            state,
            servers,
            busy_responder: socket(stack, &mut busy.received, &mut busy.sent),
            client: socket(stack, &mut memory.client.received, &mut memory.client.sent),
            shared_port: memory.shared_port.socket(stack),
            own_port: memory.own_port.socket(stack),
        }
    }

    /// Has the watchdog run out if nothing is received for ten minutes: see `silence`. `wire` counts the frames of the
    /// stack's driver.
    pub fn listen_to(&mut self, wire: &'static Wire) {
        self.state.wire = Some(wire);
    }

    /// Has each received drop written to `persist` before its sender hears that it was received.
    pub fn persist_with(&mut self, persist: &'static dyn Persist) {
        self.state.persist = Some(persist);
    }

    /// Where the console, or a program in its place, sends commands and receives events.
    pub const fn mailbox(&self) -> &'static Mailbox {
        self.state.mailbox
    }

    /// What was received, and what is to be offered. Never borrow it across an `await`.
    pub const fn store(&self) -> &'static RefCell<BoardStore> {
        self.state.store
    }

    /// Runs for as long as the board is on, with its console on `serial`.
    ///
    /// Reads of `serial` are cancelled when an event is printed, and must lose no bytes then.
    pub async fn run(
        &mut self,
        serial: impl Read + Write,
        indicator: impl Indicator,
        watchdog: impl Watchdog,
    ) -> ! {
        let (mailbox, store) = (self.mailbox(), self.store());
        let mut console = Console::new(serial);
        let console = pin!(console.run(mailbox, store));
        let app = pin!(self.run_without_console(indicator, watchdog));
        join(Outlined::new(console), Outlined::new(app)).await.0
    }

    /// Runs everything but the console. The caller takes its place at [`Self::mailbox`].
    pub fn run_without_console(
        &mut self,
        indicator: impl Indicator,
        watchdog: impl Watchdog,
    ) -> impl Future<Output = ()> {
        let Self { state, servers, busy_responder, client, shared_port, own_port } = self;
        run_tasks(state, servers, busy_responder, client, [shared_port, own_port], indicator, watchdog)
    }

    /// Runs everything but the console, and beside it `work`, which uses the room. When `work` ends, the board stays a
    /// member.
    pub async fn run_with(
        &mut self,
        indicator: impl Indicator,
        watchdog: impl Watchdog,
        work: impl AsyncFnOnce(Room<'_>),
    ) {
        let Self { state, servers, busy_responder, client, shared_port, own_port } = self;
        let app = &*state;
        let ports = [shared_port, own_port];
        let tasks = pin!(run_tasks(app, servers, busy_responder, client, ports, indicator, watchdog));
        let work = pin!(work(Room::new(app)));
        join(Outlined::new(tasks), Outlined::new(work)).await;
    }
}

/// All tasks, polled together.
async fn run_tasks(
    app: &AppState,
    servers: &mut [TcpSocket<'static>; SERVERS],
    busy_responder: &mut TcpSocket<'static>,
    client: &mut TcpSocket<'static>,
    ports: [&mut UdpSocket<'static>; 2],
    mut indicator: impl Indicator,
    mut watchdog: impl Watchdog,
) {
    let [first, second] = servers;
    let [shared_port, own_port] = ports;
    let first = pin!(server::server_task(app, Task::Server(0), first));
    let second = pin!(server::server_task(app, Task::Server(1), second));
    let busy_responder = pin!(busy_responder::busy_responder(app, busy_responder));
    let network = pin!(network::network_task(app));
    let beacons = pin!(beacons::beacon_task(app, shared_port, own_port));
    let client = pin!(client::client_task(app, client));
    let command = pin!(command::command_task(app));
    let status = pin!(status::status_task(app, &mut indicator, &mut watchdog));
    join4(
        join3(Outlined::new(first), Outlined::new(second), Outlined::new(busy_responder)),
        join(Outlined::new(network), Outlined::new(beacons)),
        join(Outlined::new(client), Outlined::new(command)),
        Outlined::new(status),
    )
    .await;
}
