//! Every public function of core, by name, and generic ones with the types of a board.
//!
//! In the order of core's modules. `cargo xtask check` says what is missing.

use core::convert::Infallible;
use core::fmt::{Debug, Display};
use core::hint::black_box;
use core::ops::Add;
use core::str::FromStr;

use deaddrop_core::offer::{Kind, Name, NameError, Reason};
use deaddrop_core::secret::Secret;
use deaddrop_core::time::Instant;
use deaddrop_core::token::{FetchId, Instance, Token, TokenError, TokenPrefix};
use rand_core::{TryCryptoRng, TryRng};

/// Takes the address of each function, behind the optimiser's back.
macro_rules! keep {
    ($($entry:expr),* $(,)?) => {
        $( black_box($entry as *const ()); )*
    };
}

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
    offer();
    secret();
    time();
    token();
}

fn offer() {
    keep![
        Kind::code,
        Kind::from_code,
        Kind::word,
        <Kind as Display>::fmt,
        Name::new,
        Name::as_str,
        <NameError as Display>::fmt,
        Reason::code,
        Reason::from_code,
        Reason::word,
        <Reason as Display>::fmt,
    ];
}

fn secret() {
    keep![
        Secret::<32>::new,
        Secret::<32>::fill_with as fn(fn(&mut [u8; 32])) -> Secret<32>,
        Secret::<32>::expose,
        <Secret<32> as PartialEq>::eq,
        <Secret<32> as Debug>::fmt,
    ];
}

fn time() {
    keep![
        Instant::from_millis,
        Instant::as_millis,
        Instant::since,
        Instant::until,
        Instant::earliest,
        <Instant as Add<core::time::Duration>>::add,
    ];
}

fn token() {
    keep![
        Token::from_bytes,
        Token::random as fn(&mut Rng) -> Token,
        Token::as_bytes,
        Token::to_chars,
        <Token as Display>::fmt,
        <Token as Debug>::fmt,
        <Token as FromStr>::from_str,
        TokenPrefix::matches,
        TokenPrefix::whole,
        <TokenPrefix as From<Token>>::from,
        <TokenPrefix as FromStr>::from_str,
        <TokenError as Display>::fmt,
        FetchId::from_bytes,
        FetchId::random as fn(&mut Rng) -> FetchId,
        FetchId::as_bytes,
        <FetchId as PartialEq>::eq,
        <FetchId as Debug>::fmt,
        Instance::from_bytes,
        Instance::random as fn(&mut Rng) -> Instance,
        Instance::as_bytes,
    ];
}
