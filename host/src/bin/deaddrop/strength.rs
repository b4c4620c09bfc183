//! How strong a passphrase is.

use deaddrop_core::limits::HOST;
use zeroize::Zeroizing;
use zxcvbn::zxcvbn;

use crate::words;

/// The code of the warning that [`weak`] words.
pub(crate) const WEAK_CODE: &str = "weak-passphrase";

/// Fewer guesses than this get a warning. It is where zxcvbn's own highest score begins, and 79 years of guessing.
const STRONG: u64 = 10_000_000_000;
/// Different words of the list that are strong: as many as `room new` makes, 77 bits if they were drawn.
const ENOUGH_WORDS: usize = 6;
/// How many characters are looked at. All that is weak shows in so many, and what zxcvbn takes grows fast with them: of
/// a hundred, many of which may stand for letters, seconds.
const LOOKED_AT: usize = 40;
/// Words that everyone would try here.
const OURS: [&str; 2] = ["deaddrop", "passphrase"];

/// The text of a warning if the passphrase could be guessed over the network in reasonable time.
pub(crate) fn weak(passphrase: &str) -> Option<String> {
    // The estimate reads dictionaries of 26 MiB, in 45 ms.
    if words::are_listed(passphrase, ENOUGH_WORDS) {
        return None;
    }
    let guesses = guesses(passphrase);
    (guesses < STRONG).then(|| {
        format!(
            "this passphrase is found after about {} guesses, {}: anyone on the network can try {} at once and then \
             {} a day; make a strong one with deaddrop room new",
            grouped(rounded(guesses)),
            time(guesses),
            grouped(u64::from(HOST.total_burst)),
            grouped(per_day()),
        )
    })
}

/// How long a passphrase of so many bits stands, half of all being tried, with the rate that it stands against.
pub(crate) fn stands(bits: f64) -> String {
    let days = (bits - 1.0).exp2() / f64::from(u32::try_from(per_day()).unwrap_or(u32::MAX));
    let years = days / 365.25;
    let how_long = if years < 1e6 {
        format!("{years:.0} years")
    } else if years < 1e9 {
        format!("{:.0} million years", years / 1e6)
    } else {
        "more than a billion years".to_owned()
    };
    format!("{bits:.0} bits, {how_long} at the {} guesses a day that a sender allows", grouped(per_day()))
}

/// Guesses that all together may make at one sender in a day, after the first that come at once.
fn per_day() -> u64 {
    u64::try_from(86_400_000 / HOST.total_refill.as_millis().max(1)).unwrap_or(u64::MAX)
}

fn guesses(passphrase: &str) -> u64 {
    let beginning: Zeroizing<String> = Zeroizing::new(passphrase.chars().take(LOOKED_AT).collect());
    zxcvbn(&beginning, &OURS).guesses()
}

/// How long so many guesses take.
fn time(guesses: u64) -> String {
    let after_burst = guesses.saturating_sub(u64::from(HOST.total_burst));
    let hours = after_burst.saturating_mul(24) / per_day().max(1);
    match (hours, hours / 24, hours / 24 / 365) {
        (0, ..) => "within an hour".into(),
        (1, ..) => "within 2 hours".into(),
        (hours, 0..=1, _) => format!("in {hours} hours"),
        (_, days, 0..=1) => format!("in {days} days"),
        (_, _, years) => format!("in {years} years"),
    }
}

/// A number with its first two digits, the others 0: it is an estimate.
fn rounded(number: u64) -> u64 {
    let unit = 10_u64.pow(number.checked_ilog10().unwrap_or(0).saturating_sub(1));
    number / unit * unit
}

/// A number with a comma before every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn weak_ones_are_told_how_fast_they_fall() {
        for passphrase in [
            "a",
            "secret",
            "password",
            "Password1!",
            "P4$$w0rd1234",
            "12345678",
            "123456789012345",
            "aaaaaaaaaaaaaaaaaaaa",
            "passwordpasswordpasswordpasswordpassword",
            "x7$k",
            "abcdefghijklm",
            "qwertyuiop",
            "deaddrop2026",
            "summer12",
            "Liverpool1992",
        ] {
            let warning = weak(passphrase).unwrap_or_else(|| panic!("{passphrase} passed"));
            assert!(warning.contains("345,600 a day") && warning.contains("1,024"), "{warning}");
            assert!(!warning.contains(passphrase) || ["a", "deaddrop"].contains(&passphrase), "{warning}");
        }
        for passphrase in [
            "correct horse battery staple",
            "kQ7vX2mP9wZ",
            "wolf-amber-tin-quay",
            "aaaaaaaaaaaaaaaaaaaa wolf-amber-tin-quay",
            "请把门关上好吗今天下雨了",
        ] {
            assert_eq!(weak(passphrase), None, "{passphrase}");
        }
    }

    #[test]
    fn the_time_is_that_of_the_budget() {
        for (guesses, text) in [
            (1, "within an hour"),
            (1_024, "within an hour"),
            (20_000, "within 2 hours"),
            (345_600, "in 23 hours"),
            (700_000, "in 2 days"),
            (345_600 * 400, "in 399 days"),
            (9_999_999_999, "in 79 years"),
        ] {
            assert_eq!(time(guesses), text, "{guesses}");
        }
        assert_eq!([0, 7, 99, 100, 12_345].map(rounded), [0, 7, 99, 100, 12_000]);
        assert!(
            stands(51.7).starts_with("52 bits, 14 million years at the 345,600 guesses a day"),
            "{}",
            stands(51.7)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// What zxcvbn knows of: repeats, walks over keyboards, substitutions of letters, dates, sequences, and
        /// characters whose lower case is longer than they are.
        #[test]
        fn no_passphrase_is_too_much_for_it(
            text in "(\\PC{1,60}|[a4@8({\\[<3691!|70$5+7%2]{1,60}|[qwertyuiop\\[\\]]{20,120}|[0-9/.-]{4,40}|(ab){10,60}|[İßŉK]{1,40}|[aAoOiI]{20,100})",
        ) {
            let _ = weak(&text);
        }
    }
}
