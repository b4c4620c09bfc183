//! The radio's own firmware, in the region `RADIO` of the board's flash.

use core::slice;

use cyw43::{A4, Aligned};
use deaddrop_provisioning::radio::{RadioError, RadioFiles};

use crate::refusal::Refusal;

unsafe extern "C" {
    /// The first byte of the region `RADIO`, by the linker script.
    static _radio: u8;
    /// The byte behind its last.
    static _radio_end: u8;
}

/// The files in the region, or why the radio cannot be started.
///
/// The checksum takes about half a second on an RP2040.
pub fn files() -> Result<RadioFiles<'static>, Refusal> {
    let (start, end) = (&raw const _radio, &raw const _radio_end);
    let length = end.addr().saturating_sub(start.addr());
    // SAFETY: the linker script has both ends of a region of flash with no code or data of the program in it. Flash is
    // readable where it is mapped, from the start on, and no program here writes to this region.
    let region = unsafe { slice::from_raw_parts(start, length) };
    RadioFiles::parse(region).map_err(Refusal::Radio)
}

/// The same bytes in the driver's type for those that begin at a multiple of 4, as each file in the region does.
pub(crate) fn aligned(bytes: &[u8]) -> Result<&Aligned<A4, [u8]>, Refusal> {
    if !bytes.as_ptr().addr().is_multiple_of(align_of::<A4>().max(4)) {
        return Err(Refusal::Radio(RadioError::Corrupt));
    }
    let bytes = &raw const *bytes as *const Aligned<A4, [u8]>;
    // SAFETY: the type is `repr(C)`, and holds nothing before the bytes but an array of no words, whose alignment was
    // checked; its length is that of the bytes.
    Ok(unsafe { &*bytes })
}
