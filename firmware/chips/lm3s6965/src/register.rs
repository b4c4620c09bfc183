//! Access to memory-mapped registers.

/// One 32-bit register at a fixed address.
#[derive(Clone, Copy)]
pub(crate) struct Register(usize);

impl Register {
    /// The register at this address.
    ///
    /// # Safety
    ///
    /// There is a 32-bit register at `address`, and reading or writing it cannot break what Rust takes for
    /// granted of memory. That holds for all peripherals of this part but the DMA that it does not have, and
    /// for its flash controller as long as it is used for pages that no reference points into.
    pub(crate) const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    pub(crate) fn read(self) -> u32 {
        // SAFETY: by the contract of `at`.
        unsafe { (self.0 as *const u32).read_volatile() }
    }

    pub(crate) fn write(self, value: u32) {
        // SAFETY: by the contract of `at`.
        unsafe { (self.0 as *mut u32).write_volatile(value) }
    }

    /// Sets these bits. A read-modify-write, not atomic: only for registers that one context writes, or at the start.
    pub(crate) fn set(self, bits: u32) {
        self.write(self.read() | bits);
    }

    /// Clears these bits, likewise.
    pub(crate) fn clear(self, bits: u32) {
        self.write(self.read() & !bits);
    }
}

/// Names registers of a peripheral: `registers!(0x4000_C000; DATA = 0x00, FLAGS = 0x18);`
macro_rules! registers {
    ($base:expr; $($(#[$doc:meta])* $name:ident = $offset:expr),+ $(,)?) => {
        $(
            $(#[$doc])*
            // SAFETY: a register of the data sheet; see `Register::at`.
            const $name: $crate::register::Register = unsafe { $crate::register::Register::at($base + $offset) };
        )+
    };
}
pub(crate) use registers;
