//! All the memory of the app that is of any size.

use core::cell::RefCell;

use deaddrop_core::discovery::{Announcer, Listener, Offers};
use deaddrop_core::guard::ClientGuard;
use deaddrop_core::limits::CONTROL_RECORD;
use deaddrop_core::session::{Serving, buffer_len};
use deaddrop_core::wire::BEACON_LEN;
use embassy_net::udp::PacketMetadata;

use crate::PROFILE;
use crate::desk::Desk;
use crate::store::Store;

/// Bytes that the store holds: a file of 16 KiB, its name, and some messages beside it.
pub const STORE_BYTES: usize = 18 * 1024;
/// Drops that the store holds.
pub const STORE_ENTRIES: usize = 8;
/// Drops of its own that a board keeps account of, live and lately ended.
pub const DROPS: usize = 4;
/// Offers of others that a board remembers.
pub const OFFERS: usize = 8;
/// Senders that a board remembers.
pub const PEERS: usize = 16;
/// Addresses whose budgets of guesses a board remembers, of those that connect and of those it connects to.
pub const SOURCES: usize = 16;
/// Sources of solicits that are remembered, so that none is answered too often.
pub const ANSWERED: usize = 8;
/// Connections served at a time: two that have not shown that they are members, and one more.
pub const SERVERS: usize = PROFILE.unauthenticated + 1;
/// TCP and UDP sockets that the app opens; the stack has to have room for them, and for one of DHCP's own.
pub const SOCKETS: usize = SERVERS + 1 + 2;

/// Bytes of one record, as long as they may be on a board.
pub(super) const RECORD: usize = buffer_len(&PROFILE);
/// Beacons that may wait to be heard, or to be sent.
const BEACONS: usize = 6;
/// Fetches of one drop: the console has no word for more.
const FETCHES: usize = 1;

pub(super) type BoardServing = Serving<DROPS, FETCHES, SOURCES, SERVERS>;
pub(super) type BoardListener = Listener<PEERS>;
pub(super) type BoardAnnouncer = Announcer<ANSWERED>;
pub(super) type BoardOffers = Offers<OFFERS>;
pub(super) type BoardGuard = ClientGuard<SOURCES>;

/// The store of a board.
pub type BoardStore = Store<STORE_BYTES, STORE_ENTRIES>;

/// Where one connection is served.
pub(super) struct ServerBuffers {
    pub(super) received: [u8; CONTROL_RECORD],
    pub(super) sent: [u8; RECORD],
    pub(super) message: [u8; CONTROL_RECORD],
}

impl ServerBuffers {
    const fn new() -> Self {
        Self { received: [0; _], sent: [0; _], message: [0; _] }
    }
}

/// For the one connection that is made at a time.
pub(super) struct ClientBuffers {
    pub(super) received: [u8; RECORD],
    pub(super) sent: [u8; CONTROL_RECORD],
    pub(super) message: [u8; RECORD],
}

/// For one socket of beacons.
pub(super) struct BeaconBuffers {
    pub(super) received: [u8; BEACONS * BEACON_LEN],
    pub(super) received_meta: [PacketMetadata; BEACONS],
    pub(super) sent: [u8; BEACONS * BEACON_LEN],
    pub(super) sent_meta: [PacketMetadata; BEACONS],
}

impl BeaconBuffers {
    const fn new() -> Self {
        Self {
            received: [0; _],
            received_meta: [PacketMetadata::EMPTY; _],
            sent: [0; _],
            sent_meta: [PacketMetadata::EMPTY; _],
        }
    }
}

/// All buffers and tables of the app. A board has one, in a `static`.
pub struct Memory {
    pub(super) desk: Desk,
    pub(super) store: RefCell<BoardStore>,
    pub(super) serving: Option<BoardServing>,
    pub(super) listener: Option<BoardListener>,
    pub(super) announcer: Option<BoardAnnouncer>,
    pub(super) offers: BoardOffers,
    pub(super) guard: Option<BoardGuard>,
    /// Where a record is made before it goes out, of whatever connection.
    pub(super) record: [u8; RECORD],
    pub(super) servers: [ServerBuffers; SERVERS],
    pub(super) client: ClientBuffers,
    pub(super) shared_port: BeaconBuffers,
    pub(super) own_port: BeaconBuffers,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// Nothing in it yet.
    pub const fn new() -> Self {
        Self {
            desk: Desk::new(),
            store: RefCell::new(Store::new()),
            serving: None,
            listener: None,
            announcer: None,
            offers: Offers::new(),
            guard: None,
            record: [0; _],
            servers: [const { ServerBuffers::new() }; SERVERS],
            client: ClientBuffers { received: [0; _], sent: [0; _], message: [0; _] },
            shared_port: BeaconBuffers::new(),
            own_port: BeaconBuffers::new(),
        }
    }
}
