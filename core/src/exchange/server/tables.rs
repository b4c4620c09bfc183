//! What the connections of a server share: its table of drops, its guard, its instance and its room.

use core::time::Duration;

use heapless::Deque;
use rand_core::CryptoRng;

use super::event::ServerEvent;
use crate::crypto::cipher::{Cipher, RustCrypto};
use crate::crypto::keys::Prs;
use crate::drops::{DropEvent, Drops};
use crate::guard::{Admission, Guard, Source};
use crate::limits::Profile;
use crate::time::Instant;
use crate::token::{ConnId, Instance};
use crate::trace::decision;
use crate::wire::{GREETING_LEN, Greeting, Status, Suites};

/// One server: `D` drops of `F` fetches, `S` sources and `C` connections watched by its guard.
pub struct Server<const D: usize, const F: usize, const S: usize, const C: usize> {
    /// The table of drops.
    pub drops: Drops<D, F>,
    /// The guess and connection budgets.
    pub guard: Guard<S, C>,
    instance: Instance,
    prs: Prs,
    profile: &'static Profile,
    cipher: &'static dyn Cipher,
    next_conn: u32,
    stopping: bool,
    /// Evicted connections that have not been reported yet.
    wakes: Deque<ConnId, WAKES>,
}

impl<const D: usize, const F: usize, const S: usize, const C: usize> Server<D, F, S, C> {
    /// A server without drops.
    pub fn new(now: Instant, prs: Prs, profile: &'static Profile, rng: &mut impl CryptoRng) -> Self {
        Self {
            drops: Drops::new(rng),
            guard: Guard::new(profile, now),
            instance: Instance::random(rng),
            prs,
            profile,
            cipher: &RustCrypto,
            next_conn: 0,
            stopping: false,
            wakes: Deque::new(),
        }
    }

    /// The same server with another implementation of the cipher, used by later connections.
    pub fn with_cipher(mut self, cipher: &'static dyn Cipher) -> Self {
        self.cipher = cipher;
        self
    }

    pub(super) const fn cipher(&self) -> &'static dyn Cipher {
        self.cipher
    }

    /// The instance of this server.
    pub const fn instance(&self) -> Instance {
        self.instance
    }

    /// Its limits.
    pub const fn profile(&self) -> &'static Profile {
        self.profile
    }

    pub(super) const fn prs(&self) -> &Prs {
        &self.prs
    }

    /// From now on unanswered connections are reset, because a close would mean "not a member".
    pub const fn stop(&mut self) {
        self.stopping = true;
    }

    pub(super) const fn stopping(&self) -> bool {
        self.stopping
    }

    /// A connection was accepted from `source`: its id, and the guard's decision.
    pub(super) fn admit(&mut self, now: Instant, source: Source) -> (ConnId, Admission) {
        let conn = ConnId(self.next_conn);
        self.next_conn = self.next_conn.wrapping_add(1);
        let admission = self.guard.admit(now, conn, source);
        decision!("server: connection {} from {}: {:?}", conn.0, source.address(), admission);
        (conn, admission)
    }

    /// The next event. Call until `None` after every call into the server or a session.
    pub fn poll_event(&mut self, now: Instant, rng: &mut impl CryptoRng) -> Option<ServerEvent> {
        let wake = self.wakes.pop_front().or_else(|| self.guard.poll_granted(now, rng));
        let event = wake
            .map(ServerEvent::Wake)
            .or_else(|| self.guard.poll_warning(now).map(ServerEvent::Warning))
            .or_else(|| self.drops.poll_event().map(ServerEvent::Drop));
        match &event {
            Some(ServerEvent::Warning(warning)) => {
                decision!("server: {:?}", warning);
            }
            Some(ServerEvent::Drop(DropEvent::Claimed { .. })) => {
                decision!("drops: claimed");
            }
            Some(ServerEvent::Drop(DropEvent::Lapsed { why, .. })) => {
                decision!("drops: claim lapsed: {:?}", why);
            }
            Some(ServerEvent::Drop(DropEvent::Burned { left, .. })) => {
                decision!("drops: confirmed, {} left", left);
            }
            Some(ServerEvent::Drop(DropEvent::Ended { reason, unconfirmed, .. })) => {
                decision!("drops: ended: {:?}, unconfirmed {}", reason, unconfirmed);
            }
            Some(ServerEvent::Wake(_)) | None => {}
        }
        event
    }

    /// Applies what is due. May be called at any time.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut impl CryptoRng) {
        self.drops.handle_timeout(now, rng);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and [`poll_event`](Self::poll_event), unless
    /// something happens before. Sessions have their own deadlines.
    pub fn poll_timeout(&self) -> Option<Instant> {
        Instant::earliest(self.drops.poll_timeout(), self.guard.poll_timeout())
    }

    /// Queues a wake for an evicted connection. If the queue overflows, that connection ends by its own
    /// deadline.
    pub(super) fn wake(&mut self, conn: ConnId) {
        if self.wakes.is_full() {
            self.wakes.pop_front();
        }
        // There is room: an entry was just freed.
        let _ = self.wakes.push_back(conn);
    }

    /// A busy greeting, with which a front end can turn a connection away without a session.
    pub fn turn_away(&self, retry_after: Duration, rng: &mut impl CryptoRng) -> [u8; GREETING_LEN] {
        let status = Status::Busy { retry_after: retry_after.max(MIN_RETRY) };
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        Greeting { status, suites: Suites::SUPPORTED, instance: self.instance, nonce }.emit()
    }
}

/// Capacity of the queue of wakes. One call into the server adds at most one.
const WAKES: usize = 4;
/// Lower bound of the retry-after of a busy greeting, which must not be 0.
const MIN_RETRY: Duration = Duration::from_millis(1);
