//! What a board is provisioned with, as bytes: emitted by `cargo xtask firmware config`, read by every board.
//!
//! - [`page`]: the page, which a board reads at every start and never writes: the secret of its room, and how it
//!   gets its address.
//! - [`seed`]: the record of its randomness, which a board replaces at every start.
//! - [`provision`]: the two together, as the file that `config` writes and `flash` takes apart.
//!
//! The passphrase is in none of them, nor is the secret of the room: the page holds the PRS alone, which is all that
//! a device needs to meet its room. `docs/page.md` of the firmware has the layout byte by byte.
#![no_std]

pub mod address;
mod checksum;
mod field;
pub mod page;
pub mod provision;
pub mod seed;

pub use address::{Address, Ipv4Network};
pub use page::{PAGE_LEN, Page, PageError};
pub use provision::{PROVISION_LEN, Provision};
pub use seed::{SEED_RECORD_LEN, Seed, SeedRecord};
