//! How strong a passphrase is.

use deaddrop_core::limits::HOST;

/// The code of the warning that [`weak`] words.
pub(crate) const WEAK_CODE: &str = "weak-passphrase";

/// Below this many bits a passphrase gets a warning.
const STRONG_BITS: f64 = 40.0;
/// The bits of one word out of a large dictionary.
const WORD_BITS: f64 = 17.0;

/// The text of a warning if the passphrase could be guessed over the network in reasonable time.
///
/// The estimate is an upper bound: what an attacker must try who knows only which sorts of characters
/// are in it, and that people repeat characters, count up, and use single words.
pub(crate) fn weak(passphrase: &str) -> Option<String> {
    let bits = bits(passphrase);
    (bits < STRONG_BITS).then(|| {
        let per_day = 86_400_000 / HOST.total_refill.as_millis().max(1);
        format!(
            "this passphrase is worth {bits:.0} bits at most, and anyone on the network can try {} guesses \
             and then {} a day: use four or more random words",
            grouped(u128::from(HOST.total_burst)),
            grouped(per_day),
        )
    })
}

fn bits(passphrase: &str) -> f64 {
    let sort = |c: char| match c {
        'a'..='z' => (0, 26.0),
        'A'..='Z' => (1, 26.0),
        '0'..='9' => (2, 10.0),
        c if c.is_ascii() => (3, 33.0),
        _ => (4, 128.0),
    };
    let mut sorts = [0.0_f64; 5];
    let mut counted = 0_u16;
    let mut last: Option<char> = None;
    for c in passphrase.chars() {
        let (which, many) = sort(c);
        if let Some(slot) = sorts.get_mut(which) {
            *slot = many;
        }
        // "aaaa" and "1234" add nothing after their first character.
        let follows = last.is_some_and(|last| u32::from(c).abs_diff(u32::from(last)) <= 1);
        counted = counted.saturating_add(u16::from(!follows));
        last = Some(c);
    }
    let alphabet: f64 = sorts.iter().sum();
    let by_characters = f64::from(counted) * alphabet.max(1.0).log2();
    // One word with a few characters after it is in every guesser's list.
    let word = passphrase.trim_end_matches(|c: char| !c.is_alphabetic());
    let tail = passphrase.chars().count() - word.chars().count();
    // Scripts from U+2E80 on write several words without a space between.
    let in_a_word = |c: char| c.is_alphabetic() && c < '\u{2e80}';
    let one_word = (1..=12).contains(&word.chars().count()) && word.chars().all(in_a_word);
    if one_word && tail <= 4 {
        let tail_bits = f64::from(u16::try_from(tail).unwrap_or(u16::MAX)) * 43_f64.log2();
        return by_characters.min(WORD_BITS + tail_bits);
    }
    by_characters
}

/// A number with a comma before every three digits.
fn grouped(number: u128) -> String {
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
    use super::*;

    #[test]
    fn weak_ones_are_told_how_fast_they_fall() {
        for passphrase in [
            "a",
            "secret",
            "password",
            "Password1!",
            "12345678",
            "123456789012345",
            "aaaaaaaaaaaaaaaaaaaa",
            "x7$k",
            "abcdefghijklm",
        ] {
            let warning = weak(passphrase).unwrap_or_else(|| panic!("{passphrase} passed"));
            assert!(warning.contains("345,600 a day") && warning.contains("1,024"), "{warning}");
            assert!(!warning.contains(passphrase) || passphrase == "a");
        }
        for passphrase in
            ["correct horse battery staple", "kQ7vX2mP9w", "wolf-amber-tin-quay", "请把门关上好吗"]
        {
            assert_eq!(weak(passphrase), None, "{passphrase}");
        }
    }
}
