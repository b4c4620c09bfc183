extern crate std;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::record::tests::documented;

fn emitted(settings: &WifiSettings) -> [u8; WIFI_RECORD_LEN] {
    let mut bytes = [0xAA; WIFI_RECORD_LEN];
    settings.emit(&mut bytes);
    bytes
}

fn settings(ssid: &str, key: &str, country: &str) -> WifiSettings {
    let key = if key.is_empty() { WifiKey::Open } else { WifiKey::from_text(key.as_bytes()).unwrap() };
    WifiSettings { ssid: ssid.parse().unwrap(), key, country: country.parse().unwrap() }
}

fn key_bytes(key: &WifiKey) -> &[u8] {
    match key {
        WifiKey::Open => &[],
        WifiKey::Passphrase(passphrase) => passphrase.expose(),
        WifiKey::Psk(psk) => psk.expose(),
    }
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed(
        ssid in "\\PC{1,8}", key in prop_oneof![Just(String::new()), "[ -~]{8,63}", "[0-9a-fA-F]{64}"],
        country in "[A-Z]{2}", behind in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let made = settings(&ssid, &key, &country);
        let mut flash = emitted(&made).to_vec();
        flash.extend(behind);
        let parsed = WifiSettings::parse(&flash).unwrap();
        prop_assert_eq!(parsed.ssid.as_str(), ssid);
        prop_assert_eq!(key_bytes(&parsed.key), key_bytes(&made.key));
        prop_assert_eq!(core::mem::discriminant(&parsed.key), core::mem::discriminant(&made.key));
        prop_assert_eq!(parsed.country.letters(), country.as_bytes());
    }

    #[test]
    fn a_whole_record_has_one_spelling(
        changes in proptest::collection::vec((8..WIFI_RECORD_LEN - 16, any::<u8>()), 1..4), psk in any::<bool>(),
    ) {
        let key = if psk { "0123456789abcdef".repeat(4) } else { "open sesame".to_string() };
        let mut bytes = emitted(&settings("home", &key, "DE"));
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        checksum::seal(&mut bytes);
        if let Ok(parsed) = WifiSettings::parse(&bytes) {
            prop_assert_eq!(emitted(&parsed), bytes);
        }
    }

    #[test]
    fn nothing_in_flash_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), length in 0_u16..210) {
        let mut bytes = bytes;
        if let Some(head) = bytes.get_mut(..8) {
            head.copy_from_slice(&[b'D', b'D', b'W', b'F', 0, 1, 0, 0]);
            head[6..].copy_from_slice(&length.to_be_bytes());
        }
        if let Some(record) = bytes.get_mut(..length.into()) {
            checksum::seal(record);
        }
        let _ = WifiSettings::parse(&bytes);
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_seen() {
    let whole = emitted(&settings("home", "open sesame", "DE"));
    for bit in 0..WIFI_RECORD_LEN * 8 {
        let mut bytes = whole;
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(WifiSettings::parse(&bytes).unwrap_err(), WifiRecordError::Corrupt, "{bit}");
    }
    assert_eq!(WifiSettings::parse(&[0xFF; 200]).unwrap_err(), WifiRecordError::Absent);
    assert_eq!(WifiSettings::parse(&[]).unwrap_err(), WifiRecordError::Absent);
    for written in 1..WIFI_RECORD_LEN {
        let mut bytes = [0xFF; WIFI_RECORD_LEN];
        bytes[..written].copy_from_slice(&whole[..written]);
        assert_eq!(WifiSettings::parse(&bytes).unwrap_err(), WifiRecordError::Corrupt, "{written}");
        assert_eq!(WifiSettings::parse(&whole[..written]).unwrap_err(), WifiRecordError::Corrupt);
    }
}

#[test]
fn whole_records_with_wrong_values_are_refused() {
    let other = |at: usize, bytes: &[u8]| {
        let mut record = emitted(&settings("home", "open sesame", "DE"));
        record[at..at + bytes.len()].copy_from_slice(bytes);
        checksum::seal(&mut record);
        WifiSettings::parse(&record).unwrap_err()
    };
    assert_eq!(other(4, &[0, 0]), WifiRecordError::Invalid);
    assert_eq!(other(4, &[0, 2]), WifiRecordError::Newer(2));
    for (at, bytes) in [
        (8, &[0][..]), // An open network with a key.
        (8, &[2]),     // A PSK of 11 bytes.
        (8, &[3]),     // Another kind.
        (9, &[0]),     // No SSID.
        (9, &[3]),     // A shorter one than there is.
        (9, &[33]),    // A longer one than can be.
        (10, &[7]),    // A shorter key than can be.
        (10, &[65]),   // A longer one.
        (11, &[1]),    // What is zero.
        (12, b"de"),   // Small letters.
        (14, &[1]),    // What is zero.
        (16, &[0xC0]), // An SSID that is no UTF-8.
        (47, &[1]),    // Something behind the SSID.
        (48, &[0x7F]), // A key of other than printable characters.
        (111, &[1]),   // Something behind the key.
    ] {
        assert_eq!(other(at, bytes), WifiRecordError::Invalid, "{at}: {bytes:?}");
    }
}

#[test]
fn lengths_are_those_of_ieee_802_11() {
    for length in [1, 32] {
        assert_eq!(Ssid::new(&"s".repeat(length)).unwrap().as_str().len(), length);
    }
    for length in [0, 33] {
        assert_eq!(Ssid::new(&"s".repeat(length)), Err(WifiSettingsError::SsidLength(length)));
    }
    let key = |text: &str| WifiKey::from_text(text.as_bytes());
    assert!(matches!(key(&"k".repeat(8)), Ok(WifiKey::Passphrase(_))));
    assert!(matches!(key(&"k".repeat(63)), Ok(WifiKey::Passphrase(_))));
    assert!(matches!(key(&"0aF9".repeat(16)), Ok(WifiKey::Psk(_))));
    for (line, length) in [("open sesame\n", 11), ("open sesame\r\n", 11), ("0123456\n", 7)] {
        let is = key(line).map(|key| key_bytes(&key).len());
        let expected = if length < 8 { Err(WifiSettingsError::KeyLength(length)) } else { Ok(length) };
        assert_eq!(is, expected, "{line:?}");
    }
    for bad in ["", "k23456 ", &"0aG9".repeat(16), &"k".repeat(65)] {
        assert_eq!(key(bad).unwrap_err(), WifiSettingsError::KeyLength(bad.len()), "{bad}");
    }
    for bad in ["with\ttabs", "ungl\u{fc}cklich", "k\u{fc}rz", &"\u{fc}".repeat(32), &"\u{fc}".repeat(60)] {
        assert_eq!(key(bad).unwrap_err(), WifiSettingsError::KeyCharacter, "{bad}");
    }
    for (bad, said) in [
        ("k".repeat(65), "; this one is longer than 64 characters"),
        ("0aG9".repeat(16), "; this one has 64 characters, and not all of them are such digits"),
        ("short".into(), "; this one has 5 characters"),
    ] {
        assert!(key(&bad).unwrap_err().to_string().ends_with(said), "{bad}");
    }
    for bad in ["", "D", "de", "DEU", "D1", "\u{d6}"] {
        assert_eq!(bad.parse::<Country>(), Err(WifiSettingsError::Country), "{bad}");
    }
}

#[test]
fn an_open_network_is_joined_only_if_that_is_asked_for() {
    let ssid = || Some(Ssid::new("home").unwrap());
    let key = || Some(WifiKey::from_text(b"open sesame").unwrap());
    let made = |ssid, key, open, country| WifiSettings::from_settings(ssid, key, open, country);
    assert!(made(None, None, false, None).unwrap().is_none());
    assert!(matches!(made(ssid(), None, true, None).unwrap().unwrap().key, WifiKey::Open));
    let with_key = made(ssid(), key(), false, None).unwrap().unwrap();
    assert!(matches!(with_key.key, WifiKey::Passphrase(_)));
    assert_eq!(with_key.country, Country::WORLD);
    assert_eq!(made(ssid(), None, false, None).unwrap_err(), WifiSettingsError::NoKey);
    assert_eq!(made(ssid(), key(), true, None).unwrap_err(), WifiSettingsError::KeyAndOpen);
    for (key, open, country) in
        [(key(), false, None), (None, true, None), (None, false, Some(Country::WORLD))]
    {
        assert_eq!(made(None, key, open, country).unwrap_err(), WifiSettingsError::NoSsid);
    }
}

#[test]
fn the_key_is_not_shown() {
    for key in ["marker marker", &"0aF9".repeat(16)] {
        let shown = format!("{:?}", settings("home", key, "DE"));
        assert!(shown.contains("(..)") && !shown.contains("marker"), "{shown}");
    }
}

#[test]
fn the_documented_record_is_this_one() {
    let documented: Vec<u8> = documented("wifi");
    assert_eq!(documented, emitted(&settings("home", "open sesame", "DE")));
}
