extern crate std;
use std::format;
use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn emitted(record: &ProvisioningRecord) -> [u8; RECORD_LEN] {
    let mut bytes = [0xAA; RECORD_LEN];
    record.emit(&mut bytes);
    bytes
}

fn record() -> ProvisioningRecord {
    let network = Ipv4Network::new(Ipv4Addr::new(192, 168, 1, 7), 24, Some(Ipv4Addr::new(192, 168, 1, 1)));
    ProvisioningRecord {
        prs: Prs::new(core::array::from_fn(|i| i.try_into().unwrap())),
        address: Address::Static(network.unwrap()),
        mode: Mode { auto: true },
    }
}

fn any_record() -> impl Strategy<Value = ProvisioningRecord> {
    let network =
        (any::<u32>(), 1_u8..=30, any::<Option<u32>>()).prop_filter_map("hosts", |(a, prefix, g)| {
            let address = Ipv4Addr::from_bits(a);
            // A gateway of the same network, for one out of thin air hardly ever is.
            let gateway = g.map(|g| Ipv4Addr::from_bits(a ^ (g >> prefix)));
            Ipv4Network::new(address, prefix, gateway).ok()
        });
    let address = prop_oneof![Just(Address::Dhcp), network.prop_map(Address::Static)];
    (any::<[u8; 32]>(), address, any::<bool>()).prop_filter_map("a PRS", |(prs, address, auto)| {
        (prs != [0; 32] && prs != [0xFF; 32]).then(|| ProvisioningRecord {
            prs: Prs::new(prs),
            address,
            mode: Mode { auto },
        })
    })
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed(record in any_record(), behind in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut flash = emitted(&record).to_vec();
        flash.extend(behind);
        let parsed = ProvisioningRecord::parse(&flash).unwrap();
        prop_assert_eq!(parsed.prs.expose(), record.prs.expose());
        prop_assert_eq!(parsed.address, record.address);
        prop_assert_eq!(parsed.mode, record.mode);
    }

    #[test]
    fn every_flipped_bit_is_seen(record in any_record()) {
        let whole = emitted(&record);
        for bit in 0..RECORD_LEN * 8 {
            let mut bytes = whole;
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(ProvisioningRecord::parse(&bytes).err(), Some(ProvisioningError::Corrupt), "bit {}", bit);
        }
    }

    #[test]
    fn a_whole_record_has_one_spelling(
        record in any_record(), changes in proptest::collection::vec((4..RECORD_LEN - CHECKSUM_LEN, any::<u8>()), 1..4),
    ) {
        let mut bytes = emitted(&record);
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        checksum::seal(&mut bytes);
        if let Ok(parsed) = ProvisioningRecord::parse(&bytes) {
            prop_assert_eq!(emitted(&parsed), bytes);
        }
    }

    #[test]
    fn nothing_in_flash_makes_it_panic(flash in proptest::collection::vec(any::<u8>(), 0..200), magic in any::<bool>()) {
        let mut flash = flash;
        if magic && flash.len() >= 8 {
            flash[..4].copy_from_slice(&MAGIC);
            flash[6] = 0;
        }
        prop_assert!(ProvisioningRecord::parse(&flash).is_err());
    }
}

#[test]
fn erased_flash_is_blank_and_a_write_cut_short_is_not() {
    for length in [0, 1, RECORD_LEN, 4096] {
        assert_eq!(
            ProvisioningRecord::parse(&std::vec![0xFF; length]).unwrap_err(),
            ProvisioningError::Blank
        );
    }
    assert_eq!(ProvisioningRecord::parse(&[0; RECORD_LEN]).unwrap_err(), ProvisioningError::Corrupt);
    let whole = emitted(&record());
    for written in 1..RECORD_LEN {
        let mut flash = [0xFF; RECORD_LEN];
        flash[..written].copy_from_slice(&whole[..written]);
        assert_eq!(
            ProvisioningRecord::parse(&flash).unwrap_err(),
            ProvisioningError::Corrupt,
            "the first {written}"
        );
        assert_eq!(ProvisioningRecord::parse(&whole[..written]).unwrap_err(), ProvisioningError::Corrupt);
        let mut flash = whole;
        flash[..written].fill(0xFF);
        assert_eq!(
            ProvisioningRecord::parse(&flash).unwrap_err(),
            ProvisioningError::Corrupt,
            "all but the first {written}"
        );
    }
}

#[test]
fn a_newer_record_is_told_from_damage() {
    for length in [24_u16, 80, 200] {
        let mut flash = std::vec![0x5A; 200];
        flash[..8].copy_from_slice(&[b'D', b'D', b'P', b'G', 1, 2, 0, length.try_into().unwrap()]);
        assert_eq!(
            ProvisioningRecord::parse(&flash).unwrap_err(),
            ProvisioningError::Corrupt,
            "no checksum yet"
        );
        checksum::seal(&mut flash[..length.into()]);
        assert_eq!(
            ProvisioningRecord::parse(&flash).unwrap_err(),
            ProvisioningError::Newer { version: 0x0102 }
        );
        // More of it than was read.
        assert_eq!(
            ProvisioningRecord::parse(&flash[..usize::from(length) - 1]).unwrap_err(),
            ProvisioningError::Corrupt
        );
    }
}

#[test]
fn whole_records_with_wrong_values_are_refused() {
    let other = |at: usize, bytes: &[u8]| {
        let mut record = emitted(&record());
        record[at..at + bytes.len()].copy_from_slice(bytes);
        checksum::seal(&mut record);
        match ProvisioningRecord::parse(&record).unwrap_err() {
            ProvisioningError::Invalid(field) => field,
            error => panic!("{error:?}"),
        }
    };
    assert_eq!(other(4, &[0, 0]), Field::Version);
    assert_eq!(other(8, &[3]), Field::Mode(3));
    assert_eq!(other(8, &[0x80]), Field::Mode(0x80));
    assert_eq!(other(9, &[2]), Field::AddressKind(2));
    // DHCP with what is left of a static address.
    assert_eq!(other(9, &[0]), Field::Reserved);
    assert_eq!(other(10, &[31]), Field::Address(AddressError::Prefix(31)));
    assert_eq!(other(11, &[1]), Field::Reserved);
    for at in 20..32 {
        assert_eq!(other(at, &[1]), Field::Reserved);
    }
    assert_eq!(other(32, &[0; 32]), Field::Prs);
    assert_eq!(other(32, &[0xFF; 32]), Field::Prs);
    let mut longer = [0; RECORD_LEN + 8];
    longer[..RECORD_LEN].copy_from_slice(&emitted(&record()));
    longer[7] += 8;
    checksum::seal(&mut longer);
    assert_eq!(ProvisioningRecord::parse(&longer).unwrap_err(), ProvisioningError::Invalid(Field::Length));
}

#[test]
fn the_secret_is_not_shown() {
    let shown = format!("{:?}", record());
    assert!(shown.contains("prs: Prs(..)"), "{shown}");
}

/// The blocks of the document that are marked as `hex NAME`, each as its bytes.
pub(crate) fn documented(name: &str) -> Vec<u8> {
    let document = include_str!("../../../docs/provisioning.md");
    let block =
        document.split("```").find_map(|block| block.strip_prefix(&format!("hex {name}\n")[..])).unwrap();
    let digits: String = block.lines().flat_map(|line| line.split('|').next().unwrap().chars()).collect();
    let digits: String = digits.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_documented_record_is_this_one() {
    assert_eq!(documented("record"), emitted(&record()));
}

#[test]
fn the_documented_seed_record_is_this_one() {
    let mut record = [0; crate::SEED_RECORD_LEN];
    crate::SeedRecord {
        number: 0,
        seed: crate::Seed::new(core::array::from_fn(|i| 0xA0 + u8::try_from(i).unwrap())),
    }
    .emit(&mut record);
    assert_eq!(documented("seed"), record);
}
