use core::fmt::{Debug, Display};
use core::str::FromStr;

use deaddrop_core::token::{FetchId, Instance, Token, TokenError, TokenPrefix};

use super::Rng;

pub(super) fn keep() {
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
