//! One direction of a connection: bytes in order, delayed, fragmented, and possibly cut.

use std::collections::VecDeque;
use std::time::Duration;

use deaddrop_core::session::Close;
use deaddrop_core::time::Instant;
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

/// The quality of the network.
#[derive(Clone, Copy)]
pub struct Weather {
    /// Longest delay of a fragment in milliseconds.
    pub delay: u32,
    /// Most bytes of a fragment.
    pub piece: u32,
}

impl Weather {
    /// No delay, no fragmentation.
    pub const CALM: Self = Self { delay: 0, piece: u32::MAX };
    /// Delayed and fragmented. TCP retransmissions appear as delay.
    pub const ROUGH: Self = Self { delay: 40, piece: 9_000 };
}

/// One direction of a connection.
#[derive(Default)]
pub struct Pipe {
    under_way: VecDeque<(Instant, Vec<u8>)>,
    arrived: VecDeque<u8>,
    last: Instant,
    end: Option<(Instant, Close)>,
    /// Total of bytes after each message.
    pub boundaries: Vec<usize>,
    written: usize,
    /// The connection breaks after this many bytes.
    pub cut_at: Option<usize>,
    /// A recording of what was written, if a test wants one.
    pub tapped: Option<Vec<u8>>,
}

impl Pipe {
    /// Writes one message. False if the connection broke.
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

    /// Closes the pipe after what was written.
    pub fn close(&mut self, now: Instant, how: Close) {
        self.end.get_or_insert((now.max(self.last), how));
    }

    /// Exactly `n` bytes, once they have arrived.
    pub fn read(&mut self, now: Instant, n: usize) -> Option<Vec<u8>> {
        while let Some((_, piece)) = self.under_way.pop_front_if(|(at, _)| *at <= now) {
            self.arrived.extend(piece);
        }
        (self.arrived.len() >= n).then(|| self.arrived.drain(..n).collect())
    }

    /// How it ended, once all bytes before the end have arrived.
    pub fn ended(&self, now: Instant) -> Option<Close> {
        self.end.filter(|(at, _)| *at <= now && self.under_way.is_empty()).map(|(_, how)| how)
    }

    /// Bytes written and not read yet.
    pub fn in_flight(&self) -> usize {
        self.arrived.len() + self.under_way.iter().map(|(_, piece)| piece.len()).sum::<usize>()
    }

    /// The next arrival after `now`.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let piece = self.under_way.front().map(|(at, _)| *at);
        let end = self.end.map(|(at, _)| at);
        [piece, end].into_iter().flatten().filter(|at| *at > now).min()
    }
}
