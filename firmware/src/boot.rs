//! Reads the provisioning record and ratchets the seed, or returns a [`BootError`] that says why the board must not talk.
//!
//! Every start **ratchets** the seed. From the seed S in the store, and 32 bytes of a hardware generator if there is
//! one, come a key K for this start's randomness and the seed S' of the next:
//!
//! ```text
//! PRK = HKDF-Extract(no salt, S || hardware)
//! K   = HKDF-Expand(PRK, "deaddrop/1 rng", 32)
//! S'  = HKDF-Expand(PRK, "deaddrop/1 next seed", 32)
//! ```
//!
//! with SHA-512. S' replaces S in the store and is read back, and only then is K used. So no two starts draw the same K,
//! however often the power fails in between, and the seed in a stolen board reveals no key of this start or of earlier
//! ones. If the store does not keep S', the next start would derive the same K, so the board must not talk.
//!
//! A generator that **stands alone** makes every K unpredictable by itself. Then S is mixed in and stays as it is: no start
//! writes to flash, which would wear it out and, on a chip whose flash has error correction, leave words that cannot be
//! read if the power fails meanwhile. If such a generator fails, the board must not talk: without its output the same S
//! would give the same K.

mod entropy;
mod error;
#[cfg(test)]
pub(crate) mod flash;
pub mod jitter_entropy;
mod preloaded;
mod seed_store;
pub mod slots;

use core::fmt;

use chacha20::ChaCha20Rng;
use deaddrop_core::crypto::keys::Prs;
use deaddrop_core::secret::Secret;
use deaddrop_provisioning::record::Mode;
use deaddrop_provisioning::{Address, ProvisioningError, ProvisioningRecord, RECORD_LEN, Seed};
use embedded_storage::nor_flash::NorFlash;
use hkdf::Hkdf;
use rand_core::SeedableRng;
use sha2::Sha512;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

pub use entropy::{Hardware, HardwareEntropy, NoEntropy};
pub use error::BootError;
pub use preloaded::Preloaded;
pub use seed_store::SeedStore;
pub use slots::SeedSlots;

/// HKDF info of the key of this start's randomness.
pub const INFO_RNG: &[u8] = b"deaddrop/1 rng";
/// HKDF info of the seed of the next start.
pub const INFO_NEXT: &[u8] = b"deaddrop/1 next seed";

/// The result of a start: what a board needs to talk.
pub struct Ready {
    /// The PRS of the room, for its handshakes.
    pub prs: Prs,
    /// How to get an address.
    pub address: Address,
    /// What to do without a command.
    pub mode: Mode,
    /// The generator of this start, seeded with K.
    pub rng: ChaCha20Rng,
    /// What the hardware generator contributed.
    pub hardware: Hardware,
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ready(..)")
    }
}

/// Reads the provisioning record, ratchets the seed, and seeds the generator of this start.
///
/// `record` is flash from the record's address on, longer than one record if possible; `hardware` is the board's
/// generator, if it has one. Call it once for each start, before the network. On an error the board must not
/// talk: [`Board::boot`](crate::board::Board::boot) prints why.
pub fn boot(
    record: &[u8],
    seeds: &mut impl SeedStore,
    hardware: Option<&mut dyn HardwareEntropy>,
) -> Result<Ready, BootError> {
    let ProvisioningRecord { prs, address, mode } =
        ProvisioningRecord::parse(record).map_err(BootError::Provisioning)?;
    let alone = hardware.as_ref().is_some_and(|hardware| hardware.stands_alone());
    let seed = stored(seeds)?;
    let (drawn, hardware) = draw(hardware, seed.is_some())?;
    let (key, next) = ratchet(seed.as_ref(), drawn.as_ref());
    drop((seed, drawn));
    let ready = Ready { prs, address, mode, rng: ChaCha20Rng::from_seed(*key.expose()), hardware };
    if alone {
        return Ok(ready);
    }

    seeds.replace(next.expose()).map_err(|_| BootError::SeedNotReplaced)?;
    let mut back = [0; 32];
    let read = seeds.read(&mut back);
    let stuck = bool::from(back.ct_eq(next.expose()));
    back.zeroize();
    read.map_err(|_| BootError::SeedNotRead)?;
    if !stuck {
        return Err(BootError::SeedDidNotStick);
    }
    Ok(ready)
}

/// The seed in the store, if there is one.
fn stored(seeds: &mut impl SeedStore) -> Result<Option<Seed>, BootError> {
    let mut read = Ok(());
    let seed = Seed::fill_with(|to| read = seeds.read(to));
    read.map_err(|_| BootError::SeedNotRead)?;
    // Never written, or lost: erased flash reads as ones, other memory as zeros.
    let empty = |byte: &u8| *byte == 0xFF || *byte == 0;
    Ok((!seed.expose().iter().all(empty)).then_some(seed))
}

/// 32 bytes of the hardware generator, if there is one and it works. An error if the board would have neither these nor
/// a seed that is replaced at every start.
fn draw(
    hardware: Option<&mut dyn HardwareEntropy>,
    has_seed: bool,
) -> Result<(Option<Secret<32>>, Hardware), BootError> {
    let Some(hardware) = hardware else {
        return if has_seed { Ok((None, Hardware::Absent)) } else { Err(BootError::NoSeed) };
    };
    let alone = hardware.stands_alone();
    if !has_seed && !alone {
        return Err(BootError::NoSeed);
    }
    let mut filled = Ok(());
    let drawn = Secret::fill_with(|to| filled = hardware.fill(to));
    // A stuck output line reads as all zeros or all ones, whatever the generator reports.
    let dead =
        drawn.expose().iter().all(|byte| *byte == 0) || drawn.expose().iter().all(|byte| *byte == 0xFF);
    match filled {
        Ok(()) if !dead => Ok((Some(drawn), Hardware::Mixed)),
        _ if has_seed && !alone => Ok((None, Hardware::Failed)),
        _ => Err(BootError::NoEntropy),
    }
}

/// K and S'.
fn ratchet(seed: Option<&Seed>, drawn: Option<&Secret<32>>) -> (Secret<32>, Seed) {
    let mut extract = hkdf::HkdfExtract::<Sha512>::new(None);
    for input in [seed, drawn].into_iter().flatten() {
        extract.input_ikm(input.expose());
    }
    let (mut prk, hkdf) = extract.finalize();
    prk.as_mut_slice().zeroize();
    (expand(&hkdf, INFO_RNG), expand(&hkdf, INFO_NEXT))
}

fn expand(hkdf: &Hkdf<Sha512>, info: &[u8]) -> Secret<32> {
    Secret::fill_with(|out| {
        // Cannot fail: HKDF expands up to 255 blocks of 64 bytes, and this is half a block.
        let _never_too_long = hkdf.expand(info, out);
    })
}

/// [`boot`] with the provisioning record at offset `record` and the seed slots at offsets `slots` of one flash.
// Not inlined: its stack frame would stay below all that an async caller does later.
#[inline(never)]
pub fn boot_from_flash<F: NorFlash>(
    mut flash: F,
    record: u32,
    slots: [u32; 2],
    hardware: Option<&mut dyn HardwareEntropy>,
) -> Result<Ready, BootError> {
    // Longer than a record of this version, so that a longer one of a newer version is recognised.
    let mut bytes = Zeroizing::new([0; 2 * RECORD_LEN]);
    flash.read(record, &mut *bytes).map_err(|_| BootError::Provisioning(ProvisioningError::Corrupt))?;
    boot(&*bytes, &mut SeedSlots::new(flash, slots), hardware)
}

#[cfg(test)]
mod tests;
