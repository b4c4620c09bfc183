//! Records: only sealed records open.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use deaddrop_core::crypto::counter::{Counter, Exhausted};
use deaddrop_core::crypto::record::{
    OpenError, Opened, Opener, RECORD_WIRE_MAX, RecordKey, RecordKind, SealError, Sealer,
};
use deaddrop_core::limits::{CONTROL_RECORD, RECORD_OVERHEAD};
use deaddrop_core::secret::Secret;

const KEY: [u8; 32] = [7; 32];

fn key() -> RecordKey {
    RecordKey::new(Secret::new(KEY))
}

/// Counter `n`, as the key's issuer returns it.
fn counter(n: u64) -> Counter {
    let mut sealer = Sealer::new(key());
    let _ = sealer.counters().take(n).unwrap();
    sealer.counters().issue().unwrap()
}

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i * 31 % 255 + 1).unwrap()).collect()
}

/// A record of `size` bytes with `len` bytes of payload, sealed as number `n`. The bytes behind the payload
/// are not zero before sealing.
fn sealed(n: u64, size: usize, kind: RecordKind, len: usize) -> Vec<u8> {
    let mut record = vec![0xaa; size];
    record[..len].copy_from_slice(&payload(len));
    key().seal_at(counter(n), &mut record, kind, len).unwrap();
    record
}

fn open(n: u64, record: &mut [u8]) -> Result<Opened, OpenError> {
    key().open_at(counter(n), record)
}

/// Asserts this error and a wiped buffer.
#[track_caller]
fn assert_refused(n: u64, mut record: Vec<u8>, reason: OpenError) {
    assert_eq!(open(n, &mut record), Err(reason));
    assert!(record.iter().all(|byte| *byte == 0), "the buffer was not wiped");
}

/// Seals arbitrary plaintext as record 0, as a hostile member could.
fn crafted(plaintext: &[u8]) -> Vec<u8> {
    let mut record = plaintext.to_vec();
    let cipher = ChaCha20Poly1305::new(&KEY.into());
    let tag = cipher.encrypt_inout_detached(&Nonce::default(), &[], record.as_mut_slice().into()).unwrap();
    record.extend_from_slice(&tag);
    record
}

#[test]
fn the_known_record() {
    let text: String = include_str!("vectors/record.hex").split_whitespace().collect();
    let expected: Vec<u8> =
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect();
    let key = RecordKey::new(Secret::new(std::array::from_fn(|i| i.try_into().unwrap())));
    let n = 0x0102_0304_0506_0708;
    let mut record = vec![0; 512];
    record[..8].copy_from_slice(b"a secret");
    key.seal_at(counter(n), &mut record, RecordKind::Data, 8).unwrap();
    assert_eq!(record, expected);
    assert_eq!(key.open_at(counter(n), &mut record), Ok(Opened { kind: RecordKind::Data, len: 8 }));
    assert_eq!(&record[..8], b"a secret");
}

#[test]
fn records_of_all_sizes_round_trip() {
    let mut sizes = vec![CONTROL_RECORD, CONTROL_RECORD + 1, RECORD_WIRE_MAX - 1, RECORD_WIRE_MAX];
    sizes.extend((9..=16).map(|log| (1 << log) + RECORD_OVERHEAD));
    for size in sizes {
        let space = size - RECORD_OVERHEAD;
        for len in [0, 1, space - 1, space] {
            for kind in [RecordKind::Control, RecordKind::Data, RecordKind::Final] {
                let mut record = sealed(5, size, kind, len);
                assert_eq!(open(5, &mut record), Ok(Opened { kind, len }), "{size} {len}");
                assert_eq!(record[..len], payload(len));
                assert!(record[len..space].iter().all(|byte| *byte == 0));
            }
        }
    }
}

#[test]
fn bytes_behind_the_payload_are_not_sent() {
    let mut clean = vec![0; 512];
    key().seal_at(counter(0), &mut clean, RecordKind::Control, 0).unwrap();
    assert_eq!(sealed(0, 512, RecordKind::Control, 0), clean);
}

#[test]
fn every_flipped_bit_is_refused() {
    let record = sealed(0, 512, RecordKind::Data, 300);
    for bit in 0..512 * 8 {
        let mut flipped = record.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_refused(0, flipped, OpenError::Forged);
    }
}

#[test]
fn every_truncation_is_refused() {
    let record = sealed(0, 1_044, RecordKind::Data, 1_024);
    for len in 0..record.len() {
        let reason = if len < CONTROL_RECORD { OpenError::RecordSize } else { OpenError::Forged };
        assert_refused(0, record[..len].to_vec(), reason);
        assert_refused(0, record[record.len() - len..].to_vec(), reason);
    }
}

#[test]
fn every_extension_is_refused() {
    let mut record = sealed(0, 512, RecordKind::Data, 300);
    record.push(0);
    assert_refused(0, record, OpenError::Forged);
    let mut largest = sealed(0, RECORD_WIRE_MAX, RecordKind::Data, 300);
    largest.push(0);
    assert_refused(0, largest, OpenError::RecordSize);
}

#[test]
fn no_record_of_another_size_is_sealed() {
    for size in [0, 1, RECORD_OVERHEAD, CONTROL_RECORD - 1, RECORD_WIRE_MAX + 1] {
        let mut record = vec![0; size];
        let sealed = key().seal_at(counter(0), &mut record, RecordKind::Data, 0);
        assert_eq!(sealed, Err(SealError::RecordSize), "{size}");
    }
}

#[test]
fn no_payload_beyond_the_space_is_sealed() {
    for len in [512 - RECORD_OVERHEAD + 1, 512, usize::MAX] {
        let mut record = vec![0xaa; 512];
        let sealed = key().seal_at(counter(0), &mut record, RecordKind::Data, len);
        assert_eq!(sealed, Err(SealError::PayloadSize), "{len}");
        assert_eq!(record, vec![0xaa; 512], "nothing was sealed");
    }
}

#[test]
fn another_counter_does_not_open_it() {
    for n in [0, 1, 255, 256, 1 << 32, u64::MAX - 1] {
        let record = sealed(n, 512, RecordKind::Data, 9);
        // Each byte of the counter is in the nonce.
        for other in (0..8).map(|byte| n ^ 1 << (8 * byte)).filter(|other| *other < u64::MAX) {
            assert_refused(other, record.clone(), OpenError::Forged);
        }
        assert!(open(n, &mut record.clone()).is_ok());
    }
}

#[test]
fn another_key_does_not_open_it() {
    let other = RecordKey::new(Secret::new([8; 32]));
    let mut record = sealed(0, 512, RecordKind::Data, 9);
    assert_eq!(other.open_at(counter(0), &mut record), Err(OpenError::Forged));
    assert_eq!(record, vec![0; 512]);
}

#[test]
fn padding_must_be_zero() {
    let space = 512 - RECORD_OVERHEAD;
    for place in [10, 11, 300, space - 1] {
        let mut plaintext = vec![0; 496];
        plaintext[492..].copy_from_slice(&[1, 0, 0, 10]);
        plaintext[place] = 1;
        assert_refused(0, crafted(&plaintext), OpenError::Padding);
    }
    let mut plaintext = vec![0; 496];
    plaintext[492..].copy_from_slice(&[1, 0, 0, 10]);
    plaintext[..10].fill(0xff);
    assert!(open(0, &mut crafted(&plaintext)).is_ok());
}

#[test]
fn kinds_are_the_three() {
    for kind in 0..=255 {
        let mut plaintext = vec![0; 496];
        plaintext[492] = kind;
        if kind <= 2 {
            let opened = open(0, &mut crafted(&plaintext)).unwrap();
            assert_eq!((opened.kind as u8, opened.len), (kind, 0));
        } else {
            assert_refused(0, crafted(&plaintext), OpenError::Kind(kind));
        }
    }
}

#[test]
fn a_length_beyond_the_space_is_refused() {
    for len in [493_u32, 496, 512, 0x01_0000, 0xff_ffff] {
        let mut plaintext = vec![0; 496];
        plaintext[493..].copy_from_slice(&len.to_be_bytes()[1..]);
        assert_refused(0, crafted(&plaintext), OpenError::Length);
    }
    let mut plaintext = vec![0; 496];
    plaintext[493..].copy_from_slice(&492_u32.to_be_bytes()[1..]);
    assert_eq!(open(0, &mut crafted(&plaintext)).unwrap().len, 492);
}

#[test]
fn a_stream_opens_in_its_order_only() {
    let mut sealer = Sealer::new(key());
    let mut stream = [[0; 512]; 3];
    for record in &mut stream {
        sealer.seal(record, RecordKind::Data, 492).unwrap();
    }
    assert_ne!(stream[0], stream[1], "the same payload under another counter");

    let mut opener = Opener::new(key());
    for mut record in stream {
        assert!(opener.open(&mut record).is_ok());
    }
    for order in [[1, 0, 2], [0, 2, 1], [0, 0, 1], [2, 1, 0]] {
        let mut opener = Opener::new(key());
        assert!(order.iter().any(|i| opener.open(&mut stream[*i].clone()).is_err()), "{order:?}");
    }
}

#[test]
fn cores_may_share_a_stream() {
    let mut sealer = Sealer::new(key());
    sealer.seal(&mut [0; 512], RecordKind::Control, 0).unwrap();
    let mut stream = vec![[0; 512]; 8];
    let counters = sealer.counters().take(8).unwrap();
    let key_ref = sealer.key();
    std::thread::scope(|scope| {
        for (n, record) in counters.zip(&mut stream) {
            scope.spawn(move || {
                record[0] = u8::try_from(n.index()).unwrap();
                key_ref.seal_at(n, record, RecordKind::Data, 1).unwrap();
            });
        }
    });
    let mut opener = Opener::new(key());
    let _ = opener.counters().issue().unwrap();
    for (n, record) in (1..).zip(&mut stream) {
        assert_eq!(opener.open(record), Ok(Opened { kind: RecordKind::Data, len: 1 }));
        assert_eq!(record[0], n);
    }
    // The sealer continues after those.
    assert_eq!(sealer.counters().issue().unwrap().index(), 9);
}

#[test]
fn an_exhausted_key_seals_and_opens_no_more() {
    let mut sealer = Sealer::new(key());
    let mut opener = Opener::new(key());
    let _ = sealer.counters().take(u64::MAX - 1).unwrap();
    let _ = opener.counters().take(u64::MAX - 1).unwrap();
    let mut record = [0; 512];
    sealer.seal(&mut record, RecordKind::Data, 1).unwrap();
    opener.open(&mut record).unwrap();
    for _ in 0..2 {
        assert_eq!(sealer.seal(&mut record, RecordKind::Data, 1), Err(SealError::Exhausted));
        assert_eq!(opener.open(&mut record), Err(OpenError::Exhausted));
        assert!(matches!(sealer.counters().issue(), Err(Exhausted)));
    }
}
