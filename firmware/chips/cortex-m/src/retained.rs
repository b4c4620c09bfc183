//! RAM that no start initialises.

use deaddrop_firmware::board::{RetainedRam, WORDS};

unsafe extern "C" {
    /// The region `RETAINED`, by the linker script.
    static mut _retained: [u32; WORDS];
}

/// The region `RETAINED` of the memory map.
#[derive(Clone, Copy, Debug)]
pub struct Retained;

impl RetainedRam for Retained {
    fn word(&self, at: usize) -> u32 {
        if at >= WORDS {
            return 0;
        }
        // SAFETY: within the region, which is RAM and only accessed here, one word at a time. Volatile: its content is
        // from before this program.
        unsafe { (&raw const _retained).cast::<u32>().add(at).read_volatile() }
    }

    fn set_word(&self, at: usize, to: u32) {
        if at < WORDS {
            // SAFETY: as above. Volatile: the next program reads it.
            unsafe { (&raw mut _retained).cast::<u32>().add(at).write_volatile(to) }
        }
    }
}
