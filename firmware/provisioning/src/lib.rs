//! What a board is provisioned with, as bytes: written by `deaddrop board-page` and by
//! `cargo xtask firmware config` and `flash`, read by every board.
//!
//! - [`record`]: the provisioning record, which a board reads at every start and never writes: the PRS of its room, and
//!   how it gets its address.
//! - [`wifi`]: the Wi-Fi record, behind the provisioning record of a board with a radio: the network that it joins.
//! - [`page`]: the two of them as they lie in flash.
//! - [`radio`]: the radio's own firmware, which is not secret and not ours.
//! - [`seed`]: the seed record, which a board replaces at every start.
//!
//! Record and seed are two because a seed must not outlive the start that uses it: a first seed in the provisioning record,
//! which stays in flash, would let a thief of the board compute every key it has drawn since.
//!
//! None holds the passphrase of the room or the room secret. The PRS is all that a device needs to meet its room.
//! `firmware/docs/provisioning.md` has the layouts byte by byte.
#![no_std]

pub mod address;
mod checksum;
mod field;
pub mod page;
pub mod radio;
pub mod record;
pub mod seed;
pub mod wifi;

pub use address::{Address, Ipv4Network, Prefixed};
pub use page::PAGE_MAX;
pub use radio::RadioFiles;
pub use record::{ProvisioningError, ProvisioningRecord, RECORD_LEN};
pub use seed::{SEED_RECORD_LEN, Seed, SeedRecord};
pub use wifi::{Country, Ssid, WIFI_RECORD_LEN, WifiKey, WifiSettings};
