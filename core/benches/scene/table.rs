//! A full table of drops, of a host's size.

use std::time::Duration;

use deaddrop_core::drops::{DropSpec, Drops};
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::time::Instant;
use deaddrop_core::token::{ConnId, FetchId, Token};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

const DROPS: usize = 16;
const FETCHES: usize = 64;
/// Time stands still, so that nothing lapses.
const NOW: Instant = Instant::from_millis(50_000);
const CONN: ConnId = ConnId(1);
/// The holder of the claim that [`Table::holds`] checks.
const HOLDER: FetchId = FetchId::from_bytes([1; 16]);
/// A receiver that claims and releases.
const OTHER: FetchId = FetchId::from_bytes([2; 16]);

/// One free entry for a drop that starts and ends, all others in use by live drops. Every method restores
/// this state.
pub struct Table {
    drops: Box<Drops<DROPS, FETCHES>>,
    rng: ChaCha8Rng,
    /// In the entry that is searched last.
    last: Token,
}

fn spec(fetches: usize) -> DropSpec {
    DropSpec {
        kind: Kind::File,
        name: Name::new("the plans for the third floor.pdf").unwrap(),
        size: 1 << 30,
        ttl: Duration::from_secs(300),
        fetches: u8::try_from(fetches).unwrap().into(),
    }
}

impl Table {
    /// A full table, in which every live drop has one fetch left.
    pub fn new() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut drops = Box::new(Drops::new(&mut rng));
        let passing = drops.put(NOW, spec(1), &mut rng).unwrap();
        let tokens: Vec<_> = (1..DROPS).map(|_| drops.put(NOW, spec(FETCHES), &mut rng).unwrap()).collect();
        for token in &tokens {
            drops.claim(NOW, token, &HOLDER, CONN).unwrap();
            for n in 2..FETCHES {
                let n = u8::try_from(n).unwrap();
                drops.claim(NOW, token, &FetchId::from_bytes([n + 1; 16]), ConnId(n.into())).unwrap();
            }
        }
        assert!(drops.put(NOW, spec(1), &mut rng).is_err(), "the table is full");
        assert!(drops.withdraw(NOW, &passing, &mut rng));
        let mut table = Self { drops, rng, last: *tokens.last().unwrap() };
        table.poll();
        table
    }

    fn poll(&mut self) -> usize {
        std::iter::from_fn(|| self.drops.poll_event()).count()
    }

    /// A receiver claims the last available fetch, sends `progress`, and releases.
    pub fn claim(&mut self) {
        self.drops.claim(NOW, &self.last, &OTHER, CONN).unwrap();
        self.drops.progress(NOW, &self.last, &OTHER, CONN, 1 << 20).unwrap();
        assert!(self.drops.release(NOW, &self.last, &OTHER, CONN));
        self.poll();
    }

    /// The check before every record or batch.
    pub fn holds(&mut self) {
        self.drops.holds(NOW, &self.last, &HOLDER, CONN).unwrap();
    }

    /// A drop's whole life: put, claimed, made final, committed, and its events polled.
    pub fn exchange(&mut self) {
        let token = self.drops.put(NOW, spec(1), &mut self.rng).unwrap();
        self.drops.claim(NOW, &token, &OTHER, CONN).unwrap();
        self.drops.all_sent(NOW, &token, &OTHER, CONN).unwrap();
        self.drops.finalise(NOW, &token, &OTHER, CONN).unwrap();
        self.drops.commit(NOW, &token, &OTHER, &mut self.rng).unwrap();
        self.poll();
    }

    /// The whole list, line by line in token order, as a new listener reads it.
    pub fn list(&self) -> usize {
        let mut after = None;
        std::iter::from_fn(|| {
            let listed = self.drops.listed_after(NOW, after)?;
            after = Some(listed.token());
            Some(listed)
        })
        .count()
    }

    /// The next deadline, asked for after every call into a server.
    pub fn deadline(&self) -> Option<Instant> {
        self.drops.poll_timeout()
    }
}
