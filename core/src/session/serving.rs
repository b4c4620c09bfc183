//! What all connections of one server share: its drops, its guard, its name and its room.

use core::net::IpAddr;
use core::time::Duration;

use rand_core::CryptoRng;

use crate::crypto::cipher::{Cipher, RustCrypto};
use crate::crypto::keys::Prs;
use crate::drops::{ConnId, Drops};
use crate::guard::{Admission, Guard};
use crate::limits::Profile;
use crate::session::ServerSession;
use crate::time::Instant;
use crate::token::Instance;
use crate::wire::{GREETING_LEN, Greeting, Status, Suites};

/// One server: `D` drops of `F` fetches, `S` sources and `C` connections watched by its guard.
pub struct Serving<const D: usize, const F: usize, const S: usize, const C: usize> {
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
}

/// What came of a new connection.
pub struct Opened {
    /// The session to drive.
    pub session: ServerSession,
    /// A connection that has to make room: reset it.
    pub evict: Option<ConnId>,
}

impl<const D: usize, const F: usize, const S: usize, const C: usize> Serving<D, F, S, C> {
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
        }
    }

    /// The same server with another implementation of the cipher, for the connections to come.
    pub fn with_cipher(mut self, cipher: &'static dyn Cipher) -> Self {
        self.cipher = cipher;
        self
    }

    pub(crate) const fn cipher(&self) -> &'static dyn Cipher {
        self.cipher
    }

    /// The name of this server on the wire, while it lives.
    pub const fn instance(&self) -> Instance {
        self.instance
    }

    /// The limits it keeps to.
    pub const fn profile(&self) -> &'static Profile {
        self.profile
    }

    pub(crate) const fn prs(&self) -> &Prs {
        &self.prs
    }

    /// From here on unanswered connections are reset: a close must not look like a refusal.
    pub const fn stop(&mut self) {
        self.stopping = true;
    }

    pub(crate) const fn stopping(&self) -> bool {
        self.stopping
    }

    /// A connection was accepted from `source`.
    pub fn open(&mut self, now: Instant, source: IpAddr, rng: &mut impl CryptoRng) -> Opened {
        let conn = ConnId(self.next_conn);
        self.next_conn = self.next_conn.wrapping_add(1);
        match self.guard.admit(now, conn, source) {
            Admission::Open => {
                Opened { session: ServerSession::greet(now, conn, source, self.instance, rng), evict: None }
            }
            Admission::Evict(other) => Opened {
                session: ServerSession::greet(now, conn, source, self.instance, rng),
                evict: Some(other),
            },
            Admission::Busy { retry_after } => {
                let greeting = self.turn_away(retry_after, rng);
                Opened { session: ServerSession::busy(now, conn, source, &greeting), evict: None }
            }
        }
    }

    /// The greeting that says busy. For a connection that there is no place for it is all there is to say: no
    /// session comes of it.
    pub fn turn_away(&self, retry_after: Duration, rng: &mut impl CryptoRng) -> [u8; GREETING_LEN] {
        let status = Status::Busy { retry_after: retry_after.max(MIN_RETRY) };
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        Greeting { status, suites: Suites::SUPPORTED, instance: self.instance, nonce }.emit()
    }
}

/// A busy greeting always names a time.
const MIN_RETRY: Duration = Duration::from_millis(1);
