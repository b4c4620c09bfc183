//! Every capacity and deadline of the protocol (protocol.md, section 9).
//!
//! [`Profile`] holds what differs between a host and a board. All else is the same everywhere, because both
//! ends of a connection rely on it.

use core::time::Duration;

/// UDP port of discovery beacons.
pub const UDP_PORT: u16 = 48_555;
/// First TCP port a sender tries.
pub const TCP_PORT_FIRST: u16 = 48_556;
/// Last TCP port a sender tries.
pub const TCP_PORT_LAST: u16 = 48_571;
/// The lowest TCP port a beacon may name, so that no beacon makes a listener connect to a system service.
pub const TCP_PORT_MIN: u16 = 1_024;

/// Protocol version on the wire.
pub const VERSION: u8 = 1;

/// Bytes of an authentication tag.
pub const TAG: usize = 16;
/// Bytes of a record's trailer: kind `u8`, payload length `u24`.
pub const TRAILER: usize = 4;
/// Bytes that a record has beside its payload space: trailer and tag.
pub const RECORD_OVERHEAD: usize = TRAILER + TAG;
/// Bytes of a control record on the wire.
pub const CONTROL_RECORD: usize = 512;
/// Most bytes of a control message.
pub const CONTROL_PAYLOAD: usize = CONTROL_RECORD - RECORD_OVERHEAD;
/// Smallest data record size R.
pub const RECORD_MIN: u32 = 512;
/// Largest data record size R.
pub const RECORD_MAX: u32 = 65_536;

/// Most bytes of a drop's name.
pub const NAME_MAX: usize = 255;
/// Most bytes of a passphrase, before and after preparation.
pub const PASSPHRASE_MAX: usize = 1_024;
/// Shortest lifetime of a drop.
pub const TTL_MIN: Duration = Duration::from_secs(1);
/// Longest lifetime of a drop.
pub const TTL_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most fetches one drop may allow.
pub const FETCHES_MAX: usize = 64;
/// Fewest characters of a token prefix.
pub const TOKEN_PREFIX_MIN: usize = 4;

/// Unknown keys skipped in one control message; with more it is rejected.
pub const UNKNOWN_KEYS_MAX: usize = 4;
/// Most nesting of arrays, maps and tags inside the value of an unknown key.
pub const UNKNOWN_DEPTH_MAX: u8 = 4;
/// Most requests on one connection.
pub const REQUESTS_MAX: u8 = 16;
/// Control records in the answer to `list`: entries, fillers and the end.
pub const LIST_RECORDS: usize = 8;
/// Most offers and endings in one answer to `list`.
pub const LIST_ENTRIES: usize = LIST_RECORDS - 1;
/// Most bytes that the digest of a resumed fetch covers.
pub const PREFIX_DIGEST_MAX: u64 = 1024 * 1024;

/// Most entries of a bundle.
pub const BUNDLE_ENTRIES_MAX: u32 = 1_000_000;
/// Most names in the path of an entry of a bundle.
pub const BUNDLE_DEPTH_MAX: usize = 64;
/// Most bytes of such a path, and of the target of a link.
pub const BUNDLE_PATH_MAX: usize = 1_024;
/// Most bytes of the head of a bundle, or of the header of an entry.
pub const BUNDLE_HEADER_MAX: usize = 2_560;

/// Deadline for a TCP connection to open.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Deadline for the greeting. Short, because a server waits for nothing before it.
pub const GREETING_TIMEOUT: Duration = Duration::from_secs(4);
/// Deadline for message 2 after the greeting was sent.
pub const MESSAGE2_TIMEOUT: Duration = Duration::from_secs(2);
/// Deadline for the whole handshake, parking included.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client waits for the next answer, or a data stream for its next record.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Interval of `progress` messages.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(3);
/// The lease of a claim: it lapses after this long without a sign of life of its receiver.
pub const LEASE: Duration = Duration::from_secs(15);
/// A receiver that is told `busy` keeps its turn for this long after it asked last.
pub const TURN_KEPT: Duration = Duration::from_secs(5);
/// When a receiver asks again whose turn it is not.
pub const TURN_RETRY: Duration = Duration::from_millis(500);
/// The window over which a receiver's rate is measured.
pub const SLOW_WINDOW: Duration = Duration::from_secs(30);
/// Fewest bytes per [`SLOW_WINDOW`]: 1 KiB a second.
pub const SLOW_BYTES: u64 = 30 * 1024;
/// Deadline for `ready` after the last data record.
pub const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Most grace: a claim held at the end of the TTL may go on for the TTL again, but no longer than this.
pub const GRACE_MAX: Duration = Duration::from_secs(600);
/// How long an ended drop is still listed with its reason.
pub const ENDING_LISTED: Duration = Duration::from_secs(60);

/// Shortest wait before a client tries again.
pub const RETRY_MIN: Duration = Duration::from_millis(100);
/// Longest wait of the exponential backoff of a client that has a claim.
pub const RETRY_MAX: Duration = Duration::from_secs(5);
/// Most jitter on top of either.
pub const RETRY_JITTER: Duration = Duration::from_millis(200);
/// Most retry-after that a fetch believes a busy server.
pub const BUSY_WAIT_MAX: Duration = Duration::from_secs(1);
/// A fetch with a claim gives up after this long without a new byte.
pub const RESUME_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a receiver that holds the whole drop tries to confirm it.
pub const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);
/// The same after an interrupt.
pub const COMMIT_TIMEOUT_INTERRUPTED: Duration = Duration::from_millis(800);
/// How long it waits for `burned` on one connection before it tries another.
pub const COMMIT_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Linger: how long a sender still answers after its last drop has ended, at most.
pub const LINGER: Duration = Duration::from_secs(3);
/// How long it lingers at least: its farewells take 200 ms, and the listeners that hear them ask again.
pub const LINGER_MIN: Duration = Duration::from_millis(400);
/// How long it expects a receiver back that it told `busy`.
pub const LINGER_BUSY: Duration = Duration::from_secs(2);
/// How long it lingers after an interrupt.
pub const LINGER_INTERRUPTED: Duration = Duration::from_millis(800);

/// First gap between announcements.
pub const ANNOUNCE_FIRST: Duration = Duration::from_millis(250);
/// Longest gap between announcements.
pub const ANNOUNCE_LAST: Duration = Duration::from_secs(15);
/// Number of farewells: datagrams get lost, and a listener acts on the first only (decision 0009).
pub const FAREWELLS: u8 = 3;
/// The gap between farewells.
pub const FAREWELL_EVERY: Duration = Duration::from_millis(100);
/// When a listener solicits, counted from its start.
pub const SOLICIT_AT: [Duration; 5] = [
    Duration::from_millis(0),
    Duration::from_millis(250),
    Duration::from_millis(750),
    Duration::from_millis(1_750),
    Duration::from_millis(3_750),
];
/// How long after a solicit an answer still counts as one to it.
pub const SOLICIT_ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// One answer per source address and port within this: less than the first gap between solicits, so that a second
/// answer tells a sender from a beacon that was forged once.
pub const ANSWER_EVERY: Duration = Duration::from_millis(200);
/// Most answers a second, to all sources together.
pub const ANSWERS_PER_SECOND: u32 = 64;
/// Most jitter before a listener probes a new peer.
pub const PROBE_JITTER_MAX: Duration = Duration::from_millis(2_500);
/// Jitter of a probe per known peer. If one host in ten sends, this spreads the listeners of a new sender no
/// faster than it can answer them (decision 0018).
pub const PROBE_JITTER_PER_PEER: Duration = Duration::from_millis(3);
/// Concurrent probes of a host, of which peers that were heard once get half. More of them saturate the channel
/// when a thousand hosts start on Wi-Fi (decision 0022).
pub const PROBES_IN_FLIGHT: usize = 16;
/// Deadline for the first connect to a peer that never answered. Later ones have [`CONNECT_TIMEOUT`].
pub const FIRST_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A bucket of this share of the table of peers bounds all connects to peers that never answered: one in
/// this many, at least [`CONNECTS_MIN`].
pub const CONNECTS_SHARE: usize = 4;
/// The least burst of that bucket.
pub const CONNECTS_MIN: usize = 8;
/// All places of the table take this long to come back to that bucket, and one takes at most
/// [`CONNECT_REFILL_MAX`].
pub const CONNECTS_REFILL: Duration = Duration::from_secs(80);
/// A connect comes back after this at the latest.
pub const CONNECT_REFILL_MAX: Duration = Duration::from_secs(1);
/// When to probe a sender again that is busy and gave no retry-after.
pub const PROBE_BUSY_DEFAULT: Duration = Duration::from_millis(500);
/// A busy peer is probed again no sooner than this.
pub const PROBE_BUSY_MIN: Duration = Duration::from_secs(1);
/// A busy peer is probed again no later than this, jitter aside.
pub const PROBE_BUSY_MAX: Duration = Duration::from_secs(60);
/// How long a probe waits for our guess budget, plus up to as much jitter.
pub const PROBE_NO_BUDGET: Duration = Duration::from_secs(5);
/// A peer that is heard again after this is repeating itself: sooner it may be a copy of the same beacon, which
/// is sent to two broadcast addresses.
pub const HEARD_AGAIN_AFTER: Duration = Duration::from_millis(96);
/// Most peers of one address that are not members; at most half of the table.
pub const PEERS_PER_ADDRESS: usize = 32;
/// A member with a new revision is probed again no sooner than this after the last probe.
pub const RELIST_EVERY: Duration = Duration::from_secs(2);
/// Silence of a member after which a listener probes it.
pub const SILENCE: Duration = Duration::from_secs(45);
/// Probes that must fail in a row before a member counts as lost.
pub const LOST_AFTER: u8 = 3;
/// Gap between those probes.
pub const LOST_RETRY: Duration = Duration::from_millis(300);
/// A stranger is probed again after this, and after twice as long each time (exponential backoff).
pub const STRANGER_MEMORY: Duration = Duration::from_secs(600);
/// Upper bound of that backoff.
pub const STRANGER_MEMORY_MAX: Duration = Duration::from_secs(86_400);
/// Connects to the default ports of one address, within [`CONNECTS_WINDOW`], that reached no sender.
pub const CONNECTS_TO_DEFAULT_PORTS: u8 = 16;
/// The same to all its other ports together, so that a listener is no port scanner.
pub const CONNECTS_TO_OTHER_PORTS: u8 = 8;
/// The window of both.
pub const CONNECTS_WINDOW: Duration = Duration::from_secs(60);

/// A source that succeeded within this has a token bucket of its own (protocol.md, section 4.5).
pub const KNOWN_GOOD: Duration = Duration::from_secs(600);
/// All known-good sources together have one share in this many of the budget of all others, and of its refill
/// rate.
pub const KNOWN_SHARE: u32 = 4;
/// Failed guesses of one source within [`WARN_WINDOW`] at which the user is warned.
pub const WARN_SOURCE: u32 = 3;
/// Failed guesses of all sources within [`WARN_WINDOW`] at which the user is warned.
pub const WARN_TOTAL: u32 = 32;
/// The window of [`WARN_SOURCE`] and [`WARN_TOTAL`].
pub const WARN_WINDOW: Duration = Duration::from_secs(60);
/// Burst of the client's budget of unconfirmed handshakes with one address.
pub const CLIENT_PER_ADDRESS: u32 = 10;
/// Burst of the client's budget of unconfirmed handshakes in all.
pub const CLIENT_TOTAL: u32 = 1_024;
/// Refill of the budget of one address: one handshake per this.
pub const CLIENT_REFILL: Duration = Duration::from_secs(60);
/// The same of the budget for all addresses together.
pub const CLIENT_TOTAL_REFILL: Duration = Duration::from_secs(1);
/// The retry-after of a busy greeting.
pub const BUSY_RETRY_AFTER: Duration = Duration::from_secs(2);

/// The limits in which a host and a board differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Burst of one source's bucket of guess tokens.
    pub source_burst: u32,
    /// Refill interval of one source's bucket.
    pub source_refill: Duration,
    /// Burst of the bucket of all sources together.
    pub total_burst: u32,
    /// Refill interval of the bucket of all sources.
    pub total_refill: Duration,
    /// Burst of the bucket of one known-good source.
    pub known_burst: u32,
    /// Parking slots: connections that may wait for a guess token.
    pub parked: usize,
    /// Slots for connections that have not authenticated, parked ones aside.
    pub unauthenticated: usize,
    /// When all slots are in use, a connection whose message 4 has been due for this long may be evicted.
    ///
    /// On a board, with one slot, this is less than the refill of a guess token: otherwise an attacker that
    /// gets each token could hold the slot all the time.
    pub proof_patience: Duration,
    /// Idle time-out of an authenticated connection without a claim.
    pub idle: Duration,
    /// Largest data record this side takes or sends.
    pub record_max: u32,
    /// Deadline of one probe: connect, handshake and whole list. It bounds what a slow sender (slowloris) can
    /// cost a listener. On a host, which runs several probes at once, it is long enough to wait for a guess
    /// token.
    pub probe: Duration,
    /// Deadline of one connection of a fetch, on boards, where it blocks everything else.
    pub fetch_connection: Option<Duration>,
}

/// The profile of a host.
pub const HOST: Profile = Profile {
    source_burst: 16,
    source_refill: Duration::from_secs(5),
    total_burst: 1_024,
    total_refill: Duration::from_millis(250),
    known_burst: 16,
    parked: 64,
    unauthenticated: 256,
    proof_patience: Duration::from_secs(2),
    idle: Duration::from_secs(5),
    record_max: RECORD_MAX,
    probe: Duration::from_secs(30),
    fetch_connection: None,
};

/// The profile of a board.
pub const BOARD: Profile = Profile {
    source_burst: 4,
    source_refill: Duration::from_secs(2),
    total_burst: 16,
    total_refill: Duration::from_secs(2),
    known_burst: 4,
    parked: 0,
    unauthenticated: 1,
    proof_patience: Duration::from_secs(1),
    idle: Duration::from_secs(1),
    record_max: 512,
    probe: Duration::from_secs(15),
    // The time that the whole store of a board takes at the lowest rate (SLOW_BYTES).
    fetch_connection: Some(Duration::from_secs(60)),
};

const _: () = {
    assert!(CONTROL_PAYLOAD == 492);
    assert!(RECORD_MIN.is_power_of_two() && RECORD_MAX.is_power_of_two() && RECORD_MIN <= RECORD_MAX);
    assert!(RECORD_MAX < 1 << 24, "a payload length is a u24");
    assert!(BOARD.record_max.is_power_of_two() && BOARD.record_max >= RECORD_MIN);
    assert!(HOST.record_max == RECORD_MAX);
    assert!(BOARD.proof_patience.as_millis() * 2 <= BOARD.total_refill.as_millis());
    assert!(TCP_PORT_FIRST <= TCP_PORT_LAST && TCP_PORT_FIRST >= TCP_PORT_MIN);
    assert!(
        PROGRESS_EVERY.as_secs() * 4 < LEASE.as_secs(),
        "a lease survives three lost `progress` messages"
    );
};
