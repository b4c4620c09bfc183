//! A ring buffer of 16 KiB with the 16-bit addresses that a host sees.

/// All of it belongs to socket 0.
pub(crate) const SIZE: u16 = 16 * 1_024;

pub(crate) struct Buffer(Vec<u8>);

impl Buffer {
    pub(crate) fn new() -> Self {
        Self(vec![0xEE; usize::from(SIZE)])
    }

    pub(crate) fn read(&self, at: u16) -> u8 {
        self.0.get(usize::from(at % SIZE)).copied().unwrap_or_default()
    }

    pub(crate) fn write(&mut self, at: u16, byte: u8) {
        if let Some(place) = self.0.get_mut(usize::from(at % SIZE)) {
            *place = byte;
        }
    }

    /// Writes bytes from `at` on, and returns the address behind them.
    pub(crate) fn put(&mut self, at: u16, bytes: impl IntoIterator<Item = u8>) -> u16 {
        bytes.into_iter().fold(at, |at, byte| {
            self.write(at, byte);
            at.wrapping_add(1)
        })
    }

    /// The bytes from `from` up to `to`.
    pub(crate) fn take(&self, from: u16, to: u16) -> Vec<u8> {
        (0..to.wrapping_sub(from)).map(|n| self.read(from.wrapping_add(n))).collect()
    }
}
