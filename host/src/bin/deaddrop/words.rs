//! Passphrases of random words.

use diceware_wordlists::EFF_LONG_WORDLIST;
use zeroize::Zeroizing;

use crate::exit::Failure;

/// Words that there are to choose from.
const LISTED: u16 = 7_776;
/// Numbers of 16 bits that choose a word: as many for each word, and the rest are drawn again.
const CHOOSING: u16 = u16::MAX / LISTED * LISTED;
/// Bytes of the longest word, and of the space behind it.
const LONGEST: usize = 10;

/// A passphrase of so many words, each chosen by the system's random numbers.
pub(crate) fn passphrase(words: usize) -> Result<Zeroizing<String>, Failure> {
    // Set aside before, so that no copy is left behind by growing.
    let mut passphrase = Zeroizing::new(String::with_capacity(words * LONGEST));
    for at in 0..words {
        if at > 0 {
            passphrase.push(' ');
        }
        passphrase.push_str(word()?);
    }
    Ok(passphrase)
}

/// The bits of such a passphrase.
pub(crate) fn bits(words: usize) -> f64 {
    f64::from(u32::try_from(words).unwrap_or(u32::MAX)) * f64::from(LISTED).log2()
}

/// Whether a passphrase is made of at least so many words of the list, all different, as [`passphrase`] writes them.
pub(crate) fn are_listed(passphrase: &str, at_least: usize) -> bool {
    let words = || passphrase.split(' ');
    words().count() >= at_least
        && words().enumerate().all(|(at, word)| {
            EFF_LONG_WORDLIST.contains(&word) && !words().take(at).any(|earlier| earlier == word)
        })
}

fn word() -> Result<&'static str, Failure> {
    loop {
        let mut drawn = Zeroizing::new([0; 2]);
        getrandom::fill(&mut *drawn).map_err(|error| {
            Failure::failed(format!("the system gives no random numbers: {error}; try again"))
        })?;
        if let Some(word) = chosen(u16::from_ne_bytes(*drawn)) {
            return Ok(word);
        }
    }
}

/// The word that a number chooses. None is chosen by the last numbers, of which there are too few for all words.
fn chosen(drawn: u16) -> Option<&'static str> {
    let index = (drawn < CHOOSING).then_some(drawn % LISTED)?;
    EFF_LONG_WORDLIST.get(usize::from(index)).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use deaddrop_core::limits::PASSPHRASE_MAX;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_list_is_the_effs() {
        // In the form in which the EFF has it: five throws of a die, a tab, the word.
        let mut file = String::new();
        for (at, word) in EFF_LONG_WORDLIST.iter().enumerate() {
            let throws =
                [1_296, 216, 36, 6, 1].map(|place| char::from(b'1' + u8::try_from(at / place % 6).unwrap()));
            file.extend(throws);
            file.extend(["\t", word, "\n"]);
        }
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(file));
        assert_eq!(digest, "addd35536511597a02fa0a9ff1e5284677b8883b83e986e43f15a3db996b903e");
        assert!(EFF_LONG_WORDLIST.iter().all(|word| word.len() < LONGEST && !word.contains(' ')));
        assert_eq!(EFF_LONG_WORDLIST.iter().collect::<BTreeSet<_>>().len(), usize::from(LISTED));
    }

    #[test]
    fn a_passphrase_of_the_list_is_known_from_others() {
        assert!(are_listed("abacus abdomen zoom", 3));
        for other in
            ["abacus abdomen", "abacus abdomen abacus", "abacus abdomen Zoom", "abacus  abdomen zoom", ""]
        {
            assert!(!are_listed(other, 3), "{other:?}");
        }
        assert!((0..20).all(|_| are_listed(&passphrase(4).unwrap(), 4)));
    }

    #[test]
    fn every_word_is_chosen_by_as_many_numbers() {
        let mut counts = HashMap::new();
        for word in (0..=u16::MAX).filter_map(chosen) {
            *counts.entry(word).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), usize::from(LISTED));
        assert!(counts.values().all(|count| *count == 8), "{:?}", counts.values().max());
    }

    #[test]
    fn a_passphrase_has_so_many_words_and_is_another_each_time() {
        for words in [4, 6, 24] {
            let [one, other] = [passphrase(words).unwrap(), passphrase(words).unwrap()];
            assert_eq!(one.split(' ').count(), words);
            assert!(one.split(' ').all(|word| EFF_LONG_WORDLIST.contains(&word)), "{}", one.len());
            assert!(*one != *other && one.len() < PASSPHRASE_MAX);
            assert_eq!(crate::strength::weak(&one), None);
        }
        assert!((77.5..77.6).contains(&bits(6)), "{}", bits(6));
    }
}
