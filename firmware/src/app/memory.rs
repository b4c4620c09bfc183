//! All large buffers and tables of the app, for one `static`.

use core::cell::{Cell, RefCell};

use deaddrop_core::discovery::{Advertiser, Browser};
use deaddrop_core::exchange::Server;
use deaddrop_core::guard::ClientGuard;
use deaddrop_core::limits::CONTROL_RECORD;
use deaddrop_core::session::buffer_len;
use deaddrop_core::wire::{BEACON_LEN, GREETING_LEN};
use embassy_net::Stack;
use embassy_net::udp::{PacketMetadata, UdpSocket};

use heapless::Vec;

use crate::PROFILE;
use crate::mailbox::Mailbox;
use crate::sizes;
use crate::store::Store;

/// Bytes that the store holds. This and the next four are chosen by the product: see [`sizes`](crate::sizes).
pub const STORE_BYTES: usize = sizes::STORE_BYTES;
/// Drops that the store holds.
pub const STORE_ENTRIES: usize = sizes::STORE_ENTRIES;
/// Own drops in the server's table, live and recently ended.
pub const DROPS: usize = sizes::DROPS;
/// Offers of other members in the browser's table.
pub const OFFERS: usize = sizes::OFFERS;
/// Senders in the browser's table.
pub const PEERS: usize = sizes::PEERS;
/// Senders heard once that are not in that table, four bytes each.
pub(super) const SIGHTINGS: usize = 16;
/// Addresses in each of the two tables of guess budgets: peers that connect, and senders we connect to.
pub const SOURCES: usize = 8;
/// Sources of solicits in the advertiser's table, which limits the answers to each.
pub const ANSWERED: usize = 8;
/// Connections served at a time: one that has not authenticated, and one more.
pub const SERVERS: usize = PROFILE.unauthenticated + 1;
/// TCP and UDP sockets that the app opens: server slots, busy responder, client, two for beacons. The stack needs one
/// more for DHCP.
pub const SOCKETS: usize = SERVERS + 1 + 1 + 2;

/// Bytes of the longest record of the board's profile.
pub(super) const RECORD: usize = buffer_len(&PROFILE);
/// Beacons that fit into each direction of a UDP socket's buffers.
const BEACONS: usize = 6;
/// Fetches that one drop allows: the console has no option for more.
const FETCHES: usize = 1;

pub(super) type BoardServer = Server<DROPS, FETCHES, SOURCES, SERVERS>;
pub(super) type BoardBrowser = Browser<PEERS, OFFERS, SIGHTINGS>;
pub(super) type BoardAdvertiser = Advertiser<ANSWERED>;
pub(super) type BoardGuard = ClientGuard<SOURCES>;

/// The store of a board.
pub type BoardStore = Store<STORE_BYTES, STORE_ENTRIES>;

/// Socket buffers of one server slot.
pub(super) struct ServerBuffers {
    pub(super) received: [u8; CONTROL_RECORD],
    /// Two records: with delayed ACKs a peer acknowledges a lone segment late, and every second one at once.
    pub(super) sent: [u8; 2 * RECORD],
}

impl ServerBuffers {
    const fn new() -> Self {
        Self { received: [0; _], sent: [0; _] }
    }
}

/// Socket buffers of the busy responder.
pub(super) struct BusyBuffers {
    pub(super) received: [u8; GREETING_LEN],
    pub(super) sent: [u8; GREETING_LEN],
}

/// Socket buffers of the client.
pub(super) struct ClientBuffers {
    pub(super) received: [u8; RECORD],
    pub(super) sent: [u8; CONTROL_RECORD],
}

/// Buffers of one UDP socket.
pub(super) struct BeaconBuffers {
    pub(super) received: [u8; BEACONS * BEACON_LEN],
    pub(super) received_meta: Vec<PacketMetadata, BEACONS>,
    pub(super) sent: [u8; BEACONS * BEACON_LEN],
    pub(super) sent_meta: Vec<PacketMetadata, BEACONS>,
}

impl BeaconBuffers {
    // The metadata are filled in by `socket`: an empty one is not all zeros, and would move the static to `.data`.
    const fn new() -> Self {
        Self { received: [0; _], received_meta: Vec::new(), sent: [0; _], sent_meta: Vec::new() }
    }
}

impl BeaconBuffers {
    /// A socket with these buffers.
    pub(super) fn socket(&'static mut self, stack: Stack<'static>) -> UdpSocket<'static> {
        let Self { received, received_meta, sent, sent_meta } = self;
        // Cannot fail: BEACONS is the capacity.
        let _ = (
            received_meta.resize(BEACONS, PacketMetadata::EMPTY),
            sent_meta.resize(BEACONS, PacketMetadata::EMPTY),
        );
        UdpSocket::new(stack, received_meta, received, sent_meta, sent)
    }
}

/// A value that is initialised at run time, in a static that stays in `.bss`.
///
/// A static goes to `.bss`, and takes no flash, only if its initial value is all zero bytes. The `None` of an `Option<T>`
/// often is not: the compiler encodes it in a niche of `T`, an invalid value of some field, and the whole static would
/// be copied from flash. A `Cell` hides the niches of `T`, so that `None` is a discriminant of zero.
pub(super) struct BssCell<T>(Option<Cell<T>>);

impl<T> BssCell<T> {
    const fn new() -> Self {
        Self(None)
    }

    /// Initialises it, and drops an earlier value.
    pub(super) fn insert(&mut self, value: T) -> &mut T {
        self.0.insert(Cell::new(value)).get_mut()
    }
}

/// All buffers and tables of the app. A board has one, in a `static`.
pub struct Memory {
    pub(super) mailbox: Mailbox,
    pub(super) store: RefCell<BoardStore>,
    pub(super) server: BssCell<BoardServer>,
    pub(super) browser: BssCell<BoardBrowser>,
    pub(super) advertiser: BssCell<BoardAdvertiser>,
    pub(super) guard: BssCell<BoardGuard>,
    /// One record, for all connections: see `Tables::record`.
    pub(super) record: [u8; RECORD],
    pub(super) servers: [ServerBuffers; SERVERS],
    pub(super) busy_responder: BusyBuffers,
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
    /// Empty, and all zero bytes.
    pub const fn new() -> Self {
        Self {
            mailbox: Mailbox::new(),
            store: RefCell::new(Store::new()),
            server: BssCell::new(),
            browser: BssCell::new(),
            advertiser: BssCell::new(),
            guard: BssCell::new(),
            record: [0; _],
            servers: [const { ServerBuffers::new() }; SERVERS],
            busy_responder: BusyBuffers { received: [0; _], sent: [0; _] },
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
            ("mailbox", size_of::<Mailbox>(), 1_400),
            ("server", size_of::<BoardServer>(), 6_000),
            ("browser", size_of::<BoardBrowser>(), 6_800),
            ("guard", size_of::<BoardGuard>(), 1_600),
            ("advertiser", size_of::<BoardAdvertiser>(), 500),
            ("servers", size_of::<[ServerBuffers; SERVERS]>(), 6_300),
            ("client", size_of::<ClientBuffers>(), 2_700),
            ("beacons", 2 * size_of::<BeaconBuffers>(), 2_200),
        ];
        for (name, is, most) in of {
            assert!(is <= most, "{name}: {is} of {most} bytes");
        }
    }
}
