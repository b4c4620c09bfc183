extern crate std;
use std::collections::BTreeSet;
use std::vec::Vec;

use deaddrop_provisioning::{Ipv4Network, RECORD_LEN, SEED_RECORD_LEN, SeedRecord};
use embedded_storage::nor_flash::NorFlash;
use rand_core::Rng;

use super::flash::{Fault, Flash};
use super::*;

const SLOTS: [u32; 2] = [0, 128];

fn record() -> [u8; RECORD_LEN] {
    let network = Ipv4Network::new([10, 0, 0, 2].into(), 24, None).unwrap();
    let mut bytes = [0; RECORD_LEN];
    ProvisioningRecord {
        prs: Prs::new([5; 32]),
        address: Address::Static(network),
        mode: Mode { auto: true },
    }
    .emit(&mut bytes);
    bytes
}

/// Flash as provisioning leaves it.
fn provisioned(seed: [u8; 32]) -> Flash {
    let mut record = [0; SEED_RECORD_LEN];
    SeedRecord { number: 0, seed: Seed::new(seed) }.emit(&mut record);
    let mut flash = Flash::new(2);
    flash.write(SLOTS[0], &record).unwrap();
    flash
}

/// One start; the flash is as it left it.
fn start(flash: &mut Flash, hardware: Option<&mut dyn HardwareEntropy>) -> Result<Ready, BootError> {
    let mut seeds = SeedSlots::new(flash.clone(), SLOTS);
    let ready = boot(&record(), &mut seeds, hardware);
    *flash = seeds.into_flash();
    ready
}

fn first_bytes(ready: Ready) -> [u8; 32] {
    let mut bytes = [0; 32];
    let mut ready = ready;
    ready.rng.fill_bytes(&mut bytes);
    bytes
}

/// A store that is memory, and keeps to its word or does not.
struct Memory {
    seed: [u8; 32],
    keeps: bool,
    reads: Result<(), ()>,
    replaces: Result<(), ()>,
}

impl Memory {
    fn new(seed: [u8; 32]) -> Self {
        Self { seed, keeps: true, reads: Ok(()), replaces: Ok(()) }
    }
}

impl SeedStore for Memory {
    type Error = ();

    fn read(&mut self, to: &mut [u8; 32]) -> Result<(), ()> {
        *to = self.seed;
        self.reads
    }

    fn replace(&mut self, new: &[u8; 32]) -> Result<(), ()> {
        if self.keeps && self.replaces.is_ok() {
            self.seed = *new;
        }
        self.replaces
    }
}

/// A generator that gives one byte for ever.
struct Generator {
    gives: Result<u8, NoEntropy>,
    alone: bool,
}

impl HardwareEntropy for Generator {
    fn fill(&mut self, to: &mut [u8; 32]) -> Result<(), NoEntropy> {
        *to = [self.gives?; 32];
        Ok(())
    }

    fn stands_alone(&self) -> bool {
        self.alone
    }
}

#[test]
fn what_was_provisioned_comes_out() {
    let ready = start(&mut provisioned([7; 32]), None).unwrap();
    assert_eq!(ready.prs.expose(), &[5; 32]);
    assert_eq!(ready.address, Address::Static(Ipv4Network::new([10, 0, 0, 2].into(), 24, None).unwrap()));
    assert!(ready.mode.auto);
    assert_eq!(ready.hardware, Hardware::Absent);
}

#[test]
fn the_ratchet_is_the_known_one() {
    // Computed with Python's hmac and hashlib.
    let hex =
        |bytes: &[u8; 32]| bytes.iter().map(|b| std::format!("{b:02x}")).collect::<std::string::String>();
    let seed = Seed::new(core::array::from_fn(|i| i.try_into().unwrap()));
    let drawn = Secret::new([0x5A; 32]);
    for (seed, drawn, key, next) in [
        (Some(&seed), None, KEY, NEXT),
        (Some(&seed), Some(&drawn), KEY_MIXED, NEXT_MIXED),
        (None, Some(&drawn), KEY_DRAWN, NEXT_DRAWN),
    ] {
        let (k, n) = ratchet(seed, drawn);
        assert_eq!((hex(k.expose()).as_str(), hex(n.expose()).as_str()), (key, next));
    }
}

#[test]
fn the_key_of_the_ratchet_is_the_key_of_the_randomness() {
    let seed = [7; 32];
    let (key, next) = ratchet(Some(&Seed::new(seed)), None);
    let mut store = Memory::new(seed);
    let ready = boot(&record(), &mut store, None).unwrap();
    assert_eq!(&store.seed, next.expose());
    let mut expected = [0; 32];
    ChaCha20Rng::from_seed(*key.expose()).fill_bytes(&mut expected);
    assert_eq!(first_bytes(ready), expected);
}

#[test]
fn every_start_from_one_record_has_randomness_of_its_own() {
    let mut flash = provisioned([7; 32]);
    let seen: BTreeSet<_> = (0..20).map(|_| first_bytes(start(&mut flash, None).unwrap())).collect();
    assert_eq!(seen.len(), 20);
}

#[test]
fn wherever_the_power_fails_no_randomness_comes_twice() {
    for torn in [0, 0x33, 0xFF] {
        let whole = provisioned([7; 32]);
        for power in 0.. {
            let mut flash = Flash { power: Some(power), torn, ..whole.clone() };
            let mut seen = Vec::new();
            let first = start(&mut flash, None);
            let finished = first.is_ok();
            seen.extend(first.ok().map(first_bytes));
            flash.power = None;
            for _ in 0..4 {
                seen.push(first_bytes(start(&mut flash, None).unwrap()));
            }
            let different: BTreeSet<_> = seen.iter().collect();
            assert_eq!(different.len(), seen.len(), "{power}");
            if finished {
                break;
            }
            // Failing again and again in the same place, it still gives none twice.
            let mut flash = whole.clone();
            let mut seen = BTreeSet::new();
            for _ in 0..6 {
                flash.power = Some(power);
                if let Ok(ready) = start(&mut flash, None) {
                    assert!(seen.insert(first_bytes(ready)), "{power}");
                }
            }
        }
    }
}

#[test]
fn what_is_left_in_flash_does_not_give_this_start_away() {
    let mut flash = provisioned([7; 32]);
    let (key, next) = ratchet(Some(&Seed::new([7; 32])), None);
    start(&mut flash, None).unwrap();
    let holds = |bytes: &[u8]| flash.bytes.windows(32).any(|window| window == bytes);
    assert!(holds(next.expose()));
    assert!(!holds(&[7; 32]) && !holds(key.expose()));
}

#[test]
fn a_store_that_does_not_keep_the_seed_is_refused() {
    let mut store = Memory { keeps: false, ..Memory::new([7; 32]) };
    assert_eq!(boot(&record(), &mut store, None).unwrap_err(), BootError::SeedDidNotStick);
    let mut store = Memory { replaces: Err(()), ..Memory::new([7; 32]) };
    assert_eq!(boot(&record(), &mut store, None).unwrap_err(), BootError::SeedNotReplaced);
    let mut store = Memory { reads: Err(()), ..Memory::new([7; 32]) };
    assert_eq!(boot(&record(), &mut store, None).unwrap_err(), BootError::SeedNotRead);
    // With a generator too: one that is broken may not show it.
    let mut generator = Generator { gives: Ok(3), alone: false };
    let mut store = Memory { keeps: false, ..Memory::new([7; 32]) };
    assert_eq!(boot(&record(), &mut store, Some(&mut generator)).unwrap_err(), BootError::SeedDidNotStick);
    for fault in [Fault::WritesNothing, Fault::ErasesNothing, Fault::StuckBit(3)] {
        let mut flash = Flash { fault, ..provisioned([7; 32]) };
        assert_eq!(start(&mut flash, None).unwrap_err(), BootError::SeedNotReplaced, "{fault:?}");
    }
}

#[test]
fn without_a_record_the_seed_is_left_alone() {
    let blank = [0xFF; RECORD_LEN];
    let mut store = Memory::new([7; 32]);
    assert_eq!(
        boot(&blank, &mut store, None).unwrap_err(),
        BootError::Provisioning(ProvisioningError::Blank)
    );
    assert_eq!(store.seed, [7; 32]);
}

#[test]
fn without_a_seed_only_a_generator_that_stands_alone_will_do() {
    for empty in [[0; 32], [0xFF; 32]] {
        let with = |hardware: Option<&mut dyn HardwareEntropy>| {
            boot(&record(), &mut Memory::new(empty), hardware).map(|ready| ready.hardware)
        };
        assert_eq!(with(None), Err(BootError::NoSeed));
        assert_eq!(with(Some(&mut Generator { gives: Ok(3), alone: false })), Err(BootError::NoSeed));
        assert_eq!(with(Some(&mut Generator { gives: Ok(3), alone: true })), Ok(Hardware::Mixed));
        assert_eq!(
            with(Some(&mut Generator { gives: Err(NoEntropy), alone: true })),
            Err(BootError::NoEntropy)
        );
        // Dead, and does not know it.
        for byte in [0, 0xFF] {
            let mut dead = Generator { gives: Ok(byte), alone: true };
            assert_eq!(with(Some(&mut dead)), Err(BootError::NoEntropy));
        }
    }
    let erased = start(&mut Flash::new(2), None);
    assert_eq!(erased.unwrap_err(), BootError::NoSeed);
}

#[test]
fn a_generator_is_mixed_in_and_a_failed_one_is_told_of() {
    let with = |gives| {
        let mut generator = Generator { gives, alone: false };
        let ready = start(&mut provisioned([7; 32]), Some(&mut generator)).unwrap();
        (ready.hardware, first_bytes(ready))
    };
    let seed_alone = first_bytes(start(&mut provisioned([7; 32]), None).unwrap());
    let (mixed, one) = with(Ok(1));
    let (_, other) = with(Ok(2));
    assert_eq!(mixed, Hardware::Mixed);
    assert!(one != other && one != seed_alone && other != seed_alone);
    assert_eq!(with(Err(NoEntropy)), (Hardware::Failed, seed_alone));
}

#[test]
fn a_start_with_a_generator_that_stands_alone_writes_nothing_wherever_the_power_fails() {
    let mut whole = Flash::with_ecc(2);
    let mut seed = [0; SEED_RECORD_LEN];
    SeedRecord { number: 0, seed: Seed::new([7; 32]) }.emit(&mut seed);
    whole.write(SLOTS[0], &seed).unwrap();
    // More than all that a ratchet would erase and write.
    for power in 0..600 {
        let mut flash = Flash { power: Some(power), ..whole.clone() };
        let mut generator = Generator { gives: Ok(3), alone: true };
        // It may end when the power fails; what counts is that the next start succeeds.
        let _ = start(&mut flash, Some(&mut generator));
        flash.power = None;
        let ready = start(&mut flash, Some(&mut generator)).unwrap();
        assert_eq!(ready.hardware, Hardware::Mixed);
        assert_eq!((&flash.bytes, flash.erased), (&whole.bytes, 0), "{power}");
    }
}

#[test]
#[should_panic = "a torn word was read"]
fn a_ratchet_on_flash_with_error_correction_would_read_a_torn_word() {
    let mut seed = [0; SEED_RECORD_LEN];
    SeedRecord { number: 0, seed: Seed::new([7; 32]) }.emit(&mut seed);
    for power in 0..600 {
        let mut flash = Flash::with_ecc(2);
        flash.write(SLOTS[0], &seed).unwrap();
        flash.power = Some(power);
        let _ = start(&mut flash, None);
        flash.power = None;
        let _ = start(&mut flash, None);
    }
}

#[test]
fn the_seed_is_mixed_in_where_the_generator_stands_alone_and_no_replacement_for_it() {
    let with = |seed: u8, gives| {
        let mut generator = Generator { gives, alone: true };
        start(&mut provisioned([seed; 32]), Some(&mut generator)).map(first_bytes)
    };
    let one = with(7, Ok(1)).unwrap();
    assert!(one != with(8, Ok(1)).unwrap() && one != with(7, Ok(2)).unwrap());
    // The seed stays as it is, so alone it would give the same bytes at every start.
    assert_eq!(with(7, Err(NoEntropy)), Err(BootError::NoEntropy));
    assert_eq!(with(7, Ok(0xFF)), Err(BootError::NoEntropy));
}

#[test]
fn nothing_secret_is_shown() {
    assert_eq!(std::format!("{:?}", start(&mut provisioned([7; 32]), None).unwrap()), "Ready(..)");
}

const KEY: &str = "1c20895cbb24cda463358d6c880df2a98dedfa5f2bf6927d4117b75f7325a264";
const NEXT: &str = "6d637aa7605b1681f5e2926e3fa8aaca0a8eaed2819c786a59c7052ff3291c61";
const KEY_MIXED: &str = "610386622c139b9de629151d3d33247c7d78206fec4711673879def4caba671d";
const NEXT_MIXED: &str = "644602498cabd3fd9813e4658dc6e04487bc966b4c50dcb39db967c51beb5347";
const KEY_DRAWN: &str = "e9b2647d8b4fda75d0318fd5731194c53468ae7b30ef2dfdd6890ab3ddffc8d3";
const NEXT_DRAWN: &str = "c91569a951b03fa53a8d8d789016be2dd585a11b6734fbf390479f20b4994a2c";

#[test]
fn record_and_seed_are_read_from_where_they_are() {
    let mut flash = Flash::new(6);
    flash.bytes[256..256 + RECORD_LEN].copy_from_slice(&record());
    let provisioned = provisioned([7; 32]);
    flash.bytes[640..640 + SEED_RECORD_LEN].copy_from_slice(&provisioned.bytes[..SEED_RECORD_LEN]);
    let ready = boot_from_flash(flash.clone(), 256, [640, 512], None).unwrap();
    assert_eq!(first_bytes(ready), first_bytes(start(&mut { provisioned }, None).unwrap()));
    let nowhere = boot_from_flash(flash.clone(), 0, [640, 512], None).unwrap_err();
    assert_eq!(nowhere, BootError::Provisioning(ProvisioningError::Blank));
    let beyond = boot_from_flash(flash, 768, [640, 512], None).unwrap_err();
    assert_eq!(beyond, BootError::Provisioning(ProvisioningError::Corrupt));
}
