//! Sizes that a product chooses, from the environment of its build.
//!
//! | variable | what | without it |
//! |---|---|---|
//! | `DEADDROP_STORE_BYTES` | bytes of the store, 1,024 or more | 50,176, or 16,640 with the feature `small-store` |
//! | `DEADDROP_STORE_ENTRIES` | drops that it holds, 2 to 256 | 8 |
//! | `DEADDROP_DROPS` | own drops on offer, 2 to 64 | 4 |
//! | `DEADDROP_OFFERS` | offers of others, 2 to 256 | 6 |
//! | `DEADDROP_PEERS` | senders, 2 to 1,024 | 10 |
//! | `DEADDROP_RECORD` | bytes of the largest data record, a power of two from 512 to 65,536 | 512 |
//!
//! A product sets them in the section `[env]` of its `.cargo/config.toml`; cargo builds this package anew when one changes.
//! A value that is no such number does not compile. Why they are neither a type nor const generics:
//! `core/docs/decisions/0046-a-products-room.md`.

use deaddrop_core::limits::{BOARD, Profile, RECORD_MAX, RECORD_MIN};

const SMALL: bool = cfg!(feature = "small-store");

/// Bytes that the store holds: a file of 48 KiB and some messages, or, on a part with 64 KiB of RAM, a file of 16 KiB and
/// a short one.
pub(crate) const STORE_BYTES: usize = chosen(
    option_env!("DEADDROP_STORE_BYTES"),
    if SMALL { 16 * 1024 + 256 } else { 48 * 1024 + 1024 },
    1_024,
    usize::MAX,
);
pub(crate) const STORE_ENTRIES: usize = chosen(option_env!("DEADDROP_STORE_ENTRIES"), 8, 2, 256);
pub(crate) const DROPS: usize = chosen(option_env!("DEADDROP_DROPS"), 4, 2, 64);
pub(crate) const OFFERS: usize = chosen(option_env!("DEADDROP_OFFERS"), 6, 2, 256);
pub(crate) const PEERS: usize = chosen(option_env!("DEADDROP_PEERS"), 10, 2, 1_024);

/// The budgets and sizes a board uses: few connections, nothing parked, and records of the size that was chosen.
pub const PROFILE: Profile = Profile { record_max: RECORD, ..BOARD };

#[expect(clippy::cast_possible_truncation, reason = "it is at most RECORD_MAX, a u32")]
const RECORD: u32 = {
    let least = RECORD_MIN as usize;
    let bytes = chosen(option_env!("DEADDROP_RECORD"), BOARD.record_max as usize, least, RECORD_MAX as usize);
    assert!(bytes.is_power_of_two(), "DEADDROP_RECORD is not a power of two");
    bytes as u32
};

/// The number in `text`, or `usual` without one. Does not compile with another text, or outside of the range.
const fn chosen(text: Option<&str>, usual: usize, least: usize, most: usize) -> usize {
    let Some(text) = text else { return usual };
    let number = number(text);
    assert!(number.is_some(), "a size of DEADDROP_.. in the environment is no decimal number");
    let Some(number) = number else { return usual };
    assert!(
        least <= number && number <= most,
        "a size of DEADDROP_.. in the environment is out of its range"
    );
    number
}

/// A decimal number.
const fn number(text: &str) -> Option<usize> {
    let mut rest = text.as_bytes();
    let mut number: usize = 0;
    if rest.is_empty() {
        return None;
    }
    while let [digit, more @ ..] = rest {
        if !digit.is_ascii_digit() {
            return None;
        }
        let Some(tenfold) = number.checked_mul(10) else { return None };
        let Some(next) = tenfold.checked_add((*digit - b'0') as usize) else { return None };
        number = next;
        rest = more;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_decimal_number_in_its_range() {
        assert_eq!(chosen(None, 8, 2, 256), 8);
        for (text, size) in [("2", 2), ("256", 256), ("016", 16)] {
            assert_eq!(chosen(Some(text), 8, 2, 256), size);
        }
        for text in ["", "8 ", "-8", "0x8", "8k", "99999999999999999999"] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    #[should_panic(expected = "out of its range")]
    fn a_size_outside_of_its_range_does_not_compile() {
        chosen(Some("257"), 8, 2, 256);
    }

    #[test]
    #[should_panic(expected = "no decimal number")]
    fn a_size_that_is_no_number_does_not_compile() {
        chosen(Some("many"), 8, 2, 256);
    }
}
