//! A seed store in two erase blocks of flash.
//!
//! Replacing writes the new record into the slot that does not hold the newest, reads it back, and then erases the
//! other. Wherever the power fails, one of them is whole:
//!
//! | the power fails | the slot written to | the other | the next start goes on from |
//! |---|---|---|---|
//! | while the first is erased or written | torn | old seed | the old seed, of which no key was used |
//! | before or while the other is erased | new seed | old seed or torn | the new seed: its number is higher |
//! | after that | new seed | erased | the new seed |
//!
//! A key is used only after the last line, so a key that was used is never drawn again.

use deaddrop_provisioning::{SEED_RECORD_LEN, Seed, SeedRecord};
use embedded_storage::nor_flash::NorFlash;
use zeroize::Zeroizing;

use super::seed_store::SeedStore;

/// Two slots in `F`, each one whole erase block.
pub struct SeedSlots<F> {
    flash: F,
    slots: [u32; 2],
}

/// The valid record, and where it is.
struct Newest {
    record: SeedRecord,
    slot: u32,
    other: u32,
}

/// Why reading or replacing a seed failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotError<E> {
    /// The flash driver returned an error.
    Flash(E),
    /// A record was written, and reads back otherwise.
    NotWritten,
    /// A slot was erased, and reads back otherwise.
    NotErased,
    /// The record's number cannot go up any further.
    Exhausted,
}

impl<F: NorFlash> SeedSlots<F> {
    /// Bytes of one slot.
    #[expect(clippy::cast_possible_truncation, reason = "erase sizes of flash are below 4 GiB")]
    pub const SLOT_LEN: u32 = F::ERASE_SIZE as u32;

    /// With slots at these offsets into `flash`, both whole multiples of [`SLOT_LEN`](Self::SLOT_LEN).
    ///
    /// Does not compile for a flash that cannot write one record at a time.
    pub const fn new(flash: F, slots: [u32; 2]) -> Self {
        const {
            assert!(
                SEED_RECORD_LEN.is_multiple_of(F::WRITE_SIZE) && SEED_RECORD_LEN.is_multiple_of(F::READ_SIZE)
            );
            assert!(SEED_RECORD_LEN <= F::ERASE_SIZE);
        }
        Self { flash, slots }
    }

    /// Returns the flash.
    pub fn into_flash(self) -> F {
        self.flash
    }

    // Not inlined, here and below: a start reads the slots several times.
    #[inline(never)]
    fn load(&mut self, slot: u32) -> Result<Option<SeedRecord>, SlotError<F::Error>> {
        let mut bytes = Zeroizing::new([0; SEED_RECORD_LEN]);
        self.flash.read(slot, &mut *bytes).map_err(SlotError::Flash)?;
        Ok(SeedRecord::parse(&*bytes))
    }

    /// The valid record with the highest number, if there is one.
    #[inline(never)]
    fn newest(&mut self) -> Result<Option<Newest>, SlotError<F::Error>> {
        let [a, b] = self.slots;
        let first = self.load(a)?.map(|record| Newest { record, slot: a, other: b });
        let second = self.load(b)?.map(|record| Newest { record, slot: b, other: a });
        // Equal numbers mean that something else copied the first slot: then that one counts.
        Ok(match (first, second) {
            (Some(first), Some(second)) if second.record.number > first.record.number => Some(second),
            (first, second) => first.or(second),
        })
    }

    fn erase(&mut self, slot: u32) -> Result<(), SlotError<F::Error>> {
        let end = slot.saturating_add(Self::SLOT_LEN);
        self.flash.erase(slot, end).map_err(SlotError::Flash)
    }

    /// Whether the bytes of a record in this slot are erased.
    fn is_erased(&mut self, slot: u32) -> Result<bool, SlotError<F::Error>> {
        let mut bytes = Zeroizing::new([0; SEED_RECORD_LEN]);
        self.flash.read(slot, &mut *bytes).map_err(SlotError::Flash)?;
        Ok(bytes.iter().all(|byte| *byte == 0xFF))
    }
}

impl<F: NorFlash> SeedStore for SeedSlots<F> {
    type Error = SlotError<F::Error>;

    fn read(&mut self, to: &mut [u8; 32]) -> Result<(), Self::Error> {
        match self.newest()? {
            Some(newest) => *to = *newest.record.seed.expose(),
            None => *to = [0xFF; 32],
        }
        Ok(())
    }

    fn replace(&mut self, new: &[u8; 32]) -> Result<(), Self::Error> {
        let [first, second] = self.slots;
        let (number, old, free) = match self.newest()? {
            Some(Newest { record, slot, other }) => {
                (record.number.checked_add(1).ok_or(SlotError::Exhausted)?, slot, other)
            }
            None => (0, second, first),
        };
        let mut bytes = Zeroizing::new([0; SEED_RECORD_LEN]);
        SeedRecord { number, seed: Seed::fill_with(|to| *to = *new) }.emit(&mut bytes);
        self.erase(free)?;
        self.flash.write(free, &*bytes).map_err(SlotError::Flash)?;
        let written = self.load(free)?;
        if written.is_none_or(|record| record.number != number || record.seed.expose() != new) {
            return Err(SlotError::NotWritten);
        }
        self.erase(old)?;
        if self.is_erased(old)? { Ok(()) } else { Err(SlotError::NotErased) }
    }
}

#[cfg(test)]
mod tests;
