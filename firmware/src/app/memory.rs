//! All the memory of the app that is of any size.

use core::cell::{Cell, RefCell};

use deaddrop_core::discovery::{Advertiser, Offers, Prober};
use deaddrop_core::exchange::Server;
use deaddrop_core::guard::ClientGuard;
use deaddrop_core::limits::CONTROL_RECORD;
use deaddrop_core::session::buffer_len;
use deaddrop_core::wire::{BEACON_LEN, GREETING_LEN};
use embassy_net::Stack;
use embassy_net::udp::{PacketMetadata, UdpSocket};

use heapless::Vec;

use crate::PROFILE;
use crate::desk::Desk;
use crate::store::Store;

/// Bytes that the store holds: a file of 48 KiB and some messages, or, on a part with 64 KiB of RAM, a file of 16 KiB and
/// a short one.
pub const STORE_BYTES: usize = if cfg!(feature = "small-store") { 16 * 1024 + 256 } else { 48 * 1024 + 1024 };
/// Drops that the store holds.
pub const STORE_ENTRIES: usize = 8;
/// Drops of its own that a board keeps account of, live and lately ended.
pub const DROPS: usize = 4;
/// Offers of others that a board remembers.
pub const OFFERS: usize = 6;
/// Senders that a board remembers.
pub const PEERS: usize = 10;
/// Addresses whose budgets of guesses a board remembers, of those that connect and of those it connects to.
pub const SOURCES: usize = 8;
/// Sources of solicits that are remembered, so that none is answered too often.
pub const ANSWERED: usize = 8;
/// Connections served at a time: one that has not shown that it is a member's, and one more.
pub const SERVERS: usize = PROFILE.unauthenticated + 1;
/// TCP and UDP sockets that the app opens; the stack has to have room for them, and for one of DHCP's own.
pub const SOCKETS: usize = SERVERS + 1 + 1 + 2;

/// Bytes of one record, as long as they may be on a board.
pub(super) const RECORD: usize = buffer_len(&PROFILE);
/// Beacons that may wait to be heard, or to be sent.
const BEACONS: usize = 6;
/// Fetches of one drop: the console has no word for more.
const FETCHES: usize = 1;

pub(super) type BoardServing = Server<DROPS, FETCHES, SOURCES, SERVERS>;
pub(super) type BoardListener = Prober<PEERS>;
pub(super) type BoardAnnouncer = Advertiser<ANSWERED>;
pub(super) type BoardOffers = Offers<OFFERS>;
pub(super) type BoardGuard = ClientGuard<SOURCES>;

/// The store of a board.
pub type BoardStore = Store<STORE_BYTES, STORE_ENTRIES>;

/// Where one connection is served.
pub(super) struct ServerBuffers {
    pub(super) received: [u8; CONTROL_RECORD],
    /// Two records: a peer acknowledges one by itself only after a while, and the second of two at once.
    pub(super) sent: [u8; 2 * RECORD],
}

impl ServerBuffers {
    const fn new() -> Self {
        Self { received: [0; _], sent: [0; _] }
    }
}

/// For a connection that is told to come again.
pub(super) struct DoorBuffers {
    pub(super) received: [u8; GREETING_LEN],
    pub(super) sent: [u8; GREETING_LEN],
}

/// For the one connection that is made at a time.
pub(super) struct ClientBuffers {
    pub(super) received: [u8; RECORD],
    pub(super) sent: [u8; CONTROL_RECORD],
}

/// For one socket of beacons.
pub(super) struct BeaconBuffers {
    pub(super) received: [u8; BEACONS * BEACON_LEN],
    pub(super) received_meta: Vec<PacketMetadata, BEACONS>,
    pub(super) sent: [u8; BEACONS * BEACON_LEN],
    pub(super) sent_meta: Vec<PacketMetadata, BEACONS>,
}

impl BeaconBuffers {
    // The metadata come in when the sockets are made: an empty one is not all zeros.
    const fn new() -> Self {
        Self { received: [0; _], received_meta: Vec::new(), sent: [0; _], sent_meta: Vec::new() }
    }
}

impl BeaconBuffers {
    /// A socket with these buffers.
    pub(super) fn socket(&'static mut self, stack: Stack<'static>) -> UdpSocket<'static> {
        let Self { received, received_meta, sent, sent_meta } = self;
        // That is just how many there is room for.
        let _ = (
            received_meta.resize(BEACONS, PacketMetadata::EMPTY),
            sent_meta.resize(BEACONS, PacketMetadata::EMPTY),
        );
        UdpSocket::new(stack, received_meta, received, sent_meta, sent)
    }
}

/// What can only be made once the board runs.
///
/// A bare `Option` would do, but its `None` is, as a rule, not all zeros, and a static that is not all zeros is kept in
/// flash a second time, whole. A `Cell` keeps the compiler from looking for another way to say `None` than a zero.
pub(super) struct Late<T>(Option<Cell<T>>);

impl<T> Late<T> {
    const fn new() -> Self {
        Self(None)
    }

    /// Makes it. Anything that was there before goes.
    pub(super) fn insert(&mut self, value: T) -> &mut T {
        self.0.insert(Cell::new(value)).get_mut()
    }
}

/// All buffers and tables of the app. A board has one, in a `static`.
pub struct Memory {
    pub(super) desk: Desk,
    pub(super) store: RefCell<BoardStore>,
    pub(super) serving: Late<BoardServing>,
    pub(super) listener: Late<BoardListener>,
    pub(super) announcer: Late<BoardAnnouncer>,
    pub(super) offers: BoardOffers,
    pub(super) guard: Late<BoardGuard>,
    /// Where a message is opened that has come, or a record made before it goes out, of whatever connection.
    pub(super) record: [u8; RECORD],
    pub(super) servers: [ServerBuffers; SERVERS],
    pub(super) door: DoorBuffers,
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
            serving: Late::new(),
            listener: Late::new(),
            announcer: Late::new(),
            offers: Offers::new(),
            guard: Late::new(),
            record: [0; _],
            servers: [const { ServerBuffers::new() }; SERVERS],
            door: DoorBuffers { received: [0; _], sent: [0; _] },
            client: ClientBuffers { received: [0; _], sent: [0; _] },
            shared_port: BeaconBuffers::new(),
            own_port: BeaconBuffers::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_stay_small() {
        // On a board with 32 bits they are smaller still.
        let of = [
            ("store", size_of::<BoardStore>(), STORE_BYTES + 600),
            ("desk", size_of::<Desk>(), 1_400),
            ("serving", size_of::<BoardServing>(), 6_000),
            ("listener", size_of::<BoardListener>(), 2_800),
            ("offers", size_of::<BoardOffers>(), 4_000),
            ("guard", size_of::<BoardGuard>(), 1_600),
            ("announcer", size_of::<BoardAnnouncer>(), 500),
            ("servers", size_of::<[ServerBuffers; SERVERS]>(), 6_300),
            ("client", size_of::<ClientBuffers>(), 2_700),
            ("beacons", 2 * size_of::<BeaconBuffers>(), 2_200),
        ];
        for (name, is, most) in of {
            assert!(is <= most, "{name}: {is} of {most} bytes");
        }
    }
}
