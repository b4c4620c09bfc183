//! One direction of a connection: bytes in order, late, in pieces of any size, and perhaps cut off.

use std::collections::VecDeque;
use std::time::Duration;

use deaddrop_core::session::Close;
use deaddrop_core::time::Instant;
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

/// How bad the network is.
#[derive(Clone, Copy)]
pub struct Weather {
    /// Most milliseconds a piece is under way.
    pub delay: u32,
    /// Most bytes of a piece.
    pub piece: u32,
}

impl Weather {
    /// All arrives at once and whole.
    pub const CALM: Self = Self { delay: 0, piece: u32::MAX };
    /// Late and in crumbs. What TCP has lost and sent again is just late.
    pub const ROUGH: Self = Self { delay: 40, piece: 9_000 };
}

/// One direction of a connection.
#[derive(Default)]
pub struct Pipe {
    under_way: VecDeque<(Instant, Vec<u8>)>,
    arrived: VecDeque<u8>,
    last: Instant,
    end: Option<(Instant, Close)>,
    /// The sum of bytes after each message written.
    pub boundaries: Vec<usize>,
    written: usize,
    /// The connection breaks once this many bytes were written.
    pub cut_at: Option<usize>,
    /// What was written, as far as a test wants to look at it.
    pub tapped: Option<Vec<u8>>,
}

impl Pipe {
    /// Writes one message. False if the connection broke on the way.
    pub fn write(&mut self, now: Instant, weather: Weather, rng: &mut ChaCha8Rng, bytes: &[u8]) -> bool {
        if self.end.is_some() {
            return true;
        }
        let left = self.cut_at.map_or(usize::MAX, |at| at - self.written);
        let sent = &bytes[..bytes.len().min(left)];
        let mut rest = sent;
        while !rest.is_empty() {
            let most = (weather.piece as usize).min(rest.len());
            let (piece, more) = rest.split_at(1 + rng.next_u32() as usize % most);
            let piece = if weather.piece == u32::MAX { std::mem::take(&mut rest) } else { piece };
            if !rest.is_empty() {
                rest = more;
            }
            let delay = u64::from(rng.next_u32() % (weather.delay + 1));
            self.last = self.last.max(now + Duration::from_millis(delay));
            self.under_way.push_back((self.last, piece.to_vec()));
        }
        self.written += sent.len();
        self.boundaries.push(self.written);
        if let Some(tapped) = &mut self.tapped {
            tapped.extend_from_slice(sent);
        }
        self.cut_at != Some(self.written)
    }

    /// Nothing follows what was written.
    pub fn close(&mut self, now: Instant, how: Close) {
        self.end.get_or_insert((now.max(self.last), how));
    }

    /// Exactly `n` bytes, once so many have arrived.
    pub fn read(&mut self, now: Instant, n: usize) -> Option<Vec<u8>> {
        while let Some((_, piece)) = self.under_way.pop_front_if(|(at, _)| *at <= now) {
            self.arrived.extend(piece);
        }
        (self.arrived.len() >= n).then(|| self.arrived.drain(..n).collect())
    }

    /// How it ended, once that is known and all before it has arrived.
    pub fn ended(&self, now: Instant) -> Option<Close> {
        self.end.filter(|(at, _)| *at <= now && self.under_way.is_empty()).map(|(_, how)| how)
    }

    /// Bytes written and not read yet.
    pub fn in_flight(&self) -> usize {
        self.arrived.len() + self.under_way.iter().map(|(_, piece)| piece.len()).sum::<usize>()
    }

    /// When next something arrives, after `now`.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let piece = self.under_way.front().map(|(at, _)| *at);
        let end = self.end.map(|(at, _)| at);
        [piece, end].into_iter().flatten().filter(|at| *at > now).min()
    }
}
