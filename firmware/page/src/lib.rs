//! What a board is provisioned with, as bytes: emitted by `cargo xtask firmware config` and `flash`, read by every board.
//!
//! - [`page`]: the page, which a board reads at every start and never writes: the secret of its room, and how it
//!   gets its address.
//! - [`seed`]: the record of its randomness, which a board replaces at every start.
//!
//! They are apart because they go to different places. Were the first seed in the page, which stays, whoever took the
//! board could compute all its keys since.
//!
//! The passphrase is in neither, nor is the secret of the room: the page holds the PRS alone, which is all that
//! a device needs to meet its room. `docs/page.md` of the firmware has the layout byte by byte.
#![no_std]

pub mod address;
mod checksum;
mod field;
pub mod page;
pub mod seed;

pub use address::{Address, Ipv4Network};
pub use page::{PAGE_LEN, Page, PageError};
pub use seed::{SEED_RECORD_LEN, Seed, SeedRecord};
