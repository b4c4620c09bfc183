//! Identifiers: tokens, token prefixes, fetch ids, instances and connections (protocol.md, section 1).

use core::fmt;
use core::str::FromStr;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;

use crate::limits::TOKEN_PREFIX_MIN;

/// Crockford's base 32, lower case (<https://www.crockford.com/base32.html>).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Characters of a written token: 128 bits, five to a character, padded with two zero bits.
pub const TOKEN_CHARS: usize = 26;

/// Identifies one drop: 128 random bits, written as 26 characters of Crockford base 32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token([u8; 16]);

impl Token {
    /// The token with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A new random one.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Its bytes, as the wire carries them.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Its 26 characters.
    pub fn to_chars(self) -> [u8; TOKEN_CHARS] {
        let mut bits = u128::from_be_bytes(self.0);
        core::array::from_fn(|_| {
            let high = usize::try_from(bits >> 123).unwrap_or(0);
            bits <<= 5;
            ALPHABET.get(high).copied().unwrap_or(b'0')
        })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(core::str::from_utf8(&self.to_chars()).unwrap_or_default())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({self})")
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        text.parse::<TokenPrefix>()?.whole().ok_or(TokenError::Length)
    }
}

/// The first characters of a token, which select a drop if they match exactly one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokenPrefix {
    /// The bits, most significant first; the rest are zero.
    bits: u128,
    /// Number of characters.
    chars: u8,
}

impl TokenPrefix {
    /// Whether `token` begins with these characters.
    pub fn matches(&self, token: &Token) -> bool {
        let used = (u32::from(self.chars) * 5).min(128);
        (u128::from_be_bytes(*token.as_bytes()) ^ self.bits).checked_shr(128 - used).unwrap_or(0) == 0
    }

    /// The token before the first one that begins with these characters, or the one of zeros, which is never
    /// drawn.
    pub fn before(&self) -> Token {
        Token(self.bits.saturating_sub(1).to_be_bytes())
    }

    /// The token, if all 26 characters were given.
    pub fn whole(&self) -> Option<Token> {
        (usize::from(self.chars) == TOKEN_CHARS).then(|| Token(self.bits.to_be_bytes()))
    }
}

impl From<Token> for TokenPrefix {
    fn from(token: Token) -> Self {
        // TOKEN_CHARS is 26 and fits a u8.
        Self { bits: u128::from_be_bytes(token.0), chars: 26 }
    }
}

impl FromStr for TokenPrefix {
    type Err = TokenError;

    /// Case does not matter; `o` reads as 0, `i` and `l` read as 1.
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let mut bits = 0_u128;
        let mut chars = 0_u8;
        for c in text.trim().chars() {
            let digit = match c.to_ascii_lowercase() {
                'o' => 0,
                'i' | 'l' => 1,
                c => u8::try_from(c)
                    .ok()
                    .and_then(|c| ALPHABET.iter().position(|a| *a == c))
                    .and_then(|p| u128::try_from(p).ok())
                    .ok_or(TokenError::Character(c))?,
            };
            let used = u32::from(chars) * 5;
            bits |= match used {
                0..=120 => digit << (123 - used),
                // The last character carries three bits of the token and two padding bits, which must be
                // zero.
                125 if digit & 0b11 == 0 => digit >> 2,
                125 => return Err(TokenError::Character(c)),
                _ => return Err(TokenError::Length),
            };
            chars += 1;
        }
        if usize::from(chars) < TOKEN_PREFIX_MIN {
            return Err(TokenError::Length);
        }
        Ok(Self { bits, chars })
    }
}

/// Why a text is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// Fewer than 4 or more than 26 characters, or fewer than 26 where the whole token is needed.
    Length,
    /// A character that no token has at that position.
    Character(char),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("a token has 26 characters, of which the first 4 or more will do"),
            Self::Character(c) => {
                write!(f, "{:?} cannot stand there in a token: copy it again from the sender", *c)
            }
        }
    }
}

impl core::error::Error for TokenError {}

/// Identifies one receiver's attempt at one drop: a bearer secret that lets the receiver resume its claim.
#[derive(Clone, Copy)]
pub struct FetchId([u8; 16]);

impl FetchId {
    /// The fetch id with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A new random one.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Its bytes, as the wire carries them.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl PartialEq for FetchId {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for FetchId {}

impl fmt::Debug for FetchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FetchId(..)")
    }
}

/// Identifies one serving process while it lives: 64 random bits, sent in clear, derived from nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Instance([u8; 8]);

impl Instance {
    /// The instance with these bytes.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// A new random one.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 8];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Its bytes, as the wire carries them.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

/// Identifies one connection while it is open. No two open connections have the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConnId(pub u32);

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::{String, ToString};

    const BYTES: [u8; 16] = [0xf0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0x0f];

    #[test]
    fn text_round_trips_in_any_case() {
        let token = Token::from_bytes(BYTES);
        let text = token.to_string();
        assert_eq!(text.len(), TOKEN_CHARS);
        assert_eq!(text.parse::<Token>(), Ok(token));
        assert_eq!(text.to_uppercase().parse::<Token>(), Ok(token));
    }

    #[test]
    fn look_alike_characters_are_accepted() {
        let text = "0011".to_string() + &"0".repeat(22);
        let alike = "oOiL".to_string() + &"o".repeat(22);
        assert_eq!(text.parse::<Token>(), alike.parse::<Token>());
    }

    #[test]
    fn every_prefix_of_four_or_more_matches_and_no_other_token_does() {
        let token = Token::from_bytes(BYTES);
        let text = token.to_string();
        for n in 0..=TOKEN_CHARS {
            let prefix = text[..n].parse::<TokenPrefix>();
            if n < TOKEN_PREFIX_MIN {
                assert_eq!(prefix, Err(TokenError::Length));
                continue;
            }
            let prefix = prefix.unwrap();
            assert!(prefix.matches(&token));
            // Flip the last bit that the prefix covers, then the first bit after it.
            let covered = (n * 5).min(128);
            for (bit, expected) in [(covered - 1, false), (covered, true)] {
                if bit < 128 {
                    let mut bytes = BYTES;
                    bytes[bit / 8] ^= 0x80 >> (bit % 8);
                    assert_eq!(prefix.matches(&Token::from_bytes(bytes)), expected, "{n} {bit}");
                }
            }
        }
    }

    #[test]
    fn malformed_tokens_are_rejected() {
        let good = Token::from_bytes(BYTES).to_string();
        assert_eq!((good.clone() + "0").parse::<Token>(), Err(TokenError::Length));
        assert_eq!(good[..25].parse::<Token>(), Err(TokenError::Length));
        for bad in ['u', '-', 'é', '\u{0}'] {
            let text: String = core::iter::once(bad).chain(good.chars().skip(1)).collect();
            assert_eq!(text.parse::<Token>(), Err(TokenError::Character(bad)));
        }
        // The two padding bits must be zero, so that a token has one encoding.
        let last = good[..25].to_string() + "1";
        assert_eq!(last.parse::<Token>(), Err(TokenError::Character('1')));
    }

    #[test]
    fn a_fetch_id_is_not_shown() {
        assert_eq!(std::format!("{:?}", FetchId::from_bytes(*b"0123456789abcdef")), "FetchId(..)");
    }
}
