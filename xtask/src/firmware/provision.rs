//! The flash content of an emulated board: provisioning record and seeds.

use std::fs;
use std::path::{Path, PathBuf};

use deaddrop_core::derive;
use deaddrop_memory_map::MemoryMap;
use deaddrop_provisioning::record::Mode;
use deaddrop_provisioning::{Address, ProvisioningRecord, SEED_RECORD_LEN, Seed, SeedRecord};

use super::board::Board;
use crate::environment::repo::{Failure, Repo};
use testbed::secret_file;

/// The memory map in a board's `memory.x`.
pub(crate) fn memory_map(repo: &Repo, board: Board) -> Result<MemoryMap, Failure> {
    let path = repo.root.join("firmware/boards").join(board.name).join("memory.x");
    let script = fs::read_to_string(&path).map_err(Failure::at(path.display()))?;
    MemoryMap::parse(&script).map_err(Failure::at(path.display()))
}

/// A provisioning record for a member of the room with this passphrase.
pub(crate) fn record(passphrase: &str, address: Address, mode: Mode) -> Result<Vec<u8>, Failure> {
    let room = derive::room_secret(passphrase).map_err(Failure::at("the passphrase"))?;
    let mut bytes = [0; deaddrop_provisioning::RECORD_LEN];
    ProvisioningRecord { prs: room.prs(), address, mode }.emit(&mut bytes);
    Ok(bytes.to_vec())
}

/// A seed record as provisioning writes it.
pub(crate) fn seed(seed: [u8; 32]) -> [u8; SEED_RECORD_LEN] {
    let mut bytes = [0; SEED_RECORD_LEN];
    SeedRecord { number: 0, seed: Seed::new(seed) }.emit(&mut bytes);
    bytes
}

/// A valid provisioning record of the next version: head, length and checksum are the same in all versions.
pub(crate) fn newer_record() -> Vec<u8> {
    use sha2::{Digest, Sha512};
    const LENGTH: u16 = 96;
    let version = deaddrop_provisioning::record::RECORD_VERSION + 1;
    let mut record = [&b"DDPG"[..], &version.to_be_bytes(), &LENGTH.to_be_bytes()].concat();
    record.resize(usize::from(LENGTH) - 16, 0x11);
    record.extend(Sha512::digest(&record).iter().take(16));
    record
}

/// Both seed slots after provisioning: the record, and the rest erased.
pub(crate) fn slots(map: &MemoryMap, record: &[u8]) -> Vec<u8> {
    let length: u32 = map.seeds.iter().map(|slot| slot.length).sum();
    let mut bytes = record.to_vec();
    bytes.resize(length as usize, 0xFF);
    bytes
}

/// Writes a file that only its owner can read. Replaces one that exists.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<PathBuf, Failure> {
    let _ = fs::remove_file(path);
    secret_file::write_new(path, bytes)?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::board::BOARDS;
    use super::*;

    #[test]
    fn every_board_has_a_memory_map() {
        for board in BOARDS {
            memory_map(&Repo::here(), *board).unwrap();
        }
    }

    #[test]
    fn a_newer_record_is_whole_and_newer() {
        let version = deaddrop_provisioning::record::RECORD_VERSION + 1;
        assert_eq!(
            ProvisioningRecord::parse(&newer_record()).unwrap_err(),
            deaddrop_provisioning::ProvisioningError::Newer { version }
        );
    }

    #[test]
    fn slots_are_whole_and_erased_behind_the_record() {
        let map = memory_map(&Repo::here(), BOARDS[0]).unwrap();
        let bytes = slots(&map, &seed([1; 32]));
        assert_eq!(bytes.len(), 2_048);
        assert!(SeedRecord::parse(&bytes).is_some());
        assert!(bytes[SEED_RECORD_LEN..].iter().all(|byte| *byte == 0xFF));
    }
}
