//! Every public function of core, by name, and generic ones with the types of a board.
//!
//! One file for each module of core. `cargo xtask check` says what is missing.

use core::convert::Infallible;
use core::hint::black_box;

use rand_core::{TryCryptoRng, TryRng};

/// Takes the address of each function, behind the optimiser's back.
macro_rules! keep {
    ($($entry:expr),* $(,)?) => {
        $( core::hint::black_box($entry as *const ()); )*
    };
}

mod crypto;
mod discovery;
mod drops;
mod guard;
mod offer;
mod secret;
mod session;
mod time;
mod token;
mod wire;

/// The capacities of a board: drops, fetches of each, sources watched, connections.
const DROPS: usize = 4;
const FETCHES: usize = 4;
const SOURCES: usize = 16;
const CONNS: usize = 4;

/// Stands for a board's generator where a function is generic over one.
struct Rng;

impl TryRng for Rng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(black_box(0))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(black_box(0))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        to.fill(black_box(0));
        Ok(())
    }
}

impl TryCryptoRng for Rng {}

pub(crate) fn keep() {
    crypto::keep();
    discovery::keep();
    drops::keep();
    guard::keep();
    offer::keep();
    secret::keep();
    session::keep();
    time::keep();
    token::keep();
    wire::keep();
}
