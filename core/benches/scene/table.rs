//! A table of drops with no place left, of a host's size.

use std::time::Duration;

use deaddrop_core::drops::{DropSpec, Drops};
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::time::Instant;
use deaddrop_core::token::{ConnId, FetchId, Token};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

const DROPS: usize = 16;
const FETCHES: usize = 64;
/// Time stands still: what lapses is the tests' to see.
const NOW: Instant = Instant::from_millis(50_000);
const CONN: ConnId = ConnId(1);
/// Whoever holds the claim that [`Table::holds`] asks for.
const HOLDER: FetchId = FetchId::from_bytes([1; 16]);
/// Whoever comes and goes.
const OTHER: FetchId = FetchId::from_bytes([2; 16]);

/// One place for a drop that comes and ends, all others taken by live ones. Every method leaves it as it was.
pub struct Table {
    drops: Box<Drops<DROPS, FETCHES>>,
    rng: ChaCha8Rng,
    /// In the last place that is looked at.
    last: Token,
}

fn spec(fetches: usize) -> DropSpec {
    DropSpec {
        kind: Kind::File,
        name: Name::new("the plans for the third floor.pdf").unwrap(),
        size: 1 << 30,
        ttl: Duration::from_secs(300),
        fetches: u8::try_from(fetches).unwrap(),
    }
}

impl Table {
    /// Filled, and every live drop claimed by all but one of the receivers that it allows.
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

    /// A receiver claims the last fetch there is, gives a sign, and lets go: the usual lock and its release.
    pub fn claim(&mut self) {
        self.drops.claim(NOW, &self.last, &OTHER, CONN).unwrap();
        self.drops.progress(NOW, &self.last, &OTHER, CONN, 1 << 20).unwrap();
        assert!(self.drops.release(NOW, &self.last, &OTHER, CONN));
        self.poll();
    }

    /// What is asked before every record or batch that is sent.
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

    /// The whole list, line by line in the order of tokens, as a new listener asks for it.
    pub fn list(&self) -> usize {
        let mut after = None;
        std::iter::from_fn(|| {
            let listed = self.drops.listed_after(NOW, after)?;
            after = Some(listed.token());
            Some(listed)
        })
        .count()
    }

    /// When to wake next: asked after every turn of a server.
    pub fn deadline(&self) -> Option<Instant> {
        self.drops.poll_timeout()
    }
}
