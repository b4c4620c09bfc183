//! A MAC address for boards without one.

use sha2::{Digest, Sha512};

/// A locally administered unicast address, derived from the chip's unique id: stable, and different for each chip.
pub fn hardware_address(chip: &[u8]) -> [u8; 6] {
    derived(b"deaddrop/1 mac", chip)
}

/// A second address from the same chip, for the host's end of a USB cable: the host has none of its own there.
pub fn other_end(chip: &[u8]) -> [u8; 6] {
    derived(b"deaddrop/1 mac of the host", chip)
}

fn derived(label: &[u8], chip: &[u8]) -> [u8; 6] {
    let digest = Sha512::new_with_prefix(label).chain_update(chip).finalize();
    let mut address = [0; 6];
    for (to, from) in address.iter_mut().zip(digest) {
        *to = from;
    }
    let [first, ..] = &mut address;
    // Bit 1: locally administered. Bit 0 clear: unicast.
    *first = *first & !0x03 | 0x02;
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chip_has_its_own_and_keeps_it() {
        let one = hardware_address(b"chip 1");
        assert_eq!(one, hardware_address(b"chip 1"));
        assert_ne!(one, hardware_address(b"chip 2"));
    }

    #[test]
    fn it_is_local_and_of_one_host() {
        for chip in 0..=255_u8 {
            let both = [hardware_address(&[chip]), other_end(&[chip])];
            assert!(both.iter().all(|[first, ..]| first & 0x03 == 0x02));
            assert_ne!(both[0], both[1]);
        }
    }
}
