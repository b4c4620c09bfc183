//! From what a board was provisioned with to what it needs to talk, or a refusal with its words.
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
//! with SHA-512. S' replaces S in the store and is read back, and only then is K used. So no two starts have one K,
//! however often the power fails in between; and what is in the store of a stolen board tells nothing about the keys
//! of this start or of those before it. A store that does not keep S' would bring the same K again, so then the board
//! does not talk.

mod error;
#[cfg(test)]
mod flash;
pub mod jitter_entropy;
mod preloaded;
pub mod slots;
mod start;

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

pub use error::{BootError, halt};
pub use preloaded::Preloaded;
pub use slots::SeedSlots;
pub use start::start;

/// HKDF info of the key of this start's randomness.
pub const INFO_RNG: &[u8] = b"deaddrop/1 rng";
/// HKDF info of the seed of the next start.
pub const INFO_NEXT: &[u8] = b"deaddrop/1 next seed";

/// Keeps a seed while the power is off.
///
/// [`SeedSlots`] is one, over two pieces of flash. An implementation of your own must keep, at any moment the power may
/// fail, the old seed or the new one whole; and must not keep the old one once `replace` has returned.
pub trait SeedStore {
    /// Why it failed.
    type Error;

    /// Reads the seed; all ones, as erased flash is, if there is none.
    fn read(&mut self, to: &mut [u8; 32]) -> Result<(), Self::Error>;

    /// Stores `new`, and then erases what was there.
    fn replace(&mut self, new: &[u8; 32]) -> Result<(), Self::Error>;
}

/// A generator of random bytes in hardware.
pub trait HardwareEntropy {
    /// Fills all of `to` with bytes that are as hard to guess as they are many, after the generator's own tests.
    fn fill(&mut self, to: &mut [u8; 32]) -> Result<(), NoEntropy>;

    /// Whether it will do where there is no seed. One that is merely better than nothing says no: it is mixed in.
    fn stands_alone(&self) -> bool {
        true
    }
}

/// The generator failed its own tests, or gave nothing in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEntropy;

/// What came of the hardware generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hardware {
    /// The board has none.
    Absent,
    /// Its output is in the randomness, beside the seed.
    Mixed,
    /// It failed. The seed alone is enough, but someone should hear of it.
    Failed,
}

/// All that a board needs to talk.
pub struct Ready {
    /// For the handshakes of its room.
    pub prs: Prs,
    /// How to get an address.
    pub address: Address,
    /// What to do without being asked.
    pub mode: Mode,
    /// The randomness of this start. No other start has the same.
    pub rng: ChaCha20Rng,
    /// What came of the hardware generator.
    pub hardware: Hardware,
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ready(..)")
    }
}

/// Reads the record, ratchets the seed, and makes the randomness of this start.
///
/// `record` is the flash from the record's address on, as far as a record may reach; `hardware` is the board's generator, if
/// it has one. Call it once for each start, before there is a network. When it refuses, print why and wait.
pub fn boot(
    record: &[u8],
    seeds: &mut impl SeedStore,
    hardware: Option<&mut dyn HardwareEntropy>,
) -> Result<Ready, BootError> {
    let ProvisioningRecord { prs, address, mode } =
        ProvisioningRecord::parse(record).map_err(BootError::Provisioning)?;
    let seed = stored(seeds)?;
    let (drawn, hardware) = draw(hardware, seed.is_some())?;
    let (key, next) = ratchet(seed.as_ref(), drawn.as_ref());
    drop((seed, drawn));

    seeds.replace(next.expose()).map_err(|_| BootError::SeedNotReplaced)?;
    let mut back = [0; 32];
    let read = seeds.read(&mut back);
    let stuck = bool::from(back.ct_eq(next.expose()));
    back.zeroize();
    read.map_err(|_| BootError::SeedNotRead)?;
    if !stuck {
        return Err(BootError::SeedDidNotStick);
    }
    Ok(Ready { prs, address, mode, rng: ChaCha20Rng::from_seed(*key.expose()), hardware })
}

/// The seed in the store, unless that is empty.
fn stored(seeds: &mut impl SeedStore) -> Result<Option<Seed>, BootError> {
    let mut read = Ok(());
    let seed = Seed::fill_with(|to| read = seeds.read(to));
    read.map_err(|_| BootError::SeedNotRead)?;
    // Memory that was never written, or that has lost all it held.
    let empty = |byte: &u8| *byte == 0xFF || *byte == 0;
    Ok((!seed.expose().iter().all(empty)).then_some(seed))
}

/// 32 bytes of the hardware generator, if there is one and it works; refuses if they, or a seed, are needed.
fn draw(
    hardware: Option<&mut dyn HardwareEntropy>,
    has_seed: bool,
) -> Result<(Option<Secret<32>>, Hardware), BootError> {
    let Some(hardware) = hardware else {
        return if has_seed { Ok((None, Hardware::Absent)) } else { Err(BootError::NoSeed) };
    };
    if !has_seed && !hardware.stands_alone() {
        return Err(BootError::NoSeed);
    }
    let mut filled = Ok(());
    let drawn = Secret::fill_with(|to| filled = hardware.fill(to));
    // A generator that has died gives the same bit for ever, whatever it says of itself.
    let dead =
        drawn.expose().iter().all(|byte| *byte == 0) || drawn.expose().iter().all(|byte| *byte == 0xFF);
    match filled {
        Ok(()) if !dead => Ok((Some(drawn), Hardware::Mixed)),
        _ if has_seed => Ok((None, Hardware::Failed)),
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
        // Fails only above 255 blocks of 64 bytes; this is half a block.
        let _never_too_long = hkdf.expand(info, out);
    })
}

/// [`boot`] from flash that holds both: the record at `record`, and the seed slots at `slots`.
pub fn boot_from_flash<F: NorFlash>(
    mut flash: F,
    record: u32,
    slots: [u32; 2],
    hardware: Option<&mut dyn HardwareEntropy>,
) -> Result<Ready, BootError> {
    // More than this version's record, so that a newer one is told from damage.
    let mut bytes = Zeroizing::new([0; 2 * RECORD_LEN]);
    flash.read(record, &mut *bytes).map_err(|_| BootError::Provisioning(ProvisioningError::Corrupt))?;
    boot(&*bytes, &mut SeedSlots::new(flash, slots), hardware)
}

#[cfg(test)]
mod tests;
